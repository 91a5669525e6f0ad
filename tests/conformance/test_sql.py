import pyarrow as pa
import pytest
import requests
from databricks.sdk.service.sql import Disposition, Format, StatementState

from conftest import WAREHOUSE


def rows(answer):
    assert answer.status.state == StatementState.SUCCEEDED, answer.status.error
    return answer.result.data_array


def test_values_come_as_text_with_their_types(run_sql):
    answer = run_sql("SELECT 1 AS a, 'x' AS b, true AS c, CAST(NULL AS DOUBLE) AS d, DATE '2026-01-02' AS e")
    assert rows(answer) == [["1", "x", "true", None, "2026-01-02"]]
    assert [column.type_name.value for column in answer.manifest.schema.columns] == [
        "LONG", "STRING", "BOOLEAN", "DOUBLE", "DATE",
    ]


def test_rows_are_inserted_updated_deleted_and_merged(schema, run_sql):
    table = f"{schema}.t"
    rows_of = lambda: rows(run_sql(f"SELECT id, name FROM {table} ORDER BY id"))
    run_sql(f"CREATE TABLE {table} (id BIGINT NOT NULL, name STRING)")
    assert rows(run_sql(f"INSERT INTO {table} VALUES (1, 'a'), (2, 'b'), (3, 'c')")) == [["3", "3"]]
    assert rows(run_sql(f"INSERT INTO {table} (id) VALUES (4)")) == [["1", "1"]]
    assert rows(run_sql(f"UPDATE {table} SET name = upper(name) WHERE id < 3")) == [["2"]]
    assert rows(run_sql(f"DELETE FROM {table} WHERE id = 3")) == [["1"]]
    assert rows_of() == [["1", "A"], ["2", "B"], ["4", None]]
    merge = f"""
        MERGE INTO {table} t USING (SELECT 1 AS id, 'one' AS name UNION ALL SELECT 9 AS id, 'nine' AS name) s
        ON t.id = s.id
        WHEN MATCHED THEN UPDATE SET name = s.name
        WHEN NOT MATCHED THEN INSERT (id, name) VALUES (s.id, s.name)"""
    assert rows(run_sql(merge)) == [["2", "1", "0", "1"]]
    assert rows_of() == [["1", "one"], ["2", "B"], ["4", None], ["9", "nine"]]


def test_each_change_has_a_time_of_its_own(schema, run_sql):
    table = f"{schema}.t"
    run_sql(f"CREATE TABLE {table} AS SELECT 1 AS id, current_timestamp() AS at")
    seen = set()
    for _ in range(3):
        assert rows(run_sql(f"UPDATE {table} SET at = current_timestamp()")) == [["1"]]
        [[at]] = rows(run_sql(f"SELECT at FROM {table}"))
        seen.add(at)
    merge = f"MERGE INTO {table} t USING (SELECT 1 AS id) s ON t.id = s.id WHEN MATCHED THEN UPDATE SET at = current_timestamp()"
    run_sql(merge)
    [[at]] = rows(run_sql(f"SELECT at FROM {table}"))
    assert len(seen | {at}) == 4


def test_a_table_can_be_read_as_it_was(schema, run_sql):
    table = f"{schema}.t"
    run_sql(f"CREATE TABLE {table} AS SELECT 1 AS id")
    run_sql(f"INSERT INTO {table} VALUES (2)")
    assert rows(run_sql(f"SELECT count(*) FROM {table}")) == [["2"]]
    history = rows(run_sql(f"DESCRIBE HISTORY {table}"))
    assert [row[0] for row in history] == ["2", "1", "0"]
    assert rows(run_sql(f"SELECT count(*) FROM {table} VERSION AS OF 1")) == [["1"]]
    assert rows(run_sql(f"SELECT count(*) FROM {table} TIMESTAMP AS OF '{history[1][1]}'")) in ([["1"]], [["0"]])


