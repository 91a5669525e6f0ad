//! Nannyml 0.13.1 with its defaults: Jensen-Shannon distance to base 2 of ten
//! chunks in the order of the rows; a chunk alerts above the mean of the
//! reference's own chunks and three of their deviations. Its verdict on a column
//! is the one on the newest chunk.

use std::collections::BTreeMap;

use super::{Foreign, texts, values};
use crate::stats;
use crate::stats::column::{Column, Numbers};
use crate::stats::shares;

/// Both sides are cut into this many chunks, and what is left over.
pub(in crate::drift_check) const CHUNKS: u64 = 10;

/// What nannyml says of a column. Nothing where the baseline has no values.
pub(in crate::drift_check) fn verdict(
    baseline: &Column,
    reference: &[&Column],
    current: &[&Column],
) -> Option<Foreign> {
    let distances = |chunks: &[&Column]| -> Vec<f64> {
        chunks.iter().filter_map(|chunk| distance(baseline, chunk)).collect()
    };
    let known = distances(reference);
    let mean = stats::mean(&known);
    let squares = known.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    let threshold = mean + 3.0 * (squares / known.len() as f64).sqrt();
    // A chunk without values alerts nobody there.
    let score = distance(baseline, current.last()?).unwrap_or(f64::NAN);
    threshold.is_finite().then_some(Foreign {
        method: "Jensen-Shannon distance of the newest of ten chunks",
        score,
        threshold,
        drifted: score > threshold,
    })
}

/// Of a chunk to the whole baseline; nothing where either has no values.
fn distance(baseline: &Column, chunk: &Column) -> Option<f64> {
    let [a, b] = match (baseline, chunk) {
        (Column::Numbers(a), Column::Numbers(b)) => {
            if a.facts().values == 0 || b.facts().values == 0 {
                return None;
            }
            let edges = doane(a);
            [histogram(a, &edges), histogram(b, &edges)]
        }
        (Column::Categories(a), Column::Categories(b)) => {
            if a.counts.is_empty() || b.counts.is_empty() {
                return None;
            }
            by_value(&texts(a), &texts(b))
        }
        _ => return None,
    };
    Some(shares::jensen_shannon_base2(&a, &b))
}

/// The counts of the known values; what is new is one bin more.
fn by_value<K: Ord>(known: &BTreeMap<K, u64>, seen: &BTreeMap<K, u64>) -> [Vec<u64>; 2] {
    let new = seen.iter().filter(|(value, _)| !known.contains_key(*value));
    let new = new.map(|(_, count)| count).sum::<u64>();
    let count = |value: &K| seen.get(value).copied().unwrap_or(0);
    [known.values().copied().chain([0]).collect(), known.keys().map(count).chain([new]).collect()]
}

/// The edges of numpy's `doane` bins.
fn doane(numbers: &Numbers) -> Vec<f64> {
    let values = values(numbers);
    let facts = numbers.facts();
    let (low, high) = (facts.min, facts.max);
    let n = facts.values as f64;
    let (mean, deviation) = (facts.mean, facts.deviation());
    let cubes: f64 = values
        .iter()
        .map(|(key, count)| {
            let off = (numbers.scale.value(*key) - mean) / deviation;
            *count as f64 * off * off * off
        })
        .sum();
    let usual = (6.0 * (n - 2.0) / ((n + 1.0) * (n + 3.0))).sqrt();
    let bins = if n > 2.0 && deviation > 0.0 {
        let width = (high - low) / (1.0 + n.log2() + (1.0 + (cubes / n).abs() / usual).log2());
        ((high - low) / width).ceil()
    } else {
        1.0
    };
    let (low, high) = if low == high { (low - 0.5, high + 0.5) } else { (low, high) };
    let step = (high - low) / bins;
    let bins = bins as u32;
    (0..=bins).map(|at| if at == bins { high } else { low + f64::from(at) * step }).collect()
}

/// The values between the edges, bins closed on the left and the last on both
/// sides; and those outside in one bin more.
fn histogram(numbers: &Numbers, edges: &[f64]) -> Vec<u64> {
    let bins = edges.len() - 1;
    let mut counts = vec![0; bins + 1];
    for (key, count) in values(numbers) {
        let value = numbers.scale.value(key);
        let inside = value >= edges[0] && value <= edges[bins];
        let bin = if inside {
            edges.partition_point(|edge| *edge <= value).saturating_sub(1).min(bins - 1)
        } else {
            bins
        };
        counts[bin] += count;
    }
    counts
}

