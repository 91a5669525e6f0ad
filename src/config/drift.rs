//! `drift`: when data counts as drifted, and what follows.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::binning::check_edges;
use super::{
    Between, Binning, Command, Labels, Limit, Monitor, Notify, OnDrift, Performance, Quality,
    Retrain, Sample, Windows, Zeros,
};
use crate::names::Source;
use crate::stats::column::Kind;
use crate::stats::correction::Correction;
use crate::stats::derived::Derived;

/// Where the counting is done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// Here, and on the warehouse from 20 million rows on.
    #[default]
    Auto,
    /// Here, value by value.
    Exact,
    /// On the SQL warehouse, by bins: distances come with a bound of their error.
    Warehouse,
    /// Here, value by value, from the tables' own files: no warehouse is needed,
    /// but a right to read the storage from outside (`EXTERNAL USE SCHEMA`).
    Storage,
}

/// A tool whose verdicts are given instead of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compat {
    /// Evidently 0.7 with its defaults: its choice of tests, without a
    /// correction for many columns; half of the columns make the table drift.
    Evidently,
    /// Nannyml 0.13 with its defaults: the Jensen-Shannon distance of the newest
    /// of ten chunks against the mean and three deviations of the baseline's own
    /// chunks. It has no verdict on the table: `share` gives one.
    Nannyml,
    /// The tests that Databricks data profiling writes for a column: a
    /// Kolmogorov-Smirnov or a chi-squared test. It has no verdicts; here, as in
    /// the usual alert on its table, a p-value below 0.05 is drift of the column
    /// and `share` decides on the table.
    Databricks,
}

/// The policy of `drift-check`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Drift {
    /// How the data was when the model was made: a table, or Parquet, CSV or
    /// Arrow files (a path, a folder or a pattern).
    #[schemars(with = "String")]
    pub baseline: Source,
    /// A condition on the baseline's rows, as SQL. A warehouse knows all of the
    /// language; files know columns, constants, comparisons, AND, OR, NOT, IN,
    /// BETWEEN and IS NULL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline_where: Option<String>,
    /// The data as it is now.
    #[schemars(with = "String")]
    pub current: Source,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_where: Option<String>,
    /// Looks at some of the rows instead of all, the same ones each time: on
    /// files by their number, on tables by the warehouse's TABLESAMPLE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<Sample>,
    /// The columns to look at; all of the baseline's when empty.
    #[serde(default)]
    pub columns: Vec<String>,
    /// Columns made from others, compared like these: `address.city`, `tags[]`,
    /// `size(tags)`, `length(body)`, `tokens(body)`, `embedding(vector)`, `hour(time)`,
    /// `weekday(time)`, `days(time)`.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub derived: Vec<Derived>,
    /// Columns to leave out: identifiers and times always differ.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// How columns of numbers are judged: Jensen-Shannon distance from 0.1 on
    /// when left out.
    #[serde(default)]
    pub numeric: Limit,
    /// How columns of categories are judged.
    #[serde(default)]
    pub categorical: Limit,
    /// How embeddings are judged: by the distance of their centroids from 0.25 on
    /// when left out.
    #[serde(default = "Limit::of_points")]
    pub embedding: Limit,
    /// Columns that are judged in another way.
    #[serde(default)]
    pub limits: BTreeMap<String, Limit>,
    /// From this part of its threshold on, a column is watched.
    #[serde(default = "watch")]
    pub watch: f64,
    /// How many bins numbers have.
    #[serde(default = "bins")]
    pub bins: u32,
    #[serde(default)]
    pub binning: Binning,
    /// The rising edges between the bins of a column, instead; bins are closed on
    /// the right, and the outer ones open.
    #[serde(default)]
    pub edges: BTreeMap<String, Vec<f64>>,
    #[serde(default)]
    pub zeros: Zeros,
    /// The level of significance, shared between all columns.
    #[serde(default = "alpha")]
    pub alpha: f64,
    /// What is held at that level.
    #[serde(default)]
    pub correction: Correction,
    /// A change of the share of nulls above this is drift of its own.
    #[serde(default = "nulls")]
    pub nulls: f64,
    /// The table drifted when columns of at least this share of the weight did.
    #[serde(default = "share")]
    pub share: f64,
    /// How much a column counts in that share; 1 when left out.
    #[serde(default)]
    pub weights: BTreeMap<String, f64>,
    /// One of these alone makes the table drift.
    #[serde(default)]
    pub critical: Vec<String>,
    /// Fewer rows than this on either side give no answer.
    #[serde(default = "min_rows")]
    pub min_rows: u64,
    /// Rows that are looked at by themselves too: a column, for each of its
    /// values, or a condition such as `distance > 1000`. A slice that drifted
    /// makes the table watched.
    #[serde(default)]
    pub slices: Vec<String>,
    /// The current rows window by window, each against the baseline and against
    /// the window before; these decide then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub windows: Option<Windows>,
    /// What the current data must be like by itself. A rule that is broken is a
    /// fault of the feed: the table is broken, and nothing is retrained.
    #[serde(default)]
    pub quality: Vec<Quality>,
    /// Compares columns with each other: correlations, principal components, and
    /// a model that tells the sides apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub between: Option<Between>,
    /// Whether the model still predicts as well as it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub performance: Option<Performance>,
    /// Reads the drift metrics of the current table's monitor (data profiling)
    /// instead of the tables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitor: Option<Monitor>,
    /// Computes the rank tests, the tests of means and the energy distance too;
    /// they cost a sort, decide nothing, and stand in the result document.
    #[serde(default)]
    pub all_tests: bool,
    /// Judges as another tool does, for comparison with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compat: Option<Compat>,
    #[serde(default)]
    pub engine: Engine,
    #[serde(default)]
    pub on_drift: OnDrift,
    /// The job that `on_drift: retrain` starts: a name, an id or a bundle key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retrain_job: Option<String>,
    /// A pipeline of the host that retrains instead, and how often at most.
    #[serde(default)]
    pub retrain: Retrain,
    /// What `on_drift: command` runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Command>,
    /// Who is told.
    #[serde(default)]
    pub notify: Notify,
}

