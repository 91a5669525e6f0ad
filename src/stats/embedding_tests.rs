//! Against numpy 2.4.6, and what chance does.

use super::*;

fn of(points: impl Iterator<Item = Vec<f64>>) -> Embedding {
    let mut embedding = Embedding::default();
    points.for_each(|point| embedding.push(Some(point)));
    embedding
}

fn waves() -> [Embedding; 2] {
    let a = (0..40)
        .map(|i| (0..3).map(|j| (1.7 * f64::from(i) + f64::from(j) * 2.1 + 0.3).sin()).collect());
    let b = (0..30).map(|i| {
        let shift = |j| if j == 0 { 0.4 } else { 0.0 };
        (0..3).map(|j| (1.3 * f64::from(i) - f64::from(j) * 0.7).cos() + shift(j)).collect()
    });
    [of(a), of(b)]
}

#[test]
fn numpy_agrees() {
    let [a, b] = waves();
    let (distance, corrected) = centroid_distance(&a, &b);
    assert!((distance - 0.342_657_239_013_852_1).abs() < 1e-12);
    assert!((corrected - 0.243_065_114_969_760_35).abs() < 1e-12);
    let tested = mmd(&a, &b).unwrap();
    assert!((tested.statistic - 0.059_222_392_314_574_046).abs() < 1e-12);
    // 20,000 random splits of numpy reach the statistic in 0.52 % of cases.
    assert!((0.002..0.012).contains(&tested.p_value), "{tested:?}");
    let back = mmd(&b, &a).unwrap();
    assert!((back.statistic - tested.statistic).abs() < 1e-12);
}

fn cloud(seed: u64, count: usize, shift: f64) -> Embedding {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    // Sums of uniform variables are near enough to normal ones.
    let mut normal =
        || (0..12).map(|_| random.next_u64() as f64 / u64::MAX as f64).sum::<f64>() - 6.0;
    of((0..count).map(|_| (0..8).map(|_| normal() + shift).collect()))
}

#[test]
fn a_shift_is_seen_and_chance_is_not() {
    let base = cloud(1, 400, 0.0);
    let p_values: Vec<f64> =
        (2..16).map(|seed| mmd(&base, &cloud(seed, 300, 0.0)).unwrap().p_value).collect();
    assert!(p_values.iter().filter(|p| **p < 0.05).count() <= 3, "{p_values:?}");
    let moved = mmd(&base, &cloud(99, 300, 0.4)).unwrap();
    assert!(moved.p_value < 1e-6 && moved.statistic > 0.01, "{moved:?}");
    let (distance, _) = centroid_distance(&base, &cloud(99, 300, 0.4));
    assert!((distance - 0.4).abs() < 0.06, "{distance}");
}

#[test]
fn what_is_no_point_is_counted() {
    let mut embedding = Embedding::default();
    for point in [
        Some(vec![f64::NAN, 1.0]),
        Some(vec![1.0, 2.0]),
        Some(vec![1.0]),
        Some(vec![]),
        None,
        Some(vec![3.0, 2.0]),
    ] {
        embedding.push(point);
    }
    assert_eq!((embedding.points, embedding.unfit, embedding.dimensions()), (2, 4, 2));
    assert!(mmd(&embedding, &Embedding::default()).is_none());
    let same = mmd(&embedding, &embedding).unwrap();
    assert!(same.p_value > 0.05);
    let one = of(std::iter::repeat_n(vec![1.0], 5));
    assert_eq!(mmd(&one, &one).unwrap().p_value, 1.0);
    assert_eq!(centroid_distance(&one, &one), (0.0, 0.0));
}

#[test]
fn more_points_than_are_kept_still_count_in_the_moments() {
    let many = cloud(5, KEPT * 3, 0.0);
    assert_eq!(many.sample().len(), KEPT);
    assert_eq!(many.points, KEPT as u64 * 3);
    assert!((many.spread() - 8.0).abs() < 0.6);
}
