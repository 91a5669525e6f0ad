//! The starter project, carried in the binary.

use std::path::Path;

use include_dir::{Dir, include_dir};

static PROJECT: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/templates/project");
static FINE_TUNING: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/templates/fine_tuning");

/// The policies of the model that is fine-tuned.
pub const FINE_TUNING_POLICIES: &str = "lakegate.answers.yml";

/// The project's files by their path; with the module that fine-tunes a foundation
/// model, if it is asked for.
pub fn files(with_fine_tuning: bool) -> Vec<(String, String)> {
    let mut files = below(&PROJECT);
    if !with_fine_tuning {
        return files;
    }
    for (path, text) in &mut files {
        if path == "lakegate.yml" {
            *text = with_trial(text);
        }
    }
    files.extend(below(&FINE_TUNING));
    files.sort();
    files
}

/// The policies with one more job that merge requests run, in a small form.
fn with_trial(policies: &str) -> String {
    const TRAIN: &str = "      - job: train\n";
    const TRIAL: &str = "      - job: fine_tune\n        needs: [refresh_features]\n        parameters: {months: \"1\", epochs: \"1\", limit: \"500\"}\n";
    policies.replacen(TRAIN, &format!("{TRIAL}{TRAIN}"), 1)
}

fn below(root: &'static Dir<'static>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root];
    while let Some(next) = folders.pop() {
        folders.extend(next.dirs().filter(|dir| !is_scratch(dir.path())));
        for file in next.files().filter(|file| !is_scratch(file.path())) {
            let text = String::from_utf8_lossy(file.contents());
            found.push((file.path().display().to_string(), text.into_owned()));
        }
    }
    found.sort();
    found
}

/// What a test run of the template leaves behind.
fn is_scratch(path: &Path) -> bool {
    path.components().any(|part| {
        let name = part.as_os_str().to_string_lossy();
        matches!(
            &*name,
            "__pycache__" | "build" | "dist" | ".pytest_cache" | ".lakegate" | ".coverage"
        ) || name.ends_with(".egg-info")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn the_module_is_tested_like_the_rest() {
        let files = files(true);
        let text = |name: &str| {
            let (_, text) = files.iter().find(|(path, _)| path == name).unwrap();
            crate::config::fill(name, text, |_| Ok("x".to_owned())).unwrap()
        };
        let config = Config::parse("lakegate.yml", &text("lakegate.yml")).unwrap();
        let jobs = config.tests.integration.unwrap().jobs;
        assert_eq!(jobs.iter().filter(|spec| spec.job == "fine_tune").count(), 1);
        let own = Config::parse("a", &text(FINE_TUNING_POLICIES)).unwrap();
        assert!(own.gate.is_some() && own.promotion.model.is_some());
        let mut names: Vec<&String> = files.iter().map(|(path, _)| path).collect();
        names.dedup();
        assert_eq!(names.len(), files.len(), "a module overwrites nothing");
    }
}
