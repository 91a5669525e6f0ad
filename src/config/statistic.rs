//! The statistics that can decide about a column, and their thresholds.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stats::column::Kind;

/// How far a column moved, as one number.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Statistic {
    /// Population stability index over bins of equal mass, or over categories.
    Psi,
    /// Jensen-Shannon distance in nats, over the same.
    #[default]
    JensenShannon,
    Hellinger,
    /// Kullback and Leibler's divergence of the baseline from the current side,
    /// in nats, over the same. It is not symmetric.
    KullbackLeibler,
    /// The share of rows that would have to change their bin or category.
    TotalVariation,
    /// The largest change of one bin's or category's share.
    LInfinity,
    /// The largest distance of the distribution functions: numbers only.
    KolmogorovSmirnov,
    /// First Wasserstein distance in deviations of the baseline: numbers only.
    Wasserstein,
    /// Change of the mean in deviations of the baseline: numbers only.
    MeanShift,
    /// Categories only.
    CramersV,
    /// The share of current values in categories that the baseline lacks: for
    /// tokens, the rate of words out of vocabulary.
    Unseen,
    /// Distance of the centroids in deviations of the baseline: embeddings only.
    CentroidDistance,
    /// Maximum mean discrepancy: embeddings only.
    Mmd,
    /// Of `drift.between`: the largest change of a correlation.
    CorrelationChange,
    /// Of `drift.between`: the relative change of the error of reconstruction.
    ReconstructionError,
    /// Of `drift.between`: the area under a classifier's curve above one half.
    DomainClassifier,
    /// Of `drift.performance`: how much worse a metric is.
    Worsening,
}

impl Statistic {
    pub const ALL: [Self; 17] = [
        Self::Psi,
        Self::JensenShannon,
        Self::Hellinger,
        Self::KullbackLeibler,
        Self::TotalVariation,
        Self::LInfinity,
        Self::KolmogorovSmirnov,
        Self::Wasserstein,
        Self::MeanShift,
        Self::CramersV,
        Self::Unseen,
        Self::CentroidDistance,
        Self::Mmd,
        Self::CorrelationChange,
        Self::ReconstructionError,
        Self::DomainClassifier,
        Self::Worsening,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Psi => "psi",
            Self::JensenShannon => "jensen_shannon",
            Self::Hellinger => "hellinger",
            Self::KullbackLeibler => "kullback_leibler",
            Self::TotalVariation => "total_variation",
            Self::LInfinity => "l_infinity",
            Self::KolmogorovSmirnov => "kolmogorov_smirnov",
            Self::Wasserstein => "wasserstein",
            Self::MeanShift => "mean_shift",
            Self::CramersV => "cramers_v",
            Self::Unseen => "unseen",
            Self::CentroidDistance => "centroid_distance",
            Self::Mmd => "mmd",
            Self::CorrelationChange => "correlation_change",
            Self::ReconstructionError => "reconstruction_error",
            Self::DomainClassifier => "domain_classifier",
            Self::Worsening => "worsening",
        }
    }

    /// What a table has room for.
    pub fn short(self) -> &'static str {
        match self {
            Self::Psi => "psi",
            Self::JensenShannon => "js",
            Self::Hellinger => "hellinger",
            Self::KullbackLeibler => "kl",
            Self::TotalVariation => "tv",
            Self::LInfinity => "l∞",
            Self::KolmogorovSmirnov => "ks",
            Self::Wasserstein => "w1/σ",
            Self::MeanShift => "Δmean/σ",
            Self::CramersV => "V",
            Self::Unseen => "unseen",
            Self::CentroidDistance => "Δcentroid/σ",
            Self::Mmd => "mmd",
            Self::CorrelationChange => "Δr",
            Self::ReconstructionError => "Δerror",
            Self::DomainClassifier => "auc − ½",
            Self::Worsening => "worse by",
        }
    }

    /// Whether it is defined for columns of this kind.
    pub fn fits(self, kind: Kind) -> bool {
        let of_numbers =
            matches!(self, Self::KolmogorovSmirnov | Self::Wasserstein | Self::MeanShift);
        let of_categories = matches!(self, Self::CramersV | Self::Unseen);
        let of_points = matches!(self, Self::CentroidDistance | Self::Mmd);
        let of_no_column = matches!(
            self,
            Self::CorrelationChange
                | Self::ReconstructionError
                | Self::DomainClassifier
                | Self::Worsening
        );
        match kind {
            Kind::Numbers => !of_categories && !of_points && !of_no_column,
            Kind::Categories => !of_numbers && !of_points && !of_no_column,
            Kind::Points => of_points,
            Kind::Presence | Kind::Together | Kind::Performance => false,
        }
    }

    /// What counts as drift when nothing else is said.
    pub fn usual_threshold(self) -> f64 {
        match self {
            Self::Psi => 0.2,
            Self::MeanShift | Self::CentroidDistance => 0.25,
            _ => 0.1,
        }
    }
}

/// A statistic and the value from which it counts as drift.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// `jensen_shannon` when left out.
    #[serde(default)]
    pub statistic: Statistic,
    /// 0.2 for `psi`, 0.25 for `mean_shift` and
    /// `centroid_distance`, 0.1 for the others when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
}

impl Limit {
    pub fn threshold(self) -> f64 {
        self.threshold.unwrap_or_else(|| self.statistic.usual_threshold())
    }
}

impl Limit {
    /// How embeddings are judged when nothing else is said.
    pub(super) fn of_points() -> Self {
        Self { statistic: Statistic::CentroidDistance, threshold: None }
    }
}
