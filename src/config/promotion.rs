//! `promotion`: how a version becomes the production model.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Override, SignOff};
use crate::names::{Alias, ModelName};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Promotion {
    /// The alias that production reads.
    pub alias: String,
    /// The alias that keeps what production read before.
    pub previous: String,
    /// The model, for what is not told it by evidence: `model-promote rollback`
    /// and `history`, `drift.on_drift: rollback`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub model: Option<ModelName>,
    /// For so many seconds nobody else moves the alias, should the mover die. A
    /// slow warehouse needs more of them.
    pub lease_seconds: u64,
    /// Evidence older than this many days is refused.
    pub max_evidence_days: f64,
    /// The tag of versions that says what they are used for: `production`,
    /// `previous`, `shadow` with another alias, `archived` with none; `null` for no
    /// tag.
    pub state_tag: Option<String>,
    /// Promotes a copy of what the gate judged, in another catalog.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copy: Option<Copied>,
    /// Who must agree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sign_off: Option<SignOff>,
    /// Who may promote what the gate did not pass; nobody where left out.
    #[serde(rename = "override", skip_serializing_if = "Option::is_none")]
    pub overrule: Option<Override>,
}

/// `model` gets its versions from another model, as copies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Copied {
    /// The model that is trained and judged; the champion that it must stand up to
    /// is that of `promotion.model`.
    #[schemars(with = "String")]
    pub from: ModelName,
    /// The job that copies a version: its id, its name, or its key in the bundle. It
    /// is given `source`, `version` and `destination`, and sets the tag `copied_from`
    /// of the copy to `SOURCE/VERSION`.
    pub job: String,
    /// How long it may run.
    #[serde(default = "hour")]
    pub timeout_minutes: f64,
}

fn hour() -> f64 {
    60.0
}

impl Copied {
    fn check(&self, model: Option<&ModelName>) -> Result<(), String> {
        match model {
            None => return Err("`copy` needs `model`, which the copies are versions of".into()),
            Some(model) if *model == self.from => {
                return Err("`copy.from` is `model` itself".into());
            }
            Some(_) => {}
        }
        if !(self.timeout_minutes.is_finite() && self.timeout_minutes > 0.0) {
            return Err("`copy.timeout_minutes` must be a positive number".into());
        }
        Ok(())
    }
}

impl Default for Promotion {
    fn default() -> Self {
        Self {
            alias: "champion".into(),
            previous: "previous".into(),
            model: None,
            lease_seconds: 30,
            max_evidence_days: 7.0,
            state_tag: Some("lakegate_state".into()),
            copy: None,
            sign_off: None,
            overrule: None,
        }
    }
}

impl Promotion {
    /// The model whose versions are judged.
    pub fn judged(&self) -> Option<&ModelName> {
        self.copy.as_ref().map(|copy| &copy.from).or(self.model.as_ref())
    }

    pub(super) fn check(&self) -> Result<(), String> {
        self.alias.parse::<Alias>().map_err(|error| format!("`alias`: {error}"))?;
        self.previous.parse::<Alias>().map_err(|error| format!("`previous`: {error}"))?;
        if !(5..=600).contains(&self.lease_seconds) {
            return Err("`lease_seconds` must be between 5 and 600".into());
        }
        if self.alias == self.previous {
            return Err("`previous` must be another alias".into());
        }
        if !(self.max_evidence_days.is_finite() && self.max_evidence_days > 0.0) {
            return Err("`max_evidence_days` must be a positive number".into());
        }
        // Unity Catalog takes none of these in a key.
        if self.state_tag.as_ref().is_some_and(|tag| {
            tag.trim() != tag || tag.is_empty() || tag.contains(['.', ',', '-', '=', '/', ':'])
        }) {
            return Err("`state_tag` must be the key of a tag, without . , - = / :".into());
        }
        self.copy.as_ref().map_or(Ok(()), |copy| copy.check(self.model.as_ref()))?;
        self.sign_off.as_ref().map_or(Ok(()), SignOff::check)?;
        self.overrule.as_ref().map_or(Ok(()), Override::check)
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    fn refused(text: &str) -> String {
        Config::parse("t", text).unwrap_err().to_string()
    }

    #[test]
    fn a_copy_has_a_destination_and_the_evaluation_knows_whose_champion_it_is() {
        for (policy, words) in [
            ("{copy: {from: a.b.m, job: x}}", "`copy` needs `model`"),
            ("{model: a.b.m, copy: {from: a.b.m, job: x}}", "`model` itself"),
            ("{model: p.b.m, copy: {from: a.b.m, job: x, timeout_minutes: 0}}", "positive"),
            ("{state_tag: a.b}", "without . ,"),
        ] {
            let told = refused(&format!("promotion: {policy}\n"));
            assert!(told.contains(words), "{told}");
        }
        let with = |parameters: &str| {
            format!(
                "promotion: {{model: p.b.m, copy: {{from: a.b.m, job: x}}}}\ngate: {{problem: binary, predictions: a.b.c, key: [id], label: y, candidate: p, rules: [{{metric: roc_auc, min: 0.5}}], jobs: [{{job: e, parameters: {parameters}}}]}}\n"
            )
        };
        assert!(refused(&with("{v: '{champion}'}")).contains("`{champion_model}`, too"));
        let fine = with("{v: '{champion}', of: '{champion_model}'}");
        let config = Config::parse("t", &fine).unwrap();
        assert_eq!(config.promotion.judged().unwrap().to_string(), "a.b.m");
    }
}