fn watch() -> f64 {
    0.5
}

fn bins() -> u32 {
    10
}

fn alpha() -> f64 {
    0.01
}

fn nulls() -> f64 {
    0.05
}

fn share() -> f64 {
    0.3
}

fn min_rows() -> u64 {
    500
}

impl Drift {
    /// The usual policy for two sources.
    pub fn between(baseline: Source, current: Source) -> Self {
        Self {
            baseline,
            baseline_where: None,
            current,
            current_where: None,
            sample: None,
            columns: Vec::new(),
            derived: Vec::new(),
            exclude: Vec::new(),
            numeric: Limit::default(),
            categorical: Limit::default(),
            embedding: Limit::of_points(),
            limits: BTreeMap::new(),
            watch: watch(),
            bins: bins(),
            binning: Binning::default(),
            edges: BTreeMap::new(),
            zeros: Zeros::default(),
            alpha: alpha(),
            correction: Correction::default(),
            nulls: nulls(),
            share: share(),
            weights: BTreeMap::new(),
            critical: Vec::new(),
            min_rows: min_rows(),
            slices: Vec::new(),
            windows: None,
            quality: Vec::new(),
            between: None,
            performance: None,
            monitor: None,
            all_tests: false,
            compat: None,
            engine: Engine::default(),
            on_drift: OnDrift::default(),
            retrain_job: None,
            retrain: Retrain::default(),
            command: None,
            notify: Notify::default(),
        }
    }

    /// The same for a place that is read as it is: no rows or columns of its own.
    #[must_use]
    pub fn without_rows(&self) -> Self {
        Self { sample: None, derived: Vec::new(), ..self.clone() }
    }

    /// Where labels lie, if in a place of their own.
    pub fn labels(&self) -> Option<&Labels> {
        self.performance.as_ref()?.labels.as_ref()
    }

    /// The label, where it is compared by itself: neither left out nor one of the
    /// columns that are named.
    pub fn target(&self) -> Option<&str> {
        let label = &self.performance.as_ref()?.label;
        let named = self.columns.contains(label) || self.exclude.contains(label);
        (!named).then_some(label)
    }

