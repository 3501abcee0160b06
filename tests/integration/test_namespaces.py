# SPDX-License-Identifier: EUPL-1.2
"""Stock clients with namespaces: hvac's, and `bao -namespace` beside the field's own server."""

import re
import time
from pathlib import Path

import hvac
import pytest
from hvac import exceptions

from tests.fuzz.process import wait_until
from tests.integration.bao_session import NAMESPACES, Shown, played, recorded
from tests.integration.coffre import Place
from tests.integration.processes import PATIENCE


def test_the_stock_command_line_sees_no_difference(tmp_path: Path) -> None:
    for (line, theirs), ours in zip(
        recorded()[1][NAMESPACES], played(NAMESPACES, "coffre", tmp_path), strict=True
    ):
        assert _timeless(theirs) == _timeless(ours), line


@pytest.mark.soak
def test_what_was_written_down_is_what_the_field_shows(tmp_path: Path) -> None:
    for (line, theirs), shown in zip(
        recorded()[1][NAMESPACES], played(NAMESPACES, "openbao", tmp_path), strict=True
    ):
        assert _timeless(theirs) == _timeless(shown), line


def _timeless(shown: Shown) -> tuple[list[str], list[str], int]:
    """What was shown, but for ids of namespaces, which are any six characters, and a minute that went by."""
    out, err, code = shown
    return _masked(out), _masked(err), code


def _masked(text: str) -> list[str]:
    text = re.sub(r"(<token>|<accessor>)\.[A-Za-z0-9]{6}\b", r"\1.<id>", text)
    text = re.sub(r"(?m)^(id +|.*\"id\": \")[A-Za-z0-9]{6}\b", r"\1<id>", text)
    text = re.sub(r"(?m)^(\S+/ +map\[.*?\] +)[A-Za-z0-9]{6}\b", r"\1<id>", text)
    text = re.sub(r"(?m)^(ttl +)\d+ minutes$", r"\1<minutes>", text)
    return [" ".join(line.split()) for line in text.splitlines()]


def _inside(place: Place, root: hvac.Client, namespace: str) -> hvac.Client:
    client = place.client()
    client.adapter.namespace = namespace
    client.token = root.token
    return client


def test_hvac_works_inside_a_namespace(place: Place, root: hvac.Client, name: str) -> None:
    made = root.sys.create_namespace(name)
    assert made["data"]["path"] == f"{name}/"
    assert f"{name}/" in root.sys.list_namespaces()["data"]["keys"]
    inside = _inside(place, root, name)
    inside.sys.enable_secrets_engine("kv", path="kv", options={"version": "2"})

    def ready() -> bool:
        try:
            inside.secrets.kv.v2.create_or_update_secret("a", {"x": "1"}, mount_point="kv")
        except exceptions.InvalidRequest:  # the field makes a new mount ready in the background
            return False
        return True

    wait_until(ready, lambda: "the mount is not ready")
    assert inside.secrets.kv.v2.read_secret_version("a", mount_point="kv", raise_on_deleted_version=True)[
        "data"
    ]["data"] == {"x": "1"}
    assert root.read(f"{name}/kv/data/a")["data"]["data"] == {"x": "1"}
    with pytest.raises(exceptions.InvalidPath):
        root.secrets.kv.v2.read_secret_version("a", mount_point="kv", raise_on_deleted_version=True)
    inside.sys.create_or_update_policy("p", 'path "kv/*" { capabilities = ["read"] }')
    assert "root" not in inside.sys.list_policies()["data"]["keys"]
    made = inside.auth.token.create(policies=["p"])
    narrow = _inside(place, root, name)
    narrow.token = made["auth"]["client_token"]
    assert narrow.token.count(".") == 2
    assert narrow.auth.token.lookup_self()["data"]["namespace_path"] == f"{name}/"
    assert narrow.secrets.kv.v2.read_secret_version("a", mount_point="kv", raise_on_deleted_version=True)
    with pytest.raises(exceptions.Forbidden):
        narrow.secrets.kv.v2.create_or_update_secret("a", {"x": "2"}, mount_point="kv")
    narrow.adapter.namespace = None
    with pytest.raises(exceptions.Forbidden):
        narrow.sys.list_mounted_secrets_engines()
    root.sys.delete_namespace(name)
    deadline = time.monotonic() + PATIENCE
    while f"{name}/" in str(root.list("sys/namespaces")) and time.monotonic() < deadline:
        time.sleep(0.05)
    with pytest.raises(exceptions.InvalidPath):
        inside.sys.list_mounted_secrets_engines()
    for client in (inside, narrow):
        client.adapter.close()


def test_hvac_learns_that_a_namespace_is_not_there(place: Place, root: hvac.Client) -> None:
    lost = _inside(place, root, "nowhere")
    with pytest.raises(exceptions.InvalidPath, match="namespace not found"):
        lost.sys.list_mounted_secrets_engines()
    lost.adapter.close()
