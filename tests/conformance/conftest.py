"""The official clients, unmodified, against the embedded workspace.

DATABRICKS_HOST and DATABRICKS_TOKEN say where it is. Every test works in
names of its own, so that the order does not matter.
"""

import os
import uuid

import mlflow
import pytest
from databricks.sdk import WorkspaceClient

WAREHOUSE = "local"


@pytest.fixture(scope="session")
def client():
    return WorkspaceClient()


@pytest.fixture(scope="session", autouse=True)
def clients_point_to_the_workspace():
    mlflow.set_tracking_uri("databricks")
    mlflow.set_registry_uri("databricks-uc")


@pytest.fixture
def name():
    """A name that nobody else uses."""
    return f"n{uuid.uuid4().hex[:10]}"


@pytest.fixture
def schema(client, name):
    client.schemas.create(name=name, catalog_name="main")
    return f"main.{name}"


@pytest.fixture
def experiment(name):
    return mlflow.set_experiment(f"/Users/you@lakegate.test/{name}")


@pytest.fixture
def run_sql(client):
    def run(statement, **parameters):
        from databricks.sdk.service.sql import StatementParameterListItem

        items = [StatementParameterListItem(name=key, value=value, type=kind) for key, (value, kind) in parameters.items()]
        answer = client.statement_execution.execute_statement(
            statement=statement, warehouse_id=WAREHOUSE, parameters=items, wait_timeout="30s"
        )
        return answer

    return run


@pytest.fixture
def folder(client, name):
    path = f"/Workspace/Users/you@lakegate.test/{name}"
    client.workspace.mkdirs(path)
    return path


def host():
    return os.environ["DATABRICKS_HOST"]
