# SPDX-License-Identifier: EUPL-1.2
"""The guide to workloads: its commands do what they say, in the order in which somebody reads them."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from tests.cli.servers import dev_server
from tests.house.tree import ROOT
from tests.integration.test_application_guide import environment, run
from tests.integration.test_login_guide import blocks

GUIDE = (ROOT / "docs" / "nhi.md").read_text(encoding="utf-8")

_USE = 'VAULT_TOKEN="$(cat {})" vaultctl kv get -field=password secret/billing/db'


def said(beginning: str) -> str:
    """What a sentence of the guide says to type, from `beginning` on."""
    found = re.search(rf"`({re.escape(beginning)}[^`]*)`", GUIDE)
    assert found is not None
    return found[1].replace("\n", " ")


def test_a_workload_gets_a_token_narrows_it_and_is_watched_as_printed(tmp_path: Path) -> None:
    begin, narrow, approve = blocks("sh", GUIDE)["In three steps"]
    (below_auth,) = blocks("sh", GUIDE)["How a workload proves itself"]
    (watch,) = blocks("sh", GUIDE)["On the command line"]
    (policy,) = blocks("hcl", GUIDE)["The page for security teams"]
    with dev_server("coffre", tmp_path) as server:
        (tmp_path / ".vault-token").write_text(server.token)
        operator = environment(tmp_path, VAULT_ADDR=server.address)
        printed = run("sh", begin, tmp_path, operator)
        *_, token = re.findall(r"^token +(\S+)$", printed, re.MULTILINE)
        workload = environment(tmp_path, VAULT_ADDR=server.address, VAULT_TOKEN=token)

        (tmp_path / "request.json").write_text("{}")
        shown = run("sh", narrow, tmp_path, operator)
        assert 'check if resource($r), $r.starts_with("secret/data/billing/");' in shown

        run("sh", said("openssl genpkey"), tmp_path, workload)
        key = run("sh", said("openssl pkey"), tmp_path, workload)
        check = said("-check=").replace("KEY", key)
        run("sh", f"vaultctl nhi attenuate {check} > asks && mv asks narrow.biscuit", tmp_path, workload)
        run("sh", approve, tmp_path, workload)
        run("sh", "vaultctl kv put secret/billing/db password=correct-horse", tmp_path, operator)
        assert run("sh", _USE.format("approved.biscuit"), tmp_path, operator) == "correct-horse"
        assert "permission denied" in run(
            "sh", f"{_USE.format('narrow.biscuit')} 2>&1 || true", tmp_path, operator
        )

        run("sh", "vaultctl auth enable nhi", tmp_path, operator)
        asks, *others = below_auth.splitlines()
        answered = asks.replace(
            "client_id=billing", 'client_id=billing client_secret="$(cat secret)" -no-store'
        )
        for line in (answered, *others):
            assert "token_policies" in run("sh", line, tmp_path, operator)

        (tmp_path / "team.hcl").write_text(policy)
        run("sh", "vaultctl policy write team team.hcl", tmp_path, operator)
        team = run("sh", "vaultctl token create -policy=team -field=token", tmp_path, operator)
        security = environment(tmp_path, VAULT_ADDR=server.address, VAULT_TOKEN=team)
        found = json.loads(run("sh", "vaultctl nhi credentials -format=json", tmp_path, security))
        (credential,) = [one["token_id"] for one in found["credentials"] if one["first_seen"]]
        tree = f"vaultctl nhi tree -format=json {credential}"
        block = json.loads(run("sh", tree, tmp_path, security))["nodes"][1]["id"]
        for line in watch.replace("TOKEN_ID", credential).replace("=BLOCK ", f"={block} -yes ").splitlines():
            assert run("sh", line, tmp_path, security)
        assert "permission denied" in run(
            "sh", f"{_USE.format('approved.biscuit')} 2>&1 || true", tmp_path, operator
        )
        _narrows_in_python(tmp_path, token, operator)
        for name in ("secret", "approver.pem"):
            assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


def _narrows_in_python(folder: Path, token: str, operator: Mapping[str, str]) -> None:
    """The program of the guide makes a token that reads the secret and writes nothing."""
    (program,) = blocks("python", GUIDE)["In three steps"]
    keys = json.loads(run("sh", "vaultctl read -format=json nhi/public-keys", folder, operator))
    assert "ed25519/…" in program
    program = program.replace("ed25519/…", f"ed25519/{keys['data']['keys'][-1]['key_bytes']}")
    by_hand = f"text = {token!r}\n{program}\nopen('by-hand', 'w').write(token.to_base64())"
    run("python", by_hand, folder, operator)
    use = _USE.format("by-hand")
    assert run("sh", use, folder, operator) == "correct-horse"
    put = use.replace("get -field=password", "put").replace("/db", "/db a=b")
    assert "permission denied" in run("sh", f"{put} 2>&1 || true", folder, operator)
