# SPDX-License-Identifier: EUPL-1.2
"""vaultctl audit query, show, hash and status: what they ask for, and what they show of the answer."""

import json
from collections.abc import Generator
from pathlib import Path

import pytest
from pytest_socket import enable_socket

from tests.cli.audit_shown import shown
from tests.cli.log_server import LOG, OTHER, LogServer, log_server, named

_PATH = "records"
_TABLE = """\
Time                    Event          Outcome    Actor       Resource       By which rule, or why not    Record
----                    -----          -------    -----       --------       -------------------------    ------
2026-11-28T09:00:09Z    esa.kv.read    success    entity-0    kv/équipe/9    n/a                          0123abcd-0-1:9
2026-11-28T09:00:08Z    esa.kv.read    success    entity-2    kv/équipe/8    n/a                          0123abcd-0-1:8
There are more: -cursor=2
The index reaches through 0123abcd-0-1:9.
"""


@pytest.fixture
def server() -> Generator[LogServer]:
    enable_socket()
    with log_server() as running:
        yield running


def test_a_search_shows_a_table_and_how_to_go_on(server: LogServer, tmp_path: Path) -> None:
    found = shown(server, ["query", "-limit=2"], tmp_path)
    assert found == (0, _TABLE, "")
    assert server.asked == [(_PATH, {"phase": "outcome,notice", "order": "desc", "limit": "2"})]


def test_each_flag_is_a_filter_of_the_search(server: LogServer, tmp_path: Path) -> None:
    flags = {
        "event": "esa.kv.*", "resource": "secret/a,secret/b", "resource-type": "kv.secret", "outcome": "denied",
        "phase": "attempt", "actor": "e1", "credential": "acc", "policy": "team", "rule": "secret/*",
        "client-address": "10.0.0.1", "request-id": "r", "trace-id": "t",
    }  # fmt: skip
    times = ["-since=2026-11-24", "-until=2026-11-25T12:00:00+01:00", "-reverse"]
    assert (
        shown(server, ["query", *(f"-{name}={text}" for name, text in flags.items()), *times], tmp_path).code
        == 0
    )
    asked = {name.removeprefix("client-").replace("-", "_"): text for name, text in flags.items()}
    between = {"from": "2026-11-24T00:00:00Z", "to": "2026-11-25T12:00:00+01:00"}
    assert server.asked == [(_PATH, {**asked, **between, "order": "asc", "limit": "100"})]


@pytest.mark.parametrize(
    ("since", "length"), [("24h", "86400s"), ("1h30m", "5400s"), ("1ms", "1s"), ("-5m", "300s")]
)
def test_how_long_ago_is_left_to_the_servers_clock(
    since: str, length: str, server: LogServer, tmp_path: Path
) -> None:
    assert shown(server, ["query", f"-since={since}"], tmp_path).code == 0
    assert server.asked[0][1]["from"] == length


def test_what_is_too_long_for_a_server_is_a_time(server: LogServer, tmp_path: Path) -> None:
    assert shown(server, ["query", "-since=300d"], tmp_path).code == 0
    assert server.asked[0][1]["from"][4] == "-"
    assert shown(server, ["query", "-since=2h", "-until=1h"], tmp_path).code == 0
    assert server.asked[1][1]["from"] < server.asked[1][1]["to"]


def test_all_records_are_paged_through(server: LogServer, tmp_path: Path) -> None:
    server.append(LOG, *({} for _ in range(1500)))
    found = shown(server, ["query", "-all", "-format=ndjson", "-reverse", "-since=1h"], tmp_path)
    *lines, last = found.stdout.splitlines()
    assert [line.encode() for line in lines] == server.lines[LOG]
    assert json.loads(last)["$page"] == {"complete": True, "indexed_through": {LOG: 1509}, "next": None}
    first, second = (query for _, query in server.asked)
    assert (first["from"], first["limit"], second["cursor"], "from" in second) == (
        "3600s",
        "1000",
        "1000",
        False,
    )


def test_more_than_a_page_has_is_asked_for_by_pages(server: LogServer, tmp_path: Path) -> None:
    server.append(LOG, *({} for _ in range(1500)))
    found = json.loads(shown(server, ["query", "-limit=1200", "-format=json"], tmp_path).stdout)
    assert (len(found["records"]), found["next"], found["complete"]) == (1200, "1200", True)
    assert [query["limit"] for _, query in server.asked] == ["1000", "200"]


