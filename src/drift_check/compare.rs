//! Two sides of a column: what is in them, and how far apart they are.

use std::collections::BTreeMap;

use super::compat::{self, Foreign};
use super::schema::Common;
use crate::config::{Compat, Drift, Statistic};
use crate::stats::binned::Bounded;
use crate::stats::chance::{Additive, without_drift};
use crate::stats::column::{Categories, Column, Facts, Numbers};
use crate::stats::numeric::{self, Tested};
use crate::stats::pair::{self, Bins};
use crate::stats::shares::{self, Zero};
use crate::stats::{categorical, means};

/// How a column is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Numbers,
    Categories,
}

impl Kind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Numbers => "numeric",
            Self::Categories => "categorical",
        }
    }
}

/// What one side holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Profile {
    pub(super) rows: u64,
    pub(super) nulls: u64,
    /// Moments and counts of numbers.
    pub(super) facts: Option<Facts>,
    /// At the places of [`QUANTILES`], for numbers.
    pub(super) quantiles: Vec<f64>,
    /// Distinct categories.
    pub(super) distinct: Option<u64>,
}

impl Profile {
    /// Nulls and what is no number: values that a model cannot use.
    pub(super) fn missing(&self) -> u64 {
        self.nulls + self.facts.map_or(0, |facts| facts.nans + facts.infinities)
    }

    pub(super) fn missing_share(&self) -> f64 {
        if self.rows == 0 { 0.0 } else { self.missing() as f64 / self.rows as f64 }
    }
}

/// A statistic's value, and what of it chance alone would give.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Effect {
    pub(super) statistic: Statistic,
    pub(super) value: f64,
    /// Without the part that is expected when nothing has changed.
    pub(super) corrected: f64,
    /// How far off both may be; 0 where everything was looked at.
    pub(super) error: f64,
}

impl Effect {
    fn bounded(statistic: Statistic, size: Bounded, by_chance: f64) -> Self {
        let value = size.middle();
        let corrected = (value - by_chance).max(0.0);
        Self { statistic, value, corrected, error: size.error() }
    }
}

/// What was found in one column.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Compared {
    pub(super) column: String,
    pub(super) kind: Kind,
    pub(super) profiles: [Profile; 2],
    pub(super) effects: Vec<Effect>,
    /// Kolmogorov-Smirnov, chi-squared or Fisher.
    pub(super) test: &'static str,
    pub(super) tested: Tested,
    pub(super) nulls_tested: Tested,
    /// The shares of each bin or category, for the picture.
    pub(super) labels: Vec<String>,
    pub(super) shares: [Vec<f64>; 2],
    /// Categories that only the current side, or only the baseline has.
    pub(super) new: Vec<String>,
    pub(super) vanished: Vec<String>,
    /// Another tool's verdict, where it is asked for.
    pub(super) foreign: Option<Foreign>,
}

impl Compared {
    pub(super) fn effect(&self, statistic: Statistic) -> Option<Effect> {
        self.effects.iter().copied().find(|effect| effect.statistic == statistic)
    }
}

/// The quantiles of a profile. The outer ones are the extremes.
pub(super) const QUANTILES: [f64; 17] =
    [0.0, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975, 0.99, 1.0];

/// Categories beyond this many are drawn together.
const SHOWN: usize = 12;

/// Compares a column of both sides as the policy wants it.
pub(super) fn under(policy: &Drift, common: &Common, sides: [&Column; 2]) -> Compared {
    let mut compared = compare(common.name(), sides, policy.bins);
    if policy.compat == Some(Compat::Evidently) {
        let whole = common.fields[0].data_type().is_integer();
        compared.foreign = compat::evidently(whole, sides);
    }
    compared
}

/// Compares a column of both sides, counted as the same kind.
pub(super) fn compare(column: &str, sides: [&Column; 2], bins: u32) -> Compared {
    match sides {
        [Column::Numbers(a), Column::Numbers(b)] => numbers(column, [a, b], bins),
        [Column::Categories(a), Column::Categories(b)] => categories(column, [a, b]),
        // The caller counts both sides as one kind; without values there is no drift.
        _ => categories(column, [&Categories::default(), &Categories::default()]),
    }
}

fn numbers(column: &str, sides: [&Numbers; 2], bins: u32) -> Compared {
    let facts = sides.map(|side| side.facts);
    let profile = |at: usize, quantiles: Vec<f64>| Profile {
        rows: facts[at].rows(),
        nulls: facts[at].nulls,
        facts: Some(facts[at]),
        quantiles,
        distinct: None,
    };
    if facts.iter().any(|facts| facts.values == 0) {
        let profiles = [profile(0, Vec::new()), profile(1, Vec::new())];
        return nothing_to_compare(column, Kind::Numbers, profiles);
    }
    let samples = sides.map(|side| &side.sample);
    let found = pair::compare(sides[0].scale, samples, &QUANTILES, &Bins::Quantiles(bins));
    let [first, second] = found.quantiles;
    let measured = Measured {
        ks: Bounded::exact(found.ks),
        wasserstein: Bounded::exact(found.wasserstein),
        spread: spread(&first),
        edges: found.edges,
        counts: found.counts,
    };
    of_numbers(column, facts, [profile(0, first), profile(1, second)], &measured)
}

