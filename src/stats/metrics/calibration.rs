//! Probabilities against what happened.

use super::{Loss, Metric, Predictions};

/// scikit-learn clips probabilities at the machine epsilon of their type.
const CLIP: f64 = f64::EPSILON;

const BINS: usize = 10;

const TURNS: usize = 4;

pub(super) fn clipped(probability: f64) -> f64 {
    probability.clamp(CLIP, 1.0 - CLIP)
}

pub(super) fn loss(metric: Metric) -> Option<Loss> {
    match metric {
        Metric::LogLoss => Some(|label, score, _| {
            let score = clipped(score);
            if label == 0.0 || label == 1.0 {
                // Of two logarithms one counts; chosen without a branch that is half wrong.
                return -[1.0 - score, score][usize::from(label == 1.0)].ln();
            }
            -(label * score.ln() + (1.0 - label) * (1.0 - score).ln())
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
        // Of positives and of scores, whose difference is the distance. Rows take turns,
        // as a sum that was just written is read back slowly.
        let mut apart = [[[0.0; N]; BINS]; TURNS];
        let mut total = [0.0; N];
        for (row, counts) in counts.iter().enumerate() {
            let (label, score, weight) = (self.labels[row], self.scores[row], self.weight(row));
            let bin = ((score * BINS as f64).ceil() as usize).clamp(1, BINS) - 1;
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
