//! What one side of a column holds.

use schemars::JsonSchema;
use serde::Serialize;

use crate::stats::column::{Facts, Span};
use crate::stats::distinct::Distinct;

/// The quantiles of a profile. The outer ones are the extremes.
pub(super) const QUANTILES: [f64; 17] =
    [0.0, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975, 0.99, 1.0];

/// What one side holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Profile {
    pub(super) rows: u64,
    pub(super) nulls: u64,
    /// Moments and counts of numbers.
    pub(super) facts: Option<Facts>,
    /// At the places of [`QUANTILES`], for numbers.
    pub(super) quantiles: Vec<f64>,
    /// How far off each quantile may be; empty where none is.
    pub(super) quantile_errors: Vec<f64>,
    /// How many different values there are.
    pub(super) distinct: Option<Distinct>,
    /// The most frequent values and their rows. Of numbers those that make up one
    /// hundredth of the values at least.
    pub(super) frequent: Vec<(Value, u64)>,
    /// From when to when times are.
    pub(super) span: Option<Span>,
}

/// A value of a column, as it is told.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Value {
    Number(f64),
    Text(String),
}

/// Frequent values that are told of a side.
pub(super) const MOST_FREQUENT: usize = 10;

impl Profile {
    /// Rows of which nothing else is told.
    pub(super) fn of_rows(rows: u64) -> Self {
        Self {
            rows,
            nulls: 0,
            facts: None,
            quantiles: Vec::new(),
            quantile_errors: Vec::new(),
            distinct: None,
            frequent: Vec::new(),
            span: None,
        }
    }

    /// Numbers of which nothing but their facts is told.
    pub(super) fn of_facts(facts: Facts) -> Self {
        Self { nulls: facts.nulls, facts: Some(facts), ..Self::of_rows(facts.rows()) }
    }

    /// Nulls and what is no number: values that a model cannot use.
    pub(super) fn missing(&self) -> u64 {
        self.nulls + self.facts.map_or(0, |facts| facts.nans + facts.infinities)
    }

    pub(super) fn missing_share(&self) -> f64 {
        if self.rows == 0 { 0.0 } else { self.missing() as f64 / self.rows as f64 }
    }
}
