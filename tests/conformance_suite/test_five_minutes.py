# SPDX-License-Identifier: EUPL-1.2
"""What docs/conformance.md shows first: the manifest of who only uses secrets, and the commands as they stand there."""

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from esa_conformance.cli import main
from tests.conformance.servers import OpenBaoServer, Server
from tests.conformance.wire import send
from tests.conformance_suite.judging import JudgedCoffre, good_server
from tests.conformance_suite.listing import changes, everything

_PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"
_CLEANUP = ("cleanup", "--manifest", "manifest.toml", "--journal", "esa-journal.ndjson")
_PLACE = "secret/+/team-a"


@pytest.fixture(scope="module", params=[JudgedCoffre, OpenBaoServer], ids=lambda kind: kind.kind)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A good server."""
    with good_server(request.param) as server:
        yield server


def _asked(server: Server, path: str, body: dict[str, Any]) -> Any:
    headers = {"X-Vault-Token": server.root}
    answer = send(server.port, "POST", f"/v1/{path}", headers, json.dumps(body).encode())
    assert answer.status in {200, 204}, answer.body
    return answer.json() if answer.body else None


def _credential(server: Server, policy: str) -> str:
    return str(_asked(server, "auth/token/create", {"policies": [policy]})["auth"]["client_token"])


@pytest.fixture
def before(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Be in a folder with the page's manifest, for this server: all that it lists before."""
    text = _PAGE.read_text(encoding="utf-8").partition("```toml\n")[2].partition("```")[0]
    shown = tomllib.loads(text)["target"]
    health: Any = send(server.port, "GET", "/v1/sys/health", {}, None).json()
    for old, new in (
        (shown["address"], f"http://127.0.0.1:{server.port}"), (shown["expect"]["cluster_id"], health["cluster_id"]),
        ('ca_file = "ca.pem"\n', ""),
    ):  # fmt: skip
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "manifest.toml").write_text(f"{text}\n[limits]\nrps = 500\n", encoding="utf-8")
    rights = '["create", "read", "update", "patch", "delete", "list"]'
    rules = f'path "{_PLACE}/*" {{ capabilities = {rights} }}\npath "{_PLACE}" {{ capabilities = ["list"] }}'
    _asked(server, "sys/policies/acl/uses-secrets", {"policy": rules})
    monkeypatch.setenv("ESA_TOKEN", _credential(server, "uses-secrets"))
    monkeypatch.setenv("ESA_DENIED", _credential(server, "default"))
    monkeypatch.chdir(tmp_path)
    return everything(server)


def test_the_pages_commands_hold_and_may_be_given_again(
    server: Server, before: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", "--manifest", "manifest.toml"]) == 0
    assert "made: wrapped answers" in capsys.readouterr().out
    words = ["run", "--manifest", "manifest.toml", "--report", "report.json", "--html", "report.html"]
    for _ in range(2):
        assert main(words) == 0, capsys.readouterr()
    made = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert made["cleanup"]["created"] > made["cleanup"]["left"] == 0
    assert main([*_CLEANUP]) == 0
    assert changes(server, before) == {}
