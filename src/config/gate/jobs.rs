//! `gate.jobs`: what is run before anything is judged.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A job of the workspace, such as the one that writes the predictions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GateJob {
    /// Its id, its name, or its key in the bundle.
    pub job: String,
    /// `{candidate}` and `{champion}` become the versions, `{candidate_model}` and
    /// `{champion_model}` the models they are versions of; `none` where there is no
    /// champion.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
    /// How long it may run.
    #[serde(default = "four_hours")]
    pub timeout_minutes: f64,
}

impl GateJob {
    pub(super) fn check(&self) -> Result<(), String> {
        if !(self.timeout_minutes.is_finite() && self.timeout_minutes > 0.0) {
            let minutes = self.timeout_minutes;
            return Err(format!("`jobs`: `timeout_minutes` is {minutes}, it must be above 0"));
        }
        self.parameters(["1"; 4]).map(|_| ())
    }

    /// The parameters for the candidate, the champion, and the models of both.
    ///
    /// # Errors
    /// When a value names something else in braces.
    pub fn parameters(&self, values: [&str; 4]) -> Result<BTreeMap<String, String>, String> {
        let fill = |(name, value): (&String, &String)| {
            let mut filled = value.clone();
            for (place, value) in PLACES.iter().zip(values) {
                filled = filled.replace(&format!("{{{place}}}"), value);
            }
            match filled.contains(['{', '}']) {
                true => Err(format!(
                    "`jobs`: the parameter `{name}` is `{value}`: only {} are known",
                    PLACES.map(|place| format!("{{{place}}}")).join(", ")
                )),
                false => Ok((name.clone(), filled)),
            }
        };
        self.parameters.iter().map(fill).collect()
    }

    /// Whether a version of the champion is told without its model.
    pub fn takes_champions_model_for_granted(&self) -> bool {
        let told = |place: &str| self.parameters.values().any(|value| value.contains(place));
        told("{champion}") && !told("{champion_model}")
    }
}

/// What parameters may name.
const PLACES: [&str; 4] = ["candidate", "champion", "candidate_model", "champion_model"];

fn four_hours() -> f64 {
    240.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_take_their_places_and_nothing_else_does() {
        let job = |value: &str| GateJob {
            job: "evaluate".into(),
            parameters: BTreeMap::from([("versions".to_owned(), value.to_owned())]),
            timeout_minutes: 1.0,
        };
        let told = job("{candidate_model}/{candidate} against {champion_model}/{champion}");
        let filled = told.parameters(["7", "3", "a.b.m", "p.b.m"]).unwrap();
        assert_eq!(filled["versions"], "a.b.m/7 against p.b.m/3");
        assert!(job("{version}").check().unwrap_err().contains("only {candidate}, {champion}"));
        assert!(job("{champion}").takes_champions_model_for_granted());
        assert!(!told.takes_champions_model_for_granted());
        let never = GateJob { timeout_minutes: 0.0, ..job("x") };
        assert!(never.check().unwrap_err().contains("above 0"));
    }
}
