//! Against golden values of scipy 1.17.1, scikit-learn 1.9.1 and statsmodels
//! 0.15.0 (`tests/golden/goldens.json`, made by the script beside it).

use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::Value;

use super::bootstrap::{Method, Plan};
use super::metrics::{
    Aggregate, Answers, Classes, Forecast, Measure, Metric, Model, Own, Predictions, Ranking,
    Settings,
};
use super::resample::Units;
use super::*;
use crate::config::Problem;
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

/// What was compared with golden values, and the largest relative difference
/// of each statistic: `cargo test --lib golden -- --nocapture` prints it.
#[derive(Default)]
struct Goldens(RefCell<BTreeMap<String, f64>>);

impl Goldens {
    fn close(&self, statistic: &str, case: &str, actual: f64, expected: &Value) {
        let expected =
            expected.as_f64().unwrap_or_else(|| panic!("{case} {statistic}: {expected}"));
        let apart = (actual - expected).abs();
        let relative = apart / expected.abs().max(1e-300);
        assert!(relative < 1e-10 || apart < 1e-15, "{case} {statistic}: {actual} != {expected}");
        let apart = if apart < 1e-15 { apart.min(relative) } else { relative };
        let mut largest = self.0.borrow_mut();
        let known = largest.entry(statistic.to_owned()).or_default();
        *known = known.max(apart);
    }
}

impl Drop for Goldens {
    fn drop(&mut self) {
        for (statistic, apart) in self.0.borrow().iter() {
            println!("| {statistic} | {apart:.1e} |");
        }
    }
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values
}

/// A sample with its facts, as a pass over the column leaves them.
fn numbers(values: &[f64]) -> column::Numbers {
    let mut numbers = column::Numbers::new(keys::Scale::Float);
    numbers.push(&values.iter().map(|value| keys::of_float(*value)).collect::<Vec<_>>());
    numbers
}

#[test]
fn golden_numeric_statistics_of_scipy() {
    let goldens = Goldens::default();
    let (golden, base, current) = (golden(), csv("num_base"), csv("num_cur"));
    for (name, expected) in golden["numeric"].as_object().unwrap() {
        let [a, b] = [numbers(&base[name]), numbers(&current[name])];
        let scale = keys::Scale::Float;
        // numpy's deciles, equal ones once: values that fill a bin have none of their own.
        let mut edges: Vec<f64> =
            (1..10).map(|at| quantile(&sorted(&base[name]), f64::from(at) / 10.0)).collect();
        edges.dedup();
        let bins = pair::Bins::Edges(edges);
        let found = pair::compare(scale, [&a.sample, &b.sample], None, &[], &bins);
        let check = |value: f64, path: &str, what: &str| {
            goldens.close(what, name, value, expected.pointer(path).unwrap());
        };
        check(found.ks, "/ks_auto/statistic", "ks");
        let (n, m) = (a.facts().values, b.facts().values);
        check(numeric::kolmogorov_p(found.ks, n, m), "/ks_exact/pvalue", "ks p");
        let limit = (n as f64 * m as f64 / (n + m) as f64).sqrt() * found.ks;
        check(special::kolmogorov_sf(limit), "/ks_p_kolmogorov_limit", "ks p in the limit");
        check(found.wasserstein, "/wasserstein1", "w1");
        check(
            found.wasserstein / a.facts().deviation().max(1e-3),
            "/wasserstein1_over_std_base_ddof0",
            "w1 by deviation",
        );
        check(a.facts().mean, "/mean_std_base/0", "mean");
        check(a.facts().deviation(), "/mean_std_base/1", "deviation");
        let [p, q] = &found.counts;
        let zero = shares::Zero::default();
        check(shares::psi(p, q, zero), "/deciles_of_base/psi_eps1e-4_only_zero_bins", "psi");
        check(shares::jensen_shannon(p, q), "/deciles_of_base/js_distance_ln", "js");
        check(shares::jensen_shannon_base2(p, q), "/deciles_of_base/js_distance_base2", "js 2");
        check(shares::hellinger(p, q), "/deciles_of_base/hellinger", "hellinger");
        check(shares::total_variation(p, q), "/deciles_of_base/tv", "tv");
        check(shares::l_infinity(p, q), "/deciles_of_base/linf", "linf");
        let ordered = ordered::Ordered::new(scale, [&a.sample, &b.sample]);
        check(ordered.energy_distance(), "/energy_distance", "energy");
        let tested = ordered.mann_whitney();
        check(tested.statistic, "/mannwhitney/u", "u");
        check(tested.p_value, "/mannwhitney/pvalue", "u p");
        if name == "const" {
            // Everything is one value: scipy has no answer or one of rounding.
            assert!(ordered.anderson_darling().statistic.is_nan());
            assert!(means::welch(&a.facts(), &b.facts()).p_value.is_nan());
            continue;
        }
        let tested = ordered.cramer_von_mises();
        check(tested.statistic, "/cvm/statistic", "cvm");
        // scipy stops its series early and subtracts from 1.
        let expected_p = expected["cvm"]["pvalue"].as_f64().unwrap();
        assert!((tested.p_value - expected_p).abs() < 1e-9, "{name} cvm p");
        check(ordered.anderson_darling().statistic, "/anderson_ksamp_midrank", "anderson");
        let tested = means::welch(&a.facts(), &b.facts());
        check(tested.statistic, "/welch_t/t", "welch");
        check(tested.p_value, "/welch_t/pvalue", "welch p");
    }
}

