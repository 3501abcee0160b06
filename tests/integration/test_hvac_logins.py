# SPDX-License-Identifier: EUPL-1.2
"""hvac, bao and vaultctl log in with secret ids and passwords, over TLS."""

import json
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import hvac
import pytest
from hvac import exceptions

from tests.integration.coffre import BAO, Place

_ROOT = Path(__file__).parents[2]


@pytest.fixture
def stranger(place: Place) -> Generator[hvac.Client]:
    """A client without a token."""
    client = place.client("")
    yield client
    client.adapter.close()


@pytest.fixture
def mount(root: hvac.Client, name: str, request: pytest.FixtureRequest) -> str:
    """An auth method of its own kind at a path of its own."""
    root.sys.enable_auth_method(request.param, path=name)
    return name


@pytest.mark.parametrize("mount", ["approle"], indirect=True)
def test_hvac_logs_in_with_approle(root: hvac.Client, stranger: hvac.Client, mount: str) -> None:
    approle = root.auth.approle
    approle.create_or_update_approle(
        "web", token_policies=["reader"], token_ttl="10m", secret_id_num_uses=2, mount_point=mount
    )
    role_id = approle.read_role_id("web", mount_point=mount)["data"]["role_id"]
    made = approle.generate_secret_id("web", metadata={"team": "blue"}, mount_point=mount)["data"]
    told = stranger.auth.approle.login(role_id, made["secret_id"], mount_point=mount)["auth"]
    assert (told["policies"], told["lease_duration"]) == (["default", "reader"], 600)
    assert told["metadata"] == {"role_name": "web", "team": "blue"}
    assert stranger.auth.token.lookup_self()["data"]["path"] == f"auth/{mount}/login"
    assert approle.list_secret_id_accessors("web", mount_point=mount)["data"]["keys"] == [
        made["secret_id_accessor"]
    ]
    seen = approle.read_secret_id("web", made["secret_id"], mount_point=mount)["data"]
    assert (seen["secret_id_num_uses"], seen["metadata"]) == (1, {"team": "blue"})
    approle.destroy_secret_id_accessor("web", made["secret_id_accessor"], mount_point=mount)
    with pytest.raises(exceptions.InvalidRequest, match="invalid role or secret ID"):
        stranger.auth.approle.login(role_id, made["secret_id"], mount_point=mount)


@pytest.mark.parametrize("mount", ["userpass"], indirect=True)
def test_hvac_logs_in_with_userpass(root: hvac.Client, stranger: hvac.Client, mount: str) -> None:
    users = root.auth.userpass
    users.create_or_update_user("ada", "right", policies="reader", mount_point=mount)
    assert users.list_user(mount_point=mount)["data"]["keys"] == ["ada"]
    told = stranger.auth.userpass.login("ada", "right", mount_point=mount)["auth"]
    assert (told["policies"], told["metadata"]) == (["default", "reader"], {"username": "ada"})
    assert stranger.auth.token.renew_self()["auth"]["client_token"] == told["client_token"]
    users.update_password_on_user("ada", "new", mount_point=mount)
    with pytest.raises(exceptions.InvalidRequest, match="invalid username or password"):
        stranger.auth.userpass.login("ada", "right", mount_point=mount)
    users.delete_user("ada", mount_point=mount)
    with pytest.raises(exceptions.InvalidRequest, match="invalid username or password"):
        stranger.auth.userpass.login("ada", "new", mount_point=mount)


@pytest.mark.parametrize("mount", ["approle"], indirect=True)
def test_bao_writes_a_login(root: hvac.Client, place: Place, mount: str, tmp_path: Path) -> None:
    root.auth.approle.create_or_update_approle("web", mount_point=mount)
    root.auth.approle.update_role_id("web", f"{mount}-id", mount_point=mount)
    root.auth.approle.create_custom_secret_id("web", "sesame", mount_point=mount)
    command = [BAO, "write", "-format=json", f"auth/{mount}/login", f"role_id={mount}-id", "secret_id=sesame"]
    done = subprocess.run(command, env=place.environment(tmp_path), capture_output=True, check=True)
    assert json.loads(done.stdout)["auth"]["metadata"] == {"role_name": "web"}


@pytest.mark.parametrize("mount", ["approle", "userpass"], indirect=True)
def test_vaultctl_logs_in_and_keeps_the_token(
    root: hvac.Client, place: Place, mount: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    method = request.node.callspec.params["mount"]
    if method == "approle":
        root.auth.approle.create_or_update_approle("web", mount_point=mount)
        root.auth.approle.update_role_id("web", f"{mount}-id", mount_point=mount)
        root.auth.approle.create_custom_secret_id("web", "sesame", mount_point=mount)
        fields = [f"role_id={mount}-id", "secret_id=sesame"]
    else:
        root.auth.userpass.create_or_update_user("ada", "right", mount_point=mount)
        fields = ["username=ada", "password=right"]
    environment = place.environment(tmp_path) | {"PYTHONPATH": str(_ROOT / "cli")}
    environment.pop("BAO_TOKEN", None)
    environment.pop("VAULT_TOKEN", None)

    def run(*arguments: str) -> str:
        command = [sys.executable, "-m", "vaultctl", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, check=True, text=True).stdout

    assert "You are logged in" in run("login", f"-method={method}", f"-path={mount}", *fields)
    assert json.loads(run("token", "lookup", "-format=json"))["data"]["path"].startswith(
        f"auth/{mount}/login"
    )
