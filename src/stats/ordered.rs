//! Two samples in order, and the tests that look at every rank.

use super::keys::Scale;
use super::numeric::Tested;
use super::pair::Sample;
use super::special::{cramer_von_mises_sf, normal_sf};

/// A value, and how often each side has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    pub value: f64,
    pub counts: [u64; 2],
}

/// The distinct values of both sides, rising.
#[derive(Debug, Clone)]
pub struct Ordered {
    points: Vec<Point>,
    totals: [u64; 2],
}

impl Ordered {
    /// Sorts both samples.
    pub fn new(scale: Scale, sides: [&Sample; 2]) -> Self {
        let mut entries: Vec<(u64, [u64; 2])> = Vec::new();
        for (at, side) in sides.into_iter().enumerate() {
            let counted = side.keys.iter().map(|key| (*key, 1)).chain(side.counted.iter().copied());
            entries.extend(counted.map(|(key, count)| {
                let mut counts = [0; 2];
                counts[at] = count;
                (key, counts)
            }));
        }
        entries.sort_unstable_by_key(|(key, _)| *key);
        entries.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 = [kept.1[0] + next.1[0], kept.1[1] + next.1[1]];
            }
            same
        });
        let point = |(key, counts)| Point { value: scale.value(key), counts };
        Self { points: entries.into_iter().map(point).collect(), totals: sides.map(Sample::len) }
    }

    fn sizes(&self) -> (f64, f64) {
        (self.totals[0] as f64, self.totals[1] as f64)
    }

    /// Each point with the number of values of both sides below it.
    fn steps(&self) -> impl Iterator<Item = (Point, [f64; 2])> + '_ {
        let mut before = [0u64; 2];
        self.points.iter().map(move |point| {
            let below = before.map(|count| count as f64);
            before = [before[0] + point.counts[0], before[1] + point.counts[1]];
            (*point, below)
        })
    }

    /// `sqrt(2 integral (F - G)^2)` (Szekely and Rizzo 2013), as scipy has it.
    pub fn energy_distance(&self) -> f64 {
        let (n, m) = self.sizes();
        let mut area = 0.0;
        let mut last: Option<f64> = None;
        for (point, [a, b]) in self.steps() {
            if let Some(last) = last {
                area += (point.value - last) * (a / n - b / m).powi(2);
            }
            last = Some(point.value);
        }
        (2.0 * area).sqrt()
    }

    /// The rank-sum test (Mann and Whitney 1947): `U` of the baseline, and the
    /// two-sided p-value of the normal limit, with corrections for ties and
    /// continuity. Both samples constant and equal: p = 1.
    pub fn mann_whitney(&self) -> Tested {
        let (n, m) = self.sizes();
        let (mut ranks, mut ties) = (0.0, 0.0);
        for (point, [a, b]) in self.steps() {
            let here = (point.counts[0] + point.counts[1]) as f64;
            ranks += point.counts[0] as f64 * (a + b + (here + 1.0) / 2.0);
            ties += here.powi(3) - here;
        }
        let total = n + m;
        let u = ranks - n * (n + 1.0) / 2.0;
        let spread = (n * m / 12.0 * ((total + 1.0) - ties / (total * (total - 1.0)))).sqrt();
        let off = u.max(n * m - u) - n * m / 2.0 - 0.5;
        let p_value = if spread > 0.0 { (2.0 * normal_sf(off / spread)).min(1.0) } else { 1.0 };
        Tested { statistic: u, p_value }
    }

    /// The two-sample Cramer-von Mises test (Anderson 1962) with middle ranks
    /// for ties: `T` and the p-value of its limit.
    pub fn cramer_von_mises(&self) -> Tested {
        let (n, m) = self.sizes();
        // The sum over k = 1..count of (place - k)^2.
        let squares = |place: f64, count: f64| {
            count * place * place - place * count * (count + 1.0)
                + count * (count + 1.0) * (2.0 * count + 1.0) / 6.0
        };
        let (mut of_n, mut of_m) = (0.0, 0.0);
        for (point, [a, b]) in self.steps() {
            let [x, y] = point.counts.map(|count| count as f64);
            let rank = a + b + (x + y + 1.0) / 2.0;
            of_n += squares(rank - a, x);
            of_m += squares(rank - b, y);
        }
        let (product, total) = (n * m, n + m);
        let u = n * of_n + m * of_m;
        let statistic = u / (product * total) - (4.0 * product - 1.0) / (6.0 * total);
        let mean = (1.0 + 1.0 / total) / 6.0;
        let variance = (total + 1.0)
            * (4.0 * product * total - 3.0 * (n * n + m * m) - 2.0 * product)
            / (45.0 * total * total * 4.0 * product);
        let normed = 1.0 / 6.0 + (statistic - mean) / (45.0 * variance).sqrt();
        let p_value = if normed < 0.003 { 1.0 } else { cramer_von_mises_sf(normed) };
        Tested { statistic, p_value }
    }

    /// The Anderson-Darling test for two samples, normalised, with middle ranks
    /// (Scholz and Stephens 1987). The p-value is interpolated between the
    /// published critical values, and so lies within 0.001 and 0.25. NaN when
    /// all values are the same.
    pub fn anderson_darling(&self) -> Tested {
        let (n, m) = self.sizes();
        let total = n + m;
        if self.points.len() < 2 {
            return Tested { statistic: f64::NAN, p_value: 1.0 };
        }
        let mut sum = 0.0;
        for (point, below) in self.steps() {
            let here = (point.counts[0] + point.counts[1]) as f64;
            let middle = below[0] + below[1] + here / 2.0;
            let spread = middle * (total - middle) - total * here / 4.0;
            for ((size, below), count) in [n, m].into_iter().zip(below).zip(point.counts) {
                let off = total * (below + count as f64 / 2.0) - middle * size;
                sum += here / total * off * off / spread / size;
            }
        }
        sum *= (total - 1.0) / total;
        let statistic = (sum - 1.0) / anderson_variance(n, m).sqrt();
        Tested { statistic, p_value: anderson_p(statistic) }
    }
}

