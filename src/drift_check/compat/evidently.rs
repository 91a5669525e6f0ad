//! Evidently 0.7.23 with its defaults.

use super::{Foreign, join, split, texts, values};
use crate::stats::column::{Categories, Column, Numbers};
use crate::stats::numeric::{self, Tested};
use crate::stats::pair::{self, Bins};
use crate::stats::wording::{self, Apart};
use crate::stats::{categorical, shares, special};

/// From this share of drifted columns on, evidently calls the data drifted.
pub(in crate::drift_check) const SHARE: f64 = 0.5;

/// What evidently 0.7.23 says with its defaults. Nothing for columns without
/// values on a side (it raises an error).
pub(in crate::drift_check) fn verdict(whole_numbers: bool, sides: [&Column; 2]) -> Option<Foreign> {
    /// Whole numbers with few distinct values are categories to it.
    const FEW: usize = 10;
    match sides {
        [Column::Numbers(a), Column::Numbers(b)] => {
            if a.facts().values == 0 || b.facts().values == 0 {
                return None;
            }
            let joined = join(&values(a), &values(b));
            let in_baseline = joined.iter().filter(|[count, _]| *count > 0).count();
            Some(if whole_numbers && in_baseline <= FEW {
                of_categories(&joined)
            } else {
                of_numbers(a, b, &joined)
            })
        }
        [Column::Categories(a), Column::Categories(b)] => {
            let total = a.values();
            if total == 0 || b.values() == 0 {
                return None;
            }
            if a.counts.len() as f64 > 0.5 * total as f64 {
                return of_texts(a, b);
            }
            Some(of_categories(&join(&texts(a), &texts(b))))
        }
        _ => None,
    }
}

/// Up to this many rows of the baseline, it tests; beyond, it measures.
const SMALL: u64 = 1000;

fn of_numbers(a: &Numbers, b: &Numbers, joined: &[[u64; 2]]) -> Foreign {
    let small = a.facts().values <= SMALL;
    match (small, joined.len()) {
        (_, 6..) => {
            let bins = Bins::Edges(Vec::new());
            let found = pair::compare(a.scale, [&a.sample, &b.sample], a.ready(), &[], &bins);
            if small {
                let p = kolmogorov_p(found.ks, a.facts().values, b.facts().values);
                // Here alone, the threshold itself counts as drift.
                Foreign { drifted: p <= 0.05, ..Foreign::significance("K-S p_value", p) }
            } else {
                let deviation = a.facts().deviation().max(0.001);
                Foreign::distance("Wasserstein distance (normed)", found.wasserstein / deviation)
            }
        }
        (true, 3..) => chi_square(joined),
        (true, _) => z_test(joined),
        (false, _) => jensen_shannon(joined),
    }
}

/// As scipy has it, which is exact for up to 10,000 values on a side.
fn kolmogorov_p(statistic: f64, n: u64, m: u64) -> f64 {
    match n.max(m) <= 10_000 {
        true => special::kolmogorov_exact(n, m, statistic),
        false => numeric::kolmogorov_p(statistic, n, m),
    }
}

fn of_categories(joined: &[[u64; 2]]) -> Foreign {
    let total: u64 = joined.iter().map(|[count, _]| count).sum();
    match (total <= SMALL, joined.len()) {
        (true, 3..) => chi_square(joined),
        (true, _) => z_test(joined),
        (false, _) => jensen_shannon(joined),
    }
}

/// A classifier of words: evidently leaves out a list of frequent English ones, too, and deals
/// its rows otherwise.
fn of_texts(a: &Categories, b: &Categories) -> Option<Foreign> {
    const SEED: u64 = 42;
    /// The normal quantile at 95 %.
    const Z95: f64 = 1.644_853_626_951_472_2;
    let sides = [a, b].map(|side| -> Option<Vec<(&str, u64)>> {
        let texts = side.counts.iter();
        texts.map(|(text, count)| Some((std::str::from_utf8(text).ok()?, *count))).collect()
    });
    let [before, now] = sides;
    let Apart { area, deviation } = wording::told_apart([&before?, &now?], SEED)?;
    // Small samples are held against what chance gives a classifier that knows nothing.
    let (method, threshold) = if a.values() > SMALL {
        ("Absolute text content drift", 0.55)
    } else {
        ("Percentile text content drift", 0.5 + Z95 * deviation)
    };
    Some(Foreign { method, score: area, threshold, drifted: area > threshold })
}

fn chi_square(joined: &[[u64; 2]]) -> Foreign {
    let [a, b] = split(joined);
    Foreign::significance("chi-square p_value", categorical::goodness_of_fit(&a, &b).p_value)
}

fn z_test(joined: &[[u64; 2]]) -> Foreign {
    let [a, b] = split(joined);
    let totals = [a.iter().sum(), b.iter().sum()];
    let Tested { p_value, .. } = categorical::two_proportions([a[0], b[0]], totals);
    Foreign::significance("Z-test p_value", p_value)
}

