import base64
import io

import pytest
from databricks.sdk.errors import NotFound, ResourceAlreadyExists
from databricks.sdk.service.workspace import ExportFormat, ImportFormat, Language, ObjectType


def test_folders_are_made_listed_and_deleted(client, folder):
    client.workspace.mkdirs(f"{folder}/a/b")
    listed = {entry.path: entry.object_type for entry in client.workspace.list(folder)}
    assert list(listed.values()) == [ObjectType.DIRECTORY]
    client.workspace.delete(f"{folder}/a", recursive=True)
    with pytest.raises(NotFound):
        client.workspace.get_status(f"{folder}/a/b")


def test_a_file_comes_back_as_it_went(client, folder):
    client.workspace.upload(f"{folder}/data.bin", io.BytesIO(b"\x00\xffbytes"), format=ImportFormat.RAW)
    assert client.workspace.get_status(f"{folder}/data.bin").object_type == ObjectType.FILE
    assert client.workspace.download(f"{folder}/data.bin").read() == b"\x00\xffbytes"


def test_a_notebook_loses_its_ending(client, folder):
    source = b"# Databricks notebook source\nprint(1)\n"
    client.workspace.upload(f"{folder}/note.py", io.BytesIO(source), format=ImportFormat.AUTO)
    status = client.workspace.get_status(f"{folder}/note")
    assert (status.object_type, status.language) == (ObjectType.NOTEBOOK, Language.PYTHON)
    exported = client.workspace.export(f"{folder}/note", format=ExportFormat.SOURCE)
    assert base64.b64decode(exported.content) == source


def test_an_import_overwrites_only_when_told(client, folder):
    content = base64.b64encode(b"print(1)").decode()
    arguments = dict(path=f"{folder}/n", content=content, format=ImportFormat.SOURCE, language=Language.PYTHON)
    client.workspace.import_(**arguments)
    with pytest.raises(ResourceAlreadyExists):
        client.workspace.import_(**arguments)
    client.workspace.import_(**arguments, overwrite=True)


def test_import_file_is_a_lock(client, folder):
    path = f"/api/2.0/workspace-files/import-file{folder}/deploy.lock"
    client.api_client.do("POST", path, query={"overwrite": "false"}, data=b"first")
    with pytest.raises(ResourceAlreadyExists):
        client.api_client.do("POST", path, query={"overwrite": "false"}, data=b"second")
    assert client.workspace.download(f"{folder}/deploy.lock").read() == b"first"


def test_a_path_cannot_leave_the_workspace(client, folder):
    from databricks.sdk.errors import InvalidParameterValue

    with pytest.raises(InvalidParameterValue):
        client.workspace.mkdirs(f"{folder}/../../../etc")
