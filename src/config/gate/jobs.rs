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
    /// `{candidate}` and `{champion}` become the versions; `none` where there is
    /// no champion.
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
        self.parameters("1", "1").map(|_| ())
    }

    /// The parameters for these versions.
    ///
    /// # Errors
    /// When a value names something else in braces.
    pub fn parameters(
        &self,
        candidate: &str,
        champion: &str,
    ) -> Result<BTreeMap<String, String>, String> {
        let fill = |(name, value): (&String, &String)| {
            let filled = value.replace("{candidate}", candidate).replace("{champion}", champion);
            match filled.contains(['{', '}']) {
                true => Err(format!(
                    "`jobs`: the parameter `{name}` is `{value}`: only {{candidate}} and {{champion}} are known"
                )),
                false => Ok((name.clone(), filled)),
            }
        };
        self.parameters.iter().map(fill).collect()
    }
}

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
        let filled = job("{candidate} against {champion}").parameters("7", "none").unwrap();
        assert_eq!(filled["versions"], "7 against none");
        assert!(job("{version}").check().unwrap_err().contains("only {candidate}"));
        let never = GateJob { timeout_minutes: 0.0, ..job("x") };
        assert!(never.check().unwrap_err().contains("above 0"));
    }
}
