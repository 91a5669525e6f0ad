"""Golden values of the metrics that gen_goldens.py leaves out.

scikit-learn 1.9.1, numpy; run in this folder: python gen_metrics.py
"""
import json

import numpy as np
import pandas as pd
from sklearn import metrics as M

D = pd.read_csv("cls.csv")
y, w = D["y"].to_numpy(), D["weight"].to_numpy()


def at_top(y, s, w, share):
    """Rows of one score count by the part that fits."""
    room, seen, hits = share * w.sum(), 0.0, 0.0
    for score in np.unique(s)[::-1]:
        at = s == score
        here = w[at].sum()
        fits = min(here, room - seen)
        if fits <= 0:
            break
        hits += w[at & (y == 1)].sum() * fits / here
        seen += fits
    base = w[y == 1].sum()
    return hits / base, hits / seen / (base / w.sum())


out = {}
for name in ("a", "b"):
    s = D[f"score_{name}"].to_numpy()
    h = s >= 0.5
    r = {}
    for tag, sw in (("", None), ("_weighted", w)):
        ones = np.ones(len(y)) if sw is None else sw
        r["f_beta_2" + tag] = M.fbeta_score(y, h, beta=2, sample_weight=sw)
        r["mcc" + tag] = M.matthews_corrcoef(y, h, sample_weight=sw)
        r["balanced_accuracy" + tag] = M.balanced_accuracy_score(y, h, sample_weight=sw)
        r["recall_at_top_0.3" + tag], r["lift_at_top_0.3" + tag] = at_top(y, s, ones, 0.3)
        r["cost_1_5" + tag] = np.average((h & (y == 0)) + 5.0 * (~h & (y == 1)), weights=ones)
    out[name] = {key: float(value) for key, value in r.items()}
R = pd.read_csv("reg.csv")
y = R["y"].to_numpy()
w = np.arange(len(y)) % 5
out["weights_of_regression"] = "row % 5"
for name in ("a", "b"):
    s = R[f"pred_{name}"].to_numpy()
    out["reg_" + name] = {
        "mae": M.mean_absolute_error(y, s, sample_weight=w),
        "rmse": M.root_mean_squared_error(y, s, sample_weight=w),
        "r2": M.r2_score(y, s, sample_weight=w),
        "mape": M.mean_absolute_percentage_error(y, s, sample_weight=w),
        "median_ae": float(np.median(np.repeat(abs(y - s), w))),
        "pinball": M.mean_pinball_loss(y, s, sample_weight=w, alpha=0.9),
    }
json.dump(out, open("metrics.json", "w"), indent=1)