#[test]
fn golden_categorical_statistics_of_scipy() {
    let goldens = Goldens::default();
    for (name, expected) in golden()["categorical"].as_object().unwrap() {
        let counts: Vec<Vec<u64>> = serde_json::from_value(expected["counts"].clone()).unwrap();
        let [a, b] = [&counts[0][..], &counts[1][..]];
        let check = |value: f64, path: &str| {
            goldens.close(path, name, value, expected.pointer(path).unwrap());
        };
        for (tested, key) in [
            (categorical::chi_squared(a, b), "chi2_contingency"),
            (categorical::chi_squared_yates(a, b), "chi2_contingency_yates"),
            (categorical::g_test(a, b), "g_test"),
        ] {
            check(tested.statistic, &format!("/{key}/statistic"));
            check(tested.p_value, &format!("/{key}/pvalue"));
        }
        let fit = categorical::goodness_of_fit(a, b);
        check(fit.p_value, "/chisquare_gof_cur_vs_scaled_base/pvalue");
        check(categorical::cramers_v(a, b), "/cramers_v");
        let zero = shares::Zero::default();
        check(shares::psi(a, b, zero), "/psi_eps1e-4_only_zero_bins");
        check(shares::kullback_leibler(a, b, zero), "/kl_base_given_cur_eps1e-4");
        check(shares::jensen_shannon(a, b), "/js_distance_ln");
        check(shares::jensen_shannon_base2(a, b), "/js_distance_base2");
        check(shares::hellinger(a, b), "/hellinger");
        check(shares::total_variation(a, b), "/tv");
        check(shares::l_infinity(a, b), "/linf");
        if expected.get("two_prop_z").is_some() {
            let totals = [a.iter().sum(), b.iter().sum()];
            let tested = categorical::two_proportions([a[0], b[0]], totals);
            check(tested.statistic, "/two_prop_z/z");
            check(tested.p_value, "/two_prop_z/pvalue");
            let fisher = categorical::fisher([[a[0], a[1]], [b[0], b[1]]]);
            check(fisher.p_value, "/fisher_exact_p");
        }
    }
}

/// What the golden values were made with.
fn settings() -> Settings {
    Settings {
        beta: 2.0,
        top: 0.3,
        costs: [[0.0, 1.0], [5.0, 0.0]],
        quantile: 0.9,
        ..Settings::default()
    }
}