    /// How a column is judged.
    pub fn limit(&self, column: &str, kind: Kind) -> Limit {
        let usual = match kind {
            Kind::Numbers => self.numeric,
            Kind::Categories | Kind::Presence | Kind::Together | Kind::Performance => {
                self.categorical
            }
            Kind::Points => self.embedding,
        };
        self.limits.get(column).copied().unwrap_or(usual)
    }

    pub fn weight(&self, column: &str) -> f64 {
        self.weights.get(column).copied().unwrap_or(1.0)
    }

    pub(super) fn check(&self) -> Result<(), String> {
        self.check_limits()?;
        for (column, weight) in &self.weights {
            if !(*weight > 0.0 && *weight <= 1e6) {
                return Err(format!("`weights.{column}` must lie between 0 and 1000000"));
            }
        }
        let shares = [
            ("alpha", self.alpha),
            ("share", self.share),
            ("watch", self.watch),
            ("nulls", self.nulls),
        ];
        for (name, value) in shares {
            if !(value > 0.0 && value <= 1.0) {
                return Err(format!("`{name}` must lie between 0 and 1"));
            }
        }
        if !(2..=1000).contains(&self.bins) {
            return Err("`bins` must lie between 2 and 1000".into());
        }
        for (column, edges) in &self.edges {
            check_edges(column, edges)?;
        }
        self.zeros.check()?;
        self.windows.as_ref().map_or(Ok(()), Windows::check)?;
        self.sample.map_or(Ok(()), Sample::check)?;
        self.between.map_or(Ok(()), Between::check)?;
        if let Some(performance) = &self.performance {
            performance.check().map_err(|message| format!("`performance`: {message}"))?;
        }
        for (at, rule) in self.quality.iter().enumerate() {
            rule.check().map_err(|message| format!("`quality[{at}]` {message}"))?;
        }
        if let Some(monitor) = &self.monitor {
            monitor.check()?;
            let beside = [
                ("performance", self.performance.is_some()),
                ("between", self.between.is_some()),
                ("slices", !self.slices.is_empty()),
                ("derived", !self.derived.is_empty()),
                ("sample", self.sample.is_some()),
                ("edges", !self.edges.is_empty()),
                ("binning", self.binning != Binning::default()),
            ];
            if let Some((name, _)) = beside.into_iter().find(|(_, asked)| *asked) {
                return Err(format!("`monitor` reads metric tables: it knows nothing of `{name}`"));
            }
        }
        self.check_reactions()
    }

    fn check_reactions(&self) -> Result<(), String> {
        self.retrain.check()?;
        if self.retrain_job.is_some() && self.retrain.dispatches() {
            return Err("name one of `retrain_job` and `retrain.workflow` or `.pipeline`".into());
        }
        let runs = self.command.as_ref().is_some_and(|command| !command.run.is_empty());
        if self.on_drift == OnDrift::Command && !runs {
            return Err("`on_drift: command` needs `command.run`".into());
        }
        Ok(())
    }

    fn check_limits(&self) -> Result<(), String> {
        let usual = [
            ("numeric".to_owned(), self.numeric, Some(Kind::Numbers)),
            ("categorical".to_owned(), self.categorical, Some(Kind::Categories)),
            ("embedding".to_owned(), self.embedding, Some(Kind::Points)),
        ];
        let own = self.limits.iter().map(|(name, limit)| (format!("limits.{name}"), *limit, None));
        for (name, limit, kind) in usual.into_iter().chain(own) {
            let threshold = limit.threshold();
            if !(threshold.is_finite() && threshold > 0.0) {
                return Err(format!("`{name}.threshold` must be a positive number"));
            }
            if let Some(kind) = kind.filter(|kind| !limit.statistic.fits(*kind)) {
                let (statistic, kinds) = (limit.statistic.as_str(), kind.plural());
                return Err(format!(
                    "`{name}.statistic`: `{statistic}` is not defined for {kinds}"
                ));
            }
        }
        Ok(())
    }
}
