"""Estimated performance by nannyml 0.13.1, realised by scikit-learn.

Inputs are closed formulas, so that the test can make them again.
"""
import json
import math
import os
import warnings

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"
warnings.filterwarnings("ignore")

import nannyml as nml
import numpy as np
import pandas as pd
import sklearn


def uniform(n, seed):
    """Weyl's sequence: the same numbers in every language."""
    return np.array([math.modf((i + 1) * 0.6180339887498949 + seed * 0.377)[0] for i in range(n)])


def binary(n, seed, shift):
    u, v = uniform(n, seed), uniform(n, seed + 1)[::-1].copy()
    score = np.clip(u**1.5 + shift * (1 - u), 0, 1)
    # The scores are not calibrated: the truth is bolder.
    truth = (v < score**2).astype(int)
    return pd.DataFrame({"s": score, "p": (score >= 0.5).astype(int), "y": truth})


def several(n, seed, shift):
    u, v, w = uniform(n, seed), uniform(n, seed + 1)[::-1].copy(), uniform(n, seed + 2)
    a = u**2 + shift
    b = v * 0.8
    c = np.full(n, 0.3)
    total = a + b + c
    probs = np.stack([a, b, c], 1) / total[:, None]
    sharp = probs**1.5 / (probs**1.5).sum(1, keepdims=True)
    edges = sharp.cumsum(1)
    truth = (w[:, None] > edges[:, :2]).sum(1)
    names = np.array(["a", "b", "c"])
    frame = pd.DataFrame({f"p_{name}": probs[:, i] for i, name in enumerate(names)})
    frame["p"], frame["y"] = names[probs.argmax(1)], names[truth]
    return frame


def numbers(n, seed, shift):
    x, z, e = uniform(n, seed), uniform(n, seed + 1)[::-1].copy(), uniform(n, seed + 2)
    x = x + shift
    predicted = 3 * x + z
    truth = predicted + (e - 0.5) * (0.2 + 2 * x)
    return pd.DataFrame({"x": x, "z": z, "p": predicted, "y": truth})


def estimates(result, names):
    frame = result.filter(period="analysis").to_df(multilevel=False)
    kept = {}
    for name in names:
        column = [c for c in frame if c in (f"estimated_{name}", f"{name}_value", name)]
        kept[name] = float(frame[column[0]].iloc[0])
    return kept


out = {"versions": {m.__name__: m.__version__ for m in (nml, np, pd, sklearn)}}
ref, cur = binary(4000, 3, 0.0), binary(3000, 7, 0.25)
names = ["roc_auc", "average_precision", "f1", "precision", "recall", "accuracy"]
cbpe = nml.CBPE(y_pred_proba="s", y_pred="p", y_true="y", problem_type="classification_binary", metrics=names, chunk_number=1)
cbpe.fit(ref)
out["binary"] = dict(calibrated=bool(cbpe.needs_calibration), **estimates(cbpe.estimate(cur.drop(columns="y")), names))

ref, cur = several(4000, 3, 0.0), several(3000, 7, 0.3)
names = ["roc_auc", "f1", "accuracy"]
classes = {name: f"p_{name}" for name in "abc"}
cbpe = nml.CBPE(y_pred_proba=classes, y_pred="p", y_true="y", problem_type="classification_multiclass", metrics=names, chunk_number=1)
cbpe.fit(ref)
kinds = {name: type(c).__name__ for name, c in cbpe._calibrators.items()}
out["multiclass"] = dict(calibrators=kinds, **estimates(cbpe.estimate(cur.drop(columns="y")), names))

ref, cur = numbers(4000, 3, 0.0), numbers(3000, 7, 0.25)
names = ["mae", "rmse"]
dle = nml.DLE(feature_column_names=["x", "z"], y_pred="p", y_true="y", metrics=names, chunk_number=1)
dle.fit(ref)
realised = {"mae": float((cur.y - cur.p).abs().mean()), "rmse": float(((cur.y - cur.p) ** 2).mean() ** 0.5)}
before = {"mae": float((ref.y - ref.p).abs().mean())}
out["regression"] = dict(estimates(dle.estimate(cur.drop(columns="y")), names), realised=realised, before=before)
json.dump(out, open("estimates.json", "w"), indent=1)
print(json.dumps(out, indent=1))