#[test]
fn golden_classification_metrics_of_scikit_learn() {
    let goldens = Goldens::default();
    let (golden, columns) = (golden(), csv("cls"));
    let more: Value =
        serde_json::from_str(&fs::read_text("tests/golden/metrics.json").unwrap()).unwrap();
    for model in ["a", "b"] {
        let scores = columns[&format!("score_{model}")].clone();
        let plain = Predictions::new(columns["y"].clone(), scores, settings());
        let weighted = plain.clone().weighing(columns["weight"].clone());
        for (metric, name) in [
            (Metric::RocAuc, "roc_auc"),
            (Metric::PrAuc, "average_precision"),
            (Metric::LogLoss, "log_loss"),
            (Metric::Brier, "brier"),
            (Metric::Accuracy, "accuracy"),
            (Metric::F1, "f1"),
            (Metric::Precision, "precision"),
            (Metric::Recall, "recall"),
            (Metric::BalancedAccuracy, "balanced_accuracy"),
            (Metric::Mcc, "mcc"),
            (Metric::CohenKappa, "cohen_kappa"),
            (Metric::CalibrationError, "ece_10_equal_width_right_closed"),
            (Metric::FBeta, "f_beta_2"),
            (Metric::RecallAtTop, "recall_at_top_0.3"),
            (Metric::LiftAtTop, "lift_at_top_0.3"),
            (Metric::Cost, "cost_1_5"),
        ] {
            let known = [&golden["classification"][model], &more[model]];
            let of = |name: &str| known.iter().find_map(|known| known.get(name));
            goldens.close(metric.as_str(), model, plain.value(metric), of(name).unwrap());
            if let Some(expected) = of(&format!("{name}_weighted")) {
                goldens.close(metric.as_str(), model, weighted.value(metric), expected);
            } else {
                assert!(matches!(metric, Metric::CalibrationError | Metric::CohenKappa));
            }
        }
    }
}

#[test]
fn golden_regression_metrics_of_scikit_learn() {
    let goldens = Goldens::default();
    let (golden, columns) = (golden(), csv("reg"));
    let more: Value =
        serde_json::from_str(&fs::read_text("tests/golden/metrics.json").unwrap()).unwrap();
    for model in ["a", "b"] {
        let scores = columns[&format!("pred_{model}")].clone();
        let plain = Predictions::new(columns["y"].clone(), scores, settings());
        let weights = (0..plain.len()).map(|row| (row % 5) as f64);
        let weighted = plain.clone().weighing(weights.collect::<Vec<_>>());
        for metric in Metric::of(Problem::Regression) {
            if metric == Metric::Wape {
                continue;
            }
            let name = match metric {
                Metric::MedianAe => "medae",
                Metric::Smape => "smape_mean_2ad_over_sum",
                Metric::Pinball => "pinball_q0_9",
                other => other.as_str(),
            };
            let expected = &golden["regression"][model][name];
            goldens.close(metric.as_str(), model, plain.value(metric), expected);
            if let Some(expected) = more[format!("reg_{model}")].get(metric.as_str()) {
                goldens.close(metric.as_str(), model, weighted.value(metric), expected);
            }
        }
    }
}

fn answers() -> Value {
    serde_json::from_str(&fs::read_text("tests/golden/answers.json").unwrap()).unwrap()
}

fn floats(value: &Value) -> Vec<f64> {
    serde_json::from_value(value.clone()).unwrap()
}

fn model(answers: Answers, rows: usize) -> Model {
    Model { answers, own: BTreeMap::new(), rows, weights: None }
}

#[test]
fn golden_metrics_of_classes_of_scikit_learn() {
    let goldens = Goldens::default();
    let golden = answers();
    let labels: Vec<u32> = serde_json::from_value(golden["label"].clone()).unwrap();
    for (name, expected) in golden["classes"].as_object().unwrap() {
        let probabilities: Vec<Vec<f64>> =
            serde_json::from_value(expected["probabilities"].clone()).unwrap();
        let settings = Settings { k: 2, ..Settings::default() };
        let plain = Classes::likely(labels.clone(), None, probabilities, settings);
        let weighted = plain.clone().weighing(floats(&golden["weight"]));
        for metric in Metric::of(Problem::Multiclass) {
            let key = metric.as_str();
            for (tag, classes) in [("", &plain), ("_by_weight", &weighted)] {
                let model = model(Answers::Classes(classes.clone()), labels.len());
                let value = model.value(&Measure::Metric(metric));
                goldens.close(key, name, value, &expected[format!("{key}{tag}")]);
            }
        }
    }
}

#[test]
fn golden_metrics_of_rankings_of_scikit_learn() {
    let goldens = Goldens::default();
    let golden = &answers()["ranking"];
    let groups: Vec<u32> = serde_json::from_value(golden["group"].clone()).unwrap();
    for k in [3, 100] {
        let settings = Settings { k, ..Settings::default() };
        let ranking = Ranking::new(
            groups.clone(),
            floats(&golden["relevance"]),
            floats(&golden["scores"]),
            settings,
        );
        let model = model(Answers::Ranking(ranking), groups.len());
        for metric in Metric::of(Problem::Ranking) {
            if let Some(expected) = golden.get(format!("{metric}_{k}")) {
                goldens.close(metric.as_str(), "", model.value(&Measure::Metric(metric)), expected);
            }
        }
    }
}

