# SPDX-License-Identifier: EUPL-1.2
"""vaultctl audit tail: what is there, and what comes, of all logs; what is missing is told; a lost server is waited for."""

import io
import json
from collections.abc import Generator
from pathlib import Path

import pytest
from pytest_socket import enable_socket

from tests.cli.audit_shown import Shown, shown
from tests.cli.log_server import LOG, OTHER, Answer, LogServer, log_server

_REFUSED: Answer = (403, b'{"errors":["1 error occurred:\\n\\t* permission denied\\n\\n"]}', {})
_DOWN: Answer = (503, b'{"errors":["Vault is sealed"]}', {})


@pytest.fixture
def server() -> Generator[LogServer]:
    enable_socket()
    with log_server(own=5, other=2) as running:
        yield running


class _Screen(io.StringIO):
    """Standard output of somebody who types Ctrl-C at the last line."""

    def __init__(self, lines: int) -> None:
        super().__init__()
        self._lines = lines

    def flush(self) -> None:
        if self.getvalue().count("\n") >= self._lines:
            raise KeyboardInterrupt


def _tail(server: LogServer, home: Path, *words: str, lines: int, namespace: str = "") -> Shown:
    """What a tail shows until it has shown so many lines."""
    screen = _Screen(lines)
    found = shown(server, ["tail", *words], home, stdout=screen, namespace=namespace, timeout="2s")
    return found._replace(stdout=screen.getvalue())


def test_the_last_records_come_first_and_then_each_new_one(server: LogServer, tmp_path: Path) -> None:
    refused = {"outcome": "denied", "policy": {"reason": "no rule covers this path"}}
    server.later = [lambda: server.append(LOG, refused)]
    found = _tail(server, tmp_path, "-n=2", lines=3)
    assert (found.code, found.stderr) == (0, "")
    assert found.stdout.splitlines()[1:] == [
        "2026-11-28T09:00:04Z 0123abcd-0-1:4 esa.kv.read success entity-1 kv/équipe/4",
        "2026-11-28T09:00:05Z 0123abcd-0-1:5 esa.kv.read denied entity-2 kv/équipe/5 (no rule covers this path)",
    ]
    asked = [query for _, query in server.asked if query.get("log") == LOG]
    assert (asked[0]["after"], asked[0]["wait"]) == ("4", "1")


def test_it_shows_what_fits_and_programs_get_lines(server: LogServer, tmp_path: Path) -> None:
    logins = ({"outcome": "denied"}, {"event_name": "esa.auth.login"}, {"event_name": "esa.auth.renew"})
    server.later = [lambda: server.append(OTHER, *logins)]
    found = _tail(server, tmp_path, "-n=0", "-event=esa.auth.*", "-format=ndjson", lines=2)
    assert [line.encode() for line in found.stdout.splitlines()] == server.lines[OTHER][3:]


def test_its_own_questions_are_left_out_of_the_table_alone(server: LogServer, tmp_path: Path) -> None:
    """The receipt of every answer here names record 1."""
    server.later = [lambda: server.append("0123abcd-2-0", *({} for _ in range(3)))]
    found = _tail(server, tmp_path, "-n=0", lines=2)
    assert [line.split()[1] for line in found.stdout.splitlines()] == ["0123abcd-2-0:0", "0123abcd-2-0:2"]


def test_a_log_that_begins_meanwhile_is_followed_from_its_beginning(
    server: LogServer, tmp_path: Path
) -> None:
    server.later = [lambda: server.append("0123abcd-0-2", {}, {}), lambda: server.append(LOG, {})]
    found = _tail(server, tmp_path, "-n=0", "-format=ndjson", lines=3)
    places = sorted((line["log"], line["seq"]) for line in map(json.loads, found.stdout.splitlines()))
    assert places == [(LOG, 5), ("0123abcd-0-2", 0), ("0123abcd-0-2", 1)]


