//! The comparison without sorting against the one that sorts.

use proptest::prelude::*;

use super::*;
use crate::stats::{numeric, quantile};

const QUANTILES: [f64; 5] = [0.0, 0.05, 0.5, 0.95, 1.0];

/// Sorts both sides and looks at every value.
fn sorted(scale: Scale, sides: [&Sample; 2], bins: &Bins) -> Comparison {
    let values = sides.map(|side| {
        let repeated = side
            .counted
            .iter()
            .flat_map(|(key, count)| std::iter::repeat_n(*key, usize::try_from(*count).unwrap()));
        let mut values: Vec<f64> =
            side.keys.iter().copied().chain(repeated).map(|key| scale.value(key)).collect();
        values.sort_unstable_by(f64::total_cmp);
        values
    });
    let [a, b] = &values;
    let edges = match bins {
        Bins::Edges(edges) => edges.clone(),
        Bins::Quantiles(count) => {
            let cuts: Vec<f64> =
                (1..*count).map(|at| quantile(a, f64::from(at) / f64::from(*count))).collect();
            let filled =
                |edge: &f64| cuts.iter().filter(|cut| *cut == edge).count() > 1 || *edge == a[0];
            let below = cuts.iter().filter(|edge| filled(edge)).map(|edge| edge.next_down());
            let mut edges: Vec<f64> = cuts.iter().copied().chain(below).collect();
            edges.sort_by(f64::total_cmp);
            edges.dedup();
            edges
        }
    };
    Comparison {
        ks: numeric::kolmogorov_smirnov(a, b).statistic,
        wasserstein: numeric::wasserstein(a, b),
        quantiles: [a, b].map(|side| QUANTILES.iter().map(|q| quantile(side, *q)).collect()),
        counts: [a, b].map(|side| numeric::bin_counts(side, &edges)),
        edges,
        distinct: [a, b].map(|side| Distinct::exact(side.chunk_by(|x, y| x == y).count() as u64)),
        frequent: [a, b].map(|side| {
            let runs = side.chunk_by(|x, y| x == y).map(|run| (run[0], run.len() as u64));
            let mut runs: Vec<_> = runs.filter(|run| run.1 * 100 >= side.len() as u64).collect();
            runs.sort_by_key(|run| std::cmp::Reverse(run.1));
            runs
        }),
    }
}

/// As it comes, and with the first side made ready.
fn same(scale: Scale, sides: [&Sample; 2], bins: &Bins) {
    let expected = sorted(scale, sides, bins);
    same_as(&expected, &compare(scale, sides, None, &QUANTILES, bins));
    let mut first = sides[0].clone();
    let ready = Ready::of(scale, &mut first).unwrap();
    same_as(&expected, &compare(scale, [&first, sides[1]], Some(&ready), &QUANTILES, bins));
}

fn same_as(expected: &Comparison, found: &Comparison) {
    assert_eq!(found.ks, expected.ks, "the same steps give the same bits");
    assert_eq!(found.quantiles, expected.quantiles);
    assert_eq!(found.edges, expected.edges);
    assert_eq!(found.counts, expected.counts);
    assert_eq!(found.frequent, expected.frequent);
    for (told, truth) in found.distinct.iter().zip(&expected.distinct) {
        let off = (told.count as f64 - truth.count as f64).abs() / truth.count as f64;
        assert!(off <= 5.0 * told.error, "{told:?} {truth:?}");
    }
    let (w, by_sorting) = (found.wasserstein, expected.wasserstein);
    let spread = expected.quantiles[0][4].max(expected.quantiles[1][4])
        - expected.quantiles[0][0].min(expected.quantiles[1][0]);
    assert!((w - by_sorting).abs() <= 1e-9 * by_sorting + 1e-13 * spread, "{w} {by_sorting}");
}

/// Two sides with few or many repeats, of one kind and size or of several.
fn floats() -> impl Strategy<Value = Vec<f64>> {
    let one = prop_oneof![
        4 => -10.0..10.0f64,
        2 => (-20..20i32).prop_map(|n| f64::from(n) / 4.0),
        1 => prop::num::f64::NORMAL.prop_map(|x| x % 1e9),
        1 => Just(0.0),
    ];
    prop::collection::vec(one, 1..80)
}

