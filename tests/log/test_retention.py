# SPDX-License-Identifier: EUPL-1.2
"""Retention of a real server: purges by request, holds, what the log says of both, and what is left of a person."""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz.process import PATIENCE, Client, VaultProcess, wait_until
from vault.log.format.note_key import Verifier
from vault.log.format.segment import list_logs, list_segments
from vault.log.format.trust import Trust
from vault.log.format.verify import verify_folder

OFFICER = """
path "sys/log/*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }
"""
READER = 'path "sys/log/*" { capabilities = ["create", "read", "update", "delete", "list"] }'
EVERYTHING = 'path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }'
pytestmark = pytest.mark.loopback


class Kept:
    """A server whose segments end after a second, and a client of it who may purge."""

    def __init__(self, folder: Path, settings: str) -> None:
        self.folder = folder / "log"
        self.vault = VaultProcess(folder, more=self.stanza(settings))

    def stanza(self, settings: str) -> str:
        return f'log {{\n  path = "{self.folder}"\n  segment_age = "1s"\n{settings}\n}}\n'

    def client(self, policy: str, namespace: str = "") -> Client:
        with self.vault.client() as root:
            answer = root.request("POST", f"/v1/{namespace}auth/token/create", {"policies": [policy]})
            return self.vault.client(answer.json()["auth"]["client_token"])

    def segment(self, count: int = 1) -> None:
        """Have so many segments begin, each with a few records."""
        for number in range(count):
            time.sleep(1.05)
            with self.vault.client() as root:
                for _ in range(5):
                    root.request("POST", f"/v1/secret/data/x/{number}", {"data": {"a": "b"}})
        wait_until(self._closed, lambda: "a segment that ended is not closed")

    def _closed(self) -> bool:
        segments = list_segments(self.folder / self.log)[:-1]
        return all(one.closed and not one.path(".jsonl").exists() for one in segments)

    @property
    def log(self) -> str:
        return str(list_logs(self.folder)[0])

    @property
    def firsts(self) -> list[int]:
        return [segment.first for segment in list_segments(self.folder / self.log)]

    def records(self, event: str) -> list[Any]:
        """The records of an event that are there, oldest first."""
        return [
            record
            for segment in list_segments(self.folder / self.log)
            for line in segment.lines()
            if (record := json.loads(line))["event_name"] == event
        ]

    def faults(self, officer: Client, held: list[bytes]) -> list[str]:
        """What verification has to say, with the checkpoints that somebody kept."""
        key = officer.request("GET", "/v1/sys/log/status").json()["data"]["key"]
        report = verify_folder(self.folder, Trust(keys=(Verifier.parse(key),)), held)
        return [*map(str, report.faults)]

    def checkpoint(self, officer: Client) -> bytes:
        return officer.request("GET", f"/v1/sys/log/checkpoints/{self.log}").body


