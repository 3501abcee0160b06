# SPDX-License-Identifier: EUPL-1.2
"""External Secrets and the provider for the Secrets Store CSI driver, by replay: what they ask, as the guide's manifests say it.

Both are programs of Go on the client of Vault, which writes with PUT, lists with `?list=true`, and takes 404 for nothing.
"""

import json
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from pytest_socket import enable_socket

from tests.conformance import service
from tests.house.tree import ROOT
from tests.integration.coffre import KINDS, Place, open_server
from tests.integration.processes import PATIENCE
from tests.integration.test_login_guide import AUTHORITY, blocks, said
from tests.packages.test_helm_chart import validate
from tests.tokens import token

_GUIDE = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
_OURS = {"ServiceAccount", "Pod"}
"""Kinds that Kubernetes itself has a schema for."""


def _manifests() -> dict[str, dict[str, Any]]:
    sections = blocks("yaml", _GUIDE)
    texts = [text for name in sections.keys() - {"On the server"} for text in sections[name]]
    return {each["kind"]: each for text in texts for each in yaml.safe_load_all(text)}


_MADE = _manifests()
_STORE = _MADE["SecretStore"]["spec"]["provider"]["vault"]
_LOGIN = _STORE["auth"]["kubernetes"]
_REMOTE = _MADE["ExternalSecret"]["spec"]["data"][0]["remoteRef"]
_CLASS = _MADE["SecretProviderClass"]["spec"]["parameters"]
(_OBJECT,) = yaml.safe_load(_CLASS["objects"])
_PATH, _KEY = _STORE["path"], _REMOTE["key"]


class Client:
    """The client of Vault for Go, as far as these two use it."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._trust = ssl.create_default_context(cafile=place.authority)
        self.token = ""

    def asks(self, method: str, path: str, body: Mapping[str, object] | None = None) -> tuple[int, Any]:
        """Send one request; return the status, and the answer's JSON or None."""
        headers = {"X-Vault-Request": "true", "User-Agent": "Go-http-client/1.1"}
        if self.token:
            headers["X-Vault-Token"] = self.token
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self._place.address}/v1/{path}", data=data, headers=headers, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE, context=self._trust) as answer:
                text = answer.read()
                return answer.status, json.loads(text) if text else None
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, json.loads(refusal.read())

    def logs_in(self, method: str, mount: str, role: str) -> None:
        """Log in with the token of a service account, by the verb that the program uses."""
        status, answer = self.asks(method, f"auth/{mount}/login", {"jwt": _account(), "role": role})
        assert status == 200, answer
        self.token = answer["auth"]["client_token"]


def _account() -> str:
    """A token of the account that the guide makes, for the audience that it names."""
    account = _MADE["ServiceAccount"]["metadata"]
    claims = {
        "aud": _LOGIN["serviceAccountRef"]["audiences"],
        "sub": f"system:serviceaccount:{account['namespace']}:{account['name']}",
        "kubernetes.io": {
            "namespace": account["namespace"],
            "serviceaccount": {"name": account["name"], "uid": "u-1"},
        },
    }
    return token(said("https://kubernetes.default.svc", claims))


