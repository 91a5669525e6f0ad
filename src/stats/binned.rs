//! Two samples of which only bins are known: counts, sums and extremes. What
//! follows exactly is exact; for the rest there are proved bounds.
//!
//! Between bins nothing lies, so the gap `D = F - G` is constant there. Within
//! a bin it starts at a known value `D`, and lies between `D - g` and `D + f`
//! for the shares `f` and `g` that the bin holds. Where that cannot change its
//! sign, the bin's part of the Wasserstein distance is a difference of sums.

/// The values of one side in one bin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bin {
    pub count: u64,
    /// Of the values' distances from a centre that all bins share.
    pub sum: f64,
    pub min: f64,
    pub max: f64,
}

impl Bin {
    pub const EMPTY: Self = Self { count: 0, sum: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY };
}

/// A number that lies between two others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounded {
    pub low: f64,
    pub high: f64,
}

impl Bounded {
    pub fn exact(value: f64) -> Self {
        Self { low: value, high: value }
    }

    pub fn middle(self) -> f64 {
        f64::midpoint(self.low, self.high)
    }

    /// The largest error of the middle.
    pub fn error(self) -> f64 {
        (self.high - self.low) / 2.0
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Distances {
    /// `sup |F - G|`.
    pub ks: Bounded,
    /// `integral |F - G|`, in the unit of the values.
    pub wasserstein: Bounded,
}

/// Bounds the distances of two samples, given in the same rising bins.
pub fn distances(baseline: &[Bin], current: &[Bin], centre: f64) -> Distances {
    let total = |side: &[Bin]| side.iter().map(|bin| bin.count).sum::<u64>() as f64;
    let (n, m) = (total(baseline), total(current));
    let mut ks = Bounded::exact(0.0);
    let mut wasserstein = Bounded::exact(0.0);
    let mut before = [0u64; 2];
    let mut gap: f64 = 0.0;
    let mut last: Option<f64> = None;
    for (a, b) in baseline.iter().zip(current).filter(|(a, b)| a.count + b.count > 0) {
        let (low, high) = (a.min.min(b.min), a.max.max(b.max));
        if let Some(last) = last {
            let between = (low - last) * gap.abs();
            wasserstein = add(wasserstein, Bounded::exact(between));
        }
        last = Some(high);
        let (highest, lowest) = (gap + a.count as f64 / n, gap - b.count as f64 / m);
        before = [before[0] + a.count, before[1] + b.count];
        let end = before[0] as f64 / n - before[1] as f64 / m;
        let width = high - low;
        // The integral of the gap itself, without its absolute value.
        let up_to = |bin: &Bin, size: f64| (bin.count as f64 * (high - centre) - bin.sum) / size;
        let signed = gap * width + up_to(a, n) - up_to(b, m);
        wasserstein = add(
            wasserstein,
            if lowest >= 0.0 || highest <= 0.0 || width == 0.0 {
                Bounded::exact(signed.abs())
            } else {
                // Away from either end, the gap is at most what has been added since.
                let down_to =
                    |bin: &Bin, size: f64| (bin.sum - bin.count as f64 * (low - centre)) / size;
                let from_start = gap.abs() * width + up_to(a, n) + up_to(b, m);
                let from_end = end.abs() * width + down_to(a, n) + down_to(b, m);
                let most = (highest.max(-lowest) * width).min(from_start).min(from_end);
                Bounded { low: signed.abs().min(most), high: most }
            },
        );
        let inside = if width == 0.0 { end.abs() } else { highest.max(-lowest) };
        ks.low = ks.low.max(end.abs());
        ks.high = ks.high.max(inside).max(end.abs());
        gap = end;
    }
    Distances { ks: Bounded { low: ks.low, high: ks.high.min(1.0) }, wasserstein }
}

/// The quantile `q` (type 7) of a sample that is given in rising bins, and how
/// far off it may be at most. `None` for no values.
///
/// The first and the last value of a bin are known. A value between them, with
/// `i` before it in its bin of `n` values, can be no larger than
/// `(sum - i min - max) / (n - 1 - i)`, as it and those after it but the last are
/// no smaller, and no smaller than `(sum - min - (n - 1 - i) max) / i`.
pub fn quantile(bins: &[Bin], centre: f64, q: f64) -> Option<(f64, f64)> {
    let total: u64 = bins.iter().map(|bin| bin.count).sum();
    let place = super::place(q, total);
    let (low, high) =
        (at_rank(bins, centre, place.floor() as u64)?, at_rank(bins, centre, place.ceil() as u64)?);
    let share = place - place.floor();
    let between = |of: fn(&Ranked) -> f64| of(&low) + (of(&high) - of(&low)) * share;
    let value = between(|ranked| ranked.value);
    let error = (value - between(|ranked| ranked.low)).max(between(|ranked| ranked.high) - value);
    Some((value, error.max(0.0)))
}

/// Where a value lies, and where it is looked for.
struct Ranked {
    low: f64,
    high: f64,
    value: f64,
}

fn at_rank(bins: &[Bin], centre: f64, rank: u64) -> Option<Ranked> {
    let mut before = 0;
    let bin = bins.iter().find(|bin| {
        let inside = rank < before + bin.count;
        before += if inside { 0 } else { bin.count };
        inside
    })?;
    let known = |value: f64| Some(Ranked { low: value, high: value, value });
    let (earlier, later) = (rank - before, bin.count - 1 - (rank - before));
    if earlier == 0 || bin.min == bin.max {
        return known(bin.min);
    }
    if later == 0 {
        return known(bin.max);
    }
    let (first, last) = (bin.min - centre, bin.max - centre);
    let (earlier, later) = (earlier as f64, later as f64);
    let high = centre + (bin.sum - earlier * first - last) / later;
    let low = centre + (bin.sum - first - later * last) / earlier;
    let (low, high) = (low.max(bin.min), high.min(bin.max));
    let straight = bin.min + (bin.max - bin.min) * (earlier / (earlier + later));
    Some(Ranked { low, high, value: straight.min(high).max(low) })
}

fn add(a: Bounded, b: Bounded) -> Bounded {
    Bounded { low: a.low + b.low, high: a.high + b.high }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::numeric;
    use proptest::prelude::*;

    fn bins(values: &[f64], edges: &[f64], centre: f64) -> Vec<Bin> {
        let mut bins = vec![Bin::EMPTY; edges.len() + 1];
        for value in values {
            let bin = &mut bins[edges.partition_point(|edge| edge < value)];
            bin.count += 1;
            bin.sum += value - centre;
            bin.min = bin.min.min(*value);
            bin.max = bin.max.max(*value);
        }
        bins
    }

    proptest! {
        #[test]
        fn the_truth_lies_within_the_bounds(
            mut a in prop::collection::vec(prop_oneof![-9.0..9.0f64, (-9i8..9).prop_map(f64::from)], 1..80),
            mut b in prop::collection::vec(prop_oneof![-9.0..9.0f64, (-9i8..9).prop_map(f64::from)], 1..80),
            mut edges in prop::collection::vec(-10.0..10.0f64, 0..12),
            centre in -5.0..5.0f64,
        ) {
            for values in [&mut a, &mut b, &mut edges] {
                values.sort_by(f64::total_cmp);
            }
            let found = distances(&bins(&a, &edges, centre), &bins(&b, &edges, centre), centre);
            let ks = numeric::kolmogorov_smirnov(&a, &b).statistic;
            let wasserstein = numeric::wasserstein(&a, &b);
            let slack = 1e-9;
            prop_assert!(found.ks.low <= ks + slack && ks <= found.ks.high + slack);
            prop_assert!(found.wasserstein.low <= wasserstein + slack);
            prop_assert!(wasserstein <= found.wasserstein.high + slack);
        }

        #[test]
        fn quantiles_lie_within_their_error(
            mut values in prop::collection::vec(prop_oneof![-9.0..9.0f64, (-9i8..9).prop_map(f64::from)], 1..80),
            mut edges in prop::collection::vec(-10.0..10.0f64, 0..12),
            centre in -5.0..5.0f64,
            q in 0.0..=1.0f64,
        ) {
            values.sort_by(f64::total_cmp);
            edges.sort_by(f64::total_cmp);
            let bins = bins(&values, &edges, centre);
            for q in [q, 0.0, 0.5, 1.0] {
                let (found, error) = quantile(&bins, centre, q).unwrap();
                let truth = crate::stats::quantile(&values, q);
                prop_assert!((found - truth).abs() <= error + 1e-9, "{q}: {found} {error} {truth}");
                let widest = bins.iter().filter(|bin| bin.count > 0).map(|bin| bin.max - bin.min);
                let gap = values.windows(2).map(|pair| pair[1] - pair[0]);
                prop_assert!(error <= widest.chain(gap).fold(0.0, f64::max) + 1e-9);
            }
            prop_assert_eq!(quantile(&[Bin::EMPTY], centre, q), None);
        }
    }

    #[test]
    fn sides_that_do_not_overlap_are_exact() {
        let (a, b) = ([1.0, 2.0, 3.0], [10.0, 11.0]);
        let found = distances(&bins(&a, &[5.0], 0.0), &bins(&b, &[5.0], 0.0), 0.0);
        assert_eq!(found.ks, Bounded::exact(1.0));
        assert!((found.wasserstein.middle() - 8.5).abs() < 1e-12);
        assert!(found.wasserstein.error() < 1e-12);
    }
}
