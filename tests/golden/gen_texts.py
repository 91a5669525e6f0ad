"""What evidently 0.7.23 says of texts; `compat/evidently.rs` makes the same ones."""

import json
import os
import warnings

import evidently
import pandas as pd
import sklearn
from evidently.legacy.calculations.stattests.registry import _get_default_stattest
from evidently.legacy.core import ColumnType

warnings.filterwarnings("ignore")
MASK = 2**64 - 1


def mixed(value):
    """SplitMix64."""
    value = (value + 0x9E3779B97F4A7C15) & MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & MASK
    return value ^ (value >> 31)


def texts(rows, salt, first, words):
    """Six of `words` words in each, `wordN` from number `first` on."""
    word = lambda row, at: first + mixed(salt << 40 | row << 8 | at) % words
    return pd.Series([" ".join(f"word{word(row, at)}" for at in range(6)) for row in range(rows)])


CASES = {
    "small same": ((400, 1, 0, 60), (400, 2, 0, 60)),
    "small moved": ((400, 1, 0, 60), (400, 3, 20, 60)),
    "small other": ((300, 1, 0, 60), (500, 4, 200, 60)),
    "large same": ((1500, 5, 0, 300), (1500, 6, 0, 300)),
    "large moved": ((1500, 5, 0, 300), (1200, 7, 150, 300)),
    "large other": ((1200, 5, 0, 300), (1200, 8, 900, 300)),
}

out = {"_versions": {"evidently": evidently.__version__, "scikit-learn": sklearn.__version__}}
for name, (before, now) in CASES.items():
    a, b = texts(*before), texts(*now)
    test = _get_default_stattest(a, b, ColumnType.Text)
    found = test(a, b, ColumnType.Text, None)
    out[name] = {"before": before, "now": now, "method": test.display_name, "score": float(found.drift_score), "drifted": bool(found.drifted)}
with open(os.path.join(os.environ.get("GOLDEN_DIR", "."), "goldens_texts.json"), "w") as file:
    json.dump(out, file, indent=1)
print(json.dumps(out, indent=1))
