# SPDX-License-Identifier: EUPL-1.2
"""vaultctl audit export: every record once, in order, from where an earlier export ended."""

import json
import shutil
from collections.abc import Generator
from pathlib import Path

import pytest
from pytest_socket import enable_socket

from tests.cli.audit_shown import shown
from tests.cli.log_server import LOG, OTHER, LogServer, log_server
from tests.log.written import WrittenLog, chained, record, written
from vault.log.export.forms import native


@pytest.fixture
def server() -> Generator[LogServer]:
    enable_socket()
    with log_server(own=10, other=3) as running:
        yield running


def test_all_records_come_log_by_log_and_the_next_export_goes_on(server: LogServer, tmp_path: Path) -> None:
    found = shown(server, ["export"], tmp_path)
    assert found.code == 0
    assert [line.encode() for line in found.stdout.splitlines()] == [*server.lines[LOG], *server.lines[OTHER]]
    assert found.stderr == f"Exported. To go on from here: -after={LOG}:9,{OTHER}:2\n"
    server.append(OTHER, {})
    again = shown(server, ["export", f"-after={LOG}:9,{OTHER}:2"], tmp_path)
    assert [line.encode() for line in again.stdout.splitlines()] == server.lines[OTHER][3:]


def test_a_file_says_where_the_last_export_ended(server: LogServer, tmp_path: Path) -> None:
    state = tmp_path / "state"
    assert shown(server, ["export", f"-state={state}"], tmp_path).stderr == ""
    said = json.loads(state.read_text())
    assert {log: number for log, number in said.items() if isinstance(number, int)} == {LOG: 9, OTHER: 2}
    assert shown(server, ["export", f"-state={state}"], tmp_path).stdout == ""
    server.append(LOG, {})
    assert len(shown(server, ["export", f"-state={state}"], tmp_path).stdout.splitlines()) == 1
    state.write_text("nonsense")
    assert shown(server, ["export", f"-state={state}"], tmp_path).code == 1
    assert shown(server, ["export", f"-state={tmp_path / 'no' / 'folder'}"], tmp_path).code == 1


def test_what_is_appended_meanwhile_is_for_the_next_export(server: LogServer, tmp_path: Path) -> None:
    server.later = [lambda: server.append(LOG, {})]
    assert len(shown(server, ["export", f"-log={LOG}"], tmp_path).stdout.splitlines()) == 10


def test_what_is_missing_is_told_and_changes_the_exit_code(server: LogServer, tmp_path: Path) -> None:
    server.hidden = {(LOG, 4)}
    found = shown(server, ["export", f"-log={LOG}"], tmp_path)
    assert (found.code, len(found.stdout.splitlines())) == (2, 9)
    assert f"WARNING! {LOG}: record 4 is missing." in found.stderr


def test_what_is_behind_damage_is_told_each_time(server: LogServer, tmp_path: Path) -> None:
    server.damaged = {OTHER: 2}
    state = tmp_path / "state"
    for records in (12, 0):
        found = shown(server, ["export", f"-state={state}"], tmp_path)
        assert (found.code, len(found.stdout.splitlines())) == (2, records)
        assert found.stderr == (
            f"WARNING! {OTHER}: nothing is read from record 2 on: that record, or the one before it, is not as it should be.\n"
        )
    assert shown(server, ["export", f"-log={LOG}"], tmp_path).code == 0


def test_a_log_without_one_good_record_is_told_as_damaged(server: LogServer, tmp_path: Path) -> None:
    server.damaged = {OTHER: 0}
    found = shown(server, ["export", f"-log={OTHER}"], tmp_path)
    assert (found.code, found.stdout) == (2, "")
    assert f"WARNING! {OTHER}: nothing is read from record 0 on" in found.stderr


