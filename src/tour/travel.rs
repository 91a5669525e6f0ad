//! What was done so far, kept on disk after each step.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::report::Verdict;
use crate::sys::fs;

/// A step that is behind us.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Done {
    pub(super) id: String,
    pub(super) verdict: String,
    pub(super) as_expected: bool,
    pub(super) reason: String,
    pub(super) seconds: f64,
    /// The step's own report, if it wrote one.
    pub(super) report: Option<String>,
    #[serde(default)]
    pub(super) outputs: Value,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Travel {
    version: u32,
    pub(super) done: Vec<Done>,
    /// The last step was done: the next tour starts over.
    pub(super) finished: bool,
}

const VERSION: u32 = 1;

/// Where the tour keeps its things.
#[derive(Debug, Clone)]
pub(super) struct Places {
    pub(super) root: PathBuf,
}

impl Places {
    pub(super) fn project(&self) -> PathBuf {
        self.root.join("project")
    }

    pub(super) fn workspace(&self) -> PathBuf {
        self.root.join("workspace")
    }

    pub(super) fn log(&self, step: &str) -> PathBuf {
        self.root.join("logs").join(format!("{step}.log"))
    }

    pub(super) fn report(&self) -> PathBuf {
        self.root.join("report.html")
    }

    fn travel(&self) -> PathBuf {
        self.root.join("tour.json")
    }
}

impl Travel {
    /// Goes on with an unfinished tour, or starts over. A folder that holds
    /// anything but a tour is left alone.
    pub(super) fn resume(places: &Places, fresh: bool) -> Result<Self> {
        let known = fs::read_text_if_exists(places.travel())?;
        let travel = known.as_deref().and_then(|text| serde_json::from_str::<Self>(text).ok());
        let travel =
            travel.filter(|travel| travel.version == VERSION && !travel.finished && !fresh);
        if let Some(travel) = travel {
            remove_unfinished(&places.project())?;
            return Ok(travel);
        }
        // A kill may have left the file that was to become the mark.
        let is_foreign = |(name, ..): &(String, bool, u64)| !fs::is_unfinished(name);
        let entries = fs::entries(&places.root)?.unwrap_or_default();
        if known.is_none() && entries.iter().any(is_foreign) {
            let fault = crate::report::Fault::usage(format!(
                "`{}` holds something that is not a tour",
                places.root.display()
            ));
            return Err(fault.hint("choose another folder with --dir").into());
        }
        // The mark goes last, so that a kill in between is cleaned up later.
        for part in
            [places.project(), places.workspace(), places.root.join("logs"), places.report()]
        {
            fs::remove(part)?;
        }
        let travel = Self { version: VERSION, ..Self::default() };
        travel.save(places)?;
        Ok(travel)
    }

    pub(super) fn save(&self, places: &Places) -> Result<()> {
        fs::write_atomic(
            places.travel(),
            serde_json::to_string_pretty(self).context("write the tour's state")?,
        )
    }

    pub(super) fn find(&self, id: &str) -> Option<&Done> {
        self.done.iter().find(|done| done.id == id)
    }
}

/// A file that a killed step was writing is not part of the project: a release
/// would find it there.
fn remove_unfinished(project: &Path) -> Result<()> {
    if !project.is_dir() {
        return Ok(());
    }
    let is_unfinished = |file: &PathBuf| {
        let name = file.file_name().and_then(|name| name.to_str());
        name.is_some_and(fs::is_unfinished)
    };
    for file in fs::files_below(project)?.into_iter().filter(is_unfinished) {
        fs::remove(project.join(file))?;
    }
    Ok(())
}

impl Done {
    pub(super) fn mark(&self) -> Verdict {
        if self.as_expected { Verdict::Pass } else { Verdict::Fail }
    }
}

/// `path` as the reader would type it.
pub(super) fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_taken_when_it_holds_nothing_but_what_a_kill_left() {
        let dir = tempfile::tempdir().unwrap();
        let places = Places { root: dir.path().to_owned() };
        fs::write_atomic(dir.path().join(".unfinished-AbCdEf"), "{").unwrap();
        assert_eq!(Travel::resume(&places, false).unwrap().done, []);
        let source = places.project().join("src");
        fs::write_atomic(source.join(".unfinished-AbCdEf"), "def").unwrap();
        fs::write_atomic(source.join("train.py"), "def").unwrap();
        Travel::resume(&places, false).unwrap();
        let left = fs::files_below(places.project()).unwrap();
        assert_eq!(left, [Path::new("src/train.py")]);
        fs::remove(places.travel()).unwrap();
        fs::write_atomic(dir.path().join("thesis.txt"), "years of work").unwrap();
        let refused = Travel::resume(&places, false).unwrap_err().to_string();
        assert!(refused.contains("something that is not a tour"), "{refused}");
        assert!(dir.path().join("thesis.txt").exists());
    }
}
