# SPDX-License-Identifier: EUPL-1.2
"""A login that waits for a second factor: its code is asked for on a terminal, and explained elsewhere."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import hvac

from tests.cli.servers import Server
from tests.cli.session import Shell
from tests.cli.test_terminal import typed
from tests.onetime import code, wrong_code

LOGIN = ["login", "-method=userpass", "-path=twofold", "-no-print", "username=bob", "password=pw"]


@contextmanager
def enforced(server: Server) -> Generator[tuple[str, str]]:
    """A mount whose logins need a one-time code; the method's id, and the secret that bob's codes are made of."""
    root = hvac.Client(url=server.address, token=server.token)
    try:
        root.sys.enable_auth_method("userpass", path="twofold")
        root.write("auth/twofold/users/bob", password="pw")
        accessor = root.read("sys/auth/twofold")["data"]["accessor"]
        entity = root.write("auth/twofold/login/bob", password="pw")["auth"]["entity_id"]
        method = root.write("identity/mfa/method/totp", issuer="Vault", method_name="phone")["data"][
            "method_id"
        ]
        made = root.write("identity/mfa/method/totp/admin-generate", method_id=method, entity_id=entity)
        secret = parse_qs(urlsplit(made["data"]["url"]).query)["secret"][0]
        root.write(
            "identity/mfa/login-enforcement/twofold",
            mfa_method_ids=[method],
            auth_method_accessors=[accessor],
        )
        yield method, secret
    finally:
        root.delete("identity/mfa/login-enforcement/twofold")
        root.sys.disable_auth_method("twofold")
        root.adapter.close()


def test_a_terminal_is_asked_for_the_code_which_is_not_shown(server: Server, tmp_path: Path) -> None:
    with enforced(server) as (_, secret):
        now = code(secret)
        shown, status = typed(LOGIN, now, server, tmp_path)
    assert (status, "Code of phone (will be hidden):" in shown) == (0, True)
    assert now not in shown
    assert (tmp_path / ".vault-token").read_text().startswith("s.")


def test_a_wrong_code_keeps_no_token(server: Server, tmp_path: Path) -> None:
    with enforced(server) as (_, secret):
        shown, status = typed(LOGIN, wrong_code(secret), server, tmp_path)
    assert (status, "Code: 403" in shown) == (2, True)
    assert not (tmp_path / ".vault-token").exists()


def test_without_a_terminal_it_is_told_what_the_login_waits_for(server: Server, tmp_path: Path) -> None:
    shell = Shell(tmp_path, server)
    command = "env -u BAO_TOKEN vaultctl " + " ".join(LOGIN)
    with enforced(server) as (method, secret):
        told = shell.run(command)
        assert any(line.split() == ["mfa_constraint_twofold_totp_id", method] for line in told), told
        assert any("-mfa=ID:CODE" in line for line in told)
        assert not any("is kept" in line for line in told)
        short = shell.run(f"{command.replace('-no-print', '-token-only')}")
        assert short[-1] == "[exit 2]"
        answer = json.loads("".join(shell.run(f"{command.replace('-no-print', '-format=json')} 2>/dev/null")))
        assert answer["auth"]["mfa_requirement"]["mfa_request_id"]
        factor = f"-token-only -mfa={method}:{code(secret)}"
        whole = shell.run(command.replace("-no-print", factor))
        assert whole[0].startswith("s.")