def test_programs_get_whole_records(server: LogServer, tmp_path: Path) -> None:
    found = json.loads(shown(server, ["query", "-limit=3", "-format=json"], tmp_path).stdout)
    assert found["records"] == [json.loads(line) for line in server.lines[LOG][:-4:-1]]
    assert (found["next"], found["complete"], found["indexed_through"]) == ("3", True, {LOG: 9})


def test_what_is_behind_damage_is_said_not_to_be_found(server: LogServer, tmp_path: Path) -> None:
    server.damaged = {LOG: 4}
    found = shown(server, ["query"], tmp_path)
    assert found.code == 0
    assert found.stdout.endswith(
        f"This may not be all that fits: {LOG}: nothing is read from record 4 on: that record, or the one before it, is not"
        " as it should be.\nThe index reaches through 0123abcd-0-1:3.\n"
    )
    machine = json.loads(shown(server, ["query", "-format=json"], tmp_path).stdout)
    assert (machine["complete"], machine["damaged"]) == (False, {LOG: 4})


def test_damage_keeps_no_page_from_being_asked_for(server: LogServer, tmp_path: Path) -> None:
    server.append(LOG, *({} for _ in range(1500)))
    server.damaged = {LOG: 1505}
    found = json.loads(shown(server, ["query", "-limit=1200", "-format=json"], tmp_path).stdout)
    assert (len(found["records"]), found["complete"]) == (1200, False)


def test_a_page_that_took_too_long_is_said_to_be_incomplete(server: LogServer, tmp_path: Path) -> None:
    about = {"$page": {"complete": False, "indexed_through": {LOG: 9, "0123abcd-0-0": 5}, "next": "c"}}
    late = (200, server.lines[LOG][3] + b"\n" + json.dumps(about).encode() + b"\n", dict[str, str]())
    server.faults[_PATH] = [late, late]
    found = shown(server, ["query"], tmp_path)
    assert found.stdout.endswith(
        "This is not all that fits: the search took longer than it may for one page.\n"
        "There are more: -cursor=c\nThe index reaches through 0123abcd-0-1:9.\n"
    )
    all_of_it = shown(server, ["query", "-all"], tmp_path)
    assert len(server.asked) == 3 and "not all" not in all_of_it.stdout


def test_in_a_namespace_the_index_reaches_through_its_own_records(server: LogServer, tmp_path: Path) -> None:
    server.tenant = "ns1"
    assert shown(server, ["query"], tmp_path).stdout.endswith(
        "The index reaches through 0123abcd-0-1 (9 of namespace ns1).\n"
    )


@pytest.mark.parametrize("cut", [b"", b'{"a":1}\n', b'{"a":1}', b'{"$page":{"complete":true}}', b"<html>\n"])
def test_an_answer_that_was_cut_is_no_answer(cut: bytes, server: LogServer, tmp_path: Path) -> None:
    server.faults[_PATH] = [(200, cut, {})]
    found = shown(server, ["query"], tmp_path)
    assert (found.code, found.stdout) == (2, "")
    assert "was cut" in found.stderr or "no record" in found.stderr


def test_nothing_of_a_record_acts_on_a_terminal(server: LogServer, tmp_path: Path) -> None:
    server.append(LOG, {"resource": {"id": "a\n\x1b[2Jb", "type": "kv.secret"}})
    for words in (["query", "-limit=1"], ["show", f"{LOG}:10"]):
        found = shown(server, words, tmp_path)
        assert found.code == 0 and "\x1b" not in found.stdout and "a\\n\\x1b[2Jb" in found.stdout


