import math

import mlflow
import mlflow.sklearn
import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sklearn.linear_model import LogisticRegression


@pytest.fixture
def tracking():
    return MlflowClient()


def test_a_run_keeps_what_is_logged(experiment, tracking, tmp_path):
    with mlflow.start_run(run_name="night") as run:
        mlflow.log_params({"depth": 4, "rate": 0.1})
        for step, value in enumerate([0.5, 0.7, 0.8]):
            mlflow.log_metric("auc", value, step=step)
        mlflow.log_metric("broken", math.nan)
        mlflow.log_metrics({"a": 1.0, "b": 2.0})
        mlflow.set_tag("kind", "test")
        (tmp_path / "note.txt").write_text("hello")
        mlflow.log_artifact(tmp_path / "note.txt", "notes")
    data = tracking.get_run(run.info.run_id).data
    assert data.params == {"depth": "4", "rate": "0.1"}
    assert data.metrics["auc"] == 0.8 and math.isnan(data.metrics["broken"])
    assert data.tags["kind"] == "test"
    assert [one.value for one in tracking.get_metric_history(run.info.run_id, "auc")] == [0.5, 0.7, 0.8]
    assert [one.path for one in tracking.list_artifacts(run.info.run_id, "notes")] == ["notes/note.txt"]
    path = tracking.download_artifacts(run.info.run_id, "notes/note.txt", str(tmp_path))
    assert open(path).read() == "hello"
    assert tracking.get_run(run.info.run_id).info.status == "FINISHED"


def test_a_parameter_cannot_change(experiment):
    with mlflow.start_run():
        mlflow.log_param("a", 1)
        with pytest.raises(MlflowException):
            mlflow.log_param("a", 2)


def test_runs_are_found(experiment):
    for value in (0.6, 0.9, 0.7):
        with mlflow.start_run():
            mlflow.log_metric("auc", value)
            mlflow.log_param("kind", "x" if value > 0.65 else "y")
    found = mlflow.search_runs(
        [experiment.experiment_id], filter_string="metrics.auc > 0.65 and params.kind = 'x'",
        order_by=["metrics.auc DESC"], output_format="list",
    )
    assert [run.data.metrics["auc"] for run in found] == [0.9, 0.7]


def test_experiments_are_renamed_deleted_and_restored(experiment, tracking, name):
    id = experiment.experiment_id
    tracking.rename_experiment(id, f"/Users/you@lakegate.test/{name}-new")
    tracking.set_experiment_tag(id, "team", "flights")
    assert tracking.get_experiment(id).tags["team"] == "flights"
    tracking.delete_experiment(id)
    assert tracking.get_experiment(id).lifecycle_stage == "deleted"
    tracking.restore_experiment(id)
    assert tracking.get_experiment_by_name(f"/Users/you@lakegate.test/{name}-new").experiment_id == id
    with pytest.raises(MlflowException, match="absolute"):
        tracking.create_experiment("relative")


@pytest.fixture
def registered(experiment, schema):
    """A model that was logged and registered in one call, as training does it."""
    features = np.random.default_rng(1).normal(size=(60, 3))
    model = LogisticRegression().fit(features, features[:, 0] > 0)
    with mlflow.start_run() as run:
        info = mlflow.sklearn.log_model(
            model, name="model", registered_model_name=f"{schema}.late", input_example=features[:2]
        )
    return f"{schema}.late", info, run, features, model


def test_a_model_is_logged_registered_and_loaded(registered, tracking):
    full_name, info, run, features, model = registered
    version = tracking.get_model_version(full_name, "1")
    assert (version.status, version.run_id) == ("READY", run.info.run_id)
    loaded = mlflow.sklearn.load_model(f"models:/{full_name}/1")
    assert (loaded.predict(features) == model.predict(features)).all()
    logged = mlflow.get_logged_model(info.model_id)
    assert logged.status.value == "READY" and logged.source_run_id == run.info.run_id


def test_aliases_move_and_tags_stay(registered, tracking):
    full_name, info, *_ = registered
    mlflow.register_model(info.model_uri, full_name)
    tracking.set_registered_model_alias(full_name, "champion", "1")
    tracking.set_registered_model_alias(full_name, "champion", "2")
    assert tracking.get_model_version_by_alias(full_name, "champion").version == "2"
    assert mlflow.sklearn.load_model(f"models:/{full_name}@champion") is not None
    tracking.set_model_version_tag(full_name, "2", "approved", "yes")
    tracking.set_registered_model_tag(full_name, "owner", "ops")
    assert tracking.get_model_version(full_name, "2").tags == {"approved": "yes"}
    assert tracking.get_registered_model(full_name).aliases == {"champion": "2"}
    assert {one.version for one in tracking.search_model_versions(f"name = '{full_name}'")} == {"1", "2"}
    tracking.delete_registered_model_alias(full_name, "champion")
    with pytest.raises(MlflowException):
        tracking.get_model_version_by_alias(full_name, "champion")
    tracking.delete_model_version(full_name, "1")
    with pytest.raises(MlflowException):
        tracking.get_model_version(full_name, "1")


def test_both_clients_see_the_same_registry(registered, client, tracking):
    full_name, *_ = registered
    client.registered_models.set_alias(full_name, "champion", 1)
    assert tracking.get_model_version_by_alias(full_name, "champion").version == "1"
    assert client.registered_models.get(full_name, include_aliases=True).aliases[0].alias_name == "champion"
    catalog, schema, model = full_name.split(".")
    names = [entry.name for entry in client.files.list_directory_contents(f"/Models/{catalog}/{schema}/{model}/1")]
    assert "MLmodel" in names
    assert [one.version for one in client.model_versions.list(full_name)] == [1]


def test_a_version_number_is_never_used_again(registered, tracking):
    full_name, info, *_ = registered
    tracking.delete_model_version(full_name, "1")
    assert mlflow.register_model(info.model_uri, full_name).version == "2"


def test_logged_models_are_found(registered, experiment):
    _, info, run, *_ = registered
    found = mlflow.search_logged_models([experiment.experiment_id], output_format="list")
    assert [one.model_id for one in found] == [info.model_id]
