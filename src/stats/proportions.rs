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

/// The interval of the first share over the second, with half a row added to
/// each count so that there always is one (Walter 1975).
pub fn ratio(shares: [Share; 2], alpha: f64) -> [f64; 2] {
    let [[a, rows_a], [b, rows_b]] =
        shares.map(|share| [share.value * share.of + 0.5, share.of + 0.5]);
    let error = (1.0 / a - 1.0 / rows_a + 1.0 / b - 1.0 / rows_b).sqrt();
    let value = (a / rows_a / (b / rows_b)).ln();
    [-1.0, 1.0].map(|sign| (value + sign * quantile(alpha) * error).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares([a, of_a, b, of_b]: [f64; 4]) -> [Share; 2] {
        [Share { value: a / of_a, of: of_a }, Share { value: b / of_b, of: of_b }]
    }

    /// `confint_proportions_2indep` of statsmodels 0.15.0, methods `newcomb` and
    /// `log-adjusted`.
    #[test]
    fn intervals_are_those_of_statsmodels() {
        for (counts, alpha, apart, over) in [
            (
                [56.0, 70.0, 48.0, 80.0],
                0.05,
                [0.05243147240236498, 0.33387265403690614],
                [1.0759671541199218, 1.6444774830364233],
            ),
            (
                [5.0, 56.0, 0.0, 29.0],
                0.01,
                [-0.10602776974737914, 0.23529324617716058],
                [0.13379466349965413, 246.54358967357405],
            ),
            (
                [300.0, 1000.0, 250.0, 900.0],
                0.05,
                [-0.018655718422480205, 0.0628110078632454],
                [0.9372695135489165, 1.2437762212292371],
            ),
            (
                [9.0, 10.0, 3.0, 10.0],
                0.01,
                [0.04302696661534433, 0.8374050678947363],
                [0.8565353478242849, 8.601334384493956],
            ),
        ] {
            let close = |found: [f64; 2], wanted: [f64; 2]| {
                for (found, wanted) in found.into_iter().zip(wanted) {
                    assert!((found / wanted - 1.0).abs() < 1e-10, "{counts:?}: {found} {wanted}");
                }
            };
            close(difference(shares(counts), alpha), apart);
            close(ratio(shares(counts), alpha), over);
        }
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
