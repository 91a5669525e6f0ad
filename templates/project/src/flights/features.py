"""From flights and weather to what a model may know before departure."""

import pandas as pd

LATE_MINUTES = 15

CATEGORIES = ["carrier", "origin"]
NUMBERS = ["hour", "distance", "temp", "dewp", "humid", "wind_speed", "precip", "pressure", "visib"]
COLUMNS = CATEGORIES + NUMBERS

# Nullable numbers would become objects on their way through a table.
_TYPES = {name: "float64" for name in NUMBERS} | {name: "object" for name in CATEGORIES}


def build(flights: pd.DataFrame, weather: pd.DataFrame) -> pd.DataFrame:
    """One row per flight that arrived, with the weather at its scheduled hour.

    The weather of the hour is an observation; production would join a forecast.
    """
    arrived = flights.dropna(subset=["arr_delay"]).copy()
    arrived["flight_id"] = (
        arrived["month"].map("{:02d}".format)
        + arrived["day"].map("{:02d}".format)
        + arrived["sched_dep_time"].map("-{:04d}-".format)
        + arrived["carrier"]
        + arrived["flight"].astype(str)
        + arrived["origin"]
    )
    arrived = arrived.drop_duplicates("flight_id")
    arrived["late"] = (arrived["arr_delay"] >= LATE_MINUTES).astype("int64")
    hour = ["origin", "month", "day", "hour"]
    observed = weather.drop_duplicates(hour)[hour + ["temp", "dewp", "humid", "wind_speed", "precip", "pressure", "visib"]]
    joined = arrived.merge(observed, on=hour, how="left", validate="many_to_one")
    joined["month"] = joined["month"].astype("int64")
    return joined[["flight_id", "month", "late", *COLUMNS]].astype(_TYPES).reset_index(drop=True)
