"""All binary metrics of two models with scikit-learn, and some paired bootstrap replicates."""

import sys

import numpy as np
import pyarrow.parquet as pq
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
rng = np.random.default_rng(7)
n = len(y)
for _ in range(int(sys.argv[2])):
    rows = rng.integers(0, n, n)
    ys, xs, zs = y[rows], a[rows], b[rows]
    print(
        M.roc_auc_score(ys, xs) - M.roc_auc_score(ys, zs),
        M.log_loss(ys, xs) - M.log_loss(ys, zs),
        M.f1_score(ys, xs >= 0.5) - M.f1_score(ys, zs >= 0.5),
    )
