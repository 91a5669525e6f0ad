//! Against golden values of scipy 1.17.1, scikit-learn 1.9.1 and statsmodels
//! 0.15.0 (`tests/golden/goldens.json`, made by the script beside it).

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::Value;

use super::metrics::{Metric, Predictions};
use super::*;
use crate::sys::fs;

fn golden() -> Value {
    // Python writes NaN, which is not JSON.
    let text = fs::read_text("tests/golden/goldens.json").unwrap().replace("NaN", "null");
    serde_json::from_str(&text).unwrap()
}

/// Columns of a CSV file; empty fields are left out.
fn csv(name: &str) -> BTreeMap<String, Vec<f64>> {
    let text = fs::read_text(format!("tests/golden/{name}.csv")).unwrap();
    let mut lines = text.lines();
    let names: Vec<_> = lines.next().unwrap().split(',').collect();
    let mut columns = BTreeMap::<String, Vec<f64>>::new();
    for line in lines {
        for (name, field) in names.iter().zip(line.split(',')) {
            let column = columns.entry((*name).to_owned()).or_default();
            column.extend(field.parse::<f64>().ok());
        }
    }
    columns
}

fn close(actual: f64, expected: &Value, what: &str) {
    let expected = expected.as_f64().unwrap_or_else(|| panic!("{what}: {expected}"));
    let scale = expected.abs().max(1e-300);
    assert!(
        (actual - expected).abs() / scale < 1e-10 || (actual - expected).abs() < 1e-15,
        "{what}: {actual} != {expected}"
    );
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values
}

#[test]
fn numeric_statistics_match_scipy() {
    let (golden, base, current) = (golden(), csv("num_base"), csv("num_cur"));
    for (name, expected) in golden["numeric"].as_object().unwrap() {
        let (base, current) = (sorted(&base[name]), sorted(&current[name]));
        let tested = numeric::kolmogorov_smirnov(&base, &current);
        close(tested.statistic, &expected["ks_auto"]["statistic"], &format!("{name} ks"));
        close(tested.p_value, &expected["ks_p_kolmogorov_limit"], &format!("{name} ks p"));
        close(
            numeric::wasserstein(&base, &current),
            &expected["wasserstein1"],
            &format!("{name} w1"),
        );
        let edges = numeric::decile_edges(&base);
        let (p, q) = (numeric::bin_counts(&base, &edges), numeric::bin_counts(&current, &edges));
        close(
            categorical::psi(&p, &q),
            &expected["deciles_of_base"]["psi_eps1e-4_only_zero_bins"],
            &format!("{name} psi"),
        );
    }
}

#[test]
fn categorical_statistics_match_scipy() {
    for (name, expected) in golden()["categorical"].as_object().unwrap() {
        let counts: Vec<Vec<u64>> = serde_json::from_value(expected["counts"].clone()).unwrap();
        let tested = categorical::chi_squared(&counts[0], &counts[1]);
        close(
            tested.statistic,
            &expected["chi2_contingency"]["statistic"],
            &format!("{name} chi2"),
        );
        close(tested.p_value, &expected["chi2_contingency"]["pvalue"], &format!("{name} chi2 p"));
        close(
            categorical::psi(&counts[0], &counts[1]),
            &expected["psi_eps1e-4_only_zero_bins"],
            &format!("{name} psi"),
        );
        if let Some(z) = expected.get("two_prop_z") {
            let totals = [counts[0].iter().sum(), counts[1].iter().sum()];
            let tested = categorical::two_proportions([counts[0][0], counts[1][0]], totals);
            close(tested.statistic, &z["z"], "z");
            close(tested.p_value, &z["pvalue"], "z p");
        }
    }
}

#[test]
fn classification_metrics_match_scikit_learn() {
    let (golden, columns) = (golden(), csv("cls"));
    for model in ["a", "b"] {
        let predictions =
            Predictions::new(columns["y"].clone(), columns[&format!("score_{model}")].clone(), 0.5);
        for (metric, name) in [
            (Metric::RocAuc, "roc_auc"),
            (Metric::PrAuc, "average_precision"),
            (Metric::LogLoss, "log_loss"),
            (Metric::Brier, "brier"),
            (Metric::Accuracy, "accuracy"),
            (Metric::F1, "f1"),
        ] {
            close(
                predictions.value(metric),
                &golden["classification"][model][name],
                &format!("{model} {name}"),
            );
        }
    }
}

#[test]
fn regression_metrics_match_scikit_learn() {
    let (golden, columns) = (golden(), csv("reg"));
    for model in ["a", "b"] {
        let predictions =
            Predictions::new(columns["y"].clone(), columns[&format!("pred_{model}")].clone(), 0.5);
        for metric in Metric::REGRESSION {
            close(
                predictions.value(metric),
                &golden["regression"][model][metric.as_str()],
                &format!("{model} {metric}"),
            );
        }
    }
}