def test_no_record_fits(tmp_path: Path) -> None:
    enable_socket()
    with log_server(own=0) as server:
        found = shown(server, ["query"], tmp_path)
    assert found == (0, "No record fits.\nThe index reaches through no record yet.\n", "")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["query", "-all", "-limit=1"], "-limit and -all exclude each other"),
        (["query", "-limit=0"], "invalid value for flag -limit: must be 1 or more"),
        (["query", "-actor="], "invalid value for flag -actor: it is empty"),
        (["query", "-since=tuesday"], "invalid value for flag -since: a duration is needed"),
        (["show", "nonsense"], "a record is named LOG:SEQ"),
        (["show", "a-b-c:-1"], "a record is named LOG:SEQ"),
        (["show", "../x-0-1:1"], "a record is named LOG:SEQ"),
        (["segments", "a/b"], "LOG is the name of a log"),
        (["tail", "-format=yaml"], "use table, json or ndjson"),
        (["tail", "-n=-1"], "invalid value for flag -n"),
        (["export", "-format=yaml"], "use native, otlp, ocsf or ecs"),
        (["prove", f"{LOG}:1"], "-o is needed"),
        (["hash", "geheim"], "a value is no argument"),
    ],
)
def test_what_is_not_understood_is_told_before_anything_is_asked(
    words: list[str], told: str, server: LogServer, tmp_path: Path
) -> None:
    found = shown(server, words, tmp_path)
    assert (found.code, found.stdout, server.asked) == (1, "", [])
    assert told in found.stderr and "geheim" not in found.stderr


def test_a_record_is_explained(server: LogServer, tmp_path: Path) -> None:
    found = shown(server, ["show", f'log="{LOG}", seq=3'], tmp_path)
    assert found.code == 0
    for row in (
        "Who          entity entity-0",
        "Did          esa.kv.read",
        "Outcome      success: it was done",
        f"Record       {LOG}:3",
        "Proof        under the checkpoint of 10 records; `vaultctl audit prove` takes it along and verifies it",
    ):
        assert row in found.stdout.splitlines()


def test_an_outcome_and_the_one_that_takes_its_place_name_each_other(
    server: LogServer, tmp_path: Path
) -> None:
    server.append(LOG, {"request.id": "r-1"}, {"request.id": "r-1", "outcome": "failed", "supersedes": 10})
    rows = shown(server, ["show", f"{LOG}:10"], tmp_path).stdout.splitlines()
    told = f"Superseded    by {LOG}:11: the commit failed, and what is said here did not come about"
    assert told in rows
    assert [query for path, query in server.asked if path == _PATH] == [
        {
            "request_id": "r-1",
            "from": json.loads(server.lines[LOG][10])["observed_timestamp"],
            "order": "asc",
            "limit": "1000",
        }
    ]
    rows = shown(server, ["show", f"{LOG}:11"], tmp_path).stdout.splitlines()
    assert f"Instead of    {LOG}:10, which did not come about: its commit failed" in rows
    assert not any(row.startswith("Superseded") for row in rows)
    table = shown(server, ["query", "-limit=1"], tmp_path).stdout
    (row,) = [line.split() for line in table.splitlines() if "kv/équipe/11" in line]
    assert (row[2], row[5:]) == ("failed", ["instead", "of", f"{LOG}:10", f"{LOG}:11"])


def test_a_record_is_explained_though_its_reader_may_not_search(server: LogServer, tmp_path: Path) -> None:
    server.faults[_PATH] = [(403, b'{"errors":["permission denied"]}', dict[str, str]())]
    found = shown(server, ["show", f"{LOG}:3"], tmp_path)
    assert found.code == 0 and "Superseded" not in found.stdout


def test_what_is_not_covered_yet_is_said_to_be_soon(server: LogServer, tmp_path: Path) -> None:
    server.append(LOG, {})
    assert (
        "Proof        none yet: a checkpoint of the next second"
        in shown(server, ["show", f"{LOG}:10"], tmp_path).stdout
    )


def test_programs_get_the_record(server: LogServer, tmp_path: Path) -> None:
    found = shown(server, ["show", "-format=json", f"{LOG}:3"], tmp_path)
    assert json.loads(found.stdout) == json.loads(server.lines[LOG][3])


def test_a_record_that_is_not_there_is_told_in_the_servers_words(server: LogServer, tmp_path: Path) -> None:
    found = shown(server, ["show", f"{LOG}:99"], tmp_path)
    assert (found.code, found.stdout) == (2, "")
    assert "there is no such record" in found.stderr


def test_a_value_comes_from_standard_input_as_it_is(server: LogServer, tmp_path: Path) -> None:
    assert shown(server, ["hash", "-"], tmp_path, text=" geheim \n") == (0, "k1: geheim \n", "")
    found = shown(server, ["hash", "-", "-format=json"], tmp_path, text="1234")
    assert json.loads(found.stdout) == {"hashes": ["k1:1234"]}