fn sample(values: &[f64], counted: &[(f64, u64)]) -> Sample {
    Sample {
        keys: values.iter().map(|value| keys::of_float(*value)).collect(),
        counted: counted.iter().map(|(value, count)| (keys::of_float(*value), *count)).collect(),
    }
}

/// Repeats of the values until the axis is cut, each a little off by `jitter`.
fn many(values: &[f64], jitter: f64, total: usize) -> Vec<f64> {
    (0..total)
        .map(|at| {
            let draw = crate::names::Sha256::of(at.to_le_bytes()).seed();
            let place = usize::try_from(draw % values.len() as u64).unwrap();
            values[place] + jitter * ((draw >> 20) % 4096) as f64 / 4096.0
        })
        .collect()
}

proptest! {
    #[test]
    fn small_samples(
        a in floats(), b in floats(),
        repeated in prop::collection::vec((-3.0..3.0f64, 1u64..9), 0..6),
        bins in 1u32..12,
    ) {
        same(Scale::Float, [&sample(&a, &repeated), &sample(&b, &[])], &Bins::Quantiles(bins));
    }

    #[test]
    fn given_edges(a in floats(), b in floats(), mut edges in floats()) {
        edges.sort_unstable_by(f64::total_cmp);
        edges.dedup();
        same(Scale::Float, [&sample(&a, &[]), &sample(&b, &[])], &Bins::Edges(edges));
    }

    #[test]
    fn whole_numbers_and_decimals(
        a in prop::collection::vec(any::<i32>(), 1..60),
        b in prop::collection::vec(-50..50i32, 1..60),
        digits in 0u8..6,
    ) {
        let side = |values: &[i32]| Sample {
            keys: values.iter().map(|value| keys::of_signed(i64::from(*value))).collect(),
            counted: Vec::new(),
        };
        same(Scale::Signed { digits }, [&side(&a), &side(&b)], &Bins::Quantiles(10));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn samples_that_are_cut_into_cells(
        a in floats(), b in floats(),
        jitter in prop_oneof![Just(0.0), Just(1e-9), Just(1.0), Just(1e6)],
        sizes in (3000usize..9000, 3000usize..9000),
        repeated in prop::collection::vec((-3.0..3.0f64, 1u64..900), 0..6),
        bins in prop_oneof![Just(Bins::Quantiles(10)), Just(Bins::Edges(vec![-1.0, 0.0, 0.5]))],
    ) {
        let (many_a, many_b) = (many(&a, jitter, sizes.0), many(&b, jitter, sizes.1));
        let sides = [sample(&many_a, &repeated), sample(&many_b, &[])];
        same(Scale::Float, [&sides[0], &sides[1]], &bins);
        let again = sample(&many(&a, jitter, sizes.1), &[]);
        same(Scale::Float, [&sides[0], &again], &bins);
        same(Scale::Float, [&sides[0], &sample(&b, &repeated)], &bins);
    }
}

#[test]
fn the_order_of_the_values_does_not_matter_to_what_is_counted() {
    let a = many(&[0.0, 3.0, 3.5], 1.0, 8000);
    let b = many(&[0.1, 3.0], 1.0, 7000);
    let turned = |values: &[f64]| values.iter().rev().copied().collect::<Vec<_>>();
    let of = |a: &[f64], b: &[f64]| {
        let sides = [sample(a, &[]), sample(b, &[])];
        compare(Scale::Float, [&sides[0], &sides[1]], None, &QUANTILES, &Bins::Quantiles(10))
    };
    let (one, other) = (of(&a, &b), of(&turned(&a), &turned(&b)));
    assert_eq!((one.ks, &one.counts, &one.quantiles), (other.ks, &other.counts, &other.quantiles));
    assert!((one.wasserstein - other.wasserstein).abs() < 1e-12);
}

#[test]
fn a_sample_that_misleads_costs_no_exactness() {
    // The first of every few values are alike: the cut learns nothing of the rest.
    let odd = |at: usize| if at.is_multiple_of(2) { 5.0 } else { at as f64 };
    let a: Vec<f64> = (0..8192).map(odd).collect();
    let b: Vec<f64> = (0..8192).map(|at| odd(at) + 0.25).collect();
    let sides = [sample(&a, &[]), sample(&b, &[])];
    same(Scale::Float, [&sides[0], &sides[1]], &Bins::Quantiles(10));
}
