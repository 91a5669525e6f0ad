//! Where the axis of a column is cut, and how far apart two sides are by what
//! falls into its bins.

use super::compare::Effect;
use crate::config::{Binning, Drift, Statistic};
use crate::report::number;
use crate::stats::chance::{Additive, observed, without_drift};
use crate::stats::column::Facts;
use crate::stats::pair::Bins;
use crate::stats::shares::{self, Zero};

/// How the axis of a column is cut; `before` is what its baseline holds.
pub(super) fn bins(policy: &Drift, column: &str, before: &Facts) -> Bins {
    if let Some(edges) = policy.edges.get(column) {
        return Bins::Edges(edges.clone());
    }
    match policy.binning {
        Binning::Mass => Bins::Quantiles(policy.bins),
        Binning::Width => Bins::Edges(of_equal_width(policy.bins, before.min, before.max)),
    }
}

/// The edges between bins of one width. A baseline of one value has a bin of its
/// own for it.
pub(super) fn of_equal_width(bins: u32, least: f64, largest: f64) -> Vec<f64> {
    if least == largest {
        return vec![least.next_down(), least];
    }
    // Halves, since the whole width may be more than a number can hold.
    let place = |at: u32| {
        let share = f64::from(at) / f64::from(bins);
        least * (1.0 - share) + largest * share
    };
    let mut edges: Vec<f64> = (1..bins).map(place).collect();
    edges.dedup();
    edges
}

pub(super) fn bin_labels(edges: &[f64]) -> Vec<String> {
    let label = |at: usize| {
        let edge = edges[at];
        // A value with a bin of its own has an edge right below it.
        if edges.get(at + 1).is_some_and(|next| next.next_down() == edge) {
            return format!("<{}", number(edges[at + 1]));
        }
        let own = at > 0 && edge.next_down() == edges[at - 1];
        format!("{}{}", if own { "=" } else { "≤" }, number(edge))
    };
    let mut labels: Vec<String> = (0..edges.len()).map(label).collect();
    labels.push(edges.last().map_or("all".to_owned(), |edge| format!(">{}", number(*edge))));
    labels
}

/// The divergences of two sets of counts.
pub(super) fn of_counts([a, b]: &[Vec<u64>; 2], zero: Zero) -> Vec<Effect> {
    let effect = |statistic, value: f64, corrected: f64| Effect {
        statistic,
        value,
        corrected: corrected.max(0.0),
        error: 0.0,
    };
    let psi = shares::psi(a, b, zero);
    let by_parts = Additive::KullbackLeibler(zero);
    let measures = [
        Additive::Psi(zero),
        by_parts,
        Additive::JensenShannon,
        Additive::Hellinger,
        Additive::TotalVariation,
    ];
    let [of_psi, of_kl, of_js, of_hellinger, of_tv] = without_drift(measures, a, b);
    let kl = shares::kullback_leibler(a, b, zero);
    let js = shares::jensen_shannon(a, b);
    let hellinger = shares::hellinger(a, b);
    let tv = shares::total_variation(a, b);
    let l_infinity = shares::l_infinity(a, b);
    // Distances that are roots are corrected below the root.
    let below_root = |distance: f64, chance: f64| (distance * distance - chance).max(0.0).sqrt();
    vec![
        effect(Statistic::Psi, psi, psi - of_psi),
        effect(Statistic::KullbackLeibler, kl, observed(by_parts, a, b) - of_kl),
        effect(Statistic::JensenShannon, js, below_root(js, of_js)),
        effect(Statistic::Hellinger, hellinger, below_root(hellinger, of_hellinger)),
        effect(Statistic::TotalVariation, tv, tv - of_tv),
        effect(Statistic::LInfinity, l_infinity, l_infinity),
    ]
}