#[test]
fn the_first_places_alone_count_for_rankings() {
    let settings = Settings { k: 2, ..Settings::default() };
    let of = |metric, scores: [f64; 4]| {
        let ranking = Ranking::new(vec![0; 4], vec![0.0, 1.0, 0.0, 1.0], scores.to_vec(), settings);
        model(Answers::Ranking(ranking), 4).value(&Measure::Metric(metric))
    };
    // Relevant rows at the second and the fourth place.
    let scores = [0.9, 0.8, 0.7, 0.6];
    assert_eq!(of(Metric::Map, scores), 0.5 / 2.0);
    assert_eq!(of(Metric::Mrr, scores), 0.5);
    // At the third and fourth place, where nobody looks.
    let scores = [0.9, 0.1, 0.8, 0.2];
    assert_eq!(
        [of(Metric::Map, scores), of(Metric::Mrr, scores), of(Metric::Ndcg, scores)],
        [0.0; 3]
    );
}

#[test]
fn golden_metrics_of_forecasts_and_quantiles_of_numpy() {
    let goldens = Goldens::default();
    let golden = answers();
    let of = |name: &str| floats(&golden["forecast"][name]);
    for tag in ["", "_by_weight"] {
        let numbers = Predictions::new(of("y"), of("f"), Settings::default());
        let numbers = if tag.is_empty() { numbers } else { numbers.weighing(of("weight")) };
        let forecast = Forecast::new(numbers, Some(of("scale")), Some([of("low"), of("high")]));
        let model = model(Answers::Forecast(forecast), 60);
        for metric in [Metric::Wape, Metric::Mase, Metric::Coverage, Metric::Width, Metric::Rmse] {
            let expected = &golden["forecast"][format!("{metric}{tag}")];
            goldens.close(metric.as_str(), tag, model.value(&Measure::Metric(metric)), expected);
        }
    }
    let quantiles = &golden["quantiles"];
    for at in ["0.05", "0.25", "0.5", "0.9", "0.95"] {
        let values = floats(&quantiles["x"]);
        let rows = values.len();
        let aggregate = Aggregate::Quantile(at.parse().unwrap());
        let own = BTreeMap::from([("x".to_owned(), Own { values, aggregate })]);
        let model = Model { answers: Answers::Nothing, own, rows, weights: None };
        let value = model.value(&Measure::Own("x".into()));
        goldens.close("quantile", at, value, &quantiles[at]);
    }
}

#[test]
fn golden_paired_tests() {
    let goldens = Goldens::default();
    let (golden, columns) = (golden(), csv("cls"));
    let golden = &golden["classification"];
    let [a, b] = ["score_a", "score_b"].map(|name| {
        Predictions::new(columns["y"].clone(), columns[name].clone(), Settings::default())
    });
    let found = paired::delong(&a, &b);
    goldens.close("delong se", "", found.error(), &golden["delong"]["se_diff"]);
    let [low, high] = found.interval(0.95);
    goldens.close("delong low", "", low, &golden["delong"]["ci95_diff"][0]);
    goldens.close("delong high", "", high, &golden["delong"]["ci95_diff"][1]);
    let p = 2.0 * found.p_at_most(0.0);
    goldens.close("delong p", "", p, &golden["delong"]["p_two_sided"]);
    let right = |model: &Predictions| -> Vec<bool> {
        model.labels().iter().zip(model.alarms()).map(|(y, alarm)| (*y == 1.0) == *alarm).collect()
    };
    let discordant = paired::discordant(&right(&a), &right(&b));
    assert_eq!(discordant, [60, 40]);
    let p = 2.0 * paired::mcnemar_p(discordant);
    goldens.close("mcnemar p", "", p, &golden["mcnemar_thr0.5"]["exact"]["pvalue"]);
}