def test_status_shows_keys_and_logs(server: LogServer, tmp_path: Path) -> None:
    found = shown(server, ["status"], tmp_path)
    assert (found.code, found.stderr) == (0, "")
    assert f"Key                    {named(LOG)}" in found.stdout
    assert (
        "0123abcd-0-1    0        9                  0 records, 0 bytes    2           yes       no                none"
        in found.stdout
    )


def test_status_shows_who_else_signs_and_what_is_kept(server: LogServer, tmp_path: Path) -> None:
    said = {"name": "w.example/1", "key": "w.example/1+01+k", "records": 8, "time": 1795856400, "trouble": ""}
    away = {**said, "name": "w.example/2", "records": -1, "time": 0, "trouble": "refused"}
    server.status = {
        "hsm": {"keys": {LOG: "k"}, "trouble": ""},
        "witnessed": {
            "quorum": 1, "records": 8, "note": "n", "time": "2026-11-28T09:00:08Z", "age": 1.5, "witnesses": [said, away],
        },
        "retention": {"retention_max": "0s", "retention_min": "15552000s"},
        "holds": {"case-7": "from 2026-01-01T00:00:00Z on"},
    }  # fmt: skip
    found = shown(server, ["status"], tmp_path)
    assert (found.code, found.stderr) == (0, "")
    for row in (
        "HSM signature          on checkpoints",
        "Witnessed              the first 8, as of 2026-11-28T09:00:08Z",
        "Quorum                 1 of 2 witnesses",
        "Kept at least          15552000s",
        "Holds                  case-7 (from 2026-01-01T00:00:00Z on)",
        "w.example/1    the first 8    2026-11-28T09:00:00Z    none",
        "w.example/2    none yet       n/a                     refused",
    ):
        assert row in found.stdout.splitlines()
    assert "Kept at most" not in found.stdout  # 0 is no bound
    row = next(line for line in found.stdout.splitlines() if line.startswith(LOG))
    assert row.split()[-2:] == ["yes", "none"]


def test_a_key_in_an_hsm_that_does_not_sign_is_trouble(server: LogServer, tmp_path: Path) -> None:
    server.status = {"hsm": {"keys": {}, "trouble": "the token is away"}, "witnessed": None}
    found = shown(server, ["status"], tmp_path)
    assert (found.code, found.stderr) == (
        2,
        "WARNING! The key in the HSM does not sign: the token is away\n",
    )
    assert "HSM signature          the token is away" in found.stdout.splitlines()
    assert "Witness" not in found.stdout


def test_trouble_of_the_log_is_told_and_changes_the_exit_code(server: LogServer, tmp_path: Path) -> None:
    server.status = {"trouble": "no space", "logs": [{"log": OTHER, "damage": "record 7 is not canonical"}]}
    found = shown(server, ["status"], tmp_path)
    assert (found.code, found.stderr) == (
        2,
        f"WARNING! The log reader does not go on: no space\nWARNING! {OTHER}: record 7 is not canonical\n",
    )
    assert shown(server, ["status", "-format=json"], tmp_path).code == 2


def test_devices_are_shown_with_what_they_wait_for(server: LogServer, tmp_path: Path) -> None:
    assert shown(server, ["devices"], tmp_path) == (
        2,
        "",
        "This server does not say where it sends its log.\n",
    )
    server.status = {"devices": []}
    assert shown(server, ["devices"], tmp_path) == (0, "The log is forwarded nowhere.\n", "")
    device = {
        "name": "siem", "kind": "syslog", "policy": "best_effort", "state": "retrying", "error": "refused",
        "lag_records": 12, "lag_seconds": 3.2, "accepted": 5, "failures": 2,
    }  # fmt: skip
    server.status = {"devices": [device]}
    found = shown(server, ["devices"], tmp_path)
    assert found.code == 2
    assert found.stdout.splitlines()[2].split() == (
        ["siem", "syslog", "best", "effort", "retrying", "12", "records", "3", "s", "5", "2", "refused"]
    )
    server.status = {"devices": [{**device, "state": "healthy"}]}
    assert shown(server, ["devices", "-format=json"], tmp_path).code == 0
