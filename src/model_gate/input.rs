//! From the predictions table to numbers that can be judged, or the reason why
//! they cannot.

use std::collections::{BTreeMap, HashMap};

use anyhow::Result;

use super::frame::{self, Frame};
use super::parts::{Slice, numbered, parts, slices};
use super::reader::{Reader, Who};
use crate::config::{Choice, Gate, Problem};
use crate::record::evidence::Thresholds;
use crate::report::Fault;
use crate::stats::metrics::{Answers, Model};
use crate::stats::resample::Units;

/// Both models' answers for the same rows.
#[derive(Debug)]
pub(super) struct Judged {
    /// The newest of the rows' times, in milliseconds since 1970.
    pub(super) newest: Option<i64>,
    pub(super) candidate: Model,
    pub(super) champion: Option<Model>,
    pub(super) rows: u64,
    pub(super) slices: Vec<Slice>,
    /// By column: the rows of each of its values.
    pub(super) groups: BTreeMap<String, BTreeMap<String, Vec<u32>>>,
    /// The names of classes, in the order of their numbers.
    pub(super) classes: Vec<String>,
    /// What is drawn together, by row.
    clusters: Option<Vec<u32>>,
    /// Of binary problems.
    positives: Option<Vec<bool>>,
    stratify: bool,
    /// Where they were chosen.
    pub(super) thresholds: Option<Thresholds>,
}

impl Judged {
    /// The candidate, and the champion if there is one.
    pub(super) fn models(&self) -> [Option<&Model>; 2] {
        [Some(&self.candidate), self.champion.as_ref()]
    }

    /// Whether rows are drawn together.
    pub(super) fn is_clustered(&self) -> bool {
        self.clusters.is_some()
    }

    /// The numbers of some rows, or of all.
    fn each<'r>(&self, rows: Option<&'r [u32]>) -> impl Iterator<Item = usize> + use<'r> {
        let count = rows.map_or(self.rows as usize, <[u32]>::len);
        (0..count).map(move |at| rows.map_or(at, |rows| rows[at] as usize))
    }

    /// Of these, those that have a weight.
    fn each_counted(&self, rows: Option<&[u32]>) -> impl Iterator<Item = usize> {
        let weights = self.candidate.weights.as_deref();
        self.each(rows).filter(move |row| weights.is_none_or(|weights| weights[*row] > 0.0))
    }

    /// What a resample draws, of some rows or of all.
    pub(super) fn units(&self, rows: Option<&[u32]>) -> Units {
        if let Some(clusters) = &self.clusters {
            let mut known = HashMap::new();
            let of_row = self.each(rows).map(|row| {
                let next = known.len() as u32;
                *known.entry(clusters[row]).or_insert(next)
            });
            let of_row: Vec<u32> = of_row.collect();
            return Units::clusters(of_row, known.len());
        }
        let units = Units::rows(self.each(rows).count());
        match &self.positives {
            Some(positives) if self.stratify => {
                let of_label: Vec<u32> =
                    self.each(rows).map(|row| u32::from(positives[row])).collect();
                units.stratified(&of_label)
            }
            _ => units,
        }
    }

    /// Rows that have a weight, of some rows or of all.
    pub(super) fn counted(&self, rows: Option<&[u32]>) -> u64 {
        self.each_counted(rows).count() as u64
    }

    /// Rows of the rarer class, where there are two.
    pub(super) fn rarer(&self, rows: Option<&[u32]>) -> Option<u64> {
        let positives = self.positives.as_ref()?;
        let mut of_class = [0; 2];
        for row in self.each_counted(rows) {
            of_class[usize::from(positives[row])] += 1;
        }
        of_class.into_iter().min()
    }
}

/// # Errors
/// When a column is missing, is no number, is null or not finite somewhere, or
/// when rows repeat their key.
pub(super) fn judge(frame: &Frame, policy: &Gate, with_champion: bool) -> Result<Judged> {
    let count = frame.rows.num_rows();
    if count == 0 {
        let source = policy.predictions.as_ref().map(ToString::to_string).unwrap_or_default();
        let fault = Fault::data("no_data", format!("`{source}` has no rows to judge"));
        return Err(fault.hint("run the evaluation job first, or loosen --where").into());
    }
    let chosen = policy.threshold.choice();
    let chosen = chosen.map(|choice| choose(frame, policy, choice, with_champion)).transpose()?;
    let frame = chosen.as_ref().map_or(frame, |(_, rest)| rest);
    let thresholds = chosen.as_ref().map(|(thresholds, _)| thresholds.clone());
    let reader = Reader::new(frame, policy, thresholds.as_ref())?;
    let candidate = reader.model(Who::Candidate)?;
    let champion = with_champion.then(|| reader.model(Who::Champion)).transpose()?;
    let positives = (policy.problem == Problem::Binary)
        .then(|| reader.labels.iter().map(|label| *label == 1.0).collect());
    let drawn = policy.group.as_ref().or(policy.cluster.as_ref());
    let clusters = drawn.map(|name| numbered(&frame.rows, name)).transpose()?;
    if let Some((name, clusters)) = drawn.zip(clusters.as_ref())
        && clusters.iter().all(|cluster| *cluster == 0)
    {
        let message = format!("all rows are of one `{name}`, by which they are drawn");
        let fault = Fault::data("degenerate", message);
        return Err(fault.hint("nothing can be told about others: judge more rows").into());
    }
    let groups = policy.fairness.iter().map(|rule| {
        let groups = parts(&frame.rows, &rule.by)?.into_iter().collect();
        Ok((rule.by.clone(), groups))
    });
    let newest = policy.time.as_ref().map(|name| frame::newest(&frame.rows, name)).transpose()?;
    Ok(Judged {
        newest: newest.flatten(),
        candidate,
        champion,
        rows: frame.rows.num_rows() as u64,
        slices: slices(&frame.rows, policy)?,
        groups: groups.collect::<Result<_>>()?,
        classes: reader.classes,
        clusters,
        positives,
        stratify: policy.stratify,
        thresholds,
    })
}

/// The threshold that is best for each model on the rows that are set apart for
/// it, and the rows that are left.
fn choose(
    frame: &Frame,
    policy: &Gate,
    choice: &Choice,
    with_champion: bool,
) -> Result<(Thresholds, Frame)> {
    let [apart, rest] = frame.split(&choice.condition)?;
    let refused = |message: String| {
        Fault::data("degenerate", message)
            .hint("`gate.threshold.where` sets rows apart, the others are judged")
    };
    for (part, which) in [(&apart, "no row is"), (&rest, "every row is")] {
        if part.rows.num_rows() == 0 {
            let message = format!("{which} one where {}", choice.condition);
            return Err(refused(message).into());
        }
    }
    let reader = Reader::new(&apart, policy, None)?;
    let best = |who| -> Result<f64> {
        let found = match &reader.model(who)?.answers {
            Answers::Scores(scores) => scores.best_threshold(choice.best),
            _ => None,
        };
        Ok(found.ok_or_else(|| {
            refused(format!(
                "no threshold can be chosen: of one label, no row where {} has a weight",
                choice.condition
            ))
        })?)
    };
    let thresholds = Thresholds {
        candidate: best(Who::Candidate)?,
        champion: with_champion.then(|| best(Who::Champion)).transpose()?,
        rows: apart.rows.num_rows() as u64,
    };
    Ok((thresholds, rest))
}

#[cfg(test)]
#[path = "input_tests.rs"]
mod tests;
