"""Fine-tuning: takes a base model further on our flights, and registers what comes of it."""

import argparse

import mlflow
import mlflow.pyfunc
import pandas as pd
import registry
from flights import answers
from lakehouse import Lakehouse, months_of
from mlflow.models import infer_signature

REQUIREMENTS = ["numpy", "pandas"]


class Answering(mlflow.pyfunc.PythonModel):
    """The model as the registry serves it: a question in, an answer out."""

    def __init__(self, model):
        self.model = model

    def predict(self, context, model_input, params=None):
        return pd.DataFrame({"answer": self.model.answer(model_input["prompt"])})


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("schema")
    parser.add_argument("--experiment", required=True)
    parser.add_argument("--months", required=True, type=months_of)
    parser.add_argument("--base", default="tiny")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--limit", type=int, default=8000, help="flights to learn from, drawn evenly")
    parser.add_argument("--key", default="", help="the same key registers one version, however often it runs")
    arguments = parser.parse_args()
    name = f"{arguments.schema}.answers"

    mlflow.set_registry_uri("databricks-uc")
    mlflow.set_experiment(arguments.experiment)
    if arguments.key and (version := registry.registered_before(name, arguments.key)):
        print(f"version {version} was registered by an earlier run of this step")
        return
    rows = Lakehouse(arguments.schema).read("features", arguments.months)
    rows = rows.sample(min(arguments.limit, len(rows)), random_state=7)
    asked, wanted = answers.prompts(rows), answers.expected(rows)
    with mlflow.start_run():
        mlflow.log_params({"base": arguments.base, "epochs": arguments.epochs, "months": arguments.months, "answers": len(rows)})
        model = answers.base(arguments.base)
        for epoch, loss in enumerate(model.fine_tune(asked, wanted, arguments.epochs)):
            mlflow.log_metric("loss", loss, step=epoch)
        example = pd.DataFrame({"prompt": asked[:2]})
        logged = mlflow.pyfunc.log_model(
            name="model",
            python_model=Answering(model),
            signature=infer_signature(example, pd.DataFrame({"answer": wanted[:2]})),
            pip_requirements=REQUIREMENTS,
        )
        tags = {"training_key": arguments.key, "months": ",".join(map(str, arguments.months)), "base": arguments.base}
        registered = mlflow.register_model(logged.model_uri, name, tags=tags)
    print(f"version {registered.version} of {name}: {arguments.base}, {len(rows)} answers")


if __name__ == "__main__":
    main()
