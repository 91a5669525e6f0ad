//! One column of both sides: its shares, its differences.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use arrow::array::{Array, ArrayRef, AsArray as _};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};

use crate::report::number;
use crate::stats::numeric::{self, Tested};
use crate::stats::{categorical, numeric::bin_counts};

/// How a column is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Kolmogorov-Smirnov, and PSI over the baseline's deciles.
    Numeric,
    /// Chi-squared, and PSI over the categories.
    Categorical,
}

impl Shape {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Numeric => "numeric",
            Self::Categorical => "categorical",
        }
    }

    /// Nothing for types that have no drift of their own, such as times.
    pub(super) fn of(data_type: &DataType) -> Option<Self> {
        match data_type {
            DataType::Boolean | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                Some(Self::Categorical)
            }
            kind if kind.is_numeric() => Some(Self::Numeric),
            _ => None,
        }
    }
}

/// What was found in one column.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Compared {
    pub(super) column: String,
    pub(super) shape: Shape,
    /// Without the part that is expected when nothing changed.
    pub(super) psi: f64,
    pub(super) tested: Tested,
    /// Shares of nulls (and values that are not finite) on both sides.
    pub(super) nulls: [f64; 2],
    pub(super) nulls_tested: Tested,
    /// The shares of each bin or category, for the picture.
    pub(super) labels: Vec<String>,
    pub(super) shares: [Vec<f64>; 2],
}

/// Categories beyond this many are drawn together.
const SHOWN: usize = 12;

pub(super) fn compare(column: &str, shape: Shape, sides: [&ArrayRef; 2]) -> Result<Compared> {
    let (labels, counts, tested, missing) = match shape {
        Shape::Numeric => numbers(column, sides)?,
        Shape::Categorical => categories(column, sides)?,
    };
    let totals = sides.map(|side| side.len() as u64);
    let known = [counts[0].iter().sum::<u64>(), counts[1].iter().sum::<u64>()];
    // With no values on a side there is nothing to compare but the nulls.
    let comparable = known.iter().all(|count| *count > 0);
    let raw = if comparable { categorical::psi(&counts[0], &counts[1]) } else { 0.0 };
    let expected =
        if comparable { categorical::psi_without_drift(&counts[0], &counts[1]) } else { 0.0 };
    let share = |count: u64, total: u64| if total == 0 { 0.0 } else { count as f64 / total as f64 };
    let shares = [0, 1].map(|side| {
        counts[side].iter().map(|count| share(*count, known[side])).collect::<Vec<_>>()
    });
    let (labels, shares) = fold(labels, shares, shape);
    Ok(Compared {
        column: column.to_owned(),
        shape,
        psi: (raw - expected).max(0.0),
        tested: if comparable { tested } else { Tested { statistic: 0.0, p_value: 1.0 } },
        nulls: [share(missing[0], totals[0]), share(missing[1], totals[1])],
        nulls_tested: categorical::two_proportions(missing, totals),
        labels,
        shares,
    })
}

type Counted = (Vec<String>, [Vec<u64>; 2], Tested, [u64; 2]);

fn numbers(column: &str, sides: [&ArrayRef; 2]) -> Result<Counted> {
    let mut values = [Vec::new(), Vec::new()];
    let mut missing = [0; 2];
    for (at, side) in sides.into_iter().enumerate() {
        let floats = cast(side, &DataType::Float64)
            .with_context(|| format!("read column `{column}` as numbers"))?;
        let floats = floats.as_primitive::<Float64Type>();
        values[at] = floats.iter().flatten().filter(|value| value.is_finite()).collect();
        missing[at] = (side.len() - values[at].len()) as u64;
        values[at].sort_unstable_by(f64::total_cmp);
    }
    let [base, current] = &values;
    let tested = if base.is_empty() || current.is_empty() {
        Tested { statistic: 0.0, p_value: 1.0 }
    } else {
        numeric::kolmogorov_smirnov(base, current)
    };
    let edges = if base.is_empty() { Vec::new() } else { numeric::decile_edges(base) };
    let mut labels: Vec<String> = edges.iter().map(|edge| format!("≤{}", number(*edge))).collect();
    labels.push(edges.last().map_or("all".to_owned(), |edge| format!(">{}", number(*edge))));
    Ok((labels, [bin_counts(base, &edges), bin_counts(current, &edges)], tested, missing))
}

