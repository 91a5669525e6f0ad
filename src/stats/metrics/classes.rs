//! Labels and answers of several classes.

use super::{Metric, Predictions, Ready, Settings, calibration};

/// The class of each row, the class that a model said, and the probabilities
/// that it gave to all, where it gave any.
#[derive(Debug, Clone)]
pub struct Classes {
    count: usize,
    labels: Vec<u32>,
    said: Vec<u32>,
    /// By class: a probability for each row.
    probabilities: Vec<Vec<f64>>,
    weights: Option<Vec<f64>>,
    settings: Settings,
}

impl Classes {
    /// Classes are numbered `0..count` in the order of their names.
    pub fn said(labels: Vec<u32>, said: Vec<u32>, count: usize, settings: Settings) -> Self {
        Self { count, labels, said, probabilities: Vec::new(), weights: None, settings }
    }

    /// With a probability for each row, by class. What is said is the likeliest
    /// class, of equal ones the first, unless the model says it itself.
    pub fn likely(
        labels: Vec<u32>,
        said: Option<Vec<u32>>,
        probabilities: Vec<Vec<f64>>,
        settings: Settings,
    ) -> Self {
        let best = |row: usize| {
            let better = |best: usize, at: usize| {
                if probabilities[at][row] > probabilities[best][row] { at } else { best }
            };
            (0..probabilities.len()).fold(0, better) as u32
        };
        let said = said.unwrap_or_else(|| (0..labels.len()).map(best).collect());
        let count = probabilities.len();
        Self { probabilities, ..Self::said(labels, said, count, settings) }
    }

    /// With a weight for each row, 0 or more.
    #[must_use]
    pub fn weighing(mut self, weights: impl Into<Option<Vec<f64>>>) -> Self {
        self.weights = weights.into();
        self
    }

    pub fn len(&self) -> usize {
        self.labels.len()
    }

    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    pub fn answers(&self) -> &[u32] {
        &self.said
    }

    /// Whether both gave each row the same.
    pub fn answers_as(&self, other: &Self) -> bool {
        self.said == other.said && self.probabilities == other.probabilities
    }

    /// Rows by label and answer.
    pub fn table(&self) -> Vec<Vec<u64>> {
        let mut table = vec![vec![0; self.count]; self.count];
        for (label, said) in self.labels.iter().zip(&self.said) {
            table[*label as usize][*said as usize] += 1;
        }
        table
    }

    /// Some of the rows.
    #[must_use]
    pub fn taken(&self, rows: &[u32]) -> Self {
        let of_class = self.probabilities.iter().map(|scores| super::taken(scores, rows));
        Self {
            count: self.count,
            labels: super::taken(&self.labels, rows),
            said: super::taken(&self.said, rows),
            probabilities: of_class.collect(),
            weights: self.weights.as_ref().map(|weights| super::taken(weights, rows)),
            settings: self.settings,
        }
    }

    pub(super) fn followed_by(&self, other: &Self) -> Self {
        let probabilities = self.probabilities.iter().zip(&other.probabilities);
        Self {
            count: self.count,
            labels: [self.labels.as_slice(), &other.labels].concat(),
            said: [self.said.as_slice(), &other.said].concat(),
            probabilities: probabilities.map(|(a, b)| [a.as_slice(), b].concat()).collect(),
            weights: super::both(self.weights.as_deref(), other.weights.as_deref()),
            settings: self.settings,
        }
    }