@pytest.fixture(scope="module", params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A server with what the guides set up on it, and a secret of two versions."""
    enable_socket()
    folder = tmp_path_factory.mktemp("kubernetes")
    (folder / "ca.crt").write_text(AUTHORITY.pem)
    with open_server(request.param, folder) as place:
        (text,) = blocks("sh", _GUIDE)["On the server"]
        setup = f"""
        vaultctl secrets enable -path={_PATH} -version=2 kv
        vaultctl kv put {_PATH}/{_KEY} {_REMOTE["property"]}=old
        vaultctl kv put {_PATH}/{_KEY} {_REMOTE["property"]}=new
        vaultctl kv metadata put -custom-metadata=team=shop {_PATH}/{_KEY}
        vaultctl auth enable kubernetes
        vaultctl write auth/kubernetes/config kubernetes_host={service.address()} kubernetes_ca_cert=@ca.crt \\
            token_reviewer_jwt=reviewer disable_local_ca_jwt=true
        """
        subprocess.run(
            ["bash", "-euc", f'vaultctl() {{ {sys.executable} -m vaultctl "$@"; }}\n{setup}\n{text}'],
            cwd=folder,
            env=dict(place.environment(folder)),
            check=True,
            capture_output=True,
        )
        yield place


@pytest.fixture
def client(place: Place) -> Client:
    return Client(place)


def test_external_secrets_logs_in_looks_at_its_token_and_reads(client: Client) -> None:
    client.logs_in("PUT", _LOGIN["mountPath"], _LOGIN["role"])
    status, looked = client.asks("GET", "auth/token/lookup-self")
    assert (status, looked["data"]["type"]) == (200, "service")
    assert 60 <= looked["data"]["ttl"] <= 1200, "or it would log in for each request"
    assert looked["data"]["expire_time"]
    status, read = client.asks("GET", f"{_PATH}/data/{_KEY}")
    assert (status, read["data"]["data"]) == (200, {_REMOTE["property"]: "new"})
    status, read = client.asks("GET", f"{_PATH}/data/{_KEY}?version=1")
    assert (status, read["data"]["data"]) == (200, {_REMOTE["property"]: "old"})
    status, told = client.asks("GET", f"{_PATH}/metadata/{_KEY}")
    assert (status, told["data"]["custom_metadata"], told["data"]["current_version"]) == (
        200,
        {"team": "shop"},
        2,
    )


def test_external_secrets_finds_by_lists_and_takes_404_for_nothing(client: Client) -> None:
    client.logs_in("PUT", _LOGIN["mountPath"], _LOGIN["role"])
    folder, _, name = _KEY.rpartition("/")
    status, listed = client.asks("GET", f"{_PATH}/metadata/{folder}/?list=true")
    assert (status, name in listed["data"]["keys"]) == (200, True)
    assert client.asks("GET", f"{_PATH}/data/{folder}/nothing") == (404, {"errors": []})
    assert client.asks("GET", f"{_PATH}/metadata/{folder}/nothing/?list=true") == (404, {"errors": []})
    assert client.asks("GET", f"{_PATH}/data/other")[0] == 403


def test_external_secrets_pushes_only_what_it_wrote_and_removes_it(client: Client, place: Place) -> None:
    """Metadata first, then the secret with check-and-set; and what was deleted is not there."""
    client.token = place.root
    label = {"managed-by": "external-secrets"}
    data, about = f"{_PATH}/data/shop/pushed", f"{_PATH}/metadata/shop/pushed"
    assert client.asks("PUT", about, {"custom_metadata": label})[0] == 204
    status, made = client.asks("PUT", data, {"data": {"a": "b"}, "options": {"cas": 0}})
    assert (status, made["data"]["version"]) == (200, 1)
    assert client.asks("PUT", data, {"data": {"a": "c"}, "options": {"cas": 0}})[0] == 400
    status, told = client.asks("GET", about)
    assert (told["data"]["custom_metadata"], told["data"]["current_version"]) == (label, 1)
    assert client.asks("DELETE", data)[0] == 204
    status, gone = client.asks("GET", data)
    assert (status, gone["data"]["data"]) == (404, None)
    assert client.asks("DELETE", about)[0] == 204
    assert client.asks("GET", data) == (404, {"errors": []})


def test_a_token_is_renewed_and_revoked_and_then_refused(client: Client) -> None:
    client.logs_in("PUT", _LOGIN["mountPath"], _LOGIN["role"])
    status, renewed = client.asks("PUT", "auth/token/renew-self", {"increment": 0})
    assert (status, renewed["auth"]["renewable"], renewed["auth"]["lease_duration"]) == (200, True, 1200)
    assert client.asks("PUT", "auth/token/revoke-self") == (204, None)
    assert client.asks("GET", "auth/token/lookup-self")[0] == 403


def test_the_csi_provider_reads_and_logs_in_again_once_it_is_refused(client: Client, place: Place) -> None:
    client.logs_in("POST", _CLASS["vaultAuthMountPath"], _CLASS["roleName"])
    for _ in range(2):
        status, read = client.asks("GET", _OBJECT["secretPath"])
        assert (status, read["data"]["data"][_OBJECT["secretKey"]]) == (200, "new")
        root = Client(place)
        root.token = place.root
        root.asks("PUT", "auth/token/revoke", {"token": client.token})
        assert client.asks("GET", _OBJECT["secretPath"])[0] == 403
        client.logs_in("POST", _CLASS["vaultAuthMountPath"], _CLASS["roleName"])


def test_another_account_is_refused(client: Client) -> None:
    claims = {"aud": ["vault"], "sub": "system:serviceaccount:shop:other"}
    jwt = token(said("https://kubernetes.default.svc", claims))
    status, _ = client.asks("PUT", f"auth/{_LOGIN['mountPath']}/login", {"jwt": jwt, "role": _LOGIN["role"]})
    assert status in {400, 403}


def test_the_manifests_fit_each_other_and_the_schemas_of_kubernetes() -> None:
    for kind in _OURS:
        validate(_MADE[kind])
    store, external = _MADE["SecretStore"], _MADE["ExternalSecret"]
    assert external["spec"]["secretStoreRef"] == {"kind": "SecretStore", "name": store["metadata"]["name"]}
    assert _OBJECT["secretPath"] == f"{_PATH}/data/{_KEY}"
    attributes = _MADE["Pod"]["spec"]["volumes"][0]["csi"]["volumeAttributes"]
    assert attributes["secretProviderClass"] == _MADE["SecretProviderClass"]["metadata"]["name"]
    assert {each["metadata"]["namespace"] for each in _MADE.values()} == {"shop"}
    assert Path(_CLASS["vaultCACertPath"]).is_absolute()
