# SPDX-License-Identifier: EUPL-1.2
"""Stock clients with namespaces: hvac's, and `bao -namespace` beside the field's own server."""

import re
import time
from collections.abc import Generator
from contextlib import ExitStack

import hvac
import pytest
from hvac import exceptions
from pytest_socket import enable_socket

from tests.fuzz.process import wait_until
from tests.integration.coffre import KINDS, Place, open_server
from tests.integration.processes import PATIENCE
from tests.integration.test_bao_client import Session

LINES = """
namespace list
namespace create a
namespace create -custom-metadata=k=v b
namespace create -namespace=a inner
namespace create sys
namespace create a/b
namespace list
namespace list -detailed -namespace=a
namespace scan
namespace lookup b
namespace patch -custom-metadata=x=y -remove-custom-metadata=k b
namespace lookup -format=json b
secrets enable -namespace=a -path=kv kv
secrets enable -namespace=a -path=two -version=2 kv
secrets list -namespace=a
secrets list -namespace=a/inner
secrets list -namespace=nowhere
kv put -namespace=a kv/x y=z
kv get -namespace=a kv/x
kv get a/kv/x
kv put -namespace=a two/x y=z
kv get -namespace=a -format=json two/x
kv get a/two/x
kv list -namespace=a kv
read -namespace=a kv/x
policy write -namespace=a p - < path "kv/*" { capabilities = ["read", "list"] }
policy list -namespace=a
policy read -namespace=a p
TOKEN=token create -namespace=a -policy=p -field=token
OTHER=token create -policy=default -field=token
-{TOKEN} token lookup
-{TOKEN} kv get -namespace=a kv/x
-{TOKEN} kv get a/kv/x
-{TOKEN} kv put -namespace=a kv/x y=q
-{TOKEN} kv get -namespace=b kv/x
-{TOKEN} kv list secret
-{TOKEN} secrets list -namespace=a
-{TOKEN} token capabilities -namespace=a kv/x
-{TOKEN} token renew
-{OTHER} kv get -namespace=a kv/x
token capabilities {TOKEN} a/kv/x
token lookup -namespace=a {TOKEN}
token revoke -namespace=a {TOKEN}
-{TOKEN} token lookup
namespace lock b
namespace unlock -namespace=b
audit list -namespace=a
operator seal -namespace=a
namespace delete a
namespace delete -namespace=a inner
namespace delete nowhere
""".strip().splitlines()


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> Generator[list[Session]]:
    """One session at each server."""
    enable_socket()
    with ExitStack() as stack:
        found = []
        for kind in KINDS:
            home = tmp_path_factory.mktemp(kind)
            found.append(Session(stack.enter_context(open_server(kind, home)), home))
        yield found


def test_the_stock_command_line_sees_no_difference(sessions: list[Session]) -> None:
    for line in LINES:
        theirs, ours = (_timeless(session.play(line)) for session in sessions)
        assert theirs == ours, line


def _timeless(shown: tuple[str, str, int]) -> tuple[list[str], list[str], int]:
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