def _now(ahead: float = 0) -> str:
    return (datetime.now(UTC) + timedelta(seconds=ahead)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@contextmanager
def _kept(folder: Path, settings: str = "") -> Iterator[Kept]:
    kept = Kept(folder, settings)
    try:
        kept.vault.start()
        kept.vault.initialise()
        with kept.vault.client() as root:
            for name, text in (("officer", OFFICER), ("reader", READER), ("everything", EVERYTHING)):
                root.request("PUT", f"/v1/sys/policies/acl/{name}", {"policy": text})
        yield kept
    finally:
        kept.vault.stop()


def test_a_purge_takes_whole_segments_and_what_stays_is_proven(tmp_path: Path) -> None:
    with _kept(tmp_path) as kept, kept.client("officer") as officer:
        kept.segment(4)
        firsts, note = kept.firsts, kept.checkpoint(officer)  # which may begin another
        answer = officer.request("POST", "/v1/sys/log/purge", {"before": _now()})
        (purged,) = answer.json()["data"]["purged"]
        assert purged == {
            "log": kept.log, "first": 0, "last": kept.firsts[0] - 1, "segments": purged["segments"],
        }  # fmt: skip
        assert purged["segments"] >= 4
        assert answer.json()["data"]["held"] == []
        assert firsts[-1] <= kept.firsts[0]
        (said,) = kept.records("esa.log.purge")
        assert {name: said["fields"][name] for name in ("log", "first", "last")} == {
            "log": kept.log, "first": 0, "last": purged["last"],
        }  # fmt: skip
        assert (said["actor"], said["phase"]) == ({"type": "server"}, "notice")
        assert kept.faults(officer, [note, kept.checkpoint(officer)]) == []
        page = officer.request("GET", f"/v1/sys/log/records?log={kept.log}&after=-1")
        assert (page.status, "the oldest record of the log is" in page.body.decode()) == (404, True)
        page = officer.request("GET", f"/v1/sys/log/records?log={kept.log}&after={purged['last']}")
        assert page.json()["data"]["records"][0]["seq"] == purged["last"] + 1
        last = purged["last"] + 1
        target = f"/v1/sys/log/consistency/{kept.log}?from=3&to={last}"
        assert officer.request("GET", target).json()["data"]["hashes"]
        wait_until(
            lambda: officer.request("GET", f"/v1/sys/log/records/{kept.log}/{last}/proof").status == 200,
            lambda: "no proof of what stays",
        )


def test_log_040_a_purge_of_what_is_younger_than_the_minimum_is_refused(tmp_path: Path) -> None:
    with _kept(tmp_path, '  retention_min = "1h"\n  retention_max = "2h"') as kept:
        with kept.client("officer") as officer:
            kept.segment(2)
            for before, words in (
                (_now(), "younger records are kept (retention_min)"),
                (_now(-3500), "younger records are kept (retention_min)"),
                ("", "before is missing"),
                ("yesterday", "before must be a time in RFC 3339"),
            ):
                answer = officer.request("POST", "/v1/sys/log/purge", {"before": before})
                assert (answer.status, words in answer.body.decode()) == (400, True), answer.body
            answer = officer.request("POST", "/v1/sys/log/purge", {"before": _now(-3700)})
            assert answer.json()["data"] == {"purged": [], "held": []}
            assert kept.firsts[0] == 0
            status = officer.request("GET", "/v1/sys/log/status").json()["data"]
            assert status["retention"] == {"retention_min": "3600s", "retention_max": "7200s"}


def test_a_hold_beats_a_purge_and_the_log_names_what_it_was_and_is(tmp_path: Path) -> None:
    with _kept(tmp_path) as kept, kept.client("officer") as officer:
        kept.segment(2)
        hold = "/v1/sys/log/holds/case-7"
        assert officer.request("LIST", "/v1/sys/log/holds").status == 404
        assert officer.request("POST", hold, {"reason": "mallory"}).status == 204
        assert officer.request("LIST", "/v1/sys/log/holds").json()["data"]["keys"] == ["case-7"]
        assert officer.request("GET", hold).json()["data"]["reason"] == "mallory"
        assert officer.request("GET", "/v1/sys/log/status").json()["data"]["holds"] == {"case-7": "../.."}
        answer = officer.request("POST", "/v1/sys/log/purge", {"before": _now()}).json()["data"]
        assert answer == {
            "purged": [], "held": [{"log": kept.log, "first": 0, "holds": ["case-7"]}],
        }  # fmt: skip
        assert officer.request("POST", hold, {"from": "2026-01-01T00:00:00Z"}).status == 204
        assert officer.request("DELETE", hold).status == 204
        assert officer.request("GET", hold).status == 404
        changes = [
            (record["event_name"], record["fields"].get("changed"))
            for event in ("esa.log.hold.write", "esa.log.hold.delete")
            for record in kept.records(event)
            if record["phase"] == "outcome"
        ]
        assert changes == [
            ("esa.log.hold.write", {"new": "../.."}),
            ("esa.log.hold.write", {"new": "2026-01-01T00:00:00Z/..", "old": "../.."}),
            ("esa.log.hold.delete", {"old": "2026-01-01T00:00:00Z/.."}),
        ]
        text = b"".join(line for one in list_segments(kept.folder / kept.log) for line in one.lines())
        assert b"mallory" not in text
        answer = officer.request("POST", "/v1/sys/log/purge", {"before": _now()}).json()["data"]
        assert [part["first"] for part in answer["purged"]] == [0]


@pytest.mark.parametrize(
    ("name", "body", "words"),
    [
        ("Case", {}, "the name of a hold has lower case letters"),
        ("a", {"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}, "to must be after from"),
        ("a", {"from": "soon"}, "from must be a time in RFC 3339"),
        ("a", {"reason": "x" * 1025}, "reason may have at most 1024 characters"),
    ],
)
def test_what_is_no_hold_is_refused(strict: Kept, name: str, body: object, words: str) -> None:
    with strict.client("officer") as officer:
        answer = officer.request("POST", f"/v1/sys/log/holds/{name}", body)
        assert (answer.status, words in answer.body.decode()) == (400, True), answer.body


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    with _kept(tmp_path_factory.mktemp("strict")) as kept:
        yield kept


_TARGETS = [
    ("POST", "purge", {"before": "2026-01-01T00:00:00Z"}),
    ("LIST", "holds", None),
    ("GET", "holds/x", None),
    ("POST", "holds/x", {}),
    ("DELETE", "holds/x", None),
]


def test_purges_and_holds_need_sudo_and_a_rule_that_names_the_log(strict: Kept) -> None:
    with (
        strict.vault.client() as root,
        strict.client("reader") as reader,
        strict.client("everything") as all_,
    ):
        for method, target, body in _TARGETS:
            for client in (root, reader, all_):
                assert client.request(method, f"/v1/sys/log/{target}", body).status == 403, target


def test_a_tenant_may_neither_purge_nor_hold(strict: Kept) -> None:
    with strict.vault.client() as root:
        root.request("POST", "/v1/sys/namespaces/azure")
        root.request("PUT", "/v1/azure/sys/policies/acl/officer", {"policy": OFFICER})
    with strict.client("officer", "azure/") as officer, strict.client("officer") as whole:
        assert officer.request("GET", "/v1/azure/sys/log/records").status == 200
        for method, target, body in _TARGETS:
            answer = officer.request(method, f"/v1/azure/sys/log/{target}", body)
            assert (answer.status, "only available in root namespace" in answer.body.decode()) == (400, True)
            assert officer.request(method, f"/v1/sys/log/{target}", body).status == 403, target
        assert whole.request("LIST", "/v1/sys/log/holds").status == 404


def test_a_change_of_the_retention_between_two_starts_is_an_event(tmp_path: Path) -> None:
    with _kept(tmp_path, '  retention_max = "24h"') as kept:
        (first,) = kept.records("esa.log.retention")
        assert first["fields"] == {
            "new": {"retention_max": "86400s", "retention_min": "0s"},
            "old": {"retention_max": "0s", "retention_min": "0s"},
        }
        kept.vault.stop()
        kept.vault.start()
        assert len(kept.records("esa.log.retention")) == 1
        kept.vault.stop()
        kept.vault.config.write_text(
            kept.vault.config.read_text().replace('max = "24h"', 'max = "48h"\n  retention_min = "1h"')
        )
        kept.vault.start()
        *_, last = kept.records("esa.log.retention")
        assert last["fields"] == {
            "new": {"retention_max": "172800s", "retention_min": "3600s"},
            "old": {"retention_max": "86400s", "retention_min": "0s"},
        }


def _readers(folder: Path) -> list[int]:
    """The processes that read the logs of a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue  # it has ended
        if b"vault.log.reader" in words and str(folder).encode() in words:
            found.append(int(path.parent.name))
    return found


def test_whenever_server_or_reader_is_killed_nothing_is_gone_unannounced(tmp_path: Path) -> None:
    with _kept(tmp_path) as kept:
        notes: list[bytes] = []
        for number in range(4):
            with kept.client("officer") as officer:
                kept.segment(2)
                notes.append(kept.checkpoint(officer))
            with kept.client("officer") as officer:
                try:
                    body = {"before": _now()}
                    officer._connection.request(
                        "POST",
                        "/v1/sys/log/purge",
                        json.dumps(body).encode(),
                        {"X-Vault-Token": officer.token},
                    )
                    time.sleep(0.004 * number)
                finally:
                    for pid in _readers(kept.folder) if number % 2 else ():
                        os.kill(pid, signal.SIGKILL)
                    kept.vault.kill()
            kept.vault.start()
            kept.vault.unseal()
        with kept.client("officer") as officer:
            kept.segment(1)
            assert kept.faults(officer, [*notes, kept.checkpoint(officer)]) == []
            announced = [record["fields"]["last"] for record in kept.records("esa.log.purge")]
            assert kept.firsts[0] <= max(announced, default=-1) + 1 or not kept.firsts[0]


def test_once_an_entity_is_deleted_nothing_has_its_name_and_its_id_finds_what_it_did(
    tmp_path: Path,
) -> None:
    with _kept(tmp_path) as kept, kept.vault.client() as root, kept.client("officer") as officer:
        name, alias = "mallory-of-acme", "mallory@acme.example"
        root.request("POST", "/v1/sys/auth/approle", {"type": "approle"})
        accessor = root.request("GET", "/v1/sys/auth").json()["data"]["approle/"]["accessor"]
        root.request("POST", "/v1/auth/approle/role/r", {"role_id": alias, "policies": ["everything"]})
        entity = root.request("POST", "/v1/identity/entity", {"name": name}).json()["data"]["id"]
        root.request(
            "POST",
            "/v1/identity/entity-alias",
            {"name": alias, "canonical_id": entity, "mount_accessor": accessor},
        )
        secret = root.request("POST", "/v1/auth/approle/role/r/secret-id").json()["data"]["secret_id"]
        login = root.request("POST", "/v1/auth/approle/login", {"role_id": alias, "secret_id": secret}).json()
        assert login["auth"]["entity_id"] == entity
        with kept.vault.client(login["auth"]["client_token"]) as person:
            person.request("GET", "/v1/secret/data/x")
        assert root.request("GET", f"/v1/identity/entity/id/{entity}").json()["data"]["name"] == name
        assert root.request("DELETE", f"/v1/identity/entity/id/{entity}").status == 204
        lines = [line for one in list_segments(kept.folder / kept.log) for line in one.lines()]
        assert len([line for line in lines if entity.encode() in line]) >= 3
        assert [line for line in lines if b"mallory" in line] == []
        until = time.monotonic() + PATIENCE
        while True:
            target = f"/v1/sys/log/records?actor={entity}&event=esa.kv.read"
            found = officer.request("GET", target).json()["data"]["records"]
            if found or time.monotonic() > until:
                break
            time.sleep(0.05)
        assert [record["resource"]["id"] for record in found] == ["secret/x"]
        assert root.request("GET", f"/v1/identity/entity/id/{entity}").status == 404
