//! How the axis of numbers is cut into the bins of the divergences.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stats::shares::Zero;

/// What the bins of a column have in common.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Binning {
    /// Each has the same number of the baseline's values.
    #[default]
    Mass,
    /// Each is as wide as the others, from the baseline's least value to its
    /// largest; what lies beyond is in the outer ones.
    Width,
}

/// What stands in for an empty bin's share, where a logarithm needs one: one of both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Zeros {
    /// A fixed share; the others are left as they are. 0.0001 when neither is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fill: Option<f64>,
    /// Every count is so much higher (Laplace).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub add: Option<f64>,
}

impl Zeros {
    pub fn zero(self) -> Zero {
        match (self.fill, self.add) {
            (Some(share), _) => Zero::Fill(share),
            (None, Some(more)) => Zero::Add(more),
            (None, None) => Zero::default(),
        }
    }

    pub(super) fn check(self) -> Result<(), String> {
        if self.fill.is_some() && self.add.is_some() {
            return Err("`zeros` needs one of `fill` and `add`".into());
        }
        let given = [self.fill, self.add].into_iter().flatten();
        match given.into_iter().all(|zero| zero > 0.0 && zero <= 1.0) {
            true => Ok(()),
            false => Err("`zeros` must lie above 0 and not above 1".into()),
        }
    }
}

/// Whether these can cut an axis.
pub(super) fn check_edges(column: &str, edges: &[f64]) -> Result<(), String> {
    if edges.is_empty() || edges.len() > 999 {
        return Err(format!("`edges.{column}` needs between 1 and 999 edges"));
    }
    let rises = edges.windows(2).all(|pair| pair[0] < pair[1]);
    if !rises || edges.iter().any(|edge| !edge.is_finite()) {
        return Err(format!("`edges.{column}` must be finite numbers that rise"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Drift};

    fn read(policy: &str) -> Result<Drift, String> {
        let text = format!("drift: {{baseline: a.csv, current: b.csv, {policy}}}");
        let config = Config::parse("t", &text).map_err(|error| error.message)?;
        Ok(config.drift.unwrap())
    }

    #[test]
    fn bins_are_written_as_the_pages_say() {
        let read_zero = |zeros: &str| read(&format!("zeros: {zeros}")).unwrap().zeros.zero();
        assert_eq!(read_zero("{fill: 0.001}"), Zero::Fill(0.001));
        assert_eq!(read_zero("{add: 0.5}"), Zero::Add(0.5));
        assert_eq!(read_zero("{}"), Zero::Fill(1e-4));
        let drift = read("binning: width, edges: {fare: [10, 50, 100]}").unwrap();
        assert_eq!((drift.binning, drift.edges["fare"].len()), (Binning::Width, 3));
        for (policy, word) in [
            ("zeros: {fill: 0.001, add: 1}", "one of `fill` and `add`"),
            ("zeros: {fill: 0}", "`zeros` must lie above 0"),
            ("zeros: {filled: 0.1}", "unknown field `filled`"),
            ("edges: {fare: [3, 3]}", "`edges.fare` must be finite numbers that rise"),
            ("edges: {fare: []}", "`edges.fare` needs between 1 and 999 edges"),
        ] {
            let refused = read(policy).unwrap_err();
            assert!(refused.contains(word), "{policy}: {refused}");
        }
    }
}
