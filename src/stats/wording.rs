//! Whether words tell two sides of texts apart.
//!
//! A linear model learns on half of the rows which words are of which side (TF-IDF with
//! sublinear counts; modified Huber loss with an L1 penalty by stochastic gradient descent,
//! Zhang 2004, Tsuruoka, Tsujii and Ananiadou 2009), and is asked about the other half.

use std::collections::{BTreeSet, HashMap};

use super::lot;
use super::metrics::{Metric, Predictions, Settings};

/// Words that more than this share of the rows has are left out.
const MOST_ROWS: f64 = 0.5;
const PENALTY: f64 = 1e-4;
const EPOCHS: u64 = 50;
/// Epochs without this much less loss per row, after which nothing more is learnt.
const PATIENCE: u32 = 5;
const LEAST_GAIN: f64 = 1e-3;

/// Weights of words in one text, of length 1.
type Features = Vec<(u32, f64)>;

/// A row: the place of its text, and whether it is of the second side.
#[derive(Clone, Copy)]
struct Row {
    text: usize,
    is_second: bool,
}

/// How well words tell two sides apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Apart {
    /// The area under the curve of the model's answers about rows that it has not learnt from.
    pub area: f64,
    /// Of the area where words say nothing, around one half (Mann and Whitney).
    pub deviation: f64,
}

/// Asks a model of words which side a row is of. Each text comes with its number of rows.
///
/// Nothing where no word is left to learn from, or one side has no row in either half.
pub fn told_apart(sides: [&[(&str, u64)]; 2], seed: u64) -> Option<Apart> {
    let mut texts: Vec<&str> = sides.into_iter().flatten().map(|(text, _)| *text).collect();
    texts.sort_unstable();
    texts.dedup();
    let mut rows = Vec::new();
    for (side, is_second) in sides.into_iter().zip([false, true]) {
        let mut side = side.to_vec();
        side.sort_unstable();
        for (text, count) in side {
            let text = texts.binary_search(&text).ok()?;
            rows.extend((0..count).map(|_| Row { text, is_second }));
        }
    }
    shuffle(&mut rows, seed);
    let (fit, asked) = rows.split_at(rows.len() / 2);
    let has_both =
        |rows: &[Row]| [true, false].map(|it| rows.iter().any(|row| row.is_second == it));
    if [fit, asked].into_iter().flat_map(has_both).any(|there| !there) {
        return None;
    }
    let words: Vec<HashMap<String, u32>> = texts.iter().map(|text| words(text)).collect();
    let vocabulary = vocabulary(&words, fit);
    if vocabulary.is_empty() {
        return None;
    }
    let features: Vec<Features> = words.iter().map(|words| weighed(words, &vocabulary)).collect();
    let model = Model::fit(&features, fit.to_vec(), vocabulary.len(), seed);
    let labels: Vec<f64> = asked.iter().map(|row| f64::from(u8::from(row.is_second))).collect();
    let scores = asked.iter().map(|row| model.score(&features[row.text])).collect();
    let second = labels.iter().sum::<f64>();
    let first = labels.len() as f64 - second;
    let area = Predictions::new(labels, scores, Settings::default()).value(Metric::RocAuc);
    let deviation = ((first + second + 1.0) / (12.0 * first * second)).sqrt();
    Some(Apart { area, deviation })
}

fn shuffle<T>(items: &mut [T], seed: u64) {
    for at in (1..items.len()).rev() {
        items.swap(at, (lot(seed, at as u64) % (at as u64 + 1)) as usize);
    }
}

/// Runs of two or more letters, digits and underscores in small letters, with their counts.
fn words(text: &str) -> HashMap<String, u32> {
    let mut found = HashMap::new();
    let small = text.to_lowercase();
    let runs = small.split(|char: char| !(char.is_alphanumeric() || char == '_'));
    for word in runs.filter(|run| run.chars().nth(1).is_some()) {
        *found.entry(word.to_owned()).or_default() += 1;
    }
    found
}

/// The words of the rows that are learnt from: their places, and how rare they are.
fn vocabulary<'w>(words: &'w [HashMap<String, u32>], rows: &[Row]) -> HashMap<&'w str, (u32, f64)> {
    let mut counts: HashMap<&str, u64> = HashMap::new();
    for row in rows {
        for word in words[row.text].keys() {
            *counts.entry(word).or_default() += 1;
        }
    }
    let all = rows.len() as f64;
    let kept: BTreeSet<&str> = counts
        .iter()
        .filter(|(_, count)| **count as f64 <= MOST_ROWS * all)
        .map(|(word, _)| *word)
        .collect();
    let rarity = |word: &str| ((1.0 + all) / (1.0 + counts[word] as f64)).ln() + 1.0;
    (0..).zip(kept).map(|(place, word)| (word, (place, rarity(word)))).collect()
}

fn weighed(words: &HashMap<String, u32>, vocabulary: &HashMap<&str, (u32, f64)>) -> Features {
    let weight = |(word, count): (&String, &u32)| {
        let (place, rarity) = vocabulary.get(word.as_str())?;
        Some((*place, (1.0 + f64::from(*count).ln()) * rarity))
    };
    let mut found: Features = words.iter().filter_map(weight).collect();
    found.sort_unstable_by_key(|(place, _)| *place);
    let length = found.iter().map(|(_, weight)| weight * weight).sum::<f64>().sqrt();
    found.iter_mut().for_each(|(_, weight)| *weight /= length);
    found
}

