//! Columns that stay as they are while what is between them moves.

use super::*;
use proptest::prelude::*;
use rand_core::SeedableRng as _;
use rand_xoshiro::Xoshiro256PlusPlus;

/// Two columns of normal values with this correlation, and one of noise.
fn rows(count: usize, correlation: f64, seed: u64) -> Vec<Vec<f64>> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut normal =
        || (0..12).map(|_| random.next_u64() as f64 / u64::MAX as f64).sum::<f64>() - 6.0;
    let mut columns = vec![Vec::new(); 3];
    for _ in 0..count {
        let (a, b) = (normal(), normal());
        columns[0].push(a);
        columns[1].push(correlation * a + (1.0 - correlation * correlation).sqrt() * b);
        columns[2].push(normal());
    }
    columns
}

#[test]
fn a_correlation_that_breaks_is_seen_by_all_three() {
    let (before, now) = (rows(2000, 0.9, 1), rows(1500, 0.0, 2));
    let found = correlation([&before, &now]).unwrap();
    assert_eq!(found.pair, [0, 1]);
    assert!(found.corrected > 0.7 && found.p_value < 1e-50, "{found:?}");
    let (change, tested) = reconstruction([&before, &now]).unwrap();
    assert!(change > 0.3 && tested.p_value < 1e-20, "{change} {tested:?}");
    let told = domain_classifier([&before, &now]);
    assert!(told.statistic > 0.7 && told.p_value < 1e-20, "{told:?}");
}

#[test]
fn where_nothing_moved_nothing_is_seen() {
    let mut alarms = [0; 3];
    for seed in 0..12 {
        let (before, now) = (rows(1200, 0.6, 100 + seed), rows(900, 0.6, 200 + seed));
        let found = correlation([&before, &now]).unwrap();
        assert!(found.corrected < 0.05, "{found:?}");
        let (change, tested) = reconstruction([&before, &now]).unwrap();
        // Its standard error is 0.04 with so few rows.
        assert!(change.abs() < 0.15, "{seed} {change} {tested:?}");
        let told = domain_classifier([&before, &now]);
        assert!((told.statistic - 0.5).abs() < 0.06, "{told:?}");
        for (at, p) in [found.p_value, tested.p_value, told.p_value].into_iter().enumerate() {
            alarms[at] += usize::from(p < 0.05);
        }
    }
    assert!(alarms.iter().all(|alarms| *alarms <= 3), "{alarms:?}");
}

#[test]
fn many_columns_and_heavy_tails_are_no_drift() {
    // Forty independent columns of 500 rows, of which components describe noise.
    let wide = |seed: u64| -> Vec<Vec<f64>> {
        (0..14).flat_map(|block| rows(500, 0.0, seed * 100 + block)).collect()
    };
    for seed in 0..4 {
        let (change, tested) = reconstruction([&wide(seed), &wide(50 + seed)]).unwrap();
        assert!(change.abs() < 0.05, "{change} {tested:?}");
    }
    let heavy = |seed: u64| -> Vec<Vec<f64>> {
        let columns = rows(4000, 0.8, seed);
        columns.into_iter().map(|column| column.iter().map(|x| (2.0 * x).exp()).collect()).collect()
    };
    for seed in 0..8 {
        let found = correlation([&heavy(seed), &heavy(90 + seed)]).unwrap();
        assert!(found.corrected < 0.05, "{found:?}");
    }
}

#[test]
fn gaps_and_constants_are_borne() {
    let mut before = rows(500, 0.5, 7);
    let mut now = rows(500, 0.5, 8);
    before.push(vec![1.0; 500]);
    now.push(vec![1.0; 500]);
    before[0][..50].fill(f64::NAN);
    now[2].fill(f64::NAN);
    let found = correlation([&before, &now]).unwrap();
    assert_eq!(found.pair, [0, 1]);
    assert!(reconstruction([&before, &now]).is_some());
    let constant = vec![vec![1.0; 10]; 2];
    assert!(correlation([&constant, &constant]).is_none());
    assert!(reconstruction([&constant, &constant]).is_none());
    assert_eq!(domain_classifier([&constant, &constant]).statistic, 0.5);
}

#[test]
fn numpy_agrees() {
    // numpy 2.4.6: linalg.eigh of the same matrix, values and first vector.
    let matrix = vec![vec![4.0, 1.0, -2.0], vec![1.0, 2.0, 0.0], vec![-2.0, 0.0, 3.0]];
    let (values, vectors) = eigen(matrix);
    let expected = [5.732_050_807_568_877, 2.267_949_192_431_123, 1.0];
    for (value, expected) in values.iter().zip(expected) {
        assert!((value - expected).abs() < 1e-9, "{values:?}");
    }
    for (entry, expected) in vectors[0].iter().zip([-0.788_675_13, -0.211_324_87, 0.577_350_27]) {
        assert!((entry.abs() - f64::abs(expected)).abs() < 1e-8, "{vectors:?}");
    }
}

proptest! {
    #[test]
    fn vectors_and_values_make_the_matrix_again(half in prop::collection::vec(-5.0..5.0f64, 15)) {
        let at = |i: usize, j: usize| half[if i >= j { i * (i + 1) / 2 + j } else { j * (j + 1) / 2 + i }];
        // A product with its transpose has no negative values.
        let entry = |i: usize, j: usize| (0..5).map(|k| at(i, k) * at(j, k)).sum::<f64>();
        let matrix: Vec<Vec<f64>> = (0..5).map(|i| (0..5).map(|j| entry(i, j)).collect()).collect();
        let (values, vectors) = eigen(matrix.clone());
        for i in 0..5 {
            for j in 0..5 {
                let again: f64 = (0..5).map(|k| values[k] * vectors[k][i] * vectors[k][j]).sum();
                prop_assert!((again - matrix[i][j]).abs() < 1e-8, "{again} {}", matrix[i][j]);
                let product: f64 = (0..5).map(|k| vectors[i][k] * vectors[j][k]).sum();
                prop_assert!((product - f64::from(u8::from(i == j))).abs() < 1e-9);
            }
        }
    }
}