def test_an_export_begins_with_the_oldest_record_and_tells_what_it_has_missed(
    server: LogServer, tmp_path: Path
) -> None:
    server.purged = 6
    found = shown(server, ["export", f"-log={LOG}"], tmp_path)
    assert (found.code, [line.encode() for line in found.stdout.splitlines()]) == (0, server.lines[LOG][6:])
    late = shown(server, ["export", f"-log={LOG}", f"-after={LOG}:3"], tmp_path)
    assert (late.code, len(late.stdout.splitlines())) == (2, 4)
    assert f"WARNING! {LOG}: records 4 to 5 were purged unread." in late.stderr


def test_a_log_that_is_not_there_is_refused(server: LogServer, tmp_path: Path) -> None:
    found = shown(server, ["export", "-log=0123abcd-9-9"], tmp_path)
    assert (found.code, found.stderr) == (1, "-log: there is no log 0123abcd-9-9\n")


def test_a_copied_folder_is_exported_without_a_server(tmp_path: Path) -> None:
    log = written(tmp_path / "log", 23, starts=(0, 10, 17))
    log.write(tail=b'{"torn":')
    found = shown(None, ["export", f"-folder={tmp_path / 'log'}"], tmp_path)
    assert (found.code, [line.encode() for line in found.stdout.splitlines()]) == (0, log.lines)
    assert found.stderr == f"Exported. To go on from here: -after={LOG}:22\n"
    again = shown(None, ["export", f"-folder={tmp_path / 'log' / LOG}", f"-after={LOG}:11"], tmp_path)
    assert [line.encode() for line in again.stdout.splitlines()] == log.lines[12:]


def test_a_segment_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    written(tmp_path / "log", 23, starts=(0, 10, 17))
    (tmp_path / "log" / LOG / f"{10:020}.jsonl.gz").write_bytes(b"junk")
    found = shown(None, ["export", f"-folder={tmp_path / 'log'}"], tmp_path)
    assert (found.code, len(found.stdout.splitlines())) == (2, 16)
    assert f"WARNING! {LOG}: segment 10 can't be read" in found.stderr


@pytest.mark.parametrize("form", ["otlp", "ocsf", "ecs"])
def test_records_in_the_forms_of_others_lead_back_to_the_record(
    form: str, server: LogServer, tmp_path: Path
) -> None:
    found = shown(server, ["export", f"-format={form}"], tmp_path)
    documents = [document.encode() for document in found.stdout.splitlines()]
    lines = [line for document in documents for line in native(document, form)]
    assert (found.code, lines) == (0, [*server.lines[LOG], *server.lines[OTHER]])
    assert len(documents) == (2 if form == "otlp" else 13)


def _ids(stdout: str) -> list[str]:
    return [json.loads(line).get("request.id", "") for line in stdout.splitlines()]


def _lose(server: LogServer, kept: int, *after: str) -> None:
    """Lose what follows the first `kept` records of a log, as in a power cut, and write others."""
    server.lines[LOG] = server.lines[LOG][:kept]
    server.append(LOG, *({"request.id": name} for name in after))


def test_records_that_a_server_lost_and_replaced_are_told_and_exported_again(
    server: LogServer, tmp_path: Path
) -> None:
    state = ["export", f"-log={LOG}", f"-state={tmp_path / 'state'}"]
    server.append(LOG, *({"request.id": f"lost-{at}"} for at in range(3)))
    assert _ids(shown(server, state, tmp_path).stdout)[-3:] == ["lost-0", "lost-1", "lost-2"]
    _lose(server, 10, *(f"after-{at}" for at in range(5)))
    found = shown(server, state, tmp_path)
    assert (found.code, _ids(found.stdout)) == (2, [f"after-{at}" for at in range(5)])
    assert found.stderr == (
        f"WARNING! {LOG}: record 12 is not there any more as it was exported, so records were lost, as in a power cut, and"
        " what follows record 9 is exported again.\n"
    )
    server.append(LOG, {"request.id": "more"})
    again = shown(server, state, tmp_path)
    assert (again.code, _ids(again.stdout), again.stderr) == (0, ["more"], "")