fn categories(column: &str, sides: [&ArrayRef; 2]) -> Result<Counted> {
    let mut counts = BTreeMap::<String, [u64; 2]>::new();
    let mut missing = [0; 2];
    for (at, side) in sides.into_iter().enumerate() {
        let text = cast(side, &DataType::Utf8)
            .with_context(|| format!("read column `{column}` as text"))?;
        for value in text.as_string::<i32>() {
            match value {
                Some(value) => counts.entry(value.to_owned()).or_default()[at] += 1,
                None => missing[at] += 1,
            }
        }
    }
    let side = |at: usize| counts.values().map(|count| count[at]).collect::<Vec<_>>();
    let split = [side(0), side(1)];
    let tested = categorical::chi_squared(&split[0], &split[1]);
    Ok((counts.into_keys().collect(), split, tested, missing))
}

/// The most frequent categories, and the rest in one.
fn fold(labels: Vec<String>, shares: [Vec<f64>; 2], shape: Shape) -> (Vec<String>, [Vec<f64>; 2]) {
    if shape == Shape::Numeric || labels.len() <= SHOWN {
        return (labels, shares);
    }
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order.sort_by(|a, b| {
        (shares[0][*b] + shares[1][*b]).total_cmp(&(shares[0][*a] + shares[1][*a]))
    });
    let (top, rest) = order.split_at(SHOWN - 1);
    let mut names: Vec<String> = top.iter().map(|at| labels[*at].clone()).collect();
    names.push("other".into());
    let folded = shares.map(|side| {
        let mut kept: Vec<f64> = top.iter().map(|at| side[*at]).collect();
        kept.push(rest.iter().map(|at| side[*at]).sum());
        kept
    });
    (names, folded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Float64Array, Int32Array, StringArray};
    use std::sync::Arc;

    fn compared(shape: Shape, base: &ArrayRef, current: &ArrayRef) -> Compared {
        compare("c", shape, [base, current]).unwrap()
    }

    #[test]
    fn the_same_data_does_not_drift() {
        let data: ArrayRef = Arc::new(Int32Array::from_iter_values(0..1000));
        let same = compared(Shape::Numeric, &data, &data);
        assert_eq!((same.psi, same.tested.p_value, same.nulls), (0.0, 1.0, [0.0, 0.0]));
    }

    #[test]
    fn many_categories_alone_are_no_drift() {
        // Two samples of 2000 rows from the same 100 categories.
        let draw = |side: &str| -> ArrayRef {
            let values = (0..2000).map(|row| {
                let seed = crate::names::Sha256::of(format!("{side}{row}")).seed();
                format!("c{}", seed % 100)
            });
            Arc::new(StringArray::from_iter_values(values))
        };
        let (base, current) = (draw("base"), draw("current"));
        let (_, counts, _, _) = categories("c", [&base, &current]).unwrap();
        assert!(categorical::psi(&counts[0], &counts[1]) > 0.07, "chance alone makes it large");
        let result = compared(Shape::Categorical, &base, &current);
        assert!(result.psi < 0.03, "{}", result.psi);
        assert_eq!(result.labels.len(), SHOWN);
    }

    #[test]
    fn nulls_and_what_is_not_finite_are_drift_of_their_own() {
        let base: ArrayRef =
            Arc::new(Float64Array::from_iter((0..400).map(|row| Some(f64::from(row)))));
        let holes = (0..400).map(|row| {
            (row % 4 != 0).then(|| if row % 4 == 1 { f64::NAN } else { f64::from(row) })
        });
        let current: ArrayRef = Arc::new(Float64Array::from_iter(holes));
        let result = compared(Shape::Numeric, &base, &current);
        assert_eq!(result.nulls, [0.0, 0.5]);
        assert!(result.nulls_tested.p_value < 1e-10);
        assert!(result.psi < 0.01);
    }

    #[test]
    fn a_column_without_values_is_told_by_its_nulls() {
        let base: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 2.0]));
        let current: ArrayRef = Arc::new(Float64Array::from(vec![None, None]));
        let result = compared(Shape::Numeric, &base, &current);
        assert_eq!((result.psi, result.nulls), (0.0, [0.0, 1.0]));
    }
}
