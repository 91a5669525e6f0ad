//! How the axis of numbers is cut into the bins of the divergences.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
