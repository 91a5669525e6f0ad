//! Two sides of a column: what is in them, and how far apart they are.

use anyhow::{Context as _, Result};

use super::bins::{bin_labels, bins, of_counts};
use super::categories::{categories, counts_of, joined};
use super::compat::{Foreign, databricks, evidently};
use super::profile::{MOST_FREQUENT, Profile, QUANTILES, Value};
use super::schema::Common;
use crate::config::{Compat, Drift, Limit, Statistic};
use crate::stats::binned::Bounded;
use crate::stats::column::{Categories, Column, Facts, Kind, Numbers, Presence};
use crate::stats::embedding::{self, Embedding};
use crate::stats::keys::Scale;
use crate::stats::numeric::{self, Tested};
use crate::stats::ordered::Ordered;
use crate::stats::pair;
use crate::stats::shares;
use crate::stats::{categorical, means, streamed};

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
    /// Tests that decide nothing, by their name.
    pub(super) more: Vec<(&'static str, Tested)>,
    /// For what is no column.
    pub(super) own: Option<Own>,
    /// A threshold that the baseline's own windows taught.
    pub(super) learnt: Option<f64>,
}

/// A question with a limit of its own, and its answer in words.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Own {
    pub(super) limit: Limit,
    pub(super) told: String,
}

impl Compared {
    pub(super) fn effect(&self, statistic: Statistic) -> Option<Effect> {
        self.effects.iter().copied().find(|effect| effect.statistic == statistic)
    }
}

/// Compares a column of both sides as the policy wants it.
///
/// # Errors
/// When values that were put away cannot be had back.
pub(super) fn under(policy: &Drift, common: &Common, sides: [&Column; 2]) -> Result<Compared> {
    let mut compared = compare(policy, common.name(), sides)?;
    compared.doubt_long_decimals(common);
    compared.foreign = match policy.compat {
        Some(Compat::Evidently) => {
            evidently::verdict(common.fields[0].data_type().is_integer(), sides)
        }
        Some(Compat::Databricks) => databricks::verdict(compared.tested, sides),
        // Its verdicts are about chunks of rows.
        Some(Compat::Nannyml) | None => None,
    };
    if policy.all_tests && !compared.effects.is_empty() {
        compared.more = more_tests(sides);
    }
    Ok(compared)
}

/// Every other test; the energy distance has no p-value.
fn more_tests(sides: [&Column; 2]) -> Vec<(&'static str, Tested)> {
    match sides {
        [Column::Numbers(a), Column::Numbers(b)] => {
            let ordered = Ordered::new(a.scale, [&a.sample, &b.sample]);
            let energy = Tested { statistic: ordered.energy_distance(), p_value: f64::NAN };
            vec![
                ("anderson_darling", ordered.anderson_darling()),
                ("cramer_von_mises", ordered.cramer_von_mises()),
                ("mann_whitney", ordered.mann_whitney()),
                ("student_t", means::student(&a.facts(), &b.facts())),
                ("welch_t", means::welch(&a.facts(), &b.facts())),
                ("energy_distance", energy),
            ]
        }
        [Column::Categories(a), Column::Categories(b)] => {
            let [a, b] = counts_of(&joined([a, b]));
            vec![
                ("chi_squared", categorical::chi_squared(&a, &b)),
                ("chi_squared_yates", categorical::chi_squared_yates(&a, &b)),
                ("g_test", categorical::g_test(&a, &b)),
            ]
        }
        _ => Vec::new(),
    }
}

/// Compares a column of both sides, counted as the same kind.
///
/// # Errors
/// When values that were put away cannot be had back.
pub(super) fn compare(policy: &Drift, column: &str, sides: [&Column; 2]) -> Result<Compared> {
    let zero = policy.zeros.zero();
    let compared = match sides {
        [Column::Numbers(a), Column::Numbers(b)] => numbers(policy, column, [a, b])
            .with_context(|| format!("compare the column `{column}`"))?,
        [Column::Categories(a), Column::Categories(b)] => categories(column, [a, b], zero),
        [Column::Embedding(a), Column::Embedding(b)] => points(column, [a, b]),
        [Column::Presence(a), Column::Presence(b)] => presence_only(column, [*a, *b]),
        // The caller counts both sides as one kind; without values there is no drift.
        _ => categories(column, [&Categories::default(), &Categories::default()], zero),
    };
    Ok(compared)
}

fn numbers(policy: &Drift, column: &str, sides: [&Numbers; 2]) -> std::io::Result<Compared> {
    let facts = sides.map(Numbers::facts);
    if facts.iter().any(|facts| facts.values == 0) {
        return Ok(nothing_to_compare(column, Kind::Numbers, facts.map(Profile::of_facts)));
    }
    let bins = bins(policy, column, &facts[0]);
    let found = if sides.iter().all(|side| side.away.is_empty()) {
        let samples = sides.map(|side| &side.sample);
        pair::compare(sides[0].scale, samples, sides[0].ready(), &QUANTILES, &bins)
    } else {
        streamed::compare(sides, &QUANTILES, &bins)?
    };
    let profile = |at: usize| Profile {
        quantiles: found.quantiles[at].clone(),
        distinct: Some(found.distinct[at]),
        frequent: frequent_numbers(&found.frequent[at]),
        ..Profile::of_facts(facts[at])
    };
    let profiles = [profile(0), profile(1)];
    let measured = Measured {
        ks: Bounded::exact(found.ks),
        wasserstein: Bounded::exact(found.wasserstein),
        spread: spread(&found.quantiles[0]),
        edges: found.edges,
        counts: found.counts,
    };
    let mut compared = of_numbers(policy, column, facts, profiles, &measured);
    let whole = sides[0].scale != Scale::Float;
    if whole && facts.into_iter().any(is_beyond_exact) {
        // Only the order of such numbers is known for sure.
        for effect in &mut compared.effects {
            if effect.statistic != Statistic::KolmogorovSmirnov {
                effect.corrected = f64::NAN;
            }
        }
    }
    Ok(compared)
}

