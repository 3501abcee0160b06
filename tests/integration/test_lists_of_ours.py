# SPDX-License-Identifier: EUPL-1.2
"""What listings can do here and not in OpenBao: show only what may be read, open folders so deep, go by pages."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.fuzz.process import Client, initialised

FILTER = {"X-Vault-List-Filter": "readable"}
SECRETS = ("alone", "team/blue/a", "team/blue/b", "team/red/a", "team/x", "zoo")
POLICY = """
path "secret/metadata/*" { capabilities = ["list", "scan"] }
path "secret/detailed-metadata/*" { capabilities = ["list", "scan"] }
path "secret/data/team/blue/*" { capabilities = ["read"] }
path "secret/data/zoo" { capabilities = ["read"] }
path "plain/*" { capabilities = ["list", "scan"] }
path "plain/team/*" { capabilities = ["read", "list", "scan"] }
path "auth/token/roles" { capabilities = ["list"] }
path "auth/token/roles/one" { capabilities = ["read"] }
"""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A token that may list all and read little."""
    folder: Path = tmp_path_factory.mktemp("lists")
    with initialised(folder) as vault, vault.client() as root:
        root.request("POST", "/v1/sys/mounts/plain", {"type": "kv"})
        for path in SECRETS:
            assert root.request("POST", f"/v1/secret/data/{path}", {"data": {"a": 1}}).status == 200
            assert root.request("POST", f"/v1/plain/{path}", {"a": 1}).status == 204
        for role in ("one", "two"):
            assert root.request("POST", f"/v1/auth/token/roles/{role}", {}).status == 204
        assert root.request("POST", "/v1/sys/policies/acl/some", {"policy": POLICY}).status == 204
        made = root.request("POST", "/v1/auth/token/create", {"policies": ["some"]})
        with vault.client(made.json()["auth"]["client_token"]) as one:
            yield one


def _keys(client: Client, method: str, target: str, headers: Mapping[str, str] | None = None) -> list[str]:
    answer = client.request(method, f"/v1/{target}", headers=headers)
    assert answer.status == 200, answer.body
    keys: list[str] = answer.json()["data"]["keys"]
    return keys


@pytest.mark.parametrize(
    ("method", "target", "shown"),
    [
        ("LIST", "secret/metadata/", ["team/", "zoo"]),
        ("LIST", "secret/metadata/team/", ["blue/"]),
        ("LIST", "secret/metadata/team", ["blue/"]),
        ("LIST", "secret/detailed-metadata/", ["team/", "zoo"]),
        ("SCAN", "secret/metadata/?depth=0", ["team/blue/a", "team/blue/b", "zoo"]),
        ("LIST", "plain/", ["team/"]),
        ("SCAN", "plain/team?depth=1", ["blue/", "red/", "x"]),
        ("LIST", "auth/token/roles", ["one"]),
    ],
)
def test_a_filtered_listing_shows_what_the_caller_may_read_and_nothing_else(
    client: Client, method: str, target: str, shown: list[str]
) -> None:
    assert _keys(client, method, target, FILTER) == shown
    assert len(_keys(client, method, target)) >= len(shown)


def test_what_is_left_out_is_left_out_of_the_details_too(client: Client) -> None:
    answer = client.request("LIST", "/v1/secret/detailed-metadata/", headers=FILTER)
    assert sorted(answer.json()["data"]["key_info"]) == ["team/", "zoo"]


def test_a_listing_of_which_nothing_may_be_read_is_not_found(client: Client) -> None:
    assert client.request("LIST", "/v1/secret/metadata/team/red", headers=FILTER).status == 404


def test_another_filter_is_refused(client: Client) -> None:
    answer = client.request("LIST", "/v1/secret/metadata/", headers={"X-Vault-List-Filter": "all"})
    assert (answer.status, answer.json()["errors"]) == (
        400,
        ["X-Vault-List-Filter: the one filter is 'readable'"],
    )


@pytest.mark.parametrize("mount", ["secret/metadata", "plain"])
def test_a_scan_opens_folders_so_deep_and_goes_by_pages(client: Client, mount: str) -> None:
    everything = sorted(SECRETS)
    assert _keys(client, "SCAN", f"{mount}/?depth=0") == everything
    assert _keys(client, "SCAN", f"{mount}/?depth=1") == ["alone", "team/", "zoo"]
    assert _keys(client, "SCAN", f"{mount}/?depth=2") == ["alone", "team/blue/", "team/red/", "team/x", "zoo"]
    assert _keys(client, "SCAN", f"{mount}/?depth=0&limit=2") == everything[:2]
    assert _keys(client, "SCAN", f"{mount}/?depth=0&limit=2&after=team/blue/a") == everything[2:4]
    assert _keys(client, "SCAN", f"{mount}/?depth=1&limit=1&after=team/") == ["zoo"]
    assert sorted(_keys(client, "SCAN", f"{mount}/?limit=2")) == everything
