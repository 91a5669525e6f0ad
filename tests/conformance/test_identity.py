import os

import pytest
import requests
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import Unauthenticated

from conftest import host


def test_the_token_belongs_to_the_user(client):
    assert client.current_user.me().user_name == "you@lakegate.test"


def test_a_wrong_token_is_refused():
    client = WorkspaceClient(host=host(), token="wrong", auth_type="pat")
    with pytest.raises(Unauthenticated):
        client.current_user.me()


def test_client_credentials_are_traded_for_a_token(monkeypatch):
    secret = os.environ["DATABRICKS_TOKEN"]
    monkeypatch.delenv("DATABRICKS_TOKEN")
    client = WorkspaceClient(host=host(), client_id="lakegate", client_secret=secret, auth_type="oauth-m2m")
    assert client.current_user.me().user_name == "you@lakegate.test"


def test_an_identity_token_is_traded_when_a_policy_allows_it(monkeypatch, tmp_path):
    import base64
    import json

    claims = {"iss": "https://issuer.test", "sub": "repo:acme/flights:environment:prod", "aud": "x"}
    part = lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
    token = f"{part({'alg': 'RS256'})}.{part(claims)}.c2lnbmF0dXJl"
    (tmp_path / "token").write_text(token)
    headers = {"Authorization": f"Bearer {os.environ['DATABRICKS_TOKEN']}"}
    policy = {"issuer": claims["iss"], "subject": claims["sub"]}
    assert requests.post(f"{host()}/__lakegate/federation", json=policy, headers=headers).ok
    monkeypatch.delenv("DATABRICKS_TOKEN")
    monkeypatch.setenv("DATABRICKS_OIDC_TOKEN_FILEPATH", str(tmp_path / "token"))
    client = WorkspaceClient(host=host(), client_id="app", auth_type="file-oidc", token_audience="x")
    assert client.current_user.me().user_name == "you@lakegate.test"


def test_what_is_not_there_says_so():
    headers = {"Authorization": f"Bearer {os.environ['DATABRICKS_TOKEN']}"}
    answer = requests.get(f"{host()}/api/2.0/clusters/list", headers=headers)
    assert answer.status_code == 501
    assert "/api/2.0/clusters/list" in answer.json()["message"]