#[test]
fn permutation_comes_near_to_all_arrangements() {
    // scipy's exact test of 12 differences: 0.0918 two-sided, with twice the smaller side.
    let apart = csv("paired12")["d"].clone();
    let rows = apart.len();
    let of = |values: Vec<f64>| {
        let own = Own { values, aggregate: Aggregate::Mean };
        Model {
            answers: Answers::Nothing,
            own: [("d".to_owned(), own)].into(),
            rows,
            weights: None,
        }
    };
    let [candidate, champion] = [of(apart), of(vec![0.0; rows])];
    let drawn = (&Units::rows(rows), 20_000, 3);
    let [more, less] = paired::permuted_p(&candidate, &champion, &Measure::Own("d".into()), drawn);
    let expected = golden()["paired_permutation_signflip_exact_n12"]["pvalue_two_sided"].as_f64();
    assert!((2.0 * more - expected.unwrap()).abs() < 0.01, "{more}");
    assert!(less > 0.9);
}

#[test]
fn golden_corrections_of_statsmodels() {
    let goldens = Goldens::default();
    let text = fs::read_text("tests/golden/pvalues.csv").unwrap();
    let p_values: Vec<f64> =
        text.lines().skip(1).filter_map(|line| line.rsplit(',').next()?.parse().ok()).collect();
    let golden = golden();
    for (correction, name) in [
        (correction::Correction::BenjaminiHochberg, "fdr_bh"),
        (correction::Correction::BenjaminiYekutieli, "fdr_by"),
        (correction::Correction::Holm, "holm"),
        (correction::Correction::Bonferroni, "bonferroni"),
    ] {
        let expected = &golden["multiple_testing"][name]["adjusted"];
        for (at, adjusted) in correction.adjust(&p_values).into_iter().enumerate() {
            goldens.close(name, &at.to_string(), adjusted, &expected[at]);
        }
    }
}

#[test]
fn a_metric_that_is_not_defined_is_nan() {
    let one_class = Predictions::new(vec![1.0, 1.0], vec![0.2, 0.9], Settings::default());
    assert!(one_class.value(Metric::RocAuc).is_nan());
    assert!(one_class.counted(Metric::Brier, &[[0], [0]])[0].is_nan());
    let constant = Predictions::new(vec![3.0, 3.0], vec![1.0, 2.0], Settings::default());
    assert!(!constant.value(Metric::R2).is_finite());
}

fn plan(units: &Units, resamples: u32, seed: u64) -> Plan<'_> {
    Plan { units, resamples, method: Method::Bca, seed }
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
        Predictions::new(labels.clone(), scores(|row| row.1), Settings::default()),
        Predictions::new(labels, scores(|row| row.2), Settings::default()),
    )
}

proptest! {
    #[test]
    fn the_order_of_rows_does_not_matter(rows in rows(), seed in any::<u64>()) {
        let mut shuffled = rows.clone();
        shuffled.sort_by_key(|row| (u64::from(row.1) * 31 + u64::from(row.2)).wrapping_mul(seed | 1));
        for metric in Metric::of(Problem::Binary) {
            let (a, b) = (split(&rows).0.value(metric), split(&shuffled).0.value(metric));
            prop_assert!(a.is_nan() && b.is_nan() || (a - b).abs() < 1e-12);
        }
    }

    #[test]
    fn a_weight_of_two_is_a_row_twice(rows in rows()) {
        let doubled: Vec<_> = rows.iter().flat_map(|row| [*row, *row]).collect();
        let counts = vec![[2]; rows.len()];
        for metric in Metric::of(Problem::Binary) {
            let ([a], b) = (split(&rows).0.counted(metric, &counts), split(&doubled).0.value(metric));
            prop_assert!(a.is_nan() && b.is_nan() || (a - b).abs() < 1e-12);
        }
    }

    #[test]
    fn a_model_does_not_differ_from_itself(rows in rows(), seed in any::<u64>()) {
        let (a, _) = split(&rows);
        let measures: Vec<Measure> = Metric::of(Problem::Binary).into_iter().map(Measure::Metric).collect();
        let model = Model::of_scores(a);
        for difference in bootstrap::differences(&model, &model, &measures, plan(&Units::rows(rows.len()), 104, seed)) {
            let zero = |value: f64| value == 0.0 || value.is_nan();
            let [low, high] = difference.interval(0.95);
            prop_assert!(zero(difference.value) && zero(low) && zero(high));
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
