//! `tests`: what a merge request must pass.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Tests {
    /// Tests that run on the runner, without a workspace.
    pub unit: Unit,
    /// Jobs that run on a workspace, in a copy of the bundle that is the merge
    /// request's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub integration: Option<Integration>,
    /// Globs of the code that makes models; everything else operates them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ml_code: Option<Vec<String>>,
    /// The branch that merge requests go to, where the host does not tell it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
}

/// Where the packages of the tests come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Environment {
    /// From the first lock file that is there: `uv.lock`, `poetry.lock`,
    /// `requirements.txt`, `environment.yml`.
    #[default]
    Auto,
    Uv,
    Poetry,
    /// A virtual environment with `requirements.txt` in it.
    Pip,
    /// By micromamba, mamba or conda, whichever is there, from `environment.yml`.
    Conda,
    /// The `python3` that is there.
    None,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Unit {
    /// The program and its arguments. `{junit}` and `{coverage}` stand for the
    /// files to write, the word `{tests}` for what a shard names (default: pytest,
    /// with coverage when pytest-cov is there).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// Where the command runs, from lakegate.yml's folder.
    pub folder: String,
    /// Parts that run side by side, each of them only when a change touches what
    /// its tests read (default: all tests at once, always).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shards: Vec<Shard>,
    pub environment: Environment,
    /// Packages beside those of the lock, as pip takes them.
    pub packages: Vec<String>,
    pub timeout_minutes: f64,
    /// Of the lines that changed and can be run, the least share that a test
    /// must run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed_coverage: Option<f64>,
}

impl Default for Unit {
    fn default() -> Self {
        Self {
            command: None,
            folder: ".".into(),
            shards: Vec::new(),
            environment: Environment::Auto,
            packages: vec!["pytest".into(), "pytest-cov".into()],
            timeout_minutes: 30.0,
            changed_coverage: None,
        }
    }
}

/// A part of the unit tests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shard {
    pub name: String,
    /// Files and folders of tests, from `folder`. A command of one's own takes
    /// them as `{tests}`.
    pub tests: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Integration {
    /// The target of databricks.yml that is copied.
    pub target: String,
    /// Variables of the copy. `{isolation}` stands for the word that is the
    /// merge request's own: `schema: flights_{isolation}`.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
    /// In the order in which they run.
    pub jobs: Vec<IntegrationJob>,
    #[serde(default = "thirty")]
    pub queue_minutes: f64,
    #[serde(default = "two_hours")]
    pub run_minutes: f64,
    /// JUnit files that the jobs leave in the workspace: paths of volumes or
    /// workspace files, in which `${var.name}` stands for a variable.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub junit: Vec<String>,
    /// Coverage that they leave there (Cobertura or lcov), told by the same paths.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub coverage: Vec<String>,
}

fn thirty() -> f64 {
    30.0
}

fn two_hours() -> f64 {
    120.0
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IntegrationJob {
    /// The job's key in the bundle.
    pub job: String,
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// Jobs, by key, whose results this one reads: they run before it whenever
    /// it runs, and a change of theirs is a change for it.
    #[serde(default)]
    pub needs: Vec<String>,
    /// Tables that it writes, beside those whose rows are counted after it: a change of
    /// the job touches them. Texts may hold `${var.name}`, as with models.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<String>,
    /// Models that it registers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// What must hold after it.
    #[serde(default)]
    pub expect: Vec<Expect>,
}

/// Something that must hold after a job. Texts may hold `${var.name}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// A query whose first value is looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sql: Option<String>,
    /// A table whose rows are counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<String>,
    /// A task whose notebook result is looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// The value as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equals: Option<String>,
}

impl Expect {
    fn check(&self) -> Result<(), String> {
        let subjects = [&self.sql, &self.rows, &self.task].into_iter().flatten().count();
        if subjects != 1 {
            return Err("one of `sql`, `rows` and `task` must be there".into());
        }
        if self.min.is_none() && self.max.is_none() && self.equals.is_none() {
            return Err("it says nothing: give `min`, `max` or `equals`".into());
        }
        let finite = |bound: Option<f64>| bound.is_none_or(f64::is_finite);
        if !finite(self.min) || !finite(self.max) {
            return Err("`min` and `max` must be finite".into());
        }
        Ok(())
    }
}

impl Unit {
    fn check_shards(&self) -> Result<(), String> {
        for (at, shard) in self.shards.iter().enumerate() {
            if self.shards[..at].iter().any(|other| other.name == shard.name) {
                return Err(format!("`unit.shards`: `{}` is there twice", shard.name));
            }
            if shard.tests.is_empty() {
                return Err(format!("`unit.shards`: `{}` names no tests", shard.name));
            }
        }
        let takes_them = |words: &Vec<String>| words.iter().any(|word| word == "{tests}");
        if !self.shards.is_empty() && !self.command.as_ref().is_none_or(takes_them) {
            return Err(
                "`unit.command` must have the word `{tests}`, where the tests of a shard go".into(),
            );
        }
        Ok(())
    }
}

impl Tests {
    pub(super) fn check(&self) -> Result<(), String> {
        let unit = &self.unit;
        if !(unit.timeout_minutes.is_finite() && unit.timeout_minutes > 0.0) {
            return Err("`unit.timeout_minutes` must be a positive number".into());
        }
        if unit.changed_coverage.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
            return Err("`unit.changed_coverage` must be between 0 and 1".into());
        }
        if unit.command.as_ref().is_some_and(Vec::is_empty) {
            return Err("`unit.command` must name a program".into());
        }
        unit.check_shards()?;
        let Some(integration) = &self.integration else { return Ok(()) };
        for minutes in [integration.queue_minutes, integration.run_minutes] {
            if !(minutes.is_finite() && minutes > 0.0) {
                return Err("`integration`: minutes must be positive numbers".into());
            }
        }
        for (at, job) in integration.jobs.iter().enumerate() {
            let before = &integration.jobs[..at];
            if before.iter().any(|other| other.job == job.job) {
                return Err(format!("`integration.jobs`: `{}` is there twice", job.job));
            }
            for need in &job.needs {
                if before.iter().all(|other| other.job != *need) {
                    return Err(format!(
                        "`integration.jobs`: `{}` needs `{need}`, which must stand before it",
                        job.job
                    ));
                }
            }
            for (number, expect) in job.expect.iter().enumerate() {
                expect
                    .check()
                    .map_err(|message| format!("`{}`: `expect[{number}]`: {message}", job.job))?;
            }
        }
        Ok(())
    }
}
