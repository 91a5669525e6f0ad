//! How far two shares of rows are apart, and between which ends that may lie.

use statrs::distribution::{ContinuousCDF as _, Normal};

/// A share of some rows. With weights, `of` is how many rows of one weight would
/// tell as much: it need not be whole.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    pub value: f64,
    pub of: f64,
}

impl Share {
    /// The interval of one share, outside of which it lies by chance in `alpha`
    /// (Wilson 1927).
    fn interval(self, alpha: f64) -> [f64; 2] {
        let Self { value, of } = self;
        let z = quantile(alpha);
        let centre = value + z * z / (2.0 * of);
        let half = z * (value * (1.0 - value) / of + z * z / (4.0 * of * of)).sqrt();
        [centre - half, centre + half].map(|end| end / (1.0 + z * z / of))
    }
}

fn quantile(alpha: f64) -> f64 {
    -Normal::standard().inverse_cdf(alpha / 2.0)
}

/// The interval of the first share less the second, both outside of it by chance
/// in `alpha` (Newcombe 1998, method 10).
pub fn difference(shares: [Share; 2], alpha: f64) -> [f64; 2] {
    let [a, b] = shares.map(|share| share.value);
    let [[low_a, high_a], [low_b, high_b]] = shares.map(|share| share.interval(alpha));
    [a - b - (a - low_a).hypot(high_b - b), a - b + (high_a - a).hypot(b - low_b)]
}

/// The interval of the first share over the second: all ratios that a score test
/// does not reject at `alpha` (Miettinen and Nurminen 1985). Its upper end is
/// infinite where the second share is 0.
pub fn ratio(shares: [Share; 2], alpha: f64) -> [f64; 2] {
    if shares.iter().all(|share| share.value == 0.0) {
        return [0.0, f64::INFINITY];
    }
    // The score falls as the ratio grows.
    let at = |wanted: f64| {
        let [mut low, mut high] = [-40.0f64, 40.0];
        for _ in 0..200 {
            let middle = f64::midpoint(low, high);
            if score(shares, middle.exp()) > wanted { low = middle } else { high = middle }
        }
        low.exp()
    };
    let z = quantile(alpha);
    let low = if shares[0].value == 0.0 { 0.0 } else { at(z) };
    let high = if shares[1].value == 0.0 { f64::INFINITY } else { at(-z) };
    [low, high]
}

/// How many standard errors the shares are off a ratio, with the shares that are
/// likeliest if it is the true one.
fn score([one, other]: [Share; 2], ratio: f64) -> f64 {
    let [hits, others] = [one, other].map(|share| share.value * share.of);
    let rows = one.of + other.of;
    let (a, b) = (rows * ratio, -(one.of * ratio + hits + other.of + others * ratio));
    let root = (b * b - 4.0 * a * (hits + others)).max(0.0).sqrt();
    let likely = (-b - root) / (2.0 * a);
    let (first, second) = ((likely * ratio).min(1.0), likely.min(1.0));
    let variance =
        first * (1.0 - first) / one.of + ratio * ratio * second * (1.0 - second) / other.of;
    let off = one.value - ratio * other.value;
    // With no spread left, whatever is off is off by more than any error.
    off / (variance.max(0.0) * rows / (rows - 1.0)).sqrt().max(1e-300)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares([a, of_a, b, of_b]: [f64; 4]) -> [Share; 2] {
        [Share { value: a / of_a, of: of_a }, Share { value: b / of_b, of: of_b }]
    }

    /// `confint_proportions_2indep` of statsmodels 0.15.0, methods `newcomb` and
    /// `score`.
    #[test]
    fn intervals_are_those_of_statsmodels() {
        for (counts, alpha, apart, over) in [
            (
                [56.0, 70.0, 48.0, 80.0],
                0.05,
                [0.05243147240236498, 0.33387265403690614],
                [1.0790471195344218, 1.6721453590897675],
            ),
            (
                [300.0, 1000.0, 250.0, 900.0],
                0.05,
                [-0.018655718422480205, 0.0628110078632454],
                [0.9376954433362706, 1.24469549081673],
            ),
            (
                [9.0, 10.0, 3.0, 10.0],
                0.01,
                [0.04302696661534433, 0.8374050678947363],
                [1.0392942876210276, 11.872767629528754],
            ),
        ] {
            let close = |found: [f64; 2], wanted: [f64; 2]| {
                for (found, wanted) in found.into_iter().zip(wanted) {
                    assert!((found / wanted - 1.0).abs() < 1e-8, "{counts:?}: {found} {wanted}");
                }
            };
            close(difference(shares(counts), alpha), apart);
            close(ratio(shares(counts), alpha), over);
        }
    }

    #[test]
    fn shares_of_none_and_of_all_have_intervals_too() {
        let [low, high] = difference(shares([5.0, 56.0, 0.0, 29.0]), 0.01);
        assert!(
            (low + 0.10602776974737914).abs() < 1e-10 && (high - 0.23529324617716058).abs() < 1e-10
        );
        // Whoever is the first: the ratio the other way round is one over it.
        for counts in
            [[100.0, 100.0, 100.0, 100.0], [95.0, 100.0, 100.0, 100.0], [3.0, 40.0, 9.0, 50.0]]
        {
            let [a, of_a, b, of_b] = counts;
            let [low, high] = ratio(shares(counts), 0.05);
            let [other_low, other_high] = ratio(shares([b, of_b, a, of_a]), 0.05);
            assert!(
                (low * other_high - 1.0).abs() < 1e-6 && (high * other_low - 1.0).abs() < 1e-6,
                "{counts:?}"
            );
            assert!(low < 0.97 && high > a / of_a, "{counts:?}: {low} {high}");
        }
        let [low, high] = ratio(shares([0.0, 150.0, 10.0, 100_000.0]), 0.05);
        assert!(low == 0.0 && (high / 251.44735905428203 - 1.0).abs() < 1e-8, "{high}");
        assert_eq!(ratio(shares([0.0, 150.0, 0.0, 99.0]), 0.05), [0.0, f64::INFINITY]);
        assert_eq!(ratio(shares([7.0, 150.0, 0.0, 99.0]), 0.05)[1], f64::INFINITY);
    }

    #[test]
    fn fewer_rows_tell_less() {
        let [few, many] = [10.0, 1000.0].map(|of| {
            let shares = [Share { value: 0.3, of }, Share { value: 0.5, of }];
            let width = |[low, high]: [f64; 2]| high - low;
            [width(difference(shares, 0.05)), width(ratio(shares, 0.05))]
        });
        assert!(few[0] > 5.0 * many[0] && few[1] > 5.0 * many[1], "{few:?} {many:?}");
    }
}
