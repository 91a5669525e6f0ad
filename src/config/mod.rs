//! `lakegate.yml`: one file per repository, typed, with unknown keys refused.
//!
//! A section exists here once its command does. Flags win over
//! `LAKEGATE_*` variables, those over this file, this file over defaults.

mod between;
mod binning;
mod deploy;
mod drift;
mod gate;
mod locate;
mod monitor;
mod performance;
mod promotion;
mod quality;
mod reaction;
mod release;
mod sample;
mod serving;
mod sign_off;
mod statistic;
mod telemetry;
mod tests_section;
mod variables;
mod windows;

pub use between::Between;
pub use binning::{Binning, Zeros};
pub use deploy::{Deploy, DeployCli, DeployEngine, DeployPolicy, Forbid};
pub use drift::{Compat, Drift, Engine};
pub use gate::{
    Better, Choice, Compliance, Costs, Experiment, Fair, Fairness, Gate, GateJob, Infrastructure,
    Licences, LiveRule, Margin, On, OwnMeasure, Pickle, Problem, Range, Reduction, Rule, Sided,
    Slices, Test, Threshold,
};
pub use monitor::{Monitor, MonitorAgainst};
pub use performance::{Labels, Performance};
pub use promotion::{Copied, Promotion};
pub use quality::Quality;
pub use reaction::{Budget, Command, Notify, OnDrift, Retrain, Workflow};
pub use release::{Release, TestedBy, is_git_name, release_branch};
pub use sample::Sample;
pub use serving::{Probe, Serving, Stop};
pub use sign_off::{ApprovalSource, Override, SignOff};
pub use statistic::{Limit, Statistic};
pub use telemetry::{AzureMonitor, Telemetry};
pub use tests_section::{Environment, Expect, Integration, IntegrationJob, Shard, Tests, Unit};
pub use variables::fill;
pub use windows::Windows;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the workspace is and what to use in it.
    pub workspace: Workspace,
    /// Where results are recorded.
    pub record: Record,
    /// Where the records of `drift-check` go beside that.
    pub telemetry: Telemetry,
    /// What a merge request must pass.
    pub tests: Tests,
    /// Where releases come from, and what must be known of them.
    pub release: Release,
    /// Which changes of a deployment may be made.
    pub deploy: Deploy,
    /// When a model version passes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
    /// How a version becomes the production model.
    pub promotion: Promotion,
    /// How the production model answers requests online.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serving: Option<Serving>,
    /// When data counts as drifted, and what follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift: Option<Drift>,
    /// The target that the step is about; not of the file.
    #[serde(skip)]
    #[schemars(skip)]
    pub target: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Workspace {
    /// The id of the SQL warehouse.
    pub warehouse: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Record {
    /// `catalog.schema` of the tables `gate_results`, `promotions` and
    /// `drift_results`. Without it nothing is recorded.
    pub schema: Option<String>,
}

/// What is wrong with a file, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{file}`{}: {message}", .line.map(|line| format!(" line {line}")).unwrap_or_default())]
pub struct ConfigError {
    pub file: String,
    pub line: Option<u32>,
    pub message: String,
}

impl Config {
    /// Reads the text of a `lakegate.yml`.
    pub fn parse(file: &str, text: &str) -> Result<Self, ConfigError> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let deserializer = serde_yaml::Deserializer::from_str(text);
        let config: Self = serde_path_to_error::deserialize(deserializer).map_err(|error| {
            let path = error.path().to_string();
            let inner = error.into_inner();
            let line = inner.location().and_then(|location| u32::try_from(location.line()).ok());
            let words = inner.to_string();
            // The position is told in front; the path says which key.
            let words = words.split(" at line ").next().unwrap_or(&words).to_owned();
            let words = words.strip_prefix(&format!("{path}: ")).unwrap_or(&words).to_owned();
            let message = if path == "." { words } else { format!("`{path}`: {words}") };
            ConfigError { file: file.to_owned(), line, message }
        })?;
        config.check().map_err(|message| ConfigError {
            file: file.to_owned(),
            line: locate::line_of(text, &message),
            message,
        })?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        if let Some(gate) = &self.gate {
            gate.check().map_err(|message| format!("`gate`: {message}"))?;
        }
        if let Some(serving) = &self.serving {
            serving.check().map_err(|message| format!("`serving`: {message}"))?;
        }
        if let Some(drift) = &self.drift {
            drift.check().map_err(|message| format!("`drift`: {message}"))?;
        }
        self.telemetry.check().map_err(|message| format!("`telemetry`: {message}"))?;
        self.tests.check().map_err(|message| format!("`tests`: {message}"))?;
        self.deploy.check().map_err(|message| format!("`deploy`: {message}"))?;
        self.release.check().map_err(|message| format!("`release`: {message}"))?;
        self.promotion.check().map_err(|message| format!("`promotion`: {message}"))?;
        let mut jobs = self.gate.iter().flat_map(|gate| &gate.jobs);
        if self.promotion.copy.is_some()
            && let Some(job) = jobs.find(|job| job.takes_champions_model_for_granted())
        {
            return Err(format!(
                "`gate.jobs`: `{}` is told `{{champion}}`, a version of `promotion.model`: with `promotion.copy`, tell it `{{champion_model}}`, too",
                job.job
            ));
        }
        if let Some(schema) = &self.record.schema {
            schema
                .parse::<crate::names::SchemaName>()
                .map_err(|error| format!("`record.schema`: {error}"))?;
        }
        Ok(())
    }

    /// The JSON Schema of the file, as it is committed.
    pub fn schema() -> String {
        let schema = schemars::schema_for!(Self);
        let text = serde_json::to_string_pretty(&schema).unwrap_or_default();
        format!("{text}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refused(text: &str) -> String {
        Config::parse("lakegate.yml", text).unwrap_err().to_string()
    }

    #[test]
    fn an_unknown_key_is_named_with_its_path_and_line() {
        let text = "workspace:\n  warehouse: abc\ngate:\n  problem: binary\n  predictions: a.b.c\n  key: [id]\n  label: y\n  candidate: p\n  rules:\n    - metric: roc_auc\n      mni: 0.7\n";
        insta::assert_snapshot!(refused(text));
        insta::assert_snapshot!(refused("worksapce: {}\n"));
    }

    #[test]
    fn wrong_sql_is_told_at_its_line() {
        let text = "gate:\n  problem: binary\n  predictions: a.b.c\n  key: [id]\n  label: y\n  candidate: p\n  measures:\n    tokens:\n      candidate: tokens\n  slices:\n    conditions:\n      odd: id > 1\n    rules: [{metric: roc_auc, min: 0.5}]\n  rules: [{metric: roc_auc, min: 0.5}]\n";
        Config::parse("lakegate.yml", text).unwrap();
        for (right, wrong, line, word) in [
            ("odd: id > 1", "odd: 'id >'", 12, "`id >`"),
            ("odd: id > 1", "odd: id IN (SELECT 1)", 12, "cannot be evaluated"),
            ("candidate: tokens", "candidate: tokens +", 9, "`tokens +`"),
            ("label: y", "threshold: {best: f1, where: split =}\n  label: y", 5, "`split =`"),
        ] {
            let message = refused(&text.replace(right, wrong));
            let place = format!("`lakegate.yml` line {line}: `gate`: ");
            assert!(message.starts_with(&place) && message.contains(word), "{message}");
        }
    }

    #[test]
    fn contradictions_are_refused() {
        let gate = |rule: &str| {
            format!(
                "gate: {{problem: binary, predictions: a.b.c, key: [id], label: y, candidate: p, rules: [{rule}]}}"
            )
        };
        assert!(refused(&gate("{metric: roc_auc}")).contains("says nothing"));
        assert!(refused(&gate("{metric: rmse, max: 1}")).contains("`rmse`"));
        assert!(refused(&gate("{metric: roc_auc, not_worse_than: 0.1}")).contains("champion"));
        assert!(refused(&gate("{metric: roc_auc, min: .nan}")).contains("finite"));
        assert!(
            refused("drift: {baseline: a.b.c, current: a.b.c, on_drift: command}")
                .contains("command.run")
        );
        assert!(refused("record: {schema: just_one}").contains("record.schema"));
    }

    #[test]
    fn an_empty_file_is_all_defaults() {
        assert_eq!(Config::parse("lakegate.yml", "# nothing\n").unwrap(), Config::default());
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_reader(text in "([a-z]{1,8}: ?[\\[{&*!|>a-z0-9]{0,8}\n ?){0,6}") {
            let _parsed = Config::parse("lakegate.yml", &text);
        }
    }
}
