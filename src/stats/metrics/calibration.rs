//! Probabilities against what happened.

use super::{Loss, Metric, Predictions};

/// scikit-learn clips probabilities at the machine epsilon of their type.
const CLIP: f64 = f64::EPSILON;

const BINS: usize = 10;

const TURNS: usize = 4;

pub(super) fn clipped(probability: f64) -> f64 {
    probability.clamp(CLIP, 1.0 - CLIP)
}

/// Of a label of 0 or 1; chosen without a branch that is half wrong.
fn likelihood(label: f64, score: f64) -> f64 {
    let score = clipped(score);
    [1.0 - score, score][usize::from(label == 1.0)]
}

pub(super) fn loss(metric: Metric) -> Option<Loss> {
    match metric {
        Metric::LogLoss => Some(|label, score, _| {
            if label == 0.0 || label == 1.0 {
                return -likelihood(label, score).ln();
            }
            let score = clipped(score);
            -(label * score.ln() + (1.0 - label) * (1.0 - score).ln())
        }),
        Metric::Brier => Some(|label, score, _| squared(label, score)),
        _ => None,
    }
}

/// The square of what a probability is off, which is what is expected of it where
/// the label is a probability.
pub(super) fn squared(label: f64, score: f64) -> f64 {
    label * (1.0 - score).powi(2) + (1.0 - label) * score.powi(2)
}

/// Rounded up by hand: not every machine has an instruction for it.
fn bin(score: f64) -> usize {
    let scaled = score * BINS as f64;
    let whole = scaled as usize;
    whole.saturating_sub(usize::from(whole as f64 == scaled)).min(BINS - 1)
}

/// So many probabilities, none below [`CLIP`], have a product that is a normal number.
const FACTORS: usize = 16;

/// Of a product near 1, rounding has taken more than its logarithm can miss.
const NEAR_ONE: f64 = 0.9;

impl Predictions {
    /// The log loss of labels of 0 and 1 that count once: one logarithm for several
    /// rows, as it is the longest part of the work.
    pub(super) fn log_loss_of_products(&self) -> f64 {
        let mut sum = 0.0;
        for (labels, scores) in self.labels.chunks(FACTORS).zip(self.scores.chunks(FACTORS)) {
            let rows = || labels.iter().zip(scores).map(|(of, score)| likelihood(*of, *score));
            let product: f64 = rows().product();
            sum -= if product < NEAR_ONE { product.ln() } else { rows().map(f64::ln).sum() };
        }
        sum / self.labels.len() as f64
    }

    /// The mean distance between the score and the share of positives, by bins
    /// `(i/10, (i+1)/10]` of the score, the first one closed (Naeini, Cooper and
    /// Hauskrecht 2015).
    pub(super) fn calibration_error<const N: usize>(&self, counts: &[[u8; N]]) -> [f64; N] {
        // Of positives and of scores, whose difference is the distance. Rows take turns,
        // as a sum that was just written is read back slowly.
        let mut apart = [[[0.0; N]; BINS]; TURNS];
        let mut total = [0.0; N];
        for (row, counts) in counts.iter().enumerate() {
            let (label, score, weight) = (self.labels[row], self.scores[row], self.weight(row));
            let bin = bin(score);
            let sums = &mut apart[row % TURNS][bin];
            for lane in 0..N {
                let count = f64::from(counts[lane]) * weight;
                sums[lane] += count * (label - score);
                total[lane] += count;
            }
        }
        let distance =
            |bin: usize, lane: usize| apart.iter().map(|turn| turn[bin][lane]).sum::<f64>().abs();
        std::array::from_fn(|lane| {
            (0..BINS).map(|bin| distance(bin, lane)).sum::<f64>() / total[lane]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::lot;
    use crate::stats::metrics::Settings;

    /// Also of models that are all but sure, right or wrong.
    #[test]
    fn products_lose_nothing_of_the_log_loss() {
        let sure: [fn(f64) -> f64; 5] =
            [|any| any, |any| any * 1e-9, |any| 1.0 - any * 1e-9, f64::round, |_| 1.0];
        for (kind, of) in sure.into_iter().enumerate() {
            for rows in [1, 15, 16, 17, 1000] {
                let any = |row, which| lot(which, row) as f64 / u64::MAX as f64;
                let scores: Vec<f64> = (0..rows).map(|row| of(any(row, 1))).collect();
                let right = |row| f64::from(any(row, 2) < scores[row as usize]);
                for share_of_wrong in [0.0, 0.5, 1.0] {
                    let label = |row| (right(row) - f64::from(any(row, 3) < share_of_wrong)).abs();
                    let labels = (0..rows).map(label).collect();
                    let predictions = Predictions::new(labels, scores.clone(), Settings::default());
                    let together = predictions.log_loss_of_products();
                    let alone = predictions.value(Metric::LogLoss);
                    assert!(alone > 0.0);
                    let near = (together - alone).abs() <= 1e-13 * alone;
                    assert!(near, "{kind} {rows} {share_of_wrong}");
                }
            }
        }
    }

    #[test]
    fn bins_are_closed_above() {
        let of = [0.0, 0.05, 0.1, 0.100_000_1, 0.5, 0.95, 1.0].map(bin);
        assert_eq!(of, [0, 0, 0, 1, 4, 9, 9]);
    }
}
