"""Models of Unity Catalog by version or alias."""

import mlflow
import mlflow.sklearn
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException


def resolve(name: str, version: str) -> str:
    """A version number for `latest` or a number."""
    if version != "latest":
        return version
    versions = [int(found.version) for found in MlflowClient().search_model_versions(f"name = '{name}'")]
    if not versions:
        raise SystemExit(f"{name} has no version: train first")
    return str(max(versions))


def by_alias(name: str, alias: str) -> str | None:
    try:
        return MlflowClient().get_model_version_by_alias(name, alias).version
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def registered_before(name, key):
    """The version that an interrupted run of the same step has registered."""
    for version in MlflowClient().search_model_versions(f"name = '{name}'"):
        found = MlflowClient().get_model_version(name, version.version)
        if found.status == "READY" and found.tags.get("training_key") == key:
            return version.version
    return None


def load(name: str, version: str):
    mlflow.set_registry_uri("databricks-uc")
    return mlflow.sklearn.load_model(f"models:/{name}/{version}")
