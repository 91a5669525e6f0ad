//! How often intervals and tests are right, by simulated comparisons.

use super::Estimate;
use crate::stats::bootstrap::{self, Method, Plan};
use crate::stats::metrics::{Answers, Measure, Metric, Model, Predictions, Settings};
use crate::stats::resample::Units;
use crate::stats::{lot, paired};

/// Two models of the same problem. The second one's scores have as much noise
/// as the first one's, or `noise` more.
fn trial(trial: u64, rows: u64, noise: f64) -> [Predictions; 2] {
    let value =
        |row: u64, salt: u64| (lot(trial << 8 | salt, row) >> 11) as f64 / (1u64 << 53) as f64;
    let labels: Vec<f64> = (0..rows).map(|row| f64::from(u8::from(value(row, 1) < 0.4))).collect();
    // What both models see of a row, and what only one of them does.
    let scores = |salt: u64, noise: f64| -> Vec<f64> {
        let own = |row: u64| noise * value(row, salt);
        let score = |row: u64| 0.3 * labels[row as usize] + 0.2 * value(row, 4) + own(row);
        (0..rows).map(|row| score(row) / (0.5 + noise)).collect()
    };
    let predictions = |scores| Predictions::new(labels.clone(), scores, Settings::default());
    [predictions(scores(2, 0.5)), predictions(scores(3, 0.5 + noise))]
}

/// Two equally good models on rows of which `SIZE` belong together, such as those of a
/// customer, and are alike.
fn clustered(trial: u64, clusters: u64) -> [Predictions; 2] {
    let value =
        |row: u64, salt: u64| (lot(trial << 8 | salt, row) >> 11) as f64 / (1u64 << 53) as f64;
    let alike = |row: u64, salt: u64| 0.7 * value(row / SIZE, salt | 0x80) + 0.3 * value(row, salt);
    let rows = clusters * SIZE;
    let labels: Vec<f64> = (0..rows)
        .map(|row| f64::from(u8::from(value(row, 1) < 0.2 + 0.4 * value(row / SIZE, 0x81))))
        .collect();
    let scores = |salt: u64| -> Vec<f64> {
        (0..rows).map(|row| 0.3 * labels[row as usize] + 0.7 * alike(row, salt)).collect()
    };
    [2, 3].map(|salt| Predictions::new(labels.clone(), scores(salt), Settings::default()))
}

const SIZE: u64 = 5;

/// How many comparisons are simulated. `LAKEGATE_SIMULATE_INTERVALS=TRIALS` makes
/// more of them and prints the rates.
fn trials() -> (u64, bool) {
    #[expect(clippy::disallowed_methods, reason = "a switch of these tests alone")]
    let asked = std::env::var("LAKEGATE_SIMULATE_INTERVALS");
    (asked.as_ref().map_or(100, |asked| asked.parse().unwrap()), asked.is_ok())
}

/// Bootstraps and DeLong's variance, as they are asked for.
fn estimated(how: &str, models: &[Model; 2], metrics: &[Metric], seed: u64) -> Vec<Estimate> {
    estimated_of(&Units::rows(models[0].rows), how, models, metrics, seed)
}

fn estimated_of(
    units: &Units,
    how: &str,
    [a, b]: &[Model; 2],
    metrics: &[Metric],
    seed: u64,
) -> Vec<Estimate> {
    let measures: Vec<Measure> = metrics.iter().copied().map(Measure::Metric).collect();
    let drawn = |method| {
        let plan = Plan { units, resamples: 400, method, seed };
        bootstrap::differences(a, b, &measures, plan)
    };
    match (how, &a.answers, &b.answers) {
        ("bca", ..) => drawn(Method::Bca),
        ("percentile", ..) => drawn(Method::Percentile),
        (_, Answers::Scores(a), Answers::Scores(b)) => vec![paired::delong(a, b)],
        _ => unreachable!("scores"),
    }
}

#[test]
fn the_interval_holds_the_truth_as_often_as_it_says() {
    let (trials, told) = trials();
    let metrics = [Metric::RocAuc, Metric::LogLoss, Metric::F1, Metric::Mcc];
    for (how, metrics) in
        [("bca", &metrics[..]), ("percentile", &metrics), ("delong", &metrics[..1])]
    {
        // Both models are as good as each other: 0 is the truth.
        let found = |number: u64| {
            let models = trial(number, 400, 0.0).map(Model::of_scores);
            estimated(how, &models, metrics, number)
        };
        for (metric, held) in metrics.iter().zip(held(trials, metrics.len(), found)) {
            if told {
                println!("{how} {metric}: holds {held:.4}");
            }
            assert!((0.90..=0.99).contains(&held), "{how} {metric}: {held}");
        }
    }
}

/// How often the 95 % intervals of differences hold 0, which is the truth.
fn held(trials: u64, metrics: usize, found: impl Fn(u64) -> Vec<Estimate>) -> Vec<f64> {
    let mut counts = vec![0u32; metrics];
    for number in 0..trials {
        for (count, difference) in counts.iter_mut().zip(found(number)) {
            let [low, high] = difference.interval(0.95);
            *count += u32::from(low <= 0.0 && 0.0 <= high);
        }
    }
    counts.into_iter().map(|count| f64::from(count) / trials as f64).collect()
}