fn jensen_shannon(joined: &[[u64; 2]]) -> Foreign {
    let [a, b] = split(joined);
    Foreign::distance("Jensen-Shannon distance", shares::jensen_shannon(&a, &b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats;
    use crate::stats::column::Measure;
    use crate::stats::keys::Scale;
    use arrow::array::{ArrayRef, Float64Array, StringArray};
    use serde_json::Value;
    use std::sync::Arc;

    fn golden(file: &str) -> Value {
        let text =
            include_str!("../../../tests/golden/goldens_evidently.json").replace("NaN", "null");
        serde_json::from_str::<Value>(&text).unwrap()[file].clone()
    }

    /// The fields of a column; empty ones are null.
    fn csv(text: &str, name: &str) -> Vec<Option<String>> {
        let mut lines = text.lines();
        let at = lines.next().unwrap().split(',').position(|column| column == name).unwrap();
        lines
            .map(|line| {
                line.split(',').nth(at).filter(|field| !field.is_empty()).map(str::to_owned)
            })
            .collect()
    }

    fn column(measure: Measure, fields: &[Option<String>]) -> Column {
        let array: ArrayRef = match measure {
            Measure::Categories => Arc::new(StringArray::from(fields.to_vec())),
            _ => Arc::new(Float64Array::from_iter(
                fields.iter().map(|field| field.as_ref().map(|text| text.parse().unwrap())),
            )),
        };
        let mut column = Column::new(measure);
        stats::arrow::push(&mut column, &array).unwrap();
        column
    }

    #[test]
    fn evidently_is_met_test_by_test() {
        let numbers = (
            include_str!("../../../tests/golden/num_base.csv"),
            include_str!("../../../tests/golden/num_cur.csv"),
            Measure::Numbers(Scale::Float),
        );
        let categories = (
            include_str!("../../../tests/golden/cat_base.csv"),
            include_str!("../../../tests/golden/cat_cur.csv"),
            Measure::Categories,
        );
        for (preset, (base, current, measure)) in
            [("preset_default_num", numbers), ("preset_default_cat", categories)]
        {
            let told = golden(preset);
            let mut drifted = 0;
            let metrics = told.as_array().unwrap();
            for metric in &metrics[1..] {
                let name = metric[0].as_str().unwrap();
                let inside = name.split(['(', ')']).nth(1).unwrap();
                let column_name = inside.split(['=', ',']).nth(1).unwrap();
                let sides = [base, current].map(|text| column(measure, &csv(text, column_name)));
                let found = verdict(false, [&sides[0], &sides[1]]).unwrap();
                assert!(name.contains(&format!("method={}", found.method)), "{name}: {found:?}");
                let score = metric[1].as_f64().unwrap();
                let off = (found.score - score).abs();
                assert!(off <= 1e-10 * score.abs().max(1e-6), "{name} {score}: {found:?}");
                drifted += u32::from(found.drifted);
            }
            assert_eq!(f64::from(drifted), metrics[0][1]["count"].as_f64().unwrap(), "{preset}");
        }
    }

    #[test]
    fn large_samples_are_measured_and_not_tested() {
        let many = |values: &[&str], times: usize| {
            let fields: Vec<Option<String>> =
                values.iter().map(|value| Some((*value).to_owned())).collect();
            std::iter::repeat_n(fields, times).flatten().collect::<Vec<_>>()
        };
        let told = golden("edge");
        let number = Measure::Numbers(Scale::Float);
        for (name, measure, base, current) in [
            (
                "num_big_5vals",
                number,
                many(&["0", "1", "2", "3", "4"], 300),
                many(&["0", "1", "2", "3", "3"], 300),
            ),
            (
                "cat_big",
                Measure::Categories,
                many(&["a", "b", "c"], 400),
                many(&["a", "b", "b"], 400),
            ),
        ] {
            let sides = [column(measure, &base), column(measure, &current)];
            let found = verdict(false, [&sides[0], &sides[1]]).unwrap();
            let expected = &told[name]["jensenshannon"];
            assert_eq!(told[name]["default"], "jensenshannon");
            assert!((found.score - expected["score"].as_f64().unwrap()).abs() < 1e-10);
            assert_eq!(found.drifted, expected["drifted"].as_bool().unwrap());
        }
    }

    fn mixed(value: u64) -> u64 {
        let value = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        value ^ (value >> 31)
    }

    /// As `gen_texts.py` makes them, from its four numbers.
    fn made(of: &Value) -> Column {
        let [rows, salt, first, words] = [0, 1, 2, 3].map(|at| of[at].as_u64().unwrap());
        let word = |row: u64, at: u64| first + mixed(salt << 40 | row << 8 | at) % words;
        let text = |row: u64| -> Option<String> {
            let words: Vec<String> = (0..6).map(|at| format!("word{}", word(row, at))).collect();
            Some(words.join(" "))
        };
        column(Measure::Categories, &(0..rows).map(text).collect::<Vec<_>>())
    }

    #[test]
    fn texts_get_evidently_s_verdict() {
        let goldens: Value =
            serde_json::from_str(include_str!("../../../tests/golden/goldens_texts.json")).unwrap();
        let cases = goldens.as_object().unwrap().iter().filter(|(name, _)| !name.starts_with('_'));
        for (name, golden) in cases {
            let sides = ["before", "now"].map(|side| made(&golden[side]));
            let found = verdict(false, [&sides[0], &sides[1]]).unwrap();
            assert_eq!(found.method, golden["method"], "{name}");
            assert_eq!(found.drifted, golden["drifted"], "{name}: {found:?}");
            // Both deal their rows by chance, and not alike.
            let off = (found.score - golden["score"].as_f64().unwrap()).abs();
            assert!(off < if found.drifted { 0.05 } else { 0.08 }, "{name}: {found:?} {golden}");
        }
    }
}