def test_a_log_with_a_successor_is_read_to_its_end_and_left(server: LogServer, tmp_path: Path) -> None:
    server.later = [lambda: server.append("0123abcd-0-2", {})]
    server.last = lambda: server.append("0123abcd-0-2", {})
    assert _tail(server, tmp_path, "-n=0", "-format=ndjson", lines=2).code == 0
    assert [query["log"] for _, query in server.asked if "after" in query and "wait" not in query] == [LOG]


def test_a_record_is_one_line_whatever_it_holds(server: LogServer, tmp_path: Path) -> None:
    forged = {"resource": {"id": "a\n2026-11-28T09:00:06Z forged\x1b[2J", "type": "kv.secret"}}
    server.later = [lambda: server.append(LOG, forged)]
    found = _tail(server, tmp_path, "-n=0", lines=1)
    assert found.stdout.count("\n") == 1
    assert "a\\n2026-11-28T09:00:06Z forged\\x1b[2J" in found.stdout


@pytest.mark.parametrize(
    ("hidden", "told"),
    [((5,), "record 5 is missing"), ((5, 6), "records 5 to 6 are missing")],
)
def test_what_is_missing_is_told_and_changes_the_exit_code(
    hidden: tuple[int, ...], told: str, server: LogServer, tmp_path: Path
) -> None:
    server.hidden = {(LOG, seq) for seq in hidden}
    server.later = [lambda: server.append(LOG, *({} for _ in range(3)))]
    found = _tail(server, tmp_path, "-n=1", lines=3 - len(hidden) + 1)
    assert found.code == 2
    assert f"WARNING! {LOG}: {told}. Verify a copy of the log" in found.stderr


def test_a_record_that_was_changed_behind_its_successor_is_told(server: LogServer, tmp_path: Path) -> None:
    def forge() -> None:
        server.append(LOG, {}, {})
        server.lines[LOG][5] = server.lines[LOG][5].replace(b"success", b"refused")

    server.later = [forge]
    found = _tail(server, tmp_path, "-n=0", lines=2)
    assert (found.code, f"WARNING! {LOG}: record 5 is not the one that record 6 names." in found.stderr) == (
        2,
        True,
    )


def test_the_first_record_names_nothing_before_it(tmp_path: Path, server: LogServer) -> None:
    def begin() -> None:
        server.append("0123abcd-7-0", {})
        (line,) = server.lines["0123abcd-7-0"]
        server.lines["0123abcd-7-0"] = [line.replace(b'"prev_hash":"47', b'"prev_hash":"48')]

    server.later = [begin]
    found = _tail(server, tmp_path, "-n=0", lines=1)
    assert "record -1 is not the one that record 0 names" in found.stderr


def test_a_server_that_is_away_is_waited_for(server: LogServer, tmp_path: Path) -> None:
    def leave() -> None:
        server.faults["records"] = [_DOWN, _DOWN, _DOWN]

    server.later = [leave, lambda: server.append(LOG, {})]
    found = _tail(server, tmp_path, "-n=0", lines=1)
    assert found.code == 0
    assert found.stdout.endswith(f"{LOG}:5 esa.kv.read success entity-2 kv/équipe/5\n")
    assert found.stderr.count("Trying again.") == found.stderr.count("Vault is sealed")


def test_who_may_not_read_the_log_is_told_so(server: LogServer, tmp_path: Path) -> None:
    server.faults["records"] = [_REFUSED]
    found = _tail(server, tmp_path, lines=1)
    assert (found.code, "permission denied" in found.stderr) == (2, True)

    def forbid() -> None:
        server.faults["records"] = [_REFUSED]

    server.later = [forbid]
    assert _tail(server, tmp_path, "-n=0", lines=1).code == 2


def test_in_a_namespace_its_own_part_is_followed(server: LogServer, tmp_path: Path) -> None:
    """The record that the search has left says which namespace that is."""
    server.tenant = "root"  # what the records are of
    server.later = [lambda: server.append(LOG, {})]
    found = _tail(server, tmp_path, "-n=0", lines=1, namespace="team")
    assert (found.code, found.stderr) == (0, "")
    assert f"{LOG}:5" in found.stdout
