import sys
from datetime import timedelta
from pathlib import Path

import cloudpickle
import mlflow
import pandas as pd
import pytest
from databricks.sdk.errors import InvalidParameterValue, NotFound, OperationFailed
from databricks.sdk.service.serving import (
    EndpointCoreConfigInput, EndpointStateReady, Route, ServedEntityInput, TrafficConfig,
)
from mlflow.models import infer_signature

# Those of the starter project, so that both have one environment.
REQUIREMENTS = Path(__file__).parents[2] / "templates/project/requirements.txt"
PATIENCE = timedelta(minutes=5)
# The process that serves a model knows nothing of this file.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


class Constant(mlflow.pyfunc.PythonModel):
    def __init__(self, value):
        self.value = value

    def predict(self, context, model_input, params=None):
        if self.value is None:
            raise ValueError("there is no value")
        return [self.value] * len(model_input)

    def load_context(self, context):
        if self.value == "never":
            raise RuntimeError("it never loads")


@pytest.fixture
def version(client, schema, experiment):
    rows = pd.DataFrame({"a": [1.0, 2.0]})

    def register(value):
        with mlflow.start_run():
            logged = mlflow.pyfunc.log_model(
                name="model",
                python_model=Constant(value),
                signature=infer_signature(rows, [1.0, 1.0]),
                pip_requirements=str(REQUIREMENTS),
            )
        return mlflow.register_model(logged.model_uri, f"{schema}.model").version

    return register


@pytest.fixture
def entity(schema):
    def served(version, name=None):
        return ServedEntityInput(
            entity_name=f"{schema}.model", entity_version=version, name=name, workload_size="Small", scale_to_zero_enabled=True
        )

    return served


@pytest.fixture
def endpoint(client, name):
    yield name
    client.serving_endpoints.delete(name)


def traffic(**shares):
    return TrafficConfig(routes=[Route(served_model_name=name, traffic_percentage=share) for name, share in shares.items()])


def ask(client, endpoint):
    return client.serving_endpoints.query(endpoint, dataframe_records=[{"a": 1.0}, {"a": 2.0}]).predictions


def test_versions_share_the_traffic_of_an_endpoint(client, version, entity, endpoint):
    one, two = version(1.0), version(2.0)
    made = client.serving_endpoints.create_and_wait(
        endpoint, config=EndpointCoreConfigInput(name=endpoint, served_entities=[entity(one)]), timeout=PATIENCE
    )
    assert made.state.ready == EndpointStateReady.READY
    assert made.config.served_entities[0].name == f"model-{one}"
    assert ask(client, endpoint) == [1.0, 1.0]
    split = client.serving_endpoints.update_config_and_wait(
        endpoint,
        served_entities=[entity(one, "old"), entity(two, "new")],
        traffic_config=traffic(old=50, new=50),
        timeout=PATIENCE,
    )
    assert split.config.config_version == 2
    assert {tuple(ask(client, endpoint)) for _ in range(40)} == {(1.0, 1.0), (2.0, 2.0)}
    text = client.serving_endpoints.export_metrics(endpoint).contents.read().decode()
    assert f'request_count_total{{endpoint_name="{endpoint}",served_model_name="new"}}' in text


def test_what_cannot_be_loaded_leaves_what_is_served(client, version, entity, endpoint):
    good, bad = version(1.0), version("never")
    config = EndpointCoreConfigInput(name=endpoint, served_entities=[entity(good)])
    client.serving_endpoints.create_and_wait(endpoint, config=config, timeout=PATIENCE)
    with pytest.raises(OperationFailed):
        client.serving_endpoints.update_config_and_wait(endpoint, served_entities=[entity(bad)], timeout=PATIENCE)
    found = client.serving_endpoints.get(endpoint)
    assert found.state.ready == EndpointStateReady.READY
    assert "it never loads" in found.pending_config.served_entities[0].state.deployment_state_message
    assert ask(client, endpoint) == [1.0, 1.0]


def test_what_makes_no_sense_is_refused(client, version, entity, endpoint, name):
    config = EndpointCoreConfigInput(name=endpoint, served_entities=[entity(version(None))])
    with pytest.raises(NotFound):
        missing = EndpointCoreConfigInput(name=endpoint, served_entities=[entity("7")])
        client.serving_endpoints.create(endpoint, config=missing)
    client.serving_endpoints.create_and_wait(endpoint, config=config, timeout=PATIENCE)
    with pytest.raises(Exception, match="there is no value"):
        ask(client, endpoint)
    for shares in (traffic(own=99), traffic(other=100)):
        with pytest.raises(InvalidParameterValue):
            client.serving_endpoints.update_config(endpoint, served_entities=[entity("1", "own")], traffic_config=shares)
    with pytest.raises(NotFound):
        client.serving_endpoints.query("nowhere", dataframe_records=[{"a": 1.0}])