    pub(super) fn ready(&self, metric: Metric) -> Ready<'_> {
        let has_probabilities = !self.probabilities.is_empty();
        let mean = |values| Ready::Mean { values, weights: self.weights.as_deref(), root: false };
        match metric {
            Metric::LogLoss | Metric::Brier | Metric::TopK | Metric::RocAuc
                if !has_probabilities =>
            {
                Ready::Undefined
            }
            Metric::LogLoss => mean(
                self.of_rows(|row, label| -calibration::clipped(self.probability(row, label)).ln()),
            ),
            Metric::Brier => mean(self.of_rows(|row, label| self.brier(row, label))),
            Metric::TopK => mean(self.of_rows(|row, label| {
                f64::from(u8::from(self.rank(row, label) < self.settings.k as usize))
            })),
            Metric::RocAuc => Ready::MeanOf(self.against_rest()),
            _ => Ready::Classes(self, metric),
        }
    }

    fn of_rows(&self, of: impl Fn(usize, usize) -> f64) -> Vec<f64> {
        self.labels.iter().enumerate().map(|(row, label)| of(row, *label as usize)).collect()
    }

    fn probability(&self, row: usize, class: usize) -> f64 {
        self.probabilities[class][row]
    }

    /// The squared distances of all classes (Brier 1950).
    fn brier(&self, row: usize, label: usize) -> f64 {
        let off = |class: usize| {
            let truth = f64::from(u8::from(class == label));
            (self.probability(row, class) - truth).powi(2)
        };
        (0..self.count).map(off).sum()
    }

    /// How many classes are likelier; of equal ones the later, as scikit-learn
    /// has it.
    fn rank(&self, row: usize, label: usize) -> usize {
        let own = self.probability(row, label);
        let ahead = |class: &usize| {
            let other = self.probability(row, *class);
            other > own || other == own && *class > label
        };
        (0..self.count).filter(ahead).count()
    }

    /// Each class against the rest (Fawcett 2006).
    fn against_rest(&self) -> Vec<(Predictions, Metric)> {
        let of_class = |class: usize| {
            let labels = self.of_rows(|_, label| f64::from(u8::from(label == class)));
            let scores = self.probabilities[class].clone();
            let predictions = Predictions::new(labels, scores, self.settings);
            (predictions.weighing(self.weights.clone()), Metric::RocAuc)
        };
        (0..self.count).map(of_class).collect()
    }

    #[inline(always)]
    pub(super) fn whole<const N: usize>(&self, metric: Metric, counts: &[[u8; N]]) -> [f64; N] {
        // By class: rows of it that were recognised, its rows, the rows said to be of it.
        let mut tally = vec![[[0.0; N]; 3]; self.count];
        for (row, counts) in counts.iter().enumerate() {
            let (label, said) = (self.labels[row] as usize, self.said[row] as usize);
            let weight = self.weights.as_ref().map_or(1.0, |weights| weights[row]);
            for lane in 0..N {
                let count = f64::from(counts[lane]) * weight;
                tally[label][0][lane] += if label == said { count } else { 0.0 };
                tally[label][1][lane] += count;
                tally[said][2][lane] += count;
            }
        }
        std::array::from_fn(|lane| {
            let of_lane: Vec<Tally> = tally
                .iter()
                .map(|[hits, rows, said]| Tally {
                    hits: hits[lane],
                    rows: rows[lane],
                    said: said[lane],
                })
                .filter(|tally| tally.rows > 0.0 || tally.said > 0.0)
                .collect();
            metric_of(metric, &of_lane)
        })
    }
}

/// One class of those that are in the rows.
struct Tally {
    hits: f64,
    rows: f64,
    said: f64,
}

fn metric_of(metric: Metric, classes: &[Tally]) -> f64 {
    let sum = |of: &dyn Fn(&Tally) -> f64| classes.iter().map(of).sum::<f64>();
    let rows = sum(&|class| class.rows);
    if rows == 0.0 {
        return f64::NAN;
    }
    let hits = sum(&|class| class.hits);
    let mean = |of: &dyn Fn(&Tally) -> f64| sum(of) / classes.len() as f64;
    let share = |part: f64, of: f64| if of == 0.0 { 0.0 } else { part / of };
    let f1 = |class: &Tally| share(2.0 * class.hits, class.rows + class.said);
    match metric {
        // Of one class each, what is no hit is missed there and a false alarm here.
        Metric::Accuracy | Metric::F1Micro => hits / rows,
        Metric::F1 => mean(&f1),
        Metric::F1Weighted => sum(&|class| f1(class) * class.rows) / rows,
        Metric::Precision => mean(&|class| share(class.hits, class.said)),
        Metric::Recall => mean(&|class| share(class.hits, class.rows)),
        Metric::BalancedAccuracy => {
            let there = classes.iter().filter(|class| class.rows > 0.0);
            let recalls: Vec<f64> = there.map(|class| class.hits / class.rows).collect();
            crate::stats::mean(&recalls)
        }
        Metric::CohenKappa => {
            let chance = sum(&|class| class.rows * class.said) / (rows * rows);
            (hits / rows - chance) / (1.0 - chance)
        }
        // Gorodkin 2004; 0 where it is not defined.
        Metric::Mcc => {
            let together = sum(&|class| class.rows * class.said);
            let spread = |of: &dyn Fn(&Tally) -> f64| rows * rows - sum(&|class| of(class).powi(2));
            let spread = spread(&|class| class.rows) * spread(&|class| class.said);
            if spread == 0.0 { 0.0 } else { (hits * rows - together) / spread.sqrt() }
        }
        _ => f64::NAN,
    }
}