/// How many rows a chunk has.
pub(in crate::drift_check) fn chunk(rows: u64) -> u64 {
    (rows / CHUNKS).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::column::Measure;
    use crate::stats::keys::Scale;
    use arrow::array::{Array as _, ArrayRef, Float64Array, StringArray};
    use serde_json::Value;
    use std::collections::BTreeSet;
    use std::sync::Arc;

    fn golden() -> Value {
        let text = include_str!("../../../tests/golden/goldens_nannyml.json");
        serde_json::from_str(&text.replace("NaN", "null")).unwrap()
    }

    fn fields(text: &str, name: &str) -> Vec<Option<String>> {
        let mut lines = text.lines();
        let at = lines.next().unwrap().split(',').position(|column| column == name).unwrap();
        lines
            .map(|line| line.split(',').nth(at).filter(|field| !field.is_empty()))
            .map(|field| field.map(str::to_owned))
            .collect()
    }

    fn column(measure: Measure, array: &ArrayRef) -> Column {
        let mut column = Column::new(measure);
        stats::arrow::push(&mut column, array).unwrap();
        column
    }

    fn chunks(measure: Measure, array: &ArrayRef, count: usize) -> Vec<Column> {
        let size = array.len() / count;
        (0..array.len())
            .step_by(size)
            .map(|start| column(measure, &array.slice(start, size.min(array.len() - start))))
            .collect()
    }

    fn numbers(fields: &[Option<String>]) -> ArrayRef {
        let parsed = fields.iter().map(|field| field.as_ref().map(|text| text.parse().unwrap()));
        Arc::new(parsed.collect::<Float64Array>())
    }

    fn close(found: f64, expected: &Value, what: &str) {
        let expected = expected.as_f64().unwrap();
        assert!((found - expected).abs() <= 1e-10, "{what}: {found} {expected}");
    }

    #[test]
    fn nannyml_is_met_chunk_by_chunk() {
        let golden = golden();
        let told = golden["num_5chunks"].as_object().unwrap();
        let names: BTreeSet<&str> = told.keys().map(|key| key.split('_').next().unwrap()).collect();
        assert_eq!(names.len(), 3);
        let measure = Measure::Numbers(Scale::Float);
        for name in names {
            let base = include_str!("../../../tests/golden/num_base.csv");
            let current = include_str!("../../../tests/golden/num_cur.csv");
            let [base, current] = [base, current].map(|text| numbers(&fields(text, name)));
            let whole = column(measure, &base);
            let [reference, now] = [&base, &current].map(|array| chunks(measure, array, 5));
            let of = |fact: &str| &told[&format!("{name}_jensen_shannon_{fact}")];
            for (at, chunk) in now.iter().enumerate() {
                let seen: Vec<&Column> = now[..=at].iter().collect();
                let reference: Vec<&Column> = reference.iter().collect();
                let found = verdict(&whole, &reference, &seen).unwrap();
                close(found.score, &of("value")[at], name);
                close(found.threshold, &of("upper_threshold")[at], name);
                assert_eq!(f64::from(u8::from(found.drifted)), of("alert")[at].as_f64().unwrap());
                assert!(distance(&whole, chunk).is_some());
            }
        }
    }

    /// Numbers with few values are counted by value, as nannyml does.
    #[test]
    fn every_column_of_numbers_is_met() {
        let golden = golden();
        let told = golden["num_1chunk"].as_object().unwrap();
        let names: Vec<&str> =
            told.keys().filter_map(|key| key.strip_suffix("_jensen_shannon_value")).collect();
        assert_eq!(names.len(), 8);
        for name in names {
            let base = include_str!("../../../tests/golden/num_base.csv");
            let current = include_str!("../../../tests/golden/num_cur.csv");
            let measure = Measure::Numbers(Scale::Float);
            let [base, current] =
                [base, current].map(|text| column(measure, &numbers(&fields(text, name))));
            let found = distance(&base, &current).unwrap();
            close(found, &told[&format!("{name}_jensen_shannon_value")][0], name);
        }
    }

    #[test]
    fn categories_are_met_and_new_ones_are_one_bin() {
        let golden = golden();
        let told = &golden["cat_1chunk"];
        for name in ["abcde", "nullable", "binary", "highcard"] {
            let base = include_str!("../../../tests/golden/cat_base.csv");
            let current = include_str!("../../../tests/golden/cat_cur.csv");
            let [base, current] = [base, current].map(|text| {
                let array: ArrayRef = Arc::new(StringArray::from(fields(text, name)));
                column(Measure::Categories, &array)
            });
            let found = distance(&base, &current).unwrap();
            close(found, &told[format!("{name}_jensen_shannon_value")][0], name);
        }
        let few = numbers(&[Some("5".to_owned()), Some("5".to_owned())]);
        let other = numbers(&[Some("6".to_owned())]);
        let measure = Measure::Numbers(Scale::Float);
        let apart = distance(&column(measure, &few), &column(measure, &other)).unwrap();
        assert_eq!(apart, golden["const"]["x_jensen_shannon_value"][0].as_f64().unwrap());
    }
}
