# SPDX-License-Identifier: EUPL-1.2
"""The command line on a real server: every exit code, what a killed run leaves, and what read-only mode sends."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from esa_conformance.cli import main
from esa_conformance.run.journal import Journal
from tests.conformance.servers import Server
from tests.conformance.wire import send
from tests.conformance_suite.judging import good_server, manifest_of
from tests.conformance_suite.mutants import Behind
from tests.conformance_suite.stub import Said, Sent, serving
from vaultctl.main import main as vaultctl


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A good server."""
    with good_server() as server:
        yield server


@pytest.fixture
def folder(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a manifest, which the process is in."""
    manifest_of(server, tmp_path)
    monkeypatch.setenv("ESA_TOKEN", server.root)
    monkeypatch.setenv("ESA_SEAL_KEY", server.share)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _run(*words: str) -> int:
    return main(["run", "--manifest", "manifest.toml", *words])


def _changed(folder: Path, old: str, new: str) -> None:
    path = folder / "manifest.toml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def _names(server: Server) -> list[str]:
    """All that any run has left on the server."""
    found = []
    headers = {"X-Vault-Token": server.root}
    for method, path in (
        ("LIST", "secret/metadata/team-a"), ("LIST", "sys/policies/acl"), ("GET", "sys/mounts"), ("GET", "sys/auth"),
        ("LIST", "sys/namespaces"), ("LIST", "sys/quotas/rate-limit"),
    ):  # fmt: skip
        answer: Any = send(server.port, method, f"/v1/{path}", headers, None).json()
        data = answer.get("data") or {}
        found += [name for name in (data["keys"] if method == "LIST" and data else data) if "esa-" in name]
    return found


def test_a_run_writes_what_it_was_asked_for(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = _run(
        "--only",
        "ESA-KV-00*",
        "--report",
        "r.json",
        "--html",
        "r.html",
        "--junit",
        "r.xml",
        "--transcript",
        "t.ndjson",
    )
    assert code == 6
    assert "kv-consume (claimed): partial" in capsys.readouterr().out
    made = json.loads((folder / "r.json").read_text(encoding="utf-8"))
    assert made["run"]["narrowed"] is True
    assert {test["outcome"] for test in made["tests"]} <= {"pass", "warning", "unsupported"}
    assert (folder / "r.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert (folder / "r.xml").read_text(encoding="utf-8").startswith("<?xml")
    lines = (folder / "t.ndjson").read_text(encoding="utf-8").splitlines()
    assert len(lines) > 20
    assert {json.loads(line)["test"] for line in lines} >= {"one_winner", "versions_count_up"}
    removals = {json.loads(line)["test"] for line in lines if json.loads(line)["target"].endswith("-1")}
    assert removals == {made["tests"][0]["id"], "(cleanup)"}


def test_vaultctl_is_the_same_code(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert vaultctl(["conformance", "run", "--manifest", "manifest.toml", "--only", "ESA-KV-008"]) == 6
    assert vaultctl(["conformance", "explain", "ESA-KV-005"]) == 0
    out = capsys.readouterr().out
    assert "deleting_nothing_succeeds" in out
    assert "one_winner" in out


def test_explain_says_why_there_is_no_test_and_what_has_ended(capsys: pytest.CaptureFixture[str]) -> None:
    assert [main(["explain", name]) for name in ("ESA-NSP-001", "ESA-NSP-002")] == [0, 0]
    ended, tested = capsys.readouterr().out.split("ESA-NSP-002 (")
    assert "ended with 1.0" in ended and "not tested, because it has ended" in ended
    assert "not tested" not in tested and "ended" not in tested


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((), 2), (("none",), 2), (("explain", "ESA-KV-999"), 2), (("list", "--only", "none"), 2), (("--help",), 0),
        (("list", "--profile", "none"), 2), (("run", "--manifest", "none.toml"), 2), (("list",), 0), (("--version",), 0),
        (("run", "--manifest", "manifest.toml", "--only", "ESA-KV-008", "--sign-key", "x"), 2),
        (("plan", "--manifest", "manifest.toml"), 0), (("plan", "--manifest", "manifest.toml", "--read-only"), 0),
    ],
)  # fmt: skip
def test_usage_has_an_exit_code_of_its_own(words: tuple[str, ...], code: int, folder: Path) -> None:
    assert main(list(words)) == code


def test_a_plan_for_production_tells_that_nothing_is_made(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _changed(folder, "[target]", '[target]\nenvironment = "production"')
    assert main(["plan", "--manifest", "manifest.toml"]) == 4
    assert "a run stops before its first write" in capsys.readouterr().out
    assert main(["plan", "--manifest", "manifest.toml", "--read-only"]) == 0


def test_a_plan_sends_nothing_and_tells_what_a_run_would_make(
    folder: Path, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(lambda _: Said()) as (port, seen):
        _changed(folder, f":{server.port}", f":{port}")
        assert main(["plan", "--manifest", "manifest.toml"]) == 0
    assert seen == []
    out = capsys.readouterr().out
    assert "/v1/secret/data/team-a/esa-RUN-" in out
    assert "sealed and unsealed" in out
    assert f"read beside it: {server.directory}/log" in out
    assert "openssl, to verify signatures" in out


def test_a_missed_claim_is_exit_code_1(folder: Path, server: Server) -> None:
    def forgets(request: Sent) -> Said:
        return Behind.of(server).ask(request) if request.method != "BREW" else Said(404)

    with serving(forgets) as (port, _):
        _changed(folder, f":{server.port}", f":{port}")
        assert _run("--only", "ESA-ERR-004") == 1


def test_a_server_that_is_away_is_exit_code_3(folder: Path, server: Server) -> None:
    with serving(lambda _: Said()) as (port, _):
        pass
    _changed(folder, f":{server.port}", f":{port}")
    assert _run("--only", "ESA-KV-008") == 3


def test_another_server_is_exit_code_4_and_nothing_is_written(folder: Path, server: Server) -> None:
    _changed(folder, 'cluster_id = "', 'cluster_id = "0')
    assert _run("--only", "ESA-KV-008") == 4
    assert not (folder / "esa-journal.ndjson").exists()


def test_a_redirect_to_another_host_ends_the_run_with_exit_code_4(folder: Path, server: Server) -> None:
    def leads_away(request: Sent) -> Said:
        if request.method == "DELETE":
            return Said(307, b"", {"Location": "https://other.example/"})
        return Behind.of(server).ask(request)

    with serving(leads_away) as (port, _):
        _changed(folder, f":{server.port}", f":{port}")
        assert _run("--only", "ESA-KV-008") == 4


def test_what_cannot_be_removed_is_exit_code_5_and_removed_later(
    folder: Path, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    keeps = [True]

    def behave(request: Sent) -> Said:
        removes = request.method == "DELETE" or "/destroy/" in request.target
        return Said(403) if keeps[0] and removes else Behind.of(server).ask(request)

    with serving(behave) as (port, _):
        _changed(folder, f":{server.port}", f":{port}")
        assert _run("--only", "ESA-KV-001") == 5
        assert "left behind: secret" in capsys.readouterr().err
        assert main(["cleanup", "--manifest", "manifest.toml", "--journal", "esa-journal.ndjson"]) == 5
        keeps[0] = False
        assert _names(server) != []
        assert main(["cleanup", "--manifest", "manifest.toml", "--journal", "esa-journal.ndjson"]) == 0
    assert _names(server) == []


def test_a_journal_of_another_server_is_refused(folder: Path) -> None:
    Journal(folder / "j", run="6ab0c0de0a0b0c", address="https://other.example").close()
    assert main(["cleanup", "--manifest", "manifest.toml", "--journal", "j"]) == 2


def test_what_is_past_its_end_is_swept_and_nothing_else(folder: Path, server: Server) -> None:
    headers = {"X-Vault-Token": server.root}
    old, new = "esa-50000000aabbcc-1", "esa-ffffff00aabbcc-1"
    for name in (old, new, "mine"):
        for path in (f"secret/data/team-a/{name}/a", f"secret/data/team-a/{name}"):
            assert send(server.port, "POST", f"/v1/{path}", headers, b'{"data": {}}').status == 200
        assert (
            send(
                server.port,
                "POST",
                f"/v1/sys/policies/acl/{name}",
                headers,
                b'{"policy": "path \\"none\\" {}"}',
            ).status
            == 204
        )
    assert main(["cleanup", "--manifest", "manifest.toml", "--expired"]) == 0
    listed: Any = send(server.port, "LIST", "/v1/secret/metadata/team-a", headers, None).json()
    assert listed["data"]["keys"] == [new, f"{new}/", "mine", "mine/"]
    policies: Any = send(server.port, "LIST", "/v1/sys/policies/acl", headers, None).json()
    assert {old, new, "mine"} & set(policies["data"]["keys"]) == {new, "mine"}
    for path in (
        f"secret/metadata/team-a/{new}/a",
        f"secret/metadata/team-a/{new}",
        f"sys/policies/acl/{new}",
    ):
        send(server.port, "DELETE", f"/v1/{path}", headers, None)
