import numpy as np
import pandas as pd
import pytest
from flights import answers


@pytest.fixture
def rows():
    random = np.random.default_rng(3)
    frame = pd.DataFrame({"hour": random.integers(5, 23, 600), "carrier": random.choice(["UA", "AA"], 600), "origin": "EWR"})
    frame["precip"] = random.choice([0.0, 0.4], 600)
    frame["wind_speed"] = 10.0
    frame["visib"] = np.nan
    frame["late"] = (frame["hour"] > 17).astype(int)
    return frame


def test_fine_tuning_teaches_and_the_base_stays_as_it_was(rows):
    asked, wanted = answers.prompts(rows), answers.expected(rows)
    right = lambda model: np.mean(np.array(model.answer(asked)) == wanted)
    model = answers.base("tiny")
    losses = model.fine_tune(asked, wanted, epochs=3)
    assert losses == sorted(losses, reverse=True)
    assert right(model) > 0.95 > right(answers.base("tiny"))
    assert np.mean(model.surprise(asked, wanted)) < np.mean(answers.base("tiny").surprise(asked, wanted))


def test_it_learns_the_same_twice(rows):
    asked, wanted = answers.prompts(rows)[:50], answers.expected(rows)[:50]
    losses = [answers.base("tiny").fine_tune(asked, wanted, epochs=1) for _ in range(2)]
    assert losses[0] == losses[1]


def test_a_base_that_is_not_there_is_named():
    with pytest.raises(SystemExit, match="no base model is called huge: tiny"):
        answers.base("huge")