/// `found` has the most frequent ones first.
pub(super) fn frequent_numbers(found: &[(f64, u64)]) -> Vec<(Value, u64)> {
    let told = found.iter().take(MOST_FREQUENT);
    told.map(|(value, rows)| (Value::Number(*value), *rows)).collect()
}

/// Whole numbers below are floats without loss.
pub(super) const EXACT_BELOW: f64 = 9_007_199_254_740_992.0;

fn is_beyond_exact(facts: Facts) -> bool {
    facts.max.max(-facts.min) >= EXACT_BELOW
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
    policy: &Drift,
    column: &str,
    facts: [Facts; 2],
    profiles: [Profile; 2],
    measured: &Measured,
) -> Compared {
    let [n, m] = facts.map(|facts| facts.values);
    let noise = (1.0 / n as f64 + 1.0 / m as f64).sqrt();
    let mut effects = of_counts(&measured.counts, policy.zeros.zero());
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
        more: Vec::new(),
        own: None,
        learnt: None,
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

impl Compared {
    /// Takes effects away that rest on decimals whose last digits were lost.
    pub(super) fn doubt_long_decimals(&mut self, common: &Common) {
        if common.is_long_decimal()
            && self.profiles.iter().filter_map(|side| side.facts).any(is_beyond_exact)
        {
            for effect in &mut self.effects {
                effect.corrected = f64::NAN;
            }
        }
    }

    pub(super) fn with_nulls_tested(mut self) -> Self {
        let rows = [self.profiles[0].rows, self.profiles[1].rows];
        if rows.iter().all(|rows| *rows > 0) {
            self.nulls_tested = categorical::two_proportions(self.holes().1, rows);
        }
        self
    }

    /// What is missing, by the kind of it whose share has changed most: nulls that
    /// became infinities are a change, though as much is missing as before.
    pub(super) fn holes(&self) -> (&'static str, [u64; 2]) {
        let fact = |of: fn(&Facts) -> u64| {
            self.profiles.each_ref().map(|side| side.facts.as_ref().map_or(0, of))
        };
        let kinds = [
            ("missing values", self.profiles.each_ref().map(Profile::missing)),
            ("infinities", fact(|facts| facts.infinities)),
            ("NaN", fact(|facts| facts.nans)),
            ("nulls", self.profiles.each_ref().map(|side| side.nulls)),
        ];
        let change = |counts: [u64; 2]| {
            let [before, now] = self.shares_of(counts);
            (now - before).abs()
        };
        let largest = kinds.into_iter().max_by(|a, b| change(a.1).total_cmp(&change(b.1)));
        largest.unwrap_or(("nulls", [0, 0]))
    }

    /// What share of each side's rows so many are.
    pub(super) fn shares_of(&self, counts: [u64; 2]) -> [f64; 2] {
        [0, 1].map(|at| counts[at] as f64 / self.profiles[at].rows.max(1) as f64)
    }
}

/// What can be told of values that are not looked at.
pub(super) fn presence_only(column: &str, sides: [Presence; 2]) -> Compared {
    let profiles = sides.map(|side| Profile {
        nulls: side.nulls,
        span: side.span,
        ..Profile::of_rows(side.values + side.nulls)
    });
    nothing_to_compare(column, Kind::Presence, profiles)
}

/// Two clouds of points. Those that do not fit count as missing, and where the
/// sides differ in their dimensions, all current ones.
fn points(column: &str, sides: [&Embedding; 2]) -> Compared {
    let [a, b] = sides;
    let alike = a.dimensions() == b.dimensions() || a.points == 0 || b.points == 0;
    let profile = |side: &Embedding, lost: u64| Profile {
        nulls: side.nulls + side.unfit + lost,
        ..Profile::of_rows(side.rows())
    };
    let profiles = [profile(a, 0), profile(b, if alike { 0 } else { b.points })];
    let tested =
        if alike && a.dimensions() == b.dimensions() { embedding::mmd(a, b) } else { None };
    let Some(tested) = tested else {
        return nothing_to_compare(column, Kind::Points, profiles);
    };
    let (distance, corrected) = embedding::centroid_distance(a, b);
    let discrepancy = tested.statistic.max(0.0).sqrt();
    let effect = |statistic, value, corrected| Effect { statistic, value, corrected, error: 0.0 };
    Compared {
        effects: vec![
            effect(Statistic::CentroidDistance, distance, corrected),
            // Without bias as it is.
            effect(Statistic::Mmd, discrepancy, discrepancy),
        ],
        test: "mmd",
        tested,
        ..nothing_to_compare(column, Kind::Points, profiles)
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
        more: Vec::new(),
        own: None,
        learnt: None,
    }
    .with_nulls_tested()
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