/// What is known of two samples of numbers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Measured {
    pub(super) ks: Bounded,
    /// In the unit of the values.
    pub(super) wasserstein: Bounded,
    /// `integral sqrt(F (1 - F))` of the baseline.
    pub(super) spread: f64,
    pub(super) edges: Vec<f64>,
    pub(super) counts: [Vec<u64>; 2],
}

/// The effects of a column of numbers, both sides of which have values.
pub(super) fn of_numbers(
    column: &str,
    facts: [Facts; 2],
    profiles: [Profile; 2],
    measured: &Measured,
) -> Compared {
    let [n, m] = facts.map(|facts| facts.values);
    let noise = (1.0 / n as f64 + 1.0 / m as f64).sqrt();
    let mut effects = of_counts(&measured.counts);
    // The first is the mean of Kolmogorov's distribution.
    effects.push(Effect::bounded(
        Statistic::KolmogorovSmirnov,
        measured.ks,
        KOLMOGOROV_MEAN * noise,
    ));
    let deviation = facts[0].deviation();
    let in_deviations = |distance: f64| if distance == 0.0 { 0.0 } else { distance / deviation };
    let distance = Bounded {
        low: in_deviations(measured.wasserstein.low),
        high: in_deviations(measured.wasserstein.high),
    };
    let by_chance = in_deviations(HALF_NORMAL_MEAN * noise * measured.spread);
    effects.push(Effect::bounded(Statistic::Wasserstein, distance, by_chance));
    let shift = Bounded::exact(means::shift(&facts[0], &facts[1]).abs());
    effects.push(Effect::bounded(Statistic::MeanShift, shift, HALF_NORMAL_MEAN * noise));
    // The smaller distance: nothing is called significant that may not be.
    let ks = measured.ks.low;
    Compared {
        column: column.to_owned(),
        kind: Kind::Numbers,
        nulls_tested: Tested { statistic: 0.0, p_value: 1.0 },
        profiles,
        effects,
        test: "ks",
        tested: Tested { statistic: ks, p_value: numeric::kolmogorov_p(ks, n, m) },
        labels: bin_labels(&measured.edges),
        shares: [shares::shares(&measured.counts[0]), shares::shares(&measured.counts[1])],
        new: Vec::new(),
        vanished: Vec::new(),
        foreign: None,
    }
    .with_nulls_tested()
}

/// `sqrt(pi / 2) ln 2`.
const KOLMOGOROV_MEAN: f64 = 0.868_731_160_636_159_3;
/// `sqrt(2 / pi)`.
const HALF_NORMAL_MEAN: f64 = 0.797_884_560_802_865_4;

/// `integral sqrt(F (1 - F))` of a distribution whose quantiles are known, in
/// straight lines between them: how far its distance to itself is by chance.
pub(super) fn spread(quantiles: &[f64]) -> f64 {
    let height = |q: f64| (q * (1.0 - q)).sqrt();
    let steps = quantiles.windows(2).zip(QUANTILES.windows(2));
    steps
        .map(|(values, places)| {
            (values[1] - values[0]) * f64::midpoint(height(places[0]), height(places[1]))
        })
        .sum()
}

fn bin_labels(edges: &[f64]) -> Vec<String> {
    use crate::report::number;
    let mut labels: Vec<String> = edges.iter().map(|edge| format!("≤{}", number(*edge))).collect();
    labels.push(edges.last().map_or("all".to_owned(), |edge| format!(">{}", number(*edge))));
    labels
}

pub(super) fn categories(column: &str, sides: [&Categories; 2]) -> Compared {
    let profiles = sides.map(|side| Profile {
        rows: side.rows(),
        nulls: side.nulls,
        facts: None,
        quantiles: Vec::new(),
        distinct: Some(side.counts.len() as u64),
    });
    if sides.iter().any(|side| side.counts.is_empty()) {
        return nothing_to_compare(column, Kind::Categories, profiles);
    }
    // In the order of their bytes: sums come out the same whatever the hashing.
    let mut joined = BTreeMap::<&[u8], [u64; 2]>::new();
    for (at, side) in sides.into_iter().enumerate() {
        for (category, count) in &side.counts {
            joined.entry(category).or_default()[at] = *count;
        }
    }
    let counts = [0, 1].map(|side| joined.values().map(|pair| pair[side]).collect::<Vec<u64>>());
    let name = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let only = |side: usize| -> Vec<String> {
        let mut found: Vec<_> = joined.iter().filter(|(_, pair)| pair[1 - side] == 0).collect();
        found.sort_by_key(|(_, pair)| std::cmp::Reverse(pair[side]));
        found.into_iter().map(|(category, _)| name(category)).collect()
    };
    let (test, tested) = independence(&counts);
    let mut effects = of_counts(&counts);
    effects.push(cramers_v(&counts));
    let labels = joined.keys().map(|category| name(category)).collect();
    let (labels, folded) = fold(labels, [shares::shares(&counts[0]), shares::shares(&counts[1])]);
    Compared {
        column: column.to_owned(),
        kind: Kind::Categories,
        profiles,
        effects,
        test,
        tested,
        nulls_tested: Tested { statistic: 0.0, p_value: 1.0 },
        labels,
        shares: folded,
        new: only(1),
        vanished: only(0),
        foreign: None,
    }
    .with_nulls_tested()
}

