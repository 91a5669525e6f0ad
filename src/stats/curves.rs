//! Curves that people look at, with few points.

use super::metrics::Predictions;

/// Points `[x, y]` of the curves of one model.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Curves {
    /// The false positive rate, and the true positive rate.
    pub roc: Vec<[f64; 2]>,
    /// Recall, and precision.
    pub precision_recall: Vec<[f64; 2]>,
    /// The mean score of each tenth of the scores' range, and the share of positives.
    pub calibration: Vec<[f64; 2]>,
}

/// Between these points nobody sees a difference.
const POINTS: f64 = 100.0;
const BINS: usize = 10;

/// The curves of labels that are 0 or 1.
pub fn curves(predictions: &Predictions) -> Curves {
    let weight = |row: usize| predictions.weights().map_or(1.0, |weights| weights[row]);
    let (labels, scores) = (predictions.labels(), predictions.scores());
    let of_label = |label: f64| -> f64 {
        (0..labels.len()).filter(|row| labels[*row] == label).map(weight).sum()
    };
    let (positives, negatives) = (of_label(1.0), of_label(0.0));
    let mut curves = Curves { roc: vec![[0.0, 0.0]], ..Curves::default() };
    let (mut hits, mut alarms, mut bins) = (0.0, 0.0, [[0.0; 3]; BINS]);
    let order = predictions.order();
    for (at, row) in order.iter().map(|row| *row as usize).enumerate() {
        let weight = weight(row);
        hits += labels[row] * weight;
        alarms += (1.0 - labels[row]) * weight;
        let bin = ((scores[row] * BINS as f64) as usize).min(BINS - 1);
        for (sum, value) in bins[bin].iter_mut().zip([1.0, scores[row], labels[row]]) {
            *sum += value * weight;
        }
        let next = order.get(at + 1).map(|next| scores[*next as usize]);
        if next == Some(scores[row]) {
            continue;
        }
        let point = [alarms / negatives, hits / positives];
        let last = curves.roc.last().copied().unwrap_or_default();
        let moved = (0..2).any(|axis| (point[axis] - last[axis]) * POINTS >= 1.0);
        if moved || next.is_none() {
            curves.roc.push(point);
            curves.precision_recall.push([hits / positives, hits / (hits + alarms)]);
        }
    }
    let filled = bins.into_iter().filter(|[rows, ..]| *rows > 0.0);
    curves.calibration = filled.map(|[rows, score, label]| [score / rows, label / rows]).collect();
    curves
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::metrics::Settings;

    #[test]
    fn curves_end_where_all_rows_are_called() {
        let labels = vec![1.0, 0.0, 1.0, 0.0];
        let scores = vec![0.9, 0.8, 0.8, 0.1];
        let curves = curves(&Predictions::new(labels, scores, Settings::default()));
        assert_eq!(curves.roc, [[0.0, 0.0], [0.0, 0.5], [0.5, 1.0], [1.0, 1.0]]);
        assert_eq!(curves.precision_recall, [[0.5, 1.0], [1.0, 2.0 / 3.0], [1.0, 0.5]]);
        assert_eq!(curves.calibration, [[0.1, 0.0], [0.8, 0.5], [0.9, 1.0]]);
    }

    #[test]
    fn many_rows_make_few_points() {
        let labels: Vec<f64> = (0..100_000).map(|row| f64::from(u8::from(row % 3 == 0))).collect();
        let scores = (0..100_000).map(|row| f64::from(row % 9973) / 9973.0).collect();
        let curves = curves(&Predictions::new(labels, scores, Settings::default()));
        assert!(curves.roc.len() < 220 && curves.roc.last() == Some(&[1.0, 1.0]));
    }
}
