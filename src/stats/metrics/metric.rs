//! The metrics by name: what each fits, and which way it points.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{Better, Problem};

/// A metric by its name in scikit-learn's terms.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    RocAuc,
    /// Average precision: the area under the precision-recall steps.
    PrAuc,
    LogLoss,
    Brier,
    /// Expected calibration error over ten bins of equal width.
    CalibrationError,
    /// Of several classes: the mean of theirs.
    F1,
    /// F with `beta` times as much weight on recall.
    FBeta,
    /// Over the alarms of all classes together.
    F1Micro,
    /// The mean of the classes' F1, by how many rows each has.
    F1Weighted,
    Precision,
    Recall,
    Accuracy,
    /// The share of rows whose class is among the `k` likeliest.
    TopK,
    /// The mean of the recalls of all classes.
    BalancedAccuracy,
    /// Matthews' correlation coefficient.
    Mcc,
    /// Cohen's kappa.
    CohenKappa,
    /// The precision among the `top` share of scores over the share of positives.
    LiftAtTop,
    /// The share of positives among the `top` share of scores.
    RecallAtTop,
    /// The mean cost of a row, by `costs`.
    Cost,
    Mae,
    Mse,
    Rmse,
    R2,
    /// The mean of `|error| / |label|`.
    Mape,
    /// The mean of `2 |error| / (|label| + |prediction|)`, 0 where both are 0.
    Smape,
    MedianAe,
    MaxError,
    /// The mean loss of the quantile `quantile`.
    Pinball,
    /// The mean of prediction less label.
    Bias,
    /// The sum of `|error|` over the sum of `|label|`.
    Wape,
    /// The mean of `|error|` over the error of a naive forecast, `scale`.
    Mase,
    /// The share of labels within the forecast's interval.
    Coverage,
    /// The mean width of the forecast's interval.
    Width,
    /// The discounted gain of the first `k` of each group over the best order's.
    Ndcg,
    /// The mean over groups of the average precision of the first `k`.
    Map,
    /// The mean over groups of one over the rank of the first relevant row.
    Mrr,
}

impl Metric {
    const ALL: [Self; 36] = [
        Self::RocAuc,
        Self::PrAuc,
        Self::LogLoss,
        Self::Brier,
        Self::CalibrationError,
        Self::F1,
        Self::FBeta,
        Self::F1Micro,
        Self::F1Weighted,
        Self::Precision,
        Self::Recall,
        Self::Accuracy,
        Self::TopK,
        Self::BalancedAccuracy,
        Self::Mcc,
        Self::CohenKappa,
        Self::LiftAtTop,
        Self::RecallAtTop,
        Self::Cost,
        Self::Mae,
        Self::Mse,
        Self::Rmse,
        Self::R2,
        Self::Mape,
        Self::Smape,
        Self::MedianAe,
        Self::MaxError,
        Self::Pinball,
        Self::Bias,
        Self::Wape,
        Self::Mase,
        Self::Coverage,
        Self::Width,
        Self::Ndcg,
        Self::Map,
        Self::Mrr,
    ];

    /// Metrics of one class against the rest, whose mean stands for several.
    pub const ONE_AGAINST_REST: [Self; 5] =
        [Self::RocAuc, Self::F1, Self::Precision, Self::Recall, Self::Accuracy];

    fn facts(self) -> (&'static str, Better, &'static [Problem]) {
        use Better::{Higher, Lower, Neither};
        use Problem::{Binary, Forecast, Multiclass, Ranking, Regression};
        const CLASSES: &[Problem] = &[Binary, Multiclass];
        const NUMBERS: &[Problem] = &[Regression, Forecast];
        match self {
            Self::RocAuc => ("roc_auc", Higher, CLASSES),
            Self::PrAuc => ("pr_auc", Higher, &[Binary]),
            Self::LogLoss => ("log_loss", Lower, CLASSES),
            Self::Brier => ("brier", Lower, CLASSES),
            Self::CalibrationError => ("calibration_error", Lower, &[Binary]),
            Self::F1 => ("f1", Higher, CLASSES),
            Self::FBeta => ("f_beta", Higher, &[Binary]),
            Self::F1Micro => ("f1_micro", Higher, &[Multiclass]),
            Self::F1Weighted => ("f1_weighted", Higher, &[Multiclass]),
            Self::Precision => ("precision", Higher, CLASSES),
            Self::Recall => ("recall", Higher, CLASSES),
            Self::Accuracy => ("accuracy", Higher, CLASSES),
            Self::TopK => ("top_k", Higher, &[Multiclass]),
            Self::BalancedAccuracy => ("balanced_accuracy", Higher, CLASSES),
            Self::Mcc => ("mcc", Higher, CLASSES),
            Self::CohenKappa => ("cohen_kappa", Higher, CLASSES),
            Self::LiftAtTop => ("lift_at_top", Higher, &[Binary]),
            Self::RecallAtTop => ("recall_at_top", Higher, &[Binary]),
            Self::Cost => ("cost", Lower, &[Binary]),
            Self::Mae => ("mae", Lower, NUMBERS),
            Self::Mse => ("mse", Lower, NUMBERS),
            Self::Rmse => ("rmse", Lower, NUMBERS),
            Self::R2 => ("r2", Higher, NUMBERS),
            Self::Mape => ("mape", Lower, NUMBERS),
            Self::Smape => ("smape", Lower, NUMBERS),
            Self::MedianAe => ("median_ae", Lower, NUMBERS),
            Self::MaxError => ("max_error", Lower, NUMBERS),
            Self::Pinball => ("pinball", Lower, NUMBERS),
            Self::Bias => ("bias", Neither, NUMBERS),
            Self::Wape => ("wape", Lower, NUMBERS),
            Self::Mase => ("mase", Lower, &[Forecast]),
            Self::Coverage => ("coverage", Neither, &[Forecast]),
            Self::Width => ("width", Lower, &[Forecast]),
            Self::Ndcg => ("ndcg", Higher, &[Ranking]),
            Self::Map => ("map", Higher, &[Ranking]),
            Self::Mrr => ("mrr", Higher, &[Ranking]),
        }
    }

    /// The metrics of a problem.
    pub fn of(problem: Problem) -> Vec<Self> {
        Self::ALL.into_iter().filter(|metric| metric.fits(problem)).collect()
    }

    /// The metric of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.as_str() == name)
    }

    pub fn fits(self, problem: Problem) -> bool {
        self.facts().2.contains(&problem)
    }

    /// Which of its values are better.
    pub fn better(self) -> Better {
        self.facts().1
    }

    pub fn as_str(self) -> &'static str {
        self.facts().0
    }
}

impl std::fmt::Display for Metric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
