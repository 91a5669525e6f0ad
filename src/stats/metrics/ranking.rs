//! The order of rows within groups, such as the answers to one query. Rows of
//! equal scores are not ordered by the model: in `ndcg` each gets the mean
//! discount of their places (McSherry and Najork 2008), in `map` and `mrr` each
//! stands at the last of them.

use super::{Metric, Ready, Settings};

/// The relevance of each row, 0 or more, and the score that a model gave it.
#[derive(Debug, Clone)]
pub struct Ranking {
    /// The number of each row's group.
    groups: Vec<u32>,
    relevance: Vec<f64>,
    scores: Vec<f64>,
    weights: Option<Vec<f64>>,
    settings: Settings,
}

impl Ranking {
    pub fn new(
        groups: Vec<u32>,
        relevance: Vec<f64>,
        scores: Vec<f64>,
        settings: Settings,
    ) -> Self {
        Self { groups, relevance, scores, weights: None, settings }
    }

    /// With a weight for each row, 0 or more; a group counts by its first row's.
    #[must_use]
    pub fn weighing(mut self, weights: impl Into<Option<Vec<f64>>>) -> Self {
        self.weights = weights.into();
        self
    }

    pub fn len(&self) -> usize {
        self.groups.len()
    }

    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    pub fn scores(&self) -> &[f64] {
        &self.scores
    }

    /// Some of the rows.
    #[must_use]
    pub fn taken(&self, rows: &[u32]) -> Self {
        Self {
            groups: super::taken(&self.groups, rows),
            relevance: super::taken(&self.relevance, rows),
            scores: super::taken(&self.scores, rows),
            weights: self.weights.as_ref().map(|weights| super::taken(weights, rows)),
            settings: self.settings,
        }
    }

    /// The groups of the other model's rows are groups of their own.
    pub(super) fn followed_by(&self, other: &Self) -> Self {
        let next = self.groups.iter().max().map_or(0, |last| last + 1);
        let groups = self.groups.iter().copied();
        Self {
            groups: groups.chain(other.groups.iter().map(|group| next + group)).collect(),
            relevance: [self.relevance.as_slice(), &other.relevance].concat(),
            scores: [self.scores.as_slice(), &other.scores].concat(),
            weights: super::both(self.weights.as_deref(), other.weights.as_deref()),
            settings: self.settings,
        }
    }

    /// A mean over groups: the first row of each stands for all of them, which
    /// come and go together.
    pub(super) fn ready(&self, metric: Metric) -> Ready<'_> {
        let of_group: fn(&[(f64, f64)], usize) -> f64 = match metric {
            Metric::Ndcg => ndcg,
            Metric::Map => average_precision,
            Metric::Mrr => reciprocal_rank,
            _ => return Ready::Undefined,
        };
        let mut rows: Vec<usize> = (0..self.len()).collect();
        rows.sort_by_key(|row| self.groups[*row]);
        let (mut over, mut under) = (vec![0.0; self.len()], vec![0.0; self.len()]);
        for group in rows.chunk_by(|a, b| self.groups[*a] == self.groups[*b]) {
            let mut ranked: Vec<(f64, f64)> =
                group.iter().map(|row| (self.scores[*row], self.relevance[*row])).collect();
            ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
            let first = group[0];
            let weight = self.weights.as_ref().map_or(1.0, |weights| weights[first]);
            over[first] = weight * of_group(&ranked, self.settings.k as usize);
            under[first] = weight;
        }
        Ready::Ratio { over, under }
    }
}

/// `sum rel_i / log2(i + 1)` over the first `k`, over that of the best order
/// (Järvelin and Kekäläinen 2002, with the relevance itself as the gain); 0 where
/// nothing is relevant.
fn ndcg(ranked: &[(f64, f64)], k: usize) -> f64 {
    let discount = |place: usize| if place < k { 1.0 / (place as f64 + 2.0).log2() } else { 0.0 };
    let mut place = 0;
    let mut gain = 0.0;
    for equal in ranked.chunk_by(|a, b| a.0 == b.0) {
        let discounts: f64 = (place..place + equal.len()).map(discount).sum();
        gain += equal.iter().map(|row| row.1).sum::<f64>() / equal.len() as f64 * discounts;
        place += equal.len();
    }
    let mut best: Vec<f64> = ranked.iter().map(|row| row.1).collect();
    best.sort_by(|a, b| b.total_cmp(a));
    let ideal: f64 = best.iter().enumerate().map(|(place, gain)| gain * discount(place)).sum();
    if ideal == 0.0 { 0.0 } else { gain / ideal }
}

/// The mean of the precisions at each relevant row of the first `k`, over as
/// many as there could be; 0 where nothing is relevant.
fn average_precision(ranked: &[(f64, f64)], k: usize) -> f64 {
    let relevant = ranked.iter().filter(|row| row.1 > 0.0).count();
    let (mut place, mut hits, mut sum) = (0, 0.0, 0.0);
    for equal in ranked.chunk_by(|a, b| a.0 == b.0) {
        place += equal.len();
        let here = equal.iter().filter(|row| row.1 > 0.0).count() as f64;
        hits += here;
        if place <= k {
            sum += here * hits / place as f64;
        }
    }
    let most = relevant.min(k) as f64;
    if most == 0.0 { 0.0 } else { sum / most }
}

/// One over the place of the first relevant row; 0 beyond the first `k`.
fn reciprocal_rank(ranked: &[(f64, f64)], k: usize) -> f64 {
    let mut place = 0;
    for equal in ranked.chunk_by(|a, b| a.0 == b.0) {
        place += equal.len();
        if equal.iter().any(|row| row.1 > 0.0) {
            return if place <= k { 1.0 / place as f64 } else { 0.0 };
        }
    }
    0.0
}