def test_as_many_records_in_place_of_those_that_were_lost_are_found_out_too(
    server: LogServer, tmp_path: Path
) -> None:
    state = ["export", f"-log={LOG}", f"-state={tmp_path / 'state'}"]
    server.append(LOG, {"request.id": "lost"})
    shown(server, state, tmp_path)
    _lose(server, 10, "after")
    found = shown(server, state, tmp_path)
    assert (found.code, _ids(found.stdout)) == (2, ["after"])
    assert shown(server, state, tmp_path).code == 0


def test_where_no_checkpoint_can_be_had_a_log_that_lost_records_is_exported_from_its_beginning(
    server: LogServer, tmp_path: Path
) -> None:
    state = ["export", f"-log={LOG}", f"-state={tmp_path / 'state'}"]
    server.append(LOG, {"request.id": "lost"})
    denied = (403, b'{"errors":["permission denied"]}', dict[str, str]())
    server.faults[f"checkpoints/{LOG}"] = [denied] * 2
    assert shown(server, state, tmp_path).code == 0
    _lose(server, 10, "after", "more")
    found = shown(server, state, tmp_path)
    assert (found.code, [line.encode() for line in found.stdout.splitlines()]) == (2, server.lines[LOG])
    assert "and all records are exported again" in found.stderr


def test_a_log_that_ends_before_what_was_exported_is_told_and_left_until_it_is_longer(
    server: LogServer, tmp_path: Path
) -> None:
    state = ["export", f"-log={LOG}", f"-state={tmp_path / 'state'}"]
    server.append(LOG, *({"request.id": f"lost-{at}"} for at in range(3)))
    shown(server, state, tmp_path)
    _lose(server, 10, "after-0")
    found = shown(server, state, tmp_path)
    assert (found.code, found.stdout) == (2, "")
    assert f"WARNING! {LOG}: record 12 was exported, and the index ends with record 10: it is" in found.stderr
    assert f"before it is longer, or -after={LOG}:9 is given.\n" in found.stderr
    assert _ids(shown(server, ["export", f"-log={LOG}", f"-after={LOG}:9"], tmp_path).stdout) == ["after-0"]
    server.append(LOG, {}, {"request.id": "after-2"}, {})
    assert _ids(shown(server, state, tmp_path).stdout) == ["after-0", "", "after-2", ""]


def test_a_log_of_which_all_was_signed_and_exported_is_not_asked_for_again(
    server: LogServer, tmp_path: Path
) -> None:
    state = ["export", f"-state={tmp_path / 'state'}"]
    shown(server, state, tmp_path)
    server.asked.clear()
    assert shown(server, state, tmp_path).code == 0
    assert [path for path, _ in server.asked] == ["records"]


def test_an_export_whose_last_record_was_purged_goes_on(server: LogServer, tmp_path: Path) -> None:
    state = ["export", f"-log={LOG}", f"-state={tmp_path / 'state'}"]
    shown(server, state, tmp_path)
    server.append(LOG, {}, {})
    server.purged = 10
    found = shown(server, state, tmp_path)
    assert (found.code, found.stderr, len(found.stdout.splitlines())) == (0, "", 2)


