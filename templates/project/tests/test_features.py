import pandas as pd
import pytest
from flights import features


@pytest.fixture
def flights():
    return pd.DataFrame(
        {
            "month": [1, 1, 1],
            "day": [2, 2, 2],
            "hour": [6, 6, 7],
            "sched_dep_time": [600, 605, 700],
            "carrier": ["UA", "AA", "UA"],
            "flight": [1, 2, 3],
            "origin": ["EWR", "JFK", "EWR"],
            "distance": [100.0, 200.0, 300.0],
            "arr_delay": [14.0, 15.0, None],
        }
    )


@pytest.fixture
def weather():
    values = {name: [1.0] for name in ["temp", "dewp", "humid", "wind_speed", "precip", "pressure", "visib"]}
    return pd.DataFrame({"origin": ["EWR"], "month": [1], "day": [2], "hour": [6], **values})


def test_late_is_fifteen_minutes_and_a_cancelled_flight_is_left_out(flights, weather):
    built = features.build(flights, weather)
    assert list(built["late"]) == [0, 1]


def test_a_flight_without_weather_stays_with_gaps(flights, weather):
    built = features.build(flights, weather)
    assert built["temp"].isna().tolist() == [False, True]


def test_a_flight_is_counted_once(flights, weather):
    built = features.build(pd.concat([flights, flights]), weather)
    assert built["flight_id"].is_unique
