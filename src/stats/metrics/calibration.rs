//! Probabilities against what happened.

use super::{Loss, Metric, Predictions};

/// scikit-learn clips probabilities at the machine epsilon of their type.
const CLIP: f64 = f64::EPSILON;

const BINS: usize = 10;

pub(super) fn clipped(probability: f64) -> f64 {
    probability.clamp(CLIP, 1.0 - CLIP)
}

pub(super) fn loss(metric: Metric) -> Option<Loss> {
    match metric {
        Metric::LogLoss => Some(|label, score, _| {
            let score = clipped(score);
            match label {
                // One logarithm of two: the other one counts nothing.
                1.0 => -score.ln(),
                0.0 => -(1.0 - score).ln(),
                _ => -(label * score.ln() + (1.0 - label) * (1.0 - score).ln()),
            }
        }),
        Metric::Brier => {
            Some(|label, score, _| label * (1.0 - score).powi(2) + (1.0 - label) * score.powi(2))
        }
        _ => None,
    }
}

impl Predictions {
    /// The mean distance between the score and the share of positives, by bins
    /// `(i/10, (i+1)/10]` of the score, the first one closed (Naeini, Cooper and
    /// Hauskrecht 2015).
    pub(super) fn calibration_error<const N: usize>(&self, counts: &[[u8; N]]) -> [f64; N] {
        // Of positives and of scores, whose difference is the distance.
        let mut apart = [[0.0; N]; BINS];
        let mut total = [0.0; N];
        for (row, counts) in counts.iter().enumerate() {
            let (label, score, weight) = (self.labels[row], self.scores[row], self.weight(row));
            let bin = ((score * BINS as f64).ceil() as usize).clamp(1, BINS) - 1;
            for lane in 0..N {
                let count = f64::from(counts[lane]) * weight;
                apart[bin][lane] += count * (label - score);
                total[lane] += count;
            }
        }
        std::array::from_fn(|lane| {
            apart.iter().map(|bin| bin[lane].abs()).sum::<f64>() / total[lane]
        })
    }
}