def test_the_file_of_an_older_release_is_gone_on_with(server: LogServer, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.write_text(json.dumps({LOG: 7}))
    found = shown(server, ["export", f"-log={LOG}", f"-state={state}"], tmp_path)
    assert [line.encode() for line in found.stdout.splitlines()] == server.lines[LOG][8:]
    assert shown(server, ["export", f"-log={LOG}", f"-state={state}"], tmp_path).code == 0


def test_a_signed_record_that_is_another_now_is_told_each_time_and_nothing_more_is_exported(
    server: LogServer, tmp_path: Path
) -> None:
    state = ["export", f"-log={LOG}", f"-state={tmp_path / 'state'}"]
    shown(server, state, tmp_path)
    said = (tmp_path / "state").read_text()
    _lose(server, 9, "forged", "more")
    for _ in range(3):
        found = shown(server, state, tmp_path)
        assert (found.code, found.stdout) == (2, "")
        assert found.stderr == (
            f"WARNING! {LOG}: record 9 was under a checkpoint when it was exported, and is another now: this is no power cut. "
            f"Nothing of this log is exported: verify it, or give -after={LOG}:9.\n"
        )
    assert (tmp_path / "state").read_text() == said
    assert _ids(shown(server, [*state, f"-after={LOG}:9"], tmp_path).stdout) == ["more"]


def test_of_a_log_that_damage_cuts_short_the_damage_alone_is_told(server: LogServer, tmp_path: Path) -> None:
    state = ["export", f"-log={LOG}", f"-state={tmp_path / 'state'}"]
    shown(server, state, tmp_path)
    server.damaged = {LOG: 4}
    found = shown(server, state, tmp_path)
    assert (found.code, found.stdout) == (2, "")
    assert found.stderr.startswith(f"WARNING! {LOG}: nothing is read from record 4 on: ")
    assert found.stderr.count("WARNING!") == 1


def _copy(folder: Path, count: int, signed: int, name: str = "", begin: int = 0) -> None:
    """Make a copy of a log of so many records; those from `begin` on have a `name`."""
    shutil.rmtree(folder, ignore_errors=True)
    named = {"request.id": name} if name else {}
    log = WrittenLog(folder, chained({**record(at), **(named if at >= begin else {})} for at in range(count)))
    log.sign(signed)
    log.write()


def test_a_copy_whose_signed_records_are_others_is_told_each_time(tmp_path: Path) -> None:
    state = ["export", f"-folder={tmp_path / 'log'}", f"-state={tmp_path / 'state'}"]
    _copy(tmp_path / "log", 13, 8)
    assert shown(None, state, tmp_path).code == 0
    _copy(tmp_path / "log", 13, 8, "forged", begin=7)
    for _ in range(3):
        found = shown(None, state, tmp_path)
        assert (found.code, found.stdout) == (2, "")
        assert "record 7 was under a checkpoint when it was exported, and is another now" in found.stderr


def test_of_a_copy_that_ends_before_what_was_exported_nothing_is_exported_twice(tmp_path: Path) -> None:
    state = ["export", f"-folder={tmp_path / 'log'}", f"-state={tmp_path / 'state'}"]
    _copy(tmp_path / "log", 23, 21)
    assert len(shown(None, state, tmp_path).stdout.splitlines()) == 23
    _copy(tmp_path / "log", 10, 8)
    for _ in range(2):
        found = shown(None, state, tmp_path)
        assert (found.code, found.stdout) == (2, "")
        assert found.stderr == (
            f"WARNING! {LOG}: record 22 was exported, and the copy ends with record 9: it is not complete, or records were "
            "taken away, for a checkpoint covered record 20. Nothing of this log is exported before it is longer.\n"
        )
    _copy(tmp_path / "log", 25, 21)
    assert (len((found := shown(None, state, tmp_path)).stdout.splitlines()), found.code) == (2, 0)


def test_records_that_a_copied_log_lost_and_replaced_are_told_and_exported_again(tmp_path: Path) -> None:
    state = ["export", f"-folder={tmp_path / 'log'}", f"-state={tmp_path / 'state'}"]
    for count, name in ((8, "lost"), (7, "shorter"), (11, "longer")):
        shutil.rmtree(tmp_path / "log", ignore_errors=True)
        records = [record(seq) for seq in range(5)] + [
            {**record(seq), "request.id": f"{name}-{seq}"} for seq in range(5, count)
        ]
        log = WrittenLog(tmp_path / "log", chained(records))
        log.sign(5)
        log.write()
        found = shown(None, state, tmp_path)
        ids = [f"{name}-{seq}" for seq in range(5, count)]
        assert _ids(found.stdout) == {"lost": [""] * 5 + ids, "shorter": [], "longer": ids}[name]
        assert found.code == (0 if name == "lost" else 2)
        assert (f"before it is longer, or -after={LOG}:4 is given" in found.stderr) == (name == "shorter")
        assert ("what follows record 4 is exported again" in found.stderr) == (name == "longer")
    assert shown(None, state, tmp_path).code == 0
