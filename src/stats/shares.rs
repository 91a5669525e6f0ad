//! Divergences between two sets of shares over the same bins or categories.

/// The share of `b`'s values in categories that `a` lacks.
pub fn unseen(a: &[u64], b: &[u64]) -> f64 {
    let total: u64 = b.iter().sum();
    let new: u64 = a.iter().zip(b).filter(|(a, _)| **a == 0).map(|(_, b)| b).sum();
    new as f64 / total as f64
}

/// What stands in for an empty bin's share, where a logarithm needs one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Zero {
    /// A fixed share. The others are left as they are.
    Fill(f64),
    /// Counts of this much more in every bin, and shares of the larger totals
    /// (Laplace). Bounded whatever the number of rows.
    Add(f64),
}

impl Default for Zero {
    fn default() -> Self {
        Self::Fill(1e-4)
    }
}

/// The shares of counts; none when there are no counts.
pub fn shares(counts: &[u64]) -> Vec<f64> {
    let total = counts.iter().sum::<u64>() as f64;
    counts.iter().map(|count| *count as f64 / total).collect()
}

fn filled(counts: &[u64], zero: Zero) -> Vec<f64> {
    match zero {
        Zero::Fill(share) => shares(counts)
            .into_iter()
            .map(|found| if found == 0.0 { share } else { found })
            .collect(),
        Zero::Add(more) => {
            let total = counts.iter().sum::<u64>() as f64 + more * counts.len() as f64;
            counts.iter().map(|count| (*count as f64 + more) / total).collect()
        }
    }
}

/// Pairs of counts that are not both zero.
fn used(baseline: &[u64], current: &[u64]) -> [Vec<u64>; 2] {
    let pairs = || baseline.iter().zip(current).filter(|(a, b)| **a + **b > 0);
    [pairs().map(|(a, _)| *a).collect(), pairs().map(|(_, b)| *b).collect()]
}

/// Population stability index, `sum (q - p) ln(q / p)`. NaN when either side
/// has no rows.
pub fn psi(baseline: &[u64], current: &[u64], zero: Zero) -> f64 {
    let [a, b] = used(baseline, current);
    let pairs = filled(&a, zero).into_iter().zip(filled(&b, zero));
    pairs.map(|(p, q)| (q - p) * (q / p).ln()).sum()
}

/// Kullback and Leibler's divergence of the current shares from the baseline's,
/// `sum p ln(p / q)`, in nats. What fills empty bins is normalised again.
pub fn kullback_leibler(baseline: &[u64], current: &[u64], zero: Zero) -> f64 {
    let [a, b] = used(baseline, current);
    let (p, q) = (filled(&a, zero), filled(&b, zero));
    let (all_p, all_q) = (p.iter().sum::<f64>(), q.iter().sum::<f64>());
    p.iter().zip(&q).map(|(p, q)| p / all_p * ((p / all_p) / (q / all_q)).ln()).sum()
}

/// The Jensen-Shannon distance, the root of the divergence, in nats: at most
/// `sqrt(ln 2)`.
pub fn jensen_shannon(baseline: &[u64], current: &[u64]) -> f64 {
    let half = |share: f64, middle: f64| {
        if share == 0.0 { 0.0 } else { share * (share / middle).ln() }
    };
    let pairs = shares(baseline).into_iter().zip(shares(current));
    let divergence: f64 = pairs
        .map(|(p, q)| {
            let middle = f64::midpoint(p, q);
            if middle == 0.0 { 0.0 } else { f64::midpoint(half(p, middle), half(q, middle)) }
        })
        .sum();
    divergence.max(0.0).sqrt()
}

/// The Jensen-Shannon distance with logarithms to base 2: at most 1.
pub fn jensen_shannon_base2(baseline: &[u64], current: &[u64]) -> f64 {
    jensen_shannon(baseline, current) / std::f64::consts::LN_2.sqrt()
}

/// Hellinger's distance, at most 1.
pub fn hellinger(baseline: &[u64], current: &[u64]) -> f64 {
    let pairs = shares(baseline).into_iter().zip(shares(current));
    (pairs.map(|(p, q)| (p.sqrt() - q.sqrt()).powi(2)).sum::<f64>() / 2.0).sqrt()
}

/// The total variation distance, `sum |p - q| / 2`.
pub fn total_variation(baseline: &[u64], current: &[u64]) -> f64 {
    let pairs = shares(baseline).into_iter().zip(shares(current));
    pairs.map(|(p, q)| (p - q).abs()).sum::<f64>() / 2.0
}

/// The largest difference of a share.
pub fn l_infinity(baseline: &[u64], current: &[u64]) -> f64 {
    let pairs = shares(baseline).into_iter().zip(shares(current));
    pairs.map(|(p, q)| (p - q).abs()).fold(0.0, f64::max)
}
