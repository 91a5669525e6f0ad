//! Against nannyml 0.13.1 (tests/golden/gen_estimates.py).

use super::*;
use serde_json::Value;

fn golden() -> Value {
    serde_json::from_str(include_str!("../../tests/golden/estimates.json")).unwrap()
}

fn uniform(rows: usize, seed: f64) -> Vec<f64> {
    (0..rows)
        .map(|row| ((row as f64 + 1.0) * 0.618_033_988_749_894_9 + seed * 0.377).fract())
        .collect()
}

fn reversed(mut values: Vec<f64>) -> Vec<f64> {
    values.reverse();
    values
}

fn close(found: f64, expected: &Value, tolerance: f64, what: &str) {
    let expected = expected.as_f64().unwrap();
    assert!((found - expected).abs() <= tolerance, "{what}: {found} {expected}");
}

fn flag(yes: bool) -> f64 {
    f64::from(u8::from(yes))
}

fn binary(rows: usize, seed: f64, shift: f64) -> (Class, Vec<f64>) {
    let (u, v) = (uniform(rows, seed), reversed(uniform(rows, seed + 1.0)));
    let scores: Vec<f64> =
        u.iter().map(|u| (u.powf(1.5) + shift * (1.0 - u)).clamp(0.0, 1.0)).collect();
    let labels = scores.iter().zip(&v).map(|(score, v)| flag(*v < score * score)).collect();
    (Class { chosen: scores.iter().map(|score| *score >= 0.5).collect(), scores }, labels)
}

#[test]
fn nannyml_agrees_on_two_classes() {
    let (before, labels) = binary(4000, 3.0, 0.0);
    let (now, truth) = binary(3000, 7.0, 0.25);
    let estimated = estimated_classes(
        std::slice::from_ref(&before),
        std::slice::from_ref(&labels),
        std::slice::from_ref(&now),
    );
    let golden = &golden()["binary"];
    for (metric, name) in [
        (Metric::RocAuc, "roc_auc"),
        (Metric::F1, "f1"),
        (Metric::Precision, "precision"),
        (Metric::Recall, "recall"),
        (Metric::Accuracy, "accuracy"),
    ] {
        // It rounds expected counts to five digits in its areas.
        close(estimated.measure(metric).value, &golden[name], 1e-7, name);
    }
    close(estimated.measure(Metric::PrAuc).value, &golden["average_precision"], 1e-4, "ap");
    let realised =
        Judged::new(vec![Predictions::with_alarms(truth, now.scores.clone(), now.chosen)]);
    // Hanley and McNeil's error of an area of 0.8 with these classes is 0.009.
    let seen = realised.measure(Metric::RocAuc);
    assert!(seen.error > 0.006 && seen.error < 0.012, "{seen:?}");
}

fn several(rows: usize, seed: f64, shift: f64) -> (Vec<Class>, Vec<Vec<f64>>) {
    let (u, v, w) =
        (uniform(rows, seed), reversed(uniform(rows, seed + 1.0)), uniform(rows, seed + 2.0));
    let mut classes = vec![Class { scores: Vec::new(), chosen: Vec::new() }; 3];
    let mut labels = vec![Vec::new(); 3];
    for ((u, v), w) in u.iter().zip(&v).zip(&w) {
        let raw = [u * u + shift, v * 0.8, 0.3];
        let total: f64 = raw.iter().sum();
        let p = raw.map(|raw| raw / total);
        let bold: f64 = p.iter().map(|p| p.powf(1.5)).sum();
        let mut edge = 0.0;
        let edges = p.map(|p| {
            edge += p.powf(1.5) / bold;
            edge
        });
        let truth = edges[..2].iter().filter(|edge| *w > **edge).count();
        let best = (0..3).reduce(|best, at| if p[at] > p[best] { at } else { best }).unwrap();
        for class in 0..3 {
            classes[class].scores.push(p[class]);
            classes[class].chosen.push(best == class);
            labels[class].push(flag(truth == class));
        }
    }
    (classes, labels)
}

#[test]
fn nannyml_agrees_on_several_classes() {
    let (before, labels) = several(4000, 3.0, 0.0);
    let (now, _) = several(3000, 7.0, 0.3);
    let estimated = estimated_classes(&before, &labels, &now);
    let golden = &golden()["multiclass"];
    for (metric, name) in
        [(Metric::RocAuc, "roc_auc"), (Metric::F1, "f1"), (Metric::Accuracy, "accuracy")]
    {
        close(estimated.measure(metric).value, &golden[name], 1e-6, name);
    }
}

fn numbers(rows: usize, seed: f64, shift: f64) -> ([Vec<f64>; 3], Vec<f64>) {
    let x: Vec<f64> = uniform(rows, seed).iter().map(|x| x + shift).collect();
    let z = reversed(uniform(rows, seed + 1.0));
    let e = uniform(rows, seed + 2.0);
    let predicted: Vec<f64> = x.iter().zip(&z).map(|(x, z)| 3.0 * x + z).collect();
    let truth = (0..rows).map(|at| predicted[at] + (e[at] - 0.5) * (0.2 + 2.0 * x[at])).collect();
    ([x, z, predicted], truth)
}

#[test]
fn nannyml_agrees_on_the_loss_of_numbers() {
    let (before, labels) = numbers(4000, 3.0, 0.0);
    let (now, _) = numbers(3000, 7.0, 0.25);
    let golden = &golden()["regression"];
    for (metric, name) in [(Metric::Mae, "mae"), (Metric::Rmse, "rmse")] {
        let learnt = losses(metric, &labels, &before[2]).unwrap();
        let told = estimated_loss(metric, [&before, &now], &learnt);
        // Another implementation of the same trees: near, and not equal.
        close(told.value, &golden[name], 0.01, name);
    }
    let mae = mean_loss(Metric::Mae, &losses(Metric::Mae, &labels, &before[2]).unwrap());
    close(mae.value, &golden["before"]["mae"], 1e-12, "before");
    assert!(losses(Metric::R2, &labels, &before[2]).is_none());
}
