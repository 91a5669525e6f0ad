"""All binary metrics of two models with scikit-learn, and some paired bootstrap replicates, by hand or by scipy."""

import sys

import numpy as np
import pyarrow.parquet as pq
from scipy import stats
from sklearn import metrics as M

table = pq.read_table(sys.argv[1], columns=["y", "score_a", "score_b"])
y, a, b = (table[name].to_numpy() for name in table.column_names)
for score in (a, b):
    hard = score >= 0.5
    print(
        M.roc_auc_score(y, score),
        M.average_precision_score(y, score),
        M.log_loss(y, score),
        M.brier_score_loss(y, score),
        M.f1_score(y, hard),
        M.fbeta_score(y, hard, beta=1),
        M.precision_score(y, hard),
        M.recall_score(y, hard),
        M.accuracy_score(y, hard),
        M.balanced_accuracy_score(y, hard),
        M.matthews_corrcoef(y, hard),
    )


def gaps(y, a, b):
    return np.array(
        [
            M.roc_auc_score(y, a) - M.roc_auc_score(y, b),
            M.log_loss(y, a) - M.log_loss(y, b),
            M.f1_score(y, a >= 0.5) - M.f1_score(y, b >= 0.5),
        ]
    )


rng = np.random.default_rng(7)
replicates = int(sys.argv[2])
if sys.argv[3:] == ["scipy"]:
    # BCa would leave out one row at a time: as many evaluations as there are rows.
    print(
        stats.bootstrap(
            (y, a, b),
            gaps,
            paired=True,
            vectorized=False,
            batch=1,
            n_resamples=replicates,
            method="percentile",
            rng=rng,
        )
    )
else:
    for _ in range(replicates):
        rows = rng.integers(0, len(y), len(y))
        print(gaps(y[rows], a[rows], b[rows]))
