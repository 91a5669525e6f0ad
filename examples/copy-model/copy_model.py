"""Copies a version of a model to a model of another catalog, byte by byte and once."""

import argparse
import os
import tempfile

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

ORIGIN = "copied_from"


def copied_before(client, destination, origin):
    for found in client.search_model_versions(f"name = '{destination}'"):
        version = client.get_model_version(destination, found.version)
        if version.status == "READY" and version.tags.get(ORIGIN) == origin:
            return version.version
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("source")
    parser.add_argument("version")
    parser.add_argument("destination")
    arguments = parser.parse_args()
    mlflow.set_registry_uri("databricks-uc")
    client = MlflowClient()
    origin = f"{arguments.source}/{arguments.version}"
    try:
        client.get_registered_model(arguments.destination)
    except MlflowException:
        client.create_registered_model(arguments.destination)
    if version := copied_before(client, arguments.destination, origin):
        print(f"version {version} of {arguments.destination} is a copy of {origin} already")
        return
    source = client.get_model_version(arguments.source, arguments.version)
    # What it is used for there says nothing of the copy.
    kept = {name: value for name, value in source.tags.items() if name != "lakegate_state"}
    with tempfile.TemporaryDirectory() as scratch:
        folder = mlflow.artifacts.download_artifacts(f"models:/{origin}", dst_path=scratch)
        # MLflow writes down where it found the files: the version itself has no such file.
        note = os.path.join(folder, "registered_model_meta")
        if os.path.exists(note):
            os.unlink(note)
        copy = client.create_model_version(
            arguments.destination,
            source=folder,
            run_id=source.run_id,
            description=source.description,
            tags={**kept, ORIGIN: origin},
        )
    print(f"version {copy.version} of {arguments.destination} is a copy of {origin}")


if __name__ == "__main__":
    main()
