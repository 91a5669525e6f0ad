"""Evaluation: candidate and champion predict the same held-out rows."""

import argparse

import mlflow
import registry
from flights import model
from lakehouse import Lakehouse, months_of


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("schema")
    parser.add_argument("--months", required=True, type=months_of)
    parser.add_argument("--candidate", default="latest")
    arguments = parser.parse_args()
    name = f"{arguments.schema}.late_arrival"
    mlflow.set_registry_uri("databricks-uc")

    lakehouse = Lakehouse(arguments.schema)
    rows = lakehouse.read("features", arguments.months)
    candidate = registry.resolve(name, arguments.candidate)
    champion = registry.by_alias(name, "champion")
    judged = rows[["flight_id", "late", "origin"]].copy()
    judged["candidate"] = model.predict(registry.load(name, candidate), rows)
    # The first model has nobody to stand up to; the column is there all the same.
    judged["champion"] = model.predict(registry.load(name, champion), rows) if champion else float("nan")
    judged["candidate_version"] = int(candidate)
    judged["champion_version"] = int(champion or 0)
    lakehouse.replace("evaluation", judged)
    print(f"version {candidate} and champion {champion or 'none'} on {len(judged)} flights")


if __name__ == "__main__":
    main()
