"""Operational code: tables of Unity Catalog, on Databricks and in the embedded workspace.

On Databricks, Spark reads and writes them. Without Spark, the same tables are
reached through the catalog's storage location, with delta-rs.
"""

from __future__ import annotations

import pandas as pd
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import NotFound


def _spark():
    try:
        from databricks.sdk.runtime import spark
    except Exception:  # outside of a job there is no runtime
        return None
    return spark


class Lakehouse:
    """Reads and writes whole months of a table. Writing twice is writing once."""

    def __init__(self, schema: str):
        self.schema = schema
        self.spark = _spark()
        self.client = WorkspaceClient()

    def has(self, table: str) -> bool:
        try:
            self.client.tables.get(f"{self.schema}.{table}")
        except NotFound:
            return False
        return True

    def source(self, table: str):
        """The table at its newest version, as MLflow keeps what a run has read."""
        from mlflow.data.delta_dataset_source import DeltaDatasetSource

        name = f"{self.schema}.{table}"
        if self.spark is not None:
            version = self.spark.sql(f"DESCRIBE HISTORY {name} LIMIT 1").collect()[0]["version"]
        else:
            from deltalake import DeltaTable

            version = DeltaTable(self._location(table)).version()
        return DeltaDatasetSource(delta_table_name=name, delta_table_version=version)

    def read(self, table: str, months: list[int] | None = None, version: int | None = None) -> pd.DataFrame:
        if self.spark is not None:
            at = "" if version is None else f" VERSION AS OF {int(version)}"
            frame = self.spark.sql(f"SELECT * FROM {self.schema}.{table}{at}")
            if months:
                frame = frame.where(f"month IN ({_listed(months)})")
            return frame.toPandas()
        from deltalake import DeltaTable

        delta = DeltaTable(self._location(table), version=version)
        filters = [("month", "in", months)] if months else None
        return delta.to_pandas(filters=filters)

    def replace(self, table: str, frame: pd.DataFrame, months: list[int] | None = None) -> None:
        """Replaces the rows of `months`, or the whole table."""
        where = f"month IN ({_listed(months)})" if months else None
        if self.spark is not None:
            writer = self.spark.createDataFrame(frame).write.format("delta").mode("overwrite")
            if where:
                writer = writer.option("replaceWhere", where)
            else:
                writer = writer.option("overwriteSchema", "true")
            writer.saveAsTable(f"{self.schema}.{table}")
            return
        import pyarrow as pa
        from deltalake import write_deltalake

        data = pa.Table.from_pandas(frame, preserve_index=False)
        location = self._location(table, create_for=data)
        if where:
            write_deltalake(location, data, mode="overwrite", predicate=where)
        else:
            write_deltalake(location, data, mode="overwrite", schema_mode="overwrite")

    def append(self, table: str, frame: pd.DataFrame) -> None:
        if self.spark is not None:
            self.spark.createDataFrame(frame).write.format("delta").mode("append").saveAsTable(f"{self.schema}.{table}")
            return
        import pyarrow as pa
        from deltalake import write_deltalake

        data = pa.Table.from_pandas(frame, preserve_index=False)
        write_deltalake(self._location(table, create_for=data), data, mode="append")

    def _location(self, table: str, create_for=None) -> str:
        name = f"{self.schema}.{table}"
        try:
            return self.client.tables.get(name).storage_location
        except NotFound:
            if create_for is None:
                raise
        columns = ", ".join(f"`{field.name}` {_sql_type(field.type)}" for field in create_for.schema)
        warehouse = next(iter(self.client.warehouses.list())).id
        statement = f"CREATE TABLE IF NOT EXISTS {name} ({columns}) USING DELTA"
        answer = self.client.statement_execution.execute_statement(statement, warehouse, wait_timeout="50s")
        if answer.status.error:
            raise RuntimeError(f"{name}: {answer.status.error.message}")
        return self.client.tables.get(name).storage_location


def _listed(months: list[int]) -> str:
    return ", ".join(str(int(month)) for month in months)


def _sql_type(kind) -> str:
    import pyarrow as pa

    if pa.types.is_integer(kind):
        return "BIGINT"
    if pa.types.is_floating(kind):
        return "DOUBLE"
    if pa.types.is_boolean(kind):
        return "BOOLEAN"
    return "STRING"


def months_of(text: str) -> list[int]:
    """`1,2,3` or `1-3`."""
    found = []
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        found.extend(range(int(first), int(last or first) + 1))
    if not found or not all(1 <= month <= 12 for month in found):
        raise SystemExit(f"--months is {text!r}: give months from 1 to 12, such as 1,2,3 or 1-3")
    return found