/// The divergences of two sets of counts.
fn of_counts([a, b]: &[Vec<u64>; 2]) -> Vec<Effect> {
    let effect = |statistic, value: f64, corrected: f64| Effect {
        statistic,
        value,
        corrected: corrected.max(0.0),
        error: 0.0,
    };
    let chance = |measure| without_drift(measure, a, b);
    let psi = shares::psi(a, b, Zero::default());
    let js = shares::jensen_shannon(a, b);
    let hellinger = shares::hellinger(a, b);
    let tv = shares::total_variation(a, b);
    let l_infinity = shares::l_infinity(a, b);
    // Distances that are roots are corrected below the root.
    let below_root =
        |distance: f64, measure| (distance * distance - chance(measure)).max(0.0).sqrt();
    vec![
        effect(Statistic::Psi, psi, psi - chance(Additive::Psi)),
        effect(Statistic::JensenShannon, js, below_root(js, Additive::JensenShannon)),
        effect(Statistic::Hellinger, hellinger, below_root(hellinger, Additive::Hellinger)),
        effect(Statistic::TotalVariation, tv, tv - chance(Additive::TotalVariation)),
        effect(Statistic::LInfinity, l_infinity, l_infinity),
    ]
}

/// Cramer's V, and without its bias (Bergsma 2013).
fn cramers_v([a, b]: &[Vec<u64>; 2]) -> Effect {
    let total = (a.iter().sum::<u64>() + b.iter().sum::<u64>()) as f64;
    let value = categorical::cramers_v(a, b);
    let freedom = a.len() as f64 - 1.0;
    let corrected = (value * value - freedom / (total - 1.0)).max(0.0).sqrt();
    Effect { statistic: Statistic::CramersV, value, corrected, error: 0.0 }
}

/// A test that holds its level also where counts are small: categories with
/// less than five expected values on a side are taken together (Cochran 1954),
/// and a table of two small categories is tested exactly.
fn independence([a, b]: &[Vec<u64>; 2]) -> (&'static str, Tested) {
    const ENOUGH: f64 = 5.0;
    let (n, m) = (a.iter().sum::<u64>() as f64, b.iter().sum::<u64>() as f64);
    let smaller = n.min(m) / (n + m);
    let (mut kept, mut rest) = ([Vec::new(), Vec::new()], [0, 0]);
    for (x, y) in a.iter().zip(b) {
        if (x + y) as f64 * smaller < ENOUGH {
            rest = [rest[0] + x, rest[1] + y];
        } else {
            kept[0].push(*x);
            kept[1].push(*y);
        }
    }
    if a.len() == 2 && rest != [0, 0] {
        return ("fisher", categorical::fisher([[a[0], a[1]], [b[0], b[1]]]));
    }
    if rest != [0, 0] {
        kept[0].push(rest[0]);
        kept[1].push(rest[1]);
    }
    ("chi²", categorical::chi_squared(&kept[0], &kept[1]))
}

impl Compared {
    fn with_nulls_tested(mut self) -> Self {
        let missing = [self.profiles[0].missing(), self.profiles[1].missing()];
        let rows = [self.profiles[0].rows, self.profiles[1].rows];
        if rows.iter().all(|rows| *rows > 0) {
            self.nulls_tested = categorical::two_proportions(missing, rows);
        }
        self
    }
}

/// With no values on a side there is nothing to compare but the nulls.
pub(super) fn nothing_to_compare(column: &str, kind: Kind, profiles: [Profile; 2]) -> Compared {
    Compared {
        column: column.to_owned(),
        kind,
        profiles,
        effects: Vec::new(),
        test: "none",
        tested: Tested { statistic: 0.0, p_value: 1.0 },
        nulls_tested: Tested { statistic: 0.0, p_value: 1.0 },
        labels: Vec::new(),
        shares: [Vec::new(), Vec::new()],
        new: Vec::new(),
        vanished: Vec::new(),
        foreign: None,
    }
    .with_nulls_tested()
}

/// The most frequent categories, and the rest in one.
fn fold(labels: Vec<String>, shares: [Vec<f64>; 2]) -> (Vec<String>, [Vec<f64>; 2]) {
    if labels.len() <= SHOWN {
        return (labels, shares);
    }
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order.sort_by(|a, b| {
        (shares[0][*b] + shares[1][*b]).total_cmp(&(shares[0][*a] + shares[1][*a]))
    });
    let (top, rest) = order.split_at(SHOWN - 1);
    let mut names: Vec<String> = top.iter().map(|at| labels[*at].clone()).collect();
    names.push("other".into());
    let folded = shares.map(|side| {
        let mut kept: Vec<f64> = top.iter().map(|at| side[*at]).collect();
        kept.push(rest.iter().map(|at| side[*at]).sum());
        kept
    });
    (names, folded)
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
