"""Golden values of metrics of classes, rankings, forecasts and groups.

scikit-learn 1.9.1, fairlearn 0.15.0, numpy; run in this folder: python gen_answers.py
"""
import json

import numpy as np
import pandas as pd
from fairlearn import metrics as F
from sklearn import metrics as M

SEED = 20261125
random = np.random.default_rng(SEED)
rows, classes = 240, 4
label = random.integers(0, classes, rows)
weight = np.round(random.uniform(0.2, 2.0, rows), 2)
out = {"rows": [], "classes": {}, "ranking": {}, "forecast": {}, "fairness": {}}


def probabilities(strength):
    raw = random.uniform(0, 1, (rows, classes))
    raw[np.arange(rows), label] += strength * random.uniform(0, 1, rows)
    # Coarse, so that there are ties, and still a sum of one.
    parts = np.floor(raw / raw.sum(axis=1, keepdims=True) * 20).astype(int)
    parts[:, 0] += 20 - parts.sum(axis=1)
    return parts / 20


out["label"] = label.tolist()
out["weight"] = weight.tolist()
for name, strength in (("a", 1.2), ("b", 0.6)):
    p = probabilities(strength)
    said = p.argmax(axis=1)
    r = {"probabilities": p.T.tolist()}
    for tag, w in (("", None), ("_by_weight", weight)):
        r["accuracy" + tag] = M.accuracy_score(label, said, sample_weight=w)
        r["balanced_accuracy" + tag] = M.balanced_accuracy_score(label, said, sample_weight=w)
        for average, key in (("macro", "f1"), ("micro", "f1_micro"), ("weighted", "f1_weighted")):
            r[key + tag] = M.f1_score(label, said, average=average, sample_weight=w)
        r["precision" + tag] = M.precision_score(label, said, average="macro", sample_weight=w)
        r["recall" + tag] = M.recall_score(label, said, average="macro", sample_weight=w)
        r["mcc" + tag] = M.matthews_corrcoef(label, said, sample_weight=w)
        r["cohen_kappa" + tag] = M.cohen_kappa_score(label, said, sample_weight=w)
        r["log_loss" + tag] = M.log_loss(label, p, sample_weight=w)
        r["brier" + tag] = M.brier_score_loss(label, p, sample_weight=w, scale_by_half=False)
        r["top_k" + tag] = M.top_k_accuracy_score(label, p, k=2, sample_weight=w)
        # scikit-learn weighs no one-against-rest; the mean of its binary values.
        r["roc_auc" + tag] = np.mean([M.roc_auc_score(label == c, p[:, c], sample_weight=w) for c in range(classes)])
    out["classes"][name] = {k: v if isinstance(v, list) else float(v) for k, v in r.items()}

# Queries with ties; one of them without anything relevant.
sizes = [2, 5, 9, 14, 3, 7]
group = np.repeat(np.arange(len(sizes)), sizes)
relevance = random.integers(0, 4, len(group)) * (random.uniform(0, 1, len(group)) < 0.6)
relevance[group == 4] = 0
scores = np.round(random.uniform(0, 1, len(group)) + 0.2 * relevance, 1)
out["ranking"]["group"] = group.tolist()
out["ranking"]["relevance"] = relevance.tolist()
out["ranking"]["scores"] = scores.tolist()
for k in (3, 100):
    of = lambda f: float(np.mean([f(relevance[group == g], scores[group == g]) for g in range(len(sizes))]))
    out["ranking"][f"ndcg_{k}"] = of(lambda y, s: M.ndcg_score([y], [s], k=k))
out["ranking"]["map_100"] = of(lambda y, s: M.average_precision_score(y > 0, s) if (y > 0).any() else 0.0)


def reciprocal(y, s):
    """Rows of equal scores stand at the last of their places."""
    ranks = [(s >= s[i]).sum() for i in range(len(y)) if y[i] > 0]
    return 1.0 / min(ranks) if ranks else 0.0


out["ranking"]["mrr_100"] = of(reciprocal)

y = np.round(random.normal(50, 10, 60), 2)
f = np.round(y + random.normal(0, 4, 60), 2)
scale = np.round(random.uniform(2, 6, 60), 2)
low, high = f - 5, f + 4
w = np.round(random.uniform(0.2, 2.0, 60), 2)
out["forecast"] = {
    "y": y.tolist(), "f": f.tolist(), "scale": scale.tolist(), "low": low.tolist(), "high": high.tolist(), "weight": w.tolist(),
}
for tag, ww in (("", np.ones(60)), ("_by_weight", w)):
    out["forecast"] |= {
        "wape" + tag: float((ww * abs(y - f)).sum() / (ww * abs(y)).sum()),
        "mase" + tag: float(np.average(abs(y - f) / scale, weights=ww)),
        "coverage" + tag: float(np.average((low <= y) & (y <= high), weights=ww)),
        "width" + tag: float(np.average(high - low, weights=ww)),
        "rmse" + tag: float(M.root_mean_squared_error(y, f, sample_weight=ww)),
    }
x = np.round(random.gamma(2.0, 3.0, 41), 2)
out["quantiles"] = {"x": x.tolist()} | {
    str(q): float(np.quantile(x, q, method="averaged_inverted_cdf")) for q in (0.05, 0.25, 0.5, 0.9, 0.95)
}

truth = random.integers(0, 2, 300)
who = random.choice(["p", "q", "r"], 300)
score = np.round(np.clip(0.3 * truth + random.uniform(0, 0.7, 300) + 0.1 * (who == "q"), 0, 1), 3)
alarm = score >= 0.5
kw = dict(sensitive_features=who)
out["fairness"] = {
    "truth": truth.tolist(), "who": who.tolist(), "score": score.tolist(),
    "demographic_parity_difference": float(F.demographic_parity_difference(truth, alarm, **kw)),
    "demographic_parity_ratio": float(F.demographic_parity_ratio(truth, alarm, **kw)),
    "equal_opportunity_difference": float(F.equal_opportunity_difference(truth, alarm, **kw)),
    "equal_opportunity_ratio": float(F.equal_opportunity_ratio(truth, alarm, **kw)),
    "equalized_odds_difference": float(F.equalized_odds_difference(truth, alarm, **kw)),
    "equalized_odds_ratio": float(F.equalized_odds_ratio(truth, alarm, **kw)),
}
del out["rows"]
json.dump(out, open("answers.json", "w"))