/// The variance of the statistic for two samples.
fn anderson_variance(n: f64, m: f64) -> f64 {
    let total = n + m;
    let inverse = 1.0 / n + 1.0 / m;
    let (mut h, mut g) = (0.0, 0.0);
    for at in 1..(total as u64 - 1) {
        h += 1.0 / (total - at as f64);
        g += h / (at as f64 + 1.0);
    }
    h += 1.0;
    let a = (4.0 * g - 6.0) + (10.0 - 6.0 * g) * inverse;
    let b = (2.0 * g - 4.0) * 4.0 + 16.0 * h + (2.0 * g - 14.0 * h - 4.0) * inverse - 8.0 * h
        + 4.0 * g
        - 6.0;
    let c = (6.0 * h + 2.0 * g - 2.0) * 4.0
        + (4.0 * h - 4.0 * g + 6.0) * 2.0
        + (2.0 * h - 6.0) * inverse
        + 4.0 * h;
    let d = (2.0 * h + 6.0) * 4.0 - 8.0 * h;
    (a * total.powi(3) + b * total * total + c * total + d)
        / ((total - 1.0) * (total - 2.0) * (total - 3.0))
}

/// A parabola through the logarithms of the published levels (their table 1
/// for two samples), fitted by least squares as scipy does.
fn anderson_p(statistic: f64) -> f64 {
    #[expect(clippy::approx_constant, reason = "2.718 is a critical value, not e")]
    const CRITICAL: [f64; 7] = [0.325, 1.226, 1.961, 2.718, 3.752, 4.592, 6.546];
    const LEVELS: [f64; 7] = [0.25, 0.1, 0.05, 0.025, 0.01, 0.005, 0.001];
    if statistic < CRITICAL[0] {
        return LEVELS[0];
    }
    if statistic > CRITICAL[6] {
        return LEVELS[6];
    }
    let powers = |power: i32| CRITICAL.iter().map(|x| x.powi(power)).sum::<f64>();
    let against = |power: i32| {
        CRITICAL.iter().zip(LEVELS).map(|(x, level)| x.powi(power) * level.ln()).sum::<f64>()
    };
    let (s1, s2, s3, s4) = (powers(1), powers(2), powers(3), powers(4));
    let (t0, t1, t2) = (against(0), against(1), against(2));
    let s0 = CRITICAL.len() as f64;
    // The normal equations of the parabola, by Cramer's rule.
    let whole = s0 * (s2 * s4 - s3 * s3) - s1 * (s1 * s4 - s2 * s3) + s2 * (s1 * s3 - s2 * s2);
    let c0 = t0 * (s2 * s4 - s3 * s3) - s1 * (t1 * s4 - t2 * s3) + s2 * (t1 * s3 - t2 * s2);
    let c1 = s0 * (t1 * s4 - t2 * s3) - t0 * (s1 * s4 - s2 * s3) + s2 * (s1 * t2 - s2 * t1);
    let c2 = s0 * (s2 * t2 - s3 * t1) - s1 * (s1 * t2 - s2 * t1) + t0 * (s1 * s3 - s2 * s2);
    ((c0 + c1 * statistic + c2 * statistic * statistic) / whole).exp()
}