#[test]
fn corrections_match_statsmodels() {
    let text = fs::read_text("tests/golden/pvalues.csv").unwrap();
    let p_values: Vec<f64> =
        text.lines().skip(1).filter_map(|line| line.rsplit(',').next()?.parse().ok()).collect();
    let expected = &golden()["multiple_testing"]["fdr_bh"]["adjusted"];
    for (at, adjusted) in benjamini_hochberg(&p_values).into_iter().enumerate() {
        close(adjusted, &expected[at], &format!("bh {at}"));
    }
}

#[test]
fn a_metric_that_is_not_defined_is_nan() {
    let one_class = Predictions::new(vec![1.0, 1.0], vec![0.2, 0.9], 0.5);
    assert!(one_class.value(Metric::RocAuc).is_nan());
    assert!(one_class.weighted(Metric::Brier, &[0, 0]).is_nan());
    let constant = Predictions::new(vec![3.0, 3.0], vec![1.0, 2.0], 0.5);
    assert!(!constant.value(Metric::R2).is_finite());
}

/// Labels and two scores per row, coarse enough for many ties.
fn rows() -> impl Strategy<Value = Vec<(bool, u8, u8)>> {
    proptest::collection::vec((any::<bool>(), 0u8..8, 0u8..8), 4..60)
}

fn split(rows: &[(bool, u8, u8)]) -> (Predictions, Predictions) {
    let labels: Vec<f64> = rows.iter().map(|row| f64::from(row.0)).collect();
    let scores = |score: fn(&(bool, u8, u8)) -> u8| {
        rows.iter().map(|row| f64::from(score(row)) / 8.0).collect()
    };
    (
        Predictions::new(labels.clone(), scores(|row| row.1), 0.5),
        Predictions::new(labels, scores(|row| row.2), 0.5),
    )
}

proptest! {
    #[test]
    fn the_order_of_rows_does_not_matter(rows in rows(), seed in any::<u64>()) {
        let mut shuffled = rows.clone();
        shuffled.sort_by_key(|row| (u64::from(row.1) * 31 + u64::from(row.2)).wrapping_mul(seed | 1));
        for metric in Metric::BINARY {
            let (a, b) = (split(&rows).0.value(metric), split(&shuffled).0.value(metric));
            prop_assert!(a.is_nan() && b.is_nan() || (a - b).abs() < 1e-12);
        }
    }

    #[test]
    fn a_weight_of_two_is_a_row_twice(rows in rows()) {
        let doubled: Vec<_> = rows.iter().flat_map(|row| [*row, *row]).collect();
        let weights = vec![2; rows.len()];
        for metric in Metric::BINARY {
            let (a, b) = (split(&rows).0.weighted(metric, &weights), split(&doubled).0.value(metric));
            prop_assert!(a.is_nan() && b.is_nan() || (a - b).abs() < 1e-12);
        }
    }

    #[test]
    fn a_model_does_not_differ_from_itself(rows in rows(), seed in any::<u64>()) {
        let (a, _) = split(&rows);
        for difference in bootstrap::differences(&a, &a, &Metric::BINARY, 100, 0.95, seed) {
            let zero = |value: f64| value == 0.0 || value.is_nan();
            prop_assert!(zero(difference.value) && zero(difference.low) && zero(difference.high));
        }
    }

    #[test]
    fn drift_statistics_are_symmetric_where_they_should_be(a in proptest::collection::vec(-5.0..5.0f64, 2..40), b in proptest::collection::vec(-5.0..5.0f64, 2..40)) {
        let (a, b) = (sorted(&a), sorted(&b));
        prop_assert_eq!(numeric::kolmogorov_smirnov(&a, &b), numeric::kolmogorov_smirnov(&b, &a));
        prop_assert!((numeric::wasserstein(&a, &b) - numeric::wasserstein(&b, &a)).abs() < 1e-12);
        prop_assert_eq!(numeric::kolmogorov_smirnov(&a, &a).statistic, 0.0);
    }
}

#[test]
fn the_interval_holds_the_truth_as_often_as_it_says() {
    // Two models of equal quality: the interval must hold zero in about 95 %.
    let mut held = 0;
    for trial in 0..200u64 {
        let value = |row: u64, salt: u64| {
            let mut mixed = (trial << 32 | row << 8 | salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            ((mixed ^ (mixed >> 32)) >> 11) as f64 / (1u64 << 53) as f64
        };
        let labels: Vec<f64> = (0..300).map(|row| f64::from(value(row, 1) < 0.4)).collect();
        let scores = |salt: u64| -> Vec<f64> {
            labels
                .iter()
                .enumerate()
                .map(|(row, label)| 0.3 * label + 0.7 * value(row as u64, salt))
                .collect()
        };
        let a = Predictions::new(labels.clone(), scores(2), 0.5);
        let b = Predictions::new(labels.clone(), scores(3), 0.5);
        let [difference] = bootstrap::differences(&a, &b, &[Metric::RocAuc], 200, 0.95, trial)[..]
        else {
            panic!()
        };
        held += u32::from(difference.low <= 0.0 && difference.high >= 0.0);
    }
    assert!((180..=199).contains(&held), "{held} of 200");
}
