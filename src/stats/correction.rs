//! Corrections of p-values for asking many questions at once.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is held at the level of significance over all questions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Correction {
    /// The share of false alarms among the alarms, for independent questions
    /// (Benjamini and Hochberg 1995).
    #[default]
    BenjaminiHochberg,
    /// The same whatever the dependence (Benjamini and Yekutieli 2001).
    BenjaminiYekutieli,
    /// The chance of a single false alarm (Holm 1979).
    Holm,
    /// The same, simpler and weaker.
    Bonferroni,
}

impl Correction {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BenjaminiHochberg => "Benjamini-Hochberg",
            Self::BenjaminiYekutieli => "Benjamini-Yekutieli",
            Self::Holm => "Holm",
            Self::Bonferroni => "Bonferroni",
        }
    }

    /// Adjusted p-values, in the order given.
    pub fn adjust(self, p_values: &[f64]) -> Vec<f64> {
        let count = p_values.len() as f64;
        match self {
            Self::BenjaminiHochberg => step_up(p_values, 1.0),
            Self::BenjaminiYekutieli => {
                step_up(p_values, (1..=p_values.len()).map(|at| 1.0 / at as f64).sum())
            }
            Self::Holm => step_down(p_values),
            Self::Bonferroni => p_values.iter().map(|p| (p * count).min(1.0)).collect(),
        }
    }
}

/// From the largest p-value down: none is adjusted above a larger one.
fn step_up(p_values: &[f64], factor: f64) -> Vec<f64> {
    let mut adjusted = vec![1.0; p_values.len()];
    let mut smallest: f64 = 1.0;
    for (rank, index) in order(p_values).into_iter().enumerate().rev() {
        let scaled = p_values[index] * factor * p_values.len() as f64 / (rank as f64 + 1.0);
        smallest = smallest.min(scaled);
        adjusted[index] = smallest;
    }
    adjusted
}

/// From the smallest p-value up: none is adjusted below a smaller one.
fn step_down(p_values: &[f64]) -> Vec<f64> {
    let mut adjusted = vec![1.0; p_values.len()];
    let mut largest: f64 = 0.0;
    for (rank, index) in order(p_values).into_iter().enumerate() {
        largest = largest.max(p_values[index] * (p_values.len() - rank) as f64).min(1.0);
        adjusted[index] = largest;
    }
    adjusted
}

fn order(p_values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|a, b| p_values[*a].total_cmp(&p_values[*b]));
    order
}
