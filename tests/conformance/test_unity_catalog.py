import io

import pytest
from databricks.sdk.errors import NotFound, ResourceAlreadyExists
from databricks.sdk.service.catalog import VolumeType


def test_catalogs_and_schemas(client, name):
    client.catalogs.create(name=name, comment="a catalog")
    client.schemas.create(name="s", catalog_name=name)
    assert {schema.name for schema in client.schemas.list(catalog_name=name)} == {"default", "s"}
    assert name in {catalog.name for catalog in client.catalogs.list()}
    client.schemas.update(f"{name}.s", comment="changed")
    assert client.schemas.get(f"{name}.s").comment == "changed"
    client.schemas.delete(f"{name}.s")
    client.catalogs.delete(name, force=True)
    with pytest.raises(NotFound):
        client.catalogs.get(name)


def test_a_name_is_taken_once(client, schema):
    catalog, own = schema.split(".")
    with pytest.raises(ResourceAlreadyExists):
        client.schemas.create(name=own, catalog_name=catalog)


def test_volumes_hold_files(client, schema):
    catalog, own = schema.split(".")
    client.volumes.create(catalog_name=catalog, schema_name=own, name="v", volume_type=VolumeType.MANAGED)
    root = f"/Volumes/{catalog}/{own}/v"
    client.files.upload(f"{root}/a/b.txt", io.BytesIO(b"hello"), overwrite=True)
    assert client.files.download(f"{root}/a/b.txt").contents.read() == b"hello"
    assert client.files.get_metadata(f"{root}/a/b.txt").content_length == 5
    assert [entry.name for entry in client.files.list_directory_contents(f"{root}/a")] == ["b.txt"]
    with pytest.raises(ResourceAlreadyExists):
        client.files.upload(f"{root}/a/b.txt", io.BytesIO(b"again"), overwrite=False)
    client.files.delete(f"{root}/a/b.txt")
    client.files.delete_directory(f"{root}/a")
    with pytest.raises(NotFound):
        client.files.download(f"{root}/a/b.txt")
    assert client.volumes.read(f"{schema}.v").name == "v"
    client.volumes.delete(f"{schema}.v")


def test_tables_know_their_columns_and_place(client, schema, run_sql):
    run_sql(f"CREATE TABLE {schema}.t (id BIGINT, name STRING, at TIMESTAMP)")
    table = client.tables.get(f"{schema}.t")
    assert [(column.name, column.type_text) for column in table.columns] == [
        ("id", "BIGINT"), ("name", "STRING"), ("at", "TIMESTAMP"),
    ]
    assert table.storage_location
    assert client.tables.exists(f"{schema}.t").table_exists
    assert [found.name for found in client.tables.list(*schema.split("."))] == ["t"]
    client.tables.delete(f"{schema}.t")
    assert not client.tables.exists(f"{schema}.t").table_exists


def test_code_may_write_a_table_through_its_place(client, schema, run_sql):
    import pyarrow as pa
    from deltalake import write_deltalake

    run_sql(f"CREATE TABLE {schema}.t (id BIGINT)")
    location = client.tables.get(f"{schema}.t").storage_location
    write_deltalake(location, pa.table({"id": [1, 2, 3]}), mode="append")
    assert run_sql(f"SELECT sum(id) FROM {schema}.t").result.data_array == [["6"]]


def test_registered_models_and_aliases(client, schema):
    catalog, own = schema.split(".")
    client.registered_models.create(catalog_name=catalog, schema_name=own, name="m", comment="c")
    assert client.registered_models.get(f"{schema}.m").comment == "c"
    assert [model.name for model in client.registered_models.list(catalog_name=catalog, schema_name=own)] == ["m"]
    with pytest.raises(NotFound):
        client.registered_models.set_alias(f"{schema}.m", "champion", 1)
    with pytest.raises(NotFound):
        client.model_versions.get_by_alias(f"{schema}.m", "champion")
    client.registered_models.delete(f"{schema}.m")