#[test]
fn strata_and_clusters_hold_the_truth_as_often_too() {
    let (trials, told) = trials();
    let metrics = [Metric::RocAuc, Metric::LogLoss, Metric::F1];
    for how in ["bca", "percentile"] {
        let stratified = |number: u64| {
            let models = trial(number, 400, 0.0);
            let labels: Vec<u32> = models[0].labels().iter().map(|label| *label as u32).collect();
            let units = Units::rows(labels.len()).stratified(&labels);
            estimated_of(&units, how, &models.map(Model::of_scores), &metrics, number)
        };
        let of_clusters = |number: u64| {
            const CLUSTERS: u64 = 100;
            let of_row = (0..CLUSTERS * SIZE).map(|row| (row / SIZE) as u32).collect();
            let units = Units::clusters(of_row, CLUSTERS as usize);
            let models = clustered(number, CLUSTERS).map(Model::of_scores);
            estimated_of(&units, how, &models, &metrics, number)
        };
        // What is alike counts as if it were not: an interval that is too short.
        let of_rows = |number: u64| {
            let models = clustered(number, 100).map(Model::of_scores);
            estimated(how, &models, &metrics, number)
        };
        let rates = [
            held(trials, metrics.len(), stratified),
            held(trials, metrics.len(), of_clusters),
            held(trials, metrics.len(), of_rows),
        ];
        for (at, metric) in metrics.iter().enumerate() {
            let [strata, clusters, rows] = [&rates[0], &rates[1], &rates[2]].map(|rate| rate[at]);
            if told {
                println!(
                    "{how} {metric}: strata {strata:.4}, clusters {clusters:.4}, as rows {rows:.4}"
                );
            }
            assert!((0.90..=0.99).contains(&strata), "{how} {metric}: {strata}");
            assert!((0.90..=0.99).contains(&clusters), "{how} {metric}: {clusters}");
            assert!(rows < clusters - 0.03, "{how} {metric}: {rows} is no worse than {clusters}");
        }
    }
}

#[test]
fn a_model_worse_by_the_margin_passes_as_rarely_as_the_interval_says() {
    let (trials, told) = trials();
    // The truth, from many rows.
    let [champion, candidate] = trial(1_000_000, 400_000, 0.25);
    let margin = champion.value(Metric::RocAuc) - candidate.value(Metric::RocAuc);
    assert!(margin > 0.02, "{margin}");
    for how in ["bca", "delong"] {
        let passes = |number: &u64| {
            let [champion, candidate] = trial(*number, 400, 0.25).map(Model::of_scores);
            let found = estimated(how, &[candidate, champion], &[Metric::RocAuc], *number);
            found[0].interval(0.95)[0] > -margin
        };
        let share = (0..trials).filter(passes).count() as f64 / trials as f64;
        if told {
            println!(
                "{how}: worse by the margin of {margin:.4}, and passes: {share:.4} (0.025 is said)"
            );
        }
        assert!(share <= 0.07, "{how} {share}");
    }
}

#[test]
fn tests_without_an_interval_find_a_difference_as_rarely_as_they_say() {
    let (trials, told) = trials();
    let accuracy = Measure::Metric(Metric::Accuracy);
    let p_values = |number: u64| -> [f64; 2] {
        let [a, b] = trial(number, 400, 0.0);
        let right = |model: &Predictions| -> Vec<bool> {
            model
                .labels()
                .iter()
                .zip(model.alarms())
                .map(|(y, alarm)| (*y == 1.0) == *alarm)
                .collect()
        };
        let exact = paired::mcnemar_p(paired::discordant(&right(&a), &right(&b)));
        let drawn = (&Units::rows(400), 400, number);
        let [permuted, _] =
            paired::permuted_p(&Model::of_scores(a), &Model::of_scores(b), &accuracy, drawn);
        [exact, permuted]
    };
    let found: Vec<[f64; 2]> = (0..trials).map(p_values).collect();
    for (at, name) in ["mcnemar", "permutation"].iter().enumerate() {
        let share = found.iter().filter(|p| p[at] <= 0.05).count() as f64 / trials as f64;
        if told {
            println!("{name}: finds a difference of equal models in {share:.4} (0.05 is said)");
        }
        assert!(share <= 0.10, "{name} {share}");
    }
}

/// A seed gives the same numbers on any number of cores.
#[test]
fn the_number_of_threads_changes_no_bit() {
    let models = trial(1, 3000, 0.1).map(Model::of_scores);
    let metrics = [Metric::RocAuc, Metric::LogLoss, Metric::F1, Metric::PrAuc];
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| format!("{:?}", estimated("bca", &models, &metrics, 7)))
    };
    let alone = on(1);
    assert!(alone.len() > 1000);
    assert_eq!(alone, on(2));
    assert_eq!(alone, on(5));
}
