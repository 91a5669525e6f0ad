//! Where a command runs: GitHub Actions, Azure Pipelines or a terminal.
//!
//! One enum, [`Dialect`], decides how each thing is said; one sink carries it.
//! Text that others wrote (test output, job logs) goes through [`relay`] only.

mod context;
mod dialect;
mod limits;
pub mod relay;

pub use context::{Context, organisation};
pub use dialect::Dialect;

use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use anyhow::Result;

use crate::names::Secret;
use crate::report::{Finding, Severity};
use crate::sys::{Env, fs};

/// The CI host's surface: outputs, summary, annotations, masking, progress.
#[derive(Clone)]
pub struct Host {
    dialect: Dialect,
    env: Arc<Env>,
    sink: Arc<Mutex<dyn Write + Send>>,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("dialect", &self.dialect).finish_non_exhaustive()
    }
}

impl Host {
    /// The host that `env` tells of, writing to `sink`.
    pub fn detect(env: Arc<Env>, sink: impl Write + Send + 'static) -> Self {
        Self { dialect: Dialect::detect(&env), env, sink: Arc::new(Mutex::new(sink)) }
    }

    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// A line of our own. Control characters are removed, and nothing in it
    /// can act as a command: names in it may come from outside.
    pub fn say(&self, line: &str) {
        for line in relay::harmless_lines(line) {
            self.emit(&line);
        }
    }

    /// A line of progress: what is done now, and where to look.
    pub fn progress(&self, line: &str) {
        self.say(&format!("… {line}"));
    }

    /// Keeps `secret` out of the host's log. Must come before its first use.
    pub fn mask(&self, secret: &Secret) {
        for command in self.dialect.mask(secret.expose()) {
            self.emit(&command);
        }
    }

    pub fn group<T>(&self, title: &str, body: impl FnOnce() -> T) -> T {
        let title = relay::harmless_lines(title).join(" ");
        let (open, close) = self.dialect.group(&title);
        self.emit(&open);
        let result = body();
        if let Some(close) = close {
            self.emit(close);
        }
        result
    }

    /// Worst first, up to the host's limit, then one line that counts the rest.
    pub fn annotate(&self, findings: &[Finding]) {
        let mut worst_first: Vec<_> = findings.iter().collect();
        worst_first.sort_by_key(|finding| finding.severity);
        for severity in [Severity::Error, Severity::Warning, Severity::Notice] {
            let of_kind: Vec<_> =
                worst_first.iter().filter(|finding| finding.severity == severity).collect();
            let shown = if of_kind.len() > limits::ANNOTATIONS {
                limits::ANNOTATIONS - 1
            } else {
                of_kind.len()
            };
            for finding in &of_kind[..shown] {
                self.emit(&self.dialect.annotation(finding));
            }
            if of_kind.len() > shown {
                let rest = format!("{} more, see the report", of_kind.len() - shown);
                self.emit(&self.dialect.annotation(&Finding::new(severity, "more", rest)));
            }
        }
    }

    /// Sets an output of the step.
    pub fn set_output(&self, name: &str, value: &str) -> Result<()> {
        match (self.dialect, self.env.get("GITHUB_OUTPUT")) {
            (Dialect::GitHub, Some(file)) => {
                fs::append(file, &dialect::github_file_entry(name, value)?)
            }
            (Dialect::Azure, _) => {
                self.emit(&dialect::azure_output(name, value));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Adds to the step's summary page; cut at the host's limit, and says so.
    pub fn summarise(&self, markdown: &str) -> Result<()> {
        let markdown = limits::cut_summary(markdown);
        match self.dialect {
            Dialect::GitHub => match self.env.get("GITHUB_STEP_SUMMARY") {
                Some(file) => fs::append(file, &format!("{markdown}\n")),
                None => Ok(()),
            },
            Dialect::Azure => {
                // The agent reads it after the step; it is none of the project's files.
                let folder = self.env.get("AGENT_TEMPDIRECTORY").map(PathBuf::from);
                let name = format!("lakegate-summary-{}.md", uuid::Uuid::new_v4());
                let path = folder.unwrap_or_else(std::env::temp_dir).join(name);
                fs::write_atomic(&path, markdown.as_bytes())?;
                self.emit(&dialect::azure_upload_summary(&path.display().to_string()));
                Ok(())
            }
            Dialect::Terminal => Ok(()),
        }
    }

    /// Hands files to the pipeline as one artifact, where the host takes them
    /// from a log line. GitHub does not.
    pub fn upload_artifact(&self, name: &str, files: &[PathBuf]) {
        if self.dialect == Dialect::Azure {
            for file in files {
                let file = std::path::absolute(file).unwrap_or_else(|_| file.clone());
                self.emit(&dialect::azure_artifact(name, &file.display().to_string()));
            }
        }
    }

    /// Gives the run a tag by which it is found again, where the host has such tags.
    pub fn tag_run(&self, tag: &str) {
        if self.dialect == Dialect::Azure {
            self.emit(&dialect::azure_tag(tag));
        }
    }

    /// Marks a step that ends well, and yet has something to tell.
    pub fn succeed_with_issues(&self, why: &str) {
        if self.dialect == Dialect::Azure {
            let why = relay::harmless_lines(why).join(" ");
            self.emit(&dialect::azure_issues(&why));
        }
    }

    /// Writes one finished line. The only way to the sink.
    fn emit(&self, line: &str) {
        let mut sink = self.sink.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // A reader that hung up (`| head`) is no reason to fail the step.
        // In one piece: a host that reads several streams would cut a command in two.
        let whole = format!("{line}\n");
        let _closed = sink.write_all(whole.as_bytes()).and_then(|()| sink.flush());
    }

    /// A relay that writes a child's output through this host.
    pub fn relay(&self) -> relay::Relay<impl FnMut(&str) + use<>> {
        let host = self.clone();
        relay::Relay::new(move |line: &str| host.emit(line))
    }
}

#[cfg(test)]
mod tests;
