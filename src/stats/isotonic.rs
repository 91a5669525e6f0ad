//! Scores into probabilities: the rising function that is nearest to the
//! labels (pool adjacent violators, Ayer et al. 1955), in straight lines between
//! its points and flat beyond them.

/// A fitted calibration.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// Scores, rising, each once.
    scores: Vec<f64>,
    /// Not falling.
    probabilities: Vec<f64>,
}

/// Scores that stand together, as they have one probability.
struct Block {
    weight: f64,
    sum: f64,
    /// Distinct scores in it.
    scores: usize,
}

impl Block {
    fn mean(&self) -> f64 {
        self.sum / self.weight
    }
}

impl Calibration {
    /// Learns from finite scores and labels between 0 and 1, of one length.
    pub fn fit(scores: &[f64], labels: &[f64]) -> Self {
        let mut order: Vec<(f64, f64)> =
            scores.iter().copied().zip(labels.iter().copied()).collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut places = Vec::new();
        let mut blocks: Vec<Block> = Vec::new();
        for same in order.chunk_by(|a, b| a.0 == b.0) {
            places.push(same[0].0);
            let mut block = Block {
                weight: same.len() as f64,
                sum: same.iter().map(|(_, label)| label).sum(),
                scores: 1,
            };
            while let Some(last) = blocks.pop_if(|last| last.mean() >= block.mean()) {
                block.weight += last.weight;
                block.sum += last.sum;
                block.scores += last.scores;
            }
            blocks.push(block);
        }
        let probabilities =
            blocks.iter().flat_map(|block| std::iter::repeat_n(block.mean(), block.scores));
        Self { probabilities: probabilities.collect(), scores: places }
    }

    /// The probability for a finite score; NaN if nothing was learnt.
    pub fn probability(&self, score: f64) -> f64 {
        let after = self.scores.partition_point(|known| *known < score);
        match (after.checked_sub(1), self.scores.get(after)) {
            (_, Some(next)) if *next == score => self.probabilities[after],
            (Some(before), Some(next)) => {
                let (from, to) = (self.probabilities[before], self.probabilities[after]);
                let low = self.scores[before];
                from + (to - from) * (score - low) / (next - low)
            }
            (None, Some(_)) => self.probabilities[0],
            (Some(before), None) => self.probabilities[before],
            (None, None) => f64::NAN,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn scikit_learn_agrees() {
        // IsotonicRegression(out_of_bounds="clip") of scikit-learn 1.9.1.
        let scores = [0.1, 0.4, 0.35, 0.8, 0.4, 0.9, 0.6];
        let labels = [0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0];
        let fitted = Calibration::fit(&scores, &labels);
        let third = 1.0 / 3.0;
        for (score, expected) in
            [(0.0, 0.0), (0.35, 0.0), (0.4, third), (0.5, third), (0.7, 2.0 * third), (1.0, 1.0)]
        {
            assert!((fitted.probability(score) - expected).abs() < 1e-12, "{score}");
        }
        assert!(Calibration::fit(&[], &[]).probability(0.3).is_nan());
    }

    proptest! {
        #[test]
        fn it_rises_and_keeps_the_mean(rows in prop::collection::vec((0..50u8, any::<bool>()), 1..80)) {
            let scores: Vec<f64> = rows.iter().map(|row| f64::from(row.0) / 50.0).collect();
            let labels: Vec<f64> = rows.iter().map(|row| f64::from(u8::from(row.1))).collect();
            let fitted = Calibration::fit(&scores, &labels);
            let found: Vec<f64> = scores.iter().map(|score| fitted.probability(*score)).collect();
            let (sum, expected) = (found.iter().sum::<f64>(), labels.iter().sum::<f64>());
            prop_assert!((sum - expected).abs() < 1e-9);
            for place in 0..60 {
                let (a, b) = (f64::from(place) / 60.0, f64::from(place + 1) / 60.0);
                prop_assert!(fitted.probability(a) <= fitted.probability(b) + 1e-12);
            }
        }
    }
}
