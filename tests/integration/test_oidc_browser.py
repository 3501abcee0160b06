# SPDX-License-Identifier: EUPL-1.2
"""Somebody signs in with a browser, headless Chromium, at a real OpenID provider, and `vaultctl` gets the token."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hvac

from tests.integration.coffre import Place
from tests.integration.openid import CONTINUE, SECRET, SIGN_IN, provider, visit
from tests.integration.processes import PATIENCE
from tests.ports import free_port

Told = dict[str, Any]


def test_vaultctl_gets_a_token_once_the_browser_has_signed_in(
    place: Place, root: hvac.Client, name: str, tmp_path: Path
) -> None:
    port = free_port()
    back = f"http://localhost:{port}/oidc/callback"
    with provider(back) as issuer:
        _furnish(root, name, issuer, allowed_redirect_uris=back)
        told: Told = {}
        with _login(place, name, tmp_path, told, f"port={port}") as url:
            seen = visit(url, SIGN_IN, CONTINUE, folder=tmp_path)
    assert [page["title"] for page in seen.pages] == ["Sign-in", "Sign-in", "Signed in"]
    _is_alice(root, told, name)


def test_the_server_itself_asks_the_user_to_confirm_in_direct_mode(
    place: Place, root: hvac.Client, name: str, tmp_path: Path
) -> None:
    back = f"{place.address}/v1/auth/{name}/oidc/callback"
    with provider(back) as issuer:
        _furnish(root, name, issuer, allowed_redirect_uris=back, callback_mode="direct", poll_interval=1)
        told: Told = {}
        with _login(place, name, tmp_path, told, "callbackmode=direct") as url:
            scripts = place.kind == "openbao"  # ours works without
            seen = visit(url, SIGN_IN, CONTINUE, {"press": "Confirm"}, folder=tmp_path, scripts=scripts)
    asked, done = seen.pages[-2:]
    assert "Role" in asked["text"]
    assert "signed in" in done["text"].lower()
    _is_alice(root, told, name)


def test_a_device_signs_in_with_a_browser_elsewhere(
    place: Place, root: hvac.Client, name: str, tmp_path: Path
) -> None:
    grants = ["urn:ietf:params:oauth:grant-type:device_code", "authorization_code"]
    nowhere = "http://localhost/none"
    with provider(nowhere, grant_types=grants) as issuer:
        _furnish(root, name, issuer, callback_mode="device", poll_interval=1, allowed_redirect_uris=nowhere)
        told: Told = {}
        with _login(place, name, tmp_path, told, "callbackmode=device") as url:
            seen = visit(url, CONTINUE, CONTINUE, SIGN_IN, CONTINUE, folder=tmp_path)
    assert "Success" in seen.pages[-1]["text"]
    _is_alice(root, told, name)


def _furnish(root: hvac.Client, name: str, issuer: str, **role: Any) -> None:
    """Let whom the provider knows sign in at `auth/NAME`, and give the group that it names a policy."""
    root.sys.enable_auth_method("oidc", path=name)
    root.write(
        f"auth/{name}/config",
        oidc_discovery_url=issuer,
        oidc_client_id="coffre",
        oidc_client_secret=SECRET,
        default_role="people",
    )
    root.write(
        f"auth/{name}/role/people",
        user_claim="sub",
        groups_claim="groups",
        oidc_scopes="groups",
        claim_mappings={"email": "mail"},
        **role,
    )
    accessor = root.sys.list_auth_methods()["data"][f"{name}/"]["accessor"]
    group = root.write("identity/group", name=name, type="external", policies=name)["data"]["id"]
    root.write("identity/group-alias", name="of-alice", mount_accessor=accessor, canonical_id=group)


@contextmanager
def _login(place: Place, name: str, home: Path, told: Told, *arguments: str) -> Iterator[str]:
    """Begin a login; yield where to sign in, then keep in `told` what vaultctl has printed."""
    environment = {**place.environment(home), "BAO_TOKEN": ""}
    login = ["login", "-method=oidc", f"-path={name}", "-no-store", "-format=json"]
    command = [sys.executable, "-m", "vaultctl", *login, "skip_browser=true", *arguments]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            heard = ""
            while not (found := re.search(r"^ +(https?://\S+)$", heard, re.MULTILINE)):
                line = process.stderr.readline()
                assert line, heard
                heard += line
            yield found[1]
            out, err = process.communicate(timeout=PATIENCE)
            assert process.returncode == 0, heard + err
            told.update(json.loads(out))
        finally:
            process.kill()


def _is_alice(root: hvac.Client, told: Told, name: str) -> None:
    auth = told["auth"]
    assert auth["metadata"] == {"mail": "alice@mail.example", "role": "people"}
    assert auth["identity_policies"] == [name]
    alias = root.read(f"identity/entity/id/{auth['entity_id']}")["data"]["aliases"][0]
    assert (alias["name"], alias["mount_path"]) == ("alice", f"auth/{name}/")
