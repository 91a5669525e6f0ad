"""The model: gradient boosting over numbers and categories."""

import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder

from flights.features import CATEGORIES, COLUMNS

SEED = 7


def train(features: pd.DataFrame, columns: list[str] | None = None) -> Pipeline:
    """Fits a model on `columns` (all by default) of the feature table's rows."""
    columns = columns or COLUMNS
    unknown = set(columns) - set(COLUMNS)
    if unknown:
        raise ValueError(f"no such feature: {', '.join(sorted(unknown))} (known: {', '.join(COLUMNS)})")
    categories = [name for name in columns if name in CATEGORIES]
    numbers = [name for name in columns if name not in CATEGORIES]
    encode = ColumnTransformer(
        [
            ("categories", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), categories),
            ("numbers", "passthrough", numbers),
        ]
    )
    boosting = HistGradientBoostingClassifier(max_iter=80, learning_rate=0.08, random_state=SEED)
    return Pipeline([("encode", encode), ("boosting", boosting)]).fit(features[COLUMNS], features["late"])


def predict(model: Pipeline, features: pd.DataFrame):
    """The chance of a late arrival, one per row."""
    return model.predict_proba(features[COLUMNS])[:, 1]