struct Model {
    weights: Vec<f64>,
    intercept: f64,
}

impl Model {
    fn fit(features: &[Features], mut rows: Vec<Row>, words: usize, seed: u64) -> Self {
        /// Of the intercept, which is learnt slowly where words are rare.
        const DECAY: f64 = 0.01;
        let mut model = Self { weights: vec![0.0; words], intercept: 0.0 };
        // What a weight should have lost to the penalty so far, and what each has.
        let (mut due, mut paid) = (0.0, vec![0.0; words]);
        // The first step is as long as a weight may become (Bottou).
        let typical = (1.0 / PENALTY.sqrt()).sqrt();
        let mut step = 1.0 / (typical * PENALTY);
        let (mut best, mut idle) = (f64::INFINITY, 0);
        for epoch in 0..EPOCHS {
            shuffle(&mut rows, lot(seed, epoch));
            let mut loss = 0.0;
            for row in &rows {
                let own = &features[row.text];
                let side = if row.is_second { 1.0 } else { -1.0 };
                let margin = side * model.decision(own);
                loss += huber(margin);
                let rate = 1.0 / (PENALTY * step);
                step += 1.0;
                let change = -rate * side * slope(margin);
                for (place, weight) in own {
                    model.weights[*place as usize] += change * weight;
                }
                model.intercept += DECAY * change;
                due += rate * PENALTY;
                for (place, _) in own {
                    let at = *place as usize;
                    let before = model.weights[at];
                    let after = if before > 0.0 {
                        (before - (due + paid[at])).max(0.0)
                    } else {
                        (before + (due - paid[at])).min(0.0)
                    };
                    model.weights[at] = after;
                    paid[at] += after - before;
                }
            }
            idle = if loss > best - LEAST_GAIN * rows.len() as f64 { idle + 1 } else { 0 };
            best = best.min(loss);
            if idle >= PATIENCE {
                break;
            }
        }
        model
    }

    fn decision(&self, features: &Features) -> f64 {
        let sum: f64 =
            features.iter().map(|(place, weight)| self.weights[*place as usize] * weight).sum();
        sum + self.intercept
    }

    /// Between 0 and 1.
    fn score(&self, features: &Features) -> f64 {
        f64::midpoint(self.decision(features).clamp(-1.0, 1.0), 1.0)
    }
}

fn huber(margin: f64) -> f64 {
    if margin >= 1.0 {
        0.0
    } else if margin >= -1.0 {
        (1.0 - margin).powi(2)
    } else {
        -4.0 * margin
    }
}

/// The derivative of the loss by the margin.
fn slope(margin: f64) -> f64 {
    if margin >= 1.0 {
        0.0
    } else if margin >= -1.0 {
        -2.0 * (1.0 - margin)
    } else {
        -4.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_runs_of_two_letters_or_more() {
        let found = words("Hello, wörld: a HELLO_2 b-c hello!");
        let mut found: Vec<_> = found.iter().map(|(word, count)| (word.as_str(), *count)).collect();
        found.sort_unstable();
        assert_eq!(found, [("hello", 2), ("hello_2", 1), ("wörld", 1)]);
    }

    fn side(rows: u64, salt: u64, words: &[&str]) -> Vec<(String, u64)> {
        let text = |row: u64| {
            let word = |at: u64| words[(lot(salt, row * 8 + at) % words.len() as u64) as usize];
            (0..6).map(word).collect::<Vec<_>>().join(" ")
        };
        (0..rows).map(|row| (text(row), 1)).collect()
    }

    fn apart(a: &[(String, u64)], b: &[(String, u64)]) -> Option<Apart> {
        let [a, b] =
            [a, b].map(|side| side.iter().map(|(text, n)| (text.as_str(), *n)).collect::<Vec<_>>());
        told_apart([&a, &b], 42)
    }

    #[test]
    fn other_words_are_found_and_the_same_words_are_not() {
        let common = ["rain", "wind", "sun", "snow", "fog", "hail", "cloud", "storm", "ice"];
        let (before, after) = (side(600, 1, &common), side(600, 2, &common));
        let same = apart(&before, &after).unwrap();
        assert!((same.area - 0.5).abs() < 3.0 * same.deviation, "{same:?}");
        let other = ["rain", "wind", "sun", "snow", "fog", "hail", "drought", "flood", "heat"];
        let moved = apart(&before, &side(600, 3, &other)).unwrap();
        assert!(moved.area > 0.9 && moved.deviation < 0.03, "{moved:?}");
    }

    #[test]
    fn the_order_of_the_rows_does_not_matter_and_nothing_is_no_answer() {
        let common = ["rain", "wind", "sun", "snow"];
        let (a, b) = (side(100, 1, &common), side(100, 2, &common));
        let turned: Vec<_> = a.iter().rev().cloned().collect();
        assert_eq!(apart(&a, &b), apart(&turned, &b));
        assert_eq!(apart(&[], &b), None);
        let letters = vec![("a b".to_owned(), 50)];
        assert_eq!(apart(&letters, &letters), None);
    }
}
