"""Evaluation of answers: candidate and champion answer the same held-out questions."""

import argparse

import mlflow
import registry
from flights import answers
from lakehouse import Lakehouse, months_of


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("schema")
    parser.add_argument("--months", required=True, type=months_of)
    parser.add_argument("--candidate", default="latest")
    parser.add_argument("--limit", type=int, default=4000)
    arguments = parser.parse_args()
    name = f"{arguments.schema}.answers"
    mlflow.set_registry_uri("databricks-uc")

    lakehouse = Lakehouse(arguments.schema)
    rows = lakehouse.read("features", arguments.months)
    rows = rows.sample(min(arguments.limit, len(rows)), random_state=11)
    versions = {"candidate": registry.resolve(name, arguments.candidate), "champion": registry.by_alias(name, "champion")}
    asked, wanted = answers.prompts(rows), answers.expected(rows)
    judged = rows[["flight_id", "origin"]].copy()
    judged["expected"] = wanted
    for who, version in versions.items():
        # The first model has nobody to stand up to; the columns are there all the same.
        said, surprise = [""] * len(rows), float("nan")
        if version:
            model = mlflow.pyfunc.load_model(f"models:/{name}/{version}").unwrap_python_model().model
            said, surprise = model.answer(asked), model.surprise(asked, wanted)
        judged[f"{who}_answer"] = said
        judged[f"{who}_surprise"] = surprise
        judged[f"{who}_version"] = int(version or 0)
    lakehouse.replace("answers_evaluation", judged)
    print(f"version {versions['candidate']} and champion {versions['champion'] or 'none'} on {len(judged)} questions")


if __name__ == "__main__":
    main()
