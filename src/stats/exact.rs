//! Exact one-sided bounds from counts alone: each lies beyond the truth in at most 5 % of
//! samples, whatever the distribution.

use statrs::distribution::{Beta, Binomial, ContinuousCDF as _, DiscreteCDF as _};

/// How often a bound may lie beyond the truth.
pub const ALPHA: f64 = 0.05;

/// Between which shares the true one lies of which `hits` of `of` were seen (Clopper and
/// Pearson 1934). Each end has its own [`ALPHA`]; nothing seen bounds nothing.
pub fn share(hits: u64, of: u64) -> [f64; 2] {
    if of == 0 || hits > of {
        return [0.0, 1.0];
    }
    let (hits, others) = (hits as f64, (of - hits) as f64);
    let end = |a: f64, b: f64, at: f64| Beta::new(a, b).map(|beta| beta.inverse_cdf(at));
    let low = if hits > 0.0 { end(hits, others + 1.0, ALPHA).unwrap_or(0.0) } else { 0.0 };
    let high = if others > 0.0 { end(hits + 1.0, others, 1.0 - ALPHA).unwrap_or(1.0) } else { 1.0 };
    [low, high]
}

/// How many must all go well to show that at most `share` of all do not.
pub fn needed(share: f64) -> u64 {
    (ALPHA.ln() / (-share).ln_1p()).ceil() as u64
}

/// Between which of the `values` the `p`-quantile of their distribution lies, by their
/// order alone (Conover 1999, 3.2). An end is infinite where there are too few values.
pub fn quantile(values: &[f64], p: f64) -> [f64; 2] {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let Ok(below) = Binomial::new(p, sorted.len() as u64) else {
        return [f64::NEG_INFINITY, f64::INFINITY];
    };
    // So many values below the quantile or fewer are met with this chance.
    let ranks = || (1..=sorted.len() as u64).map(|rank| (rank, below.cdf(rank - 1)));
    let value = |rank: u64| sorted.get(usize::try_from(rank).ok()?.checked_sub(1)?).copied();
    let low = ranks().take_while(|(_, chance)| *chance <= ALPHA).last();
    let high = ranks().find(|(_, chance)| *chance >= 1.0 - ALPHA);
    [
        low.and_then(|(rank, _)| value(rank)).unwrap_or(f64::NEG_INFINITY),
        high.and_then(|(rank, _)| value(rank)).unwrap_or(f64::INFINITY),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scipy 1.17.1: `binomtest(hits, of).proportion_ci(0.95, "exact")`, one side each.
    #[test]
    fn shares_are_bounded_as_scipy_bounds_them() {
        for (hits, of, ends) in [
            (0, 200, [0.0, 0.014867039231272043]),
            (1, 200, [0.00025643358727217634, 0.023498470435017703]),
            (3, 59, [0.01400087450357805, 0.1262065567308503]),
            (0, 149, [0.0, 0.019904816220827137]),
            (59, 59, [0.9504923901115316, 1.0]),
            (17, 1000, [0.010860306012926965, 0.02539074877618097]),
            (0, 1, [0.0, 0.95]),
        ] {
            for (found, expected) in share(hits, of).into_iter().zip(ends) {
                assert!((found - expected).abs() < 1e-9, "{hits} of {of}: {found} {expected}");
            }
        }
        assert_eq!(share(0, 0), [0.0, 1.0]);
    }

    /// scipy 1.17.1: `quantile_test(values, q=0, p=0.95).confidence_interval(0.95)`, one
    /// side each.
    #[test]
    fn quantiles_are_bounded_as_scipy_bounds_them() {
        for (values, ends) in [
            (20, [16.0, f64::INFINITY]),
            (58, [51.0, f64::INFINITY]),
            (59, [52.0, 58.0]),
            (200, [184.0, 195.0]),
        ] {
            let shuffled: Vec<f64> = (0..values).map(|at| f64::from(at * 37 % values)).collect();
            assert_eq!(quantile(&shuffled, 0.95), ends, "{values}");
        }
        assert_eq!(quantile(&[], 0.95), [f64::NEG_INFINITY, f64::INFINITY]);
    }

    #[test]
    fn what_is_needed_is_just_enough() {
        for limit in [0.5, 0.05, 0.02, 0.001] {
            let enough = needed(limit);
            assert!(share(0, enough)[1] <= limit && share(0, enough - 1)[1] > limit, "{limit}");
        }
    }
}
