//! An outcome becomes files, outputs, annotations, a summary and an exit code.

use std::path::PathBuf;

use anyhow::Result;

use super::exit::{self, FailOn};
use super::{manifests, stdout};
use crate::host::{Dialect, Host};
use crate::names::Sha256;
use crate::report::{Finding, Outcome, Severity, Verdict};
use crate::sys::fs;

#[derive(Debug, Clone, clap::Args)]
pub(super) struct Publishing {
    /// Write the result as JSON to standard output
    #[arg(long, env = "LAKEGATE_JSON")]
    pub(super) json: bool,
    /// Where reports and evidence are written
    #[arg(
        long,
        env = "LAKEGATE_REPORT_DIR",
        value_name = "DIR",
        default_value = ".lakegate/reports"
    )]
    report_dir: PathBuf,
    /// Which verdicts fail the step
    #[arg(long, env = "LAKEGATE_FAIL_ON", value_enum, default_value_t = FailOn::NotPass)]
    fail_on: FailOn,
}

impl Publishing {
    /// Takes an earlier run's files away: after a failure, they would be taken
    /// for this run's. A plan stays, as the next run is to apply it.
    pub(super) fn clear(&self, stem: &str) -> Result<()> {
        for (name, is_folder, _) in fs::entries(&self.report_dir)?.unwrap_or_default() {
            let rest = name.strip_prefix(stem).and_then(|rest| rest.strip_prefix('.'));
            if rest.is_some_and(is_taken_away) && !is_folder {
                fs::remove(self.report_dir.join(name))?;
            }
        }
        Ok(())
    }

    /// Publishes and returns the exit code. Outputs are set whatever the
    /// verdict: a failed step is when people need them.
    pub(super) fn publish(
        &self,
        host: &Host,
        stem: &str,
        outcome: &Outcome,
        colour: bool,
    ) -> Result<u8> {
        let report = &outcome.report;
        let path = self.place(host, &format!("{stem}.html"))?;
        fs::write_passing(&path, report.html()?)?;
        let junit = path.with_extension("junit.xml");
        fs::write_passing(&junit, report.junit()?)?;
        let mut outputs = vec![
            ("verdict".to_owned(), report.verdict.as_str().to_owned()),
            ("reason".to_owned(), report.reason.clone()),
            ("report".to_owned(), path.display().to_string()),
            ("junit".to_owned(), junit.display().to_string()),
        ];
        outputs.extend(outcome.outputs.iter().cloned());
        if let Some(document) = &outcome.document {
            let path = self.place(host, &format!("{stem}.{}.json", document.name))?;
            fs::write_atomic(&path, serde_json::to_string_pretty(&document.content)?)?;
            outputs.push((document.name.to_owned(), path.display().to_string()));
        }
        for (name, bytes) in &outcome.files {
            fs::write_passing(self.place(host, &format!("{stem}.{name}"))?, bytes)?;
        }
        for (name, value) in &outputs {
            debug_assert!(
                manifests::declares(report.command, name),
                "{}: the output `{name}` is not declared",
                report.command
            );
            host.set_output(name, value)?;
        }
        host.say(report.plain(colour).trim_end());
        if host.dialect() != Dialect::Terminal {
            host.annotate(&report.findings);
            host.summarise(&report.markdown())?;
        }
        if self.json {
            let mut text = report.json(&outputs).to_string();
            text.push('\n');
            stdout::write(&text)?;
        }
        let code = exit::of_verdict(report.verdict, self.fail_on);
        let warns = |finding: &Finding| finding.severity < Severity::Notice;
        if code == exit::PASS
            && (report.verdict != Verdict::Pass || report.findings.iter().any(warns))
        {
            host.succeed_with_issues(&report.reason);
        }
        Ok(code)
    }

    /// Other steps of a CI job work in other folders than this one.
    fn place(&self, host: &Host, name: &str) -> Result<PathBuf> {
        let path = self.report_dir.join(name);
        match host.dialect() {
            Dialect::Terminal => Ok(path),
            Dialect::GitHub | Dialect::Azure => Ok(std::path::absolute(path)?),
        }
    }
}

/// Whether a file is one of a report, by what follows the report's name. A plan is
/// not: the next run is to apply it.
fn is_taken_away(rest: &str) -> bool {
    match rest.rsplit_once('.') {
        Some((document, "json")) => document != "plan" && !document.contains('.'),
        Some((name, "xml")) => !name.contains('.'),
        _ => rest == "html",
    }
}

/// How the reports of a step are named: those of another job go by its name, which
/// may be any, and longer than files may be called.
pub(super) fn stem(command: &str, about: Option<&str>) -> String {
    const LONGEST: usize = 100;
    let Some(about) = about else { return command.to_owned() };
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "-_".contains(char);
    let name: String =
        about.chars().map(|char| if is_plain(char) { char } else { '-' }).take(LONGEST).collect();
    if name == about {
        return format!("{command}.{name}");
    }
    format!("{command}.{name}-{}", Sha256::of(about).short())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_takes_only_its_own_reports_away() {
        for (rest, expected) in [
            ("html", true),
            ("junit.xml", true),
            ("unit-part.xml", true),
            ("train.junit.xml", false),
            ("evidence.json", true),
            ("plan.json", false),
            ("train.html", false),
            ("train.result.json", false),
        ] {
            assert_eq!(is_taken_away(rest), expected, "{rest}");
        }
        assert_eq!(stem("model-gate", None), "model-gate");
        assert_eq!(stem("job-run", Some("train")), "job-run.train");
        let others = ["../[dev] x.y", "..-[dev] x.y", &"列".repeat(200)].map(|name| {
            let stem = stem("job-run", Some(name));
            assert!(
                stem.len() < 160 && !stem["job-run.".len()..].contains(['.', '/', ' ']),
                "{stem}"
            );
            stem
        });
        assert_ne!(others[0], others[1]);
    }
}
