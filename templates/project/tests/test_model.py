import numpy as np
import pandas as pd
import pytest
from flights import model
from flights.features import CATEGORIES, COLUMNS
from lakehouse import months_of


@pytest.fixture
def rows():
    random = np.random.default_rng(1)
    frame = pd.DataFrame({name: random.normal(size=300) for name in COLUMNS})
    for name in CATEGORIES:
        frame[name] = random.choice(["a", "b"], 300)
    frame["late"] = (frame["hour"] > 0).astype(int)
    return frame


def test_it_learns_and_stays_within_zero_and_one(rows):
    scores = model.predict(model.train(rows), rows)
    assert ((scores >= 0) & (scores <= 1)).all()
    assert scores[rows["late"] == 1].mean() > scores[rows["late"] == 0].mean() + 0.5


def test_a_new_carrier_does_not_break_it(rows):
    fitted = model.train(rows)
    rows["carrier"] = "new"
    assert np.isfinite(model.predict(fitted, rows)).all()


def test_an_unknown_feature_is_named(rows):
    with pytest.raises(ValueError, match="no such feature: tmep"):
        model.train(rows, ["tmep"])


def test_months_are_lists_or_ranges():
    assert months_of("1,3-5") == [1, 3, 4, 5]
    with pytest.raises(SystemExit):
        months_of("13")