def test_a_statement_describes_a_table(schema, run_sql):
    run_sql(f"CREATE TABLE {schema}.t (id BIGINT, score DOUBLE) USING DELTA COMMENT 'scores'")
    assert rows(run_sql(f"DESCRIBE TABLE {schema}.t")) == [["id", "bigint", None], ["score", "double", None]]
    assert rows(run_sql(f"SHOW TABLES IN {schema}")) == [[schema.split(".")[1], "t", "false"]]
    assert rows(run_sql(f"DROP TABLE {schema}.t")) == [] or True


def test_parameters_are_values_never_text(run_sql):
    evil = "x'; DROP TABLE t; --"
    answer = run_sql("SELECT :a AS a, :b + 1 AS b, :c AS c", a=(evil, "STRING"), b=("41", "INT"), c=(None, "STRING"))
    assert rows(answer) == [[evil, "42", None]]


def test_a_failed_statement_is_a_state(run_sql):
    for statement, code in [
        ("SELECT * FROM main.default.nowhere", "TABLE_OR_VIEW_NOT_FOUND"),
        ("SELEC 1", "PARSE_SYNTAX_ERROR"),
        ("SELECT :x", "UNBOUND_SQL_PARAMETER"),
        ("SELECT nope FROM (SELECT 1 AS a)", "UNRESOLVED_COLUMN"),
    ]:
        answer = run_sql(statement)
        assert answer.status.state == StatementState.FAILED, statement
        assert code in answer.status.error.message, answer.status.error.message


def test_a_statement_that_is_not_waited_for_is_pending_first(client):
    answer = client.statement_execution.execute_statement("SELECT 1", WAREHOUSE, wait_timeout="0s")
    assert answer.status.state in (StatementState.PENDING, StatementState.RUNNING, StatementState.SUCCEEDED)
    for _ in range(100):
        answer = client.statement_execution.get_statement(answer.statement_id)
        if answer.status.state == StatementState.SUCCEEDED:
            break
    assert answer.result.data_array == [["1"]]


def test_large_results_come_in_chunks(client):
    statement = "SELECT value FROM generate_series(1, 25000)"
    answer = client.statement_execution.execute_statement(statement, WAREHOUSE, wait_timeout="30s")
    assert answer.status.state == StatementState.SUCCEEDED, answer.status.error
    assert answer.manifest.total_row_count == 25_000 and answer.manifest.total_chunk_count == 3
    values, chunk = list(answer.result.data_array), answer.result
    while chunk.next_chunk_index is not None:
        chunk = client.statement_execution.get_statement_result_chunk_n(answer.statement_id, chunk.next_chunk_index)
        values.extend(chunk.data_array)
    assert [int(value) for (value,) in values] == list(range(1, 25_001))


def test_arrow_streams_come_by_signed_links(client):
    answer = client.statement_execution.execute_statement(
        "SELECT value AS v FROM generate_series(1, 150000)",
        WAREHOUSE,
        wait_timeout="30s",
        disposition=Disposition.EXTERNAL_LINKS,
        format=Format.ARROW_STREAM,
    )
    assert answer.status.state == StatementState.SUCCEEDED, answer.status.error
    tables, index = [], 0
    while index is not None:
        (link,) = client.statement_execution.get_statement_result_chunk_n(answer.statement_id, index).external_links
        body = requests.get(link.external_link).content
        tables.append(pa.ipc.open_stream(body).read_all())
        index = link.next_chunk_index
    whole = pa.concat_tables(tables)
    assert len(tables) == 3 and whole.num_rows == 150_000
    forged = link.external_link[:-4] + "0000"
    assert requests.get(forged).status_code == 404


def test_a_warehouse_must_exist(client):
    from databricks.sdk.errors import NotFound

    with pytest.raises(NotFound):
        client.statement_execution.execute_statement("SELECT 1", "other", wait_timeout="30s")
    assert [warehouse.id for warehouse in client.warehouses.list()] == [WAREHOUSE]
