"""Batch scoring: the champion predicts the flights of some months."""

import argparse

import mlflow
import registry
from flights import model
from lakehouse import Lakehouse, months_of


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("schema")
    parser.add_argument("--months", required=True, type=months_of)
    arguments = parser.parse_args()
    name = f"{arguments.schema}.late_arrival"
    mlflow.set_registry_uri("databricks-uc")

    version = registry.by_alias(name, "champion")
    lakehouse = Lakehouse(arguments.schema)
    if version is None and lakehouse.has("predictions"):
        raise SystemExit(f"{name} has no champion any more: who took the alias away?")
    if version is None:
        print(f"{name} has no champion yet: there is nothing to score with")
        return
    rows = lakehouse.read("features", arguments.months)
    scored = rows[["flight_id", "month"]].copy()
    scored["score"] = model.predict(registry.load(name, version), rows)
    scored["model_version"] = int(version)
    lakehouse.replace("predictions", scored, arguments.months)
    print(f"{len(scored)} flights scored with version {version}")


if __name__ == "__main__":
    main()
