//! Which parts of the unit tests a change needs.

use std::collections::{BTreeMap, BTreeSet};

use super::affected::{Code, is_below, is_words};
use super::imports;
use super::unit::below;
use crate::config::{Shard, Unit};

/// A part of the tests that runs, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part<'a> {
    pub(super) name: &'a str,
    /// Files and folders; none stands for all tests.
    pub(super) tests: &'a [String],
    pub(super) why: String,
}

/// The parts to run: those whose tests read what changed, and all of them where
/// nobody can tell who reads it, or there is no change to go by.
pub(super) fn choose<'a>(unit: &'a Unit, change: Option<&Code>) -> Vec<Part<'a>> {
    let part = |shard: &'a Shard, why: &str| Part {
        name: &shard.name,
        tests: &shard.tests,
        why: why.to_owned(),
    };
    if unit.shards.is_empty() {
        return vec![Part { name: "", tests: &[], why: String::new() }];
    }
    let Some(code) = change else {
        return unit.shards.iter().map(|shard| part(shard, "everything is tested")).collect();
    };
    let reads: Vec<BTreeSet<&str>> =
        unit.shards.iter().map(|shard| reads(unit, shard, code)).collect();
    let mut reasons: BTreeMap<usize, String> = BTreeMap::new();
    for (at, _) in reads.iter().enumerate().filter(|(_, reads)| reads.is_empty()) {
        reasons.insert(at, "what its tests read is not known".to_owned());
    }
    for path in &code.changed {
        let reads_it =
            |at: &usize| reads[*at].contains(path.as_str()) || owns(unit, &unit.shards[*at], path);
        // Of what lies beside the bundle, nobody follows who reads it.
        let is_beside = path.starts_with("../");
        let readers = || (0..unit.shards.len()).filter(|at| !is_beside && reads_it(at));
        if readers().next().is_none() && (is_words(path) || is_hidden(path)) {
            continue;
        }
        for at in readers() {
            reasons.entry(at).or_insert_with(|| format!("it reads `{path}`, which changed"));
        }
        if readers().next().is_none() {
            for at in 0..unit.shards.len() {
                let why = || format!("`{path}` changed, and who reads it is not known");
                reasons.entry(at).or_insert_with(why);
            }
        }
    }
    reasons.into_iter().map(|(at, why)| part(&unit.shards[at], &why)).collect()
}

/// Files of tests that no shard names: they would never run.
pub(super) fn left_out<'a>(unit: &Unit, code: &'a Code) -> Vec<&'a str> {
    if unit.shards.is_empty() {
        return Vec::new();
    }
    let is_test = |path: &str| {
        let name = path.rsplit('/').next().unwrap_or(path);
        name.starts_with("test_") || name.ends_with("_test.py")
    };
    let folder = below("", &unit.folder);
    let paths = code.python.keys().map(String::as_str);
    paths
        .filter(|path| is_test(path) && is_below(path, &folder))
        .filter(|path| !unit.shards.iter().any(|shard| owns(unit, shard, path)))
        .collect()
}

/// What CI hosts, editors and deployments keep, and no test reads.
fn is_hidden(path: &str) -> bool {
    const FOLDERS: [&str; 7] = [
        ".github/",
        ".azure-pipelines/",
        ".azure/",
        ".vscode/",
        ".idea/",
        ".lakegate/",
        ".databricks/",
    ];
    FOLDERS.iter().any(|folder| path.starts_with(folder))
}

/// The files and folders of a shard; pytest takes a test's name behind `::`.
fn places(unit: &Unit, shard: &Shard) -> impl Iterator<Item = String> {
    let files = shard.tests.iter().map(|tests| tests.split("::").next().unwrap_or(tests));
    files.map(|tests| below(&unit.folder, tests))
}

fn owns(unit: &Unit, shard: &Shard, path: &str) -> bool {
    places(unit, shard).any(|tests| path == tests || is_below(path, &tests))
}

