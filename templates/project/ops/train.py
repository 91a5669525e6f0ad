"""Training: fits a model, logs it to MLflow and registers it in Unity Catalog."""

import argparse

import mlflow
import mlflow.sklearn
import registry
from flights import model
from flights.features import COLUMNS
from lakehouse import Lakehouse, months_of
from mlflow.models import infer_signature
from sklearn.metrics import roc_auc_score

REQUIREMENTS = ["scikit-learn", "pandas"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("schema")
    parser.add_argument("--experiment", required=True)
    parser.add_argument("--months", required=True, type=months_of)
    parser.add_argument("--columns", default="", help="features to use, separated by commas; all by default")
    parser.add_argument("--environment", default="", help="the bundle's target, kept as a tag of the run")
    parser.add_argument("--key", default="", help="the same key registers one version, however often it runs")
    arguments = parser.parse_args()
    name = f"{arguments.schema}.late_arrival"

    mlflow.set_registry_uri("databricks-uc")
    mlflow.set_experiment(arguments.experiment)
    if arguments.key and (version := registry.registered_before(name, arguments.key)):
        print(f"version {version} was registered by an earlier run of this step")
        return
    lakehouse = Lakehouse(arguments.schema)
    source = lakehouse.source("features")
    features = lakehouse.read("features", arguments.months, source.delta_table_version)
    columns = [column for column in arguments.columns.split(",") if column]
    with mlflow.start_run():
        mlflow.set_tag("environment", arguments.environment)
        mlflow.log_input(mlflow.data.from_pandas(features, source=source, targets="late"), context="training")
        mlflow.log_params({"months": arguments.months, "columns": columns or "all", "rows": len(features)})
        fitted = model.train(features, columns)
        scores = model.predict(fitted, features)
        mlflow.log_metric("training_roc_auc", roc_auc_score(features["late"], scores))
        logged = mlflow.sklearn.log_model(
            fitted,
            name="model",
            signature=infer_signature(features[COLUMNS].head(100), scores[:100]),
            input_example=features[COLUMNS].head(5),
            pip_requirements=REQUIREMENTS,
            serialization_format="cloudpickle",
        )
        tags = {"training_key": arguments.key, "months": ",".join(map(str, arguments.months))}
        registered = mlflow.register_model(logged.model_uri, name, tags=tags)
    print(f"version {registered.version} of {name}: {len(features)} flights")


if __name__ == "__main__":
    main()