/// Every file that a shard's tests read, and what pytest reads before them.
fn reads<'a>(unit: &Unit, shard: &Shard, code: &'a Code) -> BTreeSet<&'a str> {
    let prepares = |path: &str| {
        let Some(folder) = path.strip_suffix("conftest.py") else { return false };
        places(unit, shard).any(|tests| tests.starts_with(folder))
    };
    let files = code.python.keys().map(String::as_str);
    let starts: Vec<&str> =
        files.filter(|path| owns(unit, shard, path) || prepares(path)).collect();
    if !starts.iter().any(|path| owns(unit, shard, path)) {
        return BTreeSet::new();
    }
    starts.into_iter().flat_map(|start| imports::reached(start, &code.python)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit() -> Unit {
        let shard =
            |name: &str, tests: &str| Shard { name: name.into(), tests: vec![tests.into()] };
        Unit {
            folder: "./ml".into(),
            shards: vec![
                shard("features", "tests/features"),
                shard("training", "tests/training/test_fit.py"),
            ],
            ..Unit::default()
        }
    }

    fn code(changed: &[&str]) -> Code {
        let python = [
            ("ml/flights/features.py", "import numpy"),
            ("ml/flights/model.py", "from . import features"),
            ("ml/flights/report.py", ""),
            ("ml/tests/conftest.py", "import helpers"),
            ("ml/tests/helpers.py", ""),
            ("ml/tests/features/test_delay.py", "from flights import features"),
            ("ml/tests/training/conftest.py", ""),
            ("ml/tests/training/test_fit.py", "from flights.model import fit"),
            ("ml/tests/test_lost.py", ""),
        ];
        let python = python.map(|(path, text)| (path.to_owned(), imports::imports(text)));
        Code {
            changed: changed.iter().map(|path| (*path).to_owned()).collect(),
            python: python.into(),
        }
    }

    fn chosen(changed: &[&str]) -> String {
        let (unit, code) = (unit(), code(changed));
        let parts = choose(&unit, Some(&code));
        parts.iter().map(|part| part.name).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_part_runs_when_its_tests_read_what_changed() {
        assert_eq!(chosen(&["ml/flights/model.py"]), "training");
        assert_eq!(chosen(&["ml/flights/features.py"]), "features training");
        assert_eq!(chosen(&["ml/tests/features/expected.csv"]), "features");
        assert_eq!(chosen(&["ml/tests/features/expected.md"]), "features");
        assert_eq!(chosen(&["ml/tests/training/conftest.py"]), "training");
        assert_eq!(chosen(&["ml/tests/helpers.py"]), "features training");
        assert_eq!(chosen(&["README.md", ".github/workflows/ci.yml"]), "");
    }

    #[test]
    fn where_nobody_knows_who_reads_a_file_everything_runs() {
        for path in ["ml/flights/report.py", "ml/uv.lock", "../shared/data.csv", ".coveragerc"] {
            assert_eq!(chosen(&[path]), "features training", "{path}");
        }
        assert_eq!(choose(&unit(), None).len(), 2);
        let whole = Unit::default();
        assert_eq!(choose(&whole, Some(&code(&["README.md"]))).len(), 1);
    }

    #[test]
    fn a_part_whose_tests_are_not_found_always_runs() {
        let mut unit = unit();
        let code = code(&["README.md"]);
        unit.shards[1].tests = vec!["tests/training/test_*.py".into()];
        let parts = choose(&unit, Some(&code));
        assert_eq!(parts.len(), 1);
        assert_eq!(parts[0].why, "what its tests read is not known");
        unit.shards[1].tests = vec!["tests/training/test_fit.py::test_a".into()];
        assert!(choose(&unit, Some(&code)).is_empty());
    }

    #[test]
    fn tests_of_no_part_are_told() {
        assert_eq!(left_out(&unit(), &code(&[])), ["ml/tests/test_lost.py"]);
    }
}
