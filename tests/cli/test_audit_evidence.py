# SPDX-License-Identifier: EUPL-1.2
"""vaultctl audit verify, prove and segments: copies and proofs are verified offline, and what is wrong is named."""

import gzip
import json
import shutil
from collections.abc import Generator
from pathlib import Path

import pytest
from pytest_socket import enable_socket

from tests.cli.audit_shown import Shown, shown
from tests.cli.log_server import LOG, OTHER, LogServer, log_server, named
from tests.log.written import ORIGIN, WrittenLog, chained, record, written
from tests.unit.log.format.signing import cosignature, ed25519, witness
from vault.log.format.note import format_note, parse_note

KEY = ed25519(ORIGIN).verifier.vkey
_UNCOVERED = "covered by no checkpoint that was kept elsewhere; whoever has the files and the key can have rewritten them"


@pytest.fixture
def server() -> Generator[LogServer]:
    enable_socket()
    with log_server(own=10, other=3) as running:
        yield running


def _verify(home: Path, *words: str) -> Shown:
    return shown(None, ["verify", *words], home)


def _copy(folder: Path) -> WrittenLog:
    return written(folder, 23, starts=(0, 10, 17), signed=(3, 9, 17, 20))


def test_a_good_copy_has_no_faults_and_says_what_is_proven(tmp_path: Path) -> None:
    log = _copy(tmp_path / "log")
    (tmp_path / "kept").write_bytes(log.notes[9])
    found = _verify(tmp_path, f"-key={KEY}", f"-checkpoint={tmp_path / 'kept'}", str(tmp_path / "log"))
    assert (found.code, found.stderr) == (0, "")
    assert found.stdout.splitlines()[2:] == [
        "0123abcd-0-1    0 to 22    0 to 8     0 to 19    2026-11-28T09:00:22Z    none",
        "",
        "What is known:",
        "  0123abcd-0-1: records 0 to 8: covered by a checkpoint that was kept elsewhere",
        f"  0123abcd-0-1: records 9 to 22: {_UNCOVERED} (the log itself has signed the first 20 records)",
        "",
        "No fault was found.",
    ]


def test_a_copy_without_the_log_that_a_key_names_is_not_good(tmp_path: Path) -> None:
    _copy(tmp_path / "log")
    words = [f"-key={named('0123abcd-0-2')}", str(tmp_path / "log")]
    found = _verify(tmp_path, *words)
    told = "a key that is given is of this log, and the log is not there"
    assert found.code == 2
    assert f"\nNot as it should be:\n  0123abcd-0-2: {told}\n" in found.stdout
    assert found.stdout.endswith("\n1 fault: the log is not as it was written.\n")
    plain = json.loads(_verify(tmp_path, "-format=json", *words).stdout)
    assert plain["good"] is False
    assert [(one["kind"], one["log"], one["words"]) for one in plain["others"]] == [
        ("absent", "0123abcd-0-2", told)
    ]


def test_the_first_bad_record_is_named(tmp_path: Path) -> None:
    log = _copy(tmp_path / "log")
    log.lines[12] = log.lines[12].replace(b"success", b"refused")
    log.write()
    found = _verify(tmp_path, f"-key={KEY}", str(tmp_path / "log"))
    assert found.code == 2
    assert "\nNot as it should be:\n" in found.stdout
    assert "  0123abcd-0-1: record 12: the next one names another hash" in found.stdout.splitlines()
    assert found.stdout.splitlines()[2].endswith("    12")
    assert found.stdout.endswith(" faults: the log is not as it was written.\n")
    told = json.loads(_verify(tmp_path, f"-key={KEY}", "-format=json", str(tmp_path / "log")).stdout)
    assert (told["good"], told["logs"][0]["first_bad"], told["logs"][0]["size"]) == (False, 12, 23)
    assert {(one["kind"], one["first"]) for one in told["logs"][0]["findings"] if one["fault"]} >= {
        ("changed", 12)
    }


def test_a_chain_that_was_made_anew_is_found_by_a_checkpoint_that_was_kept(tmp_path: Path) -> None:
    before, after = _copy(tmp_path / "before"), written(tmp_path / "log", 23, tenant=lambda _: "root")
    (tmp_path / "kept").write_text(
        "".join(json.dumps({"note": before.notes[size].decode()}) + "\n" for size in (3, 9))
    )
    assert _verify(tmp_path, f"-key={KEY}", str(tmp_path / "log")).code == 0
    found = _verify(tmp_path, f"-key={KEY}", f"-checkpoint={tmp_path / 'kept'}", str(tmp_path / "log"))
    assert found.code == 2 and after.lines != before.lines
    assert (
        "records 0 to 2: something in them was rewritten, a held checkpoint has another root at 3"
        in found.stdout
    )


def test_witnesses_count_as_a_checkpoint_that_was_kept(tmp_path: Path) -> None:
    log = _copy(tmp_path / "log")
    note = parse_note(log.notes[20])
    log.notes[20] = format_note(note.text, [*note.signatures, cosignature(note.text, "w1")])
    log.write()
    (tmp_path / "witnesses").write_text(f"# ours\n\n{witness('w1')[0].vkey}\n{witness('w2', 2)[0].vkey}\n")
    seen = [f"-key={KEY}", f"-witness={tmp_path / 'witnesses'}", str(tmp_path / "log")]
    assert "records 0 to 19: covered" in _verify(tmp_path, *seen, "-quorum=1").stdout
    assert "0 to 19: covered" not in _verify(tmp_path, *seen, "-quorum=2").stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "expected a folder or files, or -proof=FILE, got 0"),
        (["none"], "cannot read none: No such file or directory"),
        (["empty"], "empty is no log folder, and has no segments"),
        (["-key=no+key", "log"], "-key: a verifier key is"),
        (["-key=none", "log"], "cannot read the file none"),
        (["-key=blank", "log"], "-key: the file blank has no key"),
        ([f"-key={witness('w')[0].vkey}", "log"], "-key: this is the key of a witness"),
        ([f"-witness={KEY}", "log"], "-witness: this is no key of a witness"),
        (["-quorum=1", "log"], "-quorum: must not be more"),
        (["-checkpoint=none", "log"], "cannot read the file none"),
        (["-checkpoint=brace", "log"], "the file brace has no checkpoint"),
        (["-proof=none", f"-key={KEY}"], "cannot read the file none"),
        (["-proof=none"], "-key is needed"),
        (["-proof=none", "log"], "-proof verifies one file"),
        (["notes.txt"], "notes.txt is no file of a segment"),
    ],
)
def test_what_cannot_be_verified_is_told_with_exit_code_1(
    words: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _copy(tmp_path / "log")
    (tmp_path / "empty").mkdir()
    for name, text in (("blank", "\n"), ("brace", "{"), ("notes.txt", "x")):
        Path(name).write_text(text)
    found = _verify(tmp_path, *words)
    assert (found.code, found.stdout) == (1, "")
    assert told in found.stderr


def test_a_record_is_proven_offline(server: LogServer, tmp_path: Path) -> None:
    path = tmp_path / "proof"
    found = shown(server, ["prove", f"-o={path}", f"{LOG}:3"], tmp_path)
    assert (found.code, found.stderr) == (0, "")
    proven = f"good: it is in the log {ORIGIN}/{LOG} of 10 records, which the key given has signed"
    assert found.stdout.splitlines()[-1] == f"Proof     {proven}"
    assert Path(f"{path}.key").read_text() == f"{named(LOG)}\n"
    assert path.stat().st_mode & 0o777 == 0o600
    read = _verify(tmp_path, f"-proof={path}", f"-key={path}.key")
    assert read.code == 0
    assert f"Proof        {proven}" in read.stdout.splitlines()
    assert f"Record       {LOG}:3" in read.stdout.splitlines()
    told = json.loads(_verify(tmp_path, f"-proof={path}", f"-key={KEY}", "-format=json").stdout)
    assert (told["good"], told["record"]) == (True, json.loads(server.lines[LOG][3]))


def test_it_waits_until_a_checkpoint_covers_the_record(server: LogServer, tmp_path: Path) -> None:
    later = (404, b'{"errors":["not yet"]}', {"Retry-After": "0"})
    server.faults[f"records/{LOG}/3/proof"] = [later, later]
    assert shown(server, ["prove", f"-o={tmp_path / 'proof'}", f"{LOG}:3"], tmp_path).code == 0
    server.append(LOG, {})
    found = shown(server, ["prove", "-timeout=0s", f"-o={tmp_path / 'other'}", f"{LOG}:10"], tmp_path)
    assert (found.code, "no checkpoint covers the record yet" in found.stderr) == (2, True)
    assert not (tmp_path / "other").exists()


def test_nothing_is_replaced_unless_it_is_asked_for(server: LogServer, tmp_path: Path) -> None:
    path = tmp_path / "proof"
    path.write_text("mine")
    found = shown(server, ["prove", f"-o={path}", f"{LOG}:3"], tmp_path)
    assert (found.code, path.read_text(), server.asked) == (1, "mine", [])
    assert shown(server, ["prove", "-force", f"-o={path}", f"{LOG}:3"], tmp_path).code == 0
    assert _verify(tmp_path, f"-proof={path}", f"-key={KEY}").code == 0


def test_a_proof_of_another_key_or_record_is_none(server: LogServer, tmp_path: Path) -> None:
    path = tmp_path / "proof"
    other = ed25519(ORIGIN, 2).verifier.vkey
    found = shown(server, ["prove", f"-key={other}", f"-o={path}", f"{LOG}:3"], tmp_path)
    assert (found.code, path.exists()) == (2, False)
    assert "the server's proof does not prove it: " in found.stderr
    server.lines[LOG][3] = server.lines[LOG][3].replace(b"success", b"refused")
    server.faults[f"records/{LOG}/3"] = [
        (200, server.lines[LOG][3].replace(b"refused", b"success") + b'\n{"$page":{"complete":true}}\n', {})
    ]
    found = shown(server, ["prove", f"-o={path}", f"{LOG}:3"], tmp_path)
    assert (found.code, path.exists()) == (2, False)


def test_a_proof_that_was_tampered_with_proves_nothing(server: LogServer, tmp_path: Path) -> None:
    path = tmp_path / "proof"
    assert shown(server, ["prove", f"-o={path}", f"{LOG}:3"], tmp_path).code == 0
    good = path.read_bytes()
    for old, new in (
        (b"index 3", b"index 2"),
        (b"extra ", b"extra AAAA"),
        (b"\n10\n", b"\n11\n"),
        (good, b""),
    ):
        path.write_bytes(good.replace(old, new))
        found = _verify(tmp_path, f"-proof={path}", f"-key={KEY}")
        assert (found.code, found.stdout.startswith("Not proven: ")) == (2, True)
    path.write_bytes(good)
    assert _verify(tmp_path, f"-proof={path}", f"-key={ed25519('other.example/log').verifier.vkey}").code == 2
    want = [f"-key={KEY}", f"-witness={witness('w1')[0].vkey}", "-quorum=1", "-format=json"]
    found = _verify(tmp_path, f"-proof={path}", *want)
    assert json.loads(found.stdout) == {
        "good": False,
        "problem": "0 of the 1 witnesses have cosigned the checkpoint",
    }


def test_a_record_that_says_another_number_than_its_place_is_not_proven(
    server: LogServer, tmp_path: Path
) -> None:
    path = tmp_path / "proof"
    server.lines[LOG][3] = server.lines[LOG][3].replace(b'"seq":3', b'"seq":4')
    found = shown(server, ["prove", f"-o={path}", f"{LOG}:3"], tmp_path)
    assert (found.code, path.exists()) == (2, False)
    assert "the record says that it is number 4, and its place is 3" in found.stderr


def test_what_witnesses_alone_have_signed_proves_nothing(server: LogServer, tmp_path: Path) -> None:
    path = tmp_path / "proof"
    assert shown(server, ["prove", f"-o={path}", f"{LOG}:3"], tmp_path).code == 0
    head, _, note = path.read_bytes().partition(b"\n\n")
    text = parse_note(note).text
    path.write_bytes(head + b"\n\n" + format_note(text, [cosignature(text, "w1")]))
    found = _verify(tmp_path, f"-proof={path}", f"-key={KEY}", f"-witness={witness('w1')[0].vkey}")
    assert found == (2, "Not proven: no key that was given has signed the checkpoint for this log.\n", "")


def test_without_the_servers_key_a_proof_is_written_and_said_to_be_unverified(
    server: LogServer, tmp_path: Path
) -> None:
    server.faults["status"] = [(403, b'{"errors":["permission denied"]}', {})]
    path = tmp_path / "proof"
    found = shown(server, ["prove", f"-o={path}", f"{LOG}:3"], tmp_path)
    assert (found.code, Path(f"{path}.key").exists()) == (0, False)
    assert "not verified: the server does not tell you its key; give -key" in found.stdout
    assert _verify(tmp_path, f"-proof={path}", f"-key={KEY}").code == 0


def test_checkpoints_that_are_kept_are_held_against_the_log(server: LogServer, tmp_path: Path) -> None:
    kept, copy = tmp_path / "kept", tmp_path / "copy"
    found = shown(server, ["checkpoints"], tmp_path)
    assert [json.loads(line)["note"].encode() for line in found.stdout.splitlines()] == [
        server.note(LOG),
        server.note(OTHER),
    ]
    kept.write_text(found.stdout + shown(server, ["checkpoints", LOG], tmp_path).stdout)
    assert shown(server, ["segments", f"-download={copy}"], tmp_path).code == 0
    read = _verify(tmp_path, f"-key={KEY}", f"-checkpoint={kept}", str(copy))
    assert (read.code, read.stdout.count("covered by a checkpoint that was kept elsewhere")) == (0, 2)
    server.faults[f"checkpoints/{LOG}"] = [(404, b"{}", {})]
    assert shown(server, ["checkpoints", LOG], tmp_path) == (0, "", "")
    assert shown(server, ["checkpoints", "a/b"], tmp_path).code == 1


def test_segments_are_listed(server: LogServer, tmp_path: Path) -> None:
    found = shown(server, ["segments"], tmp_path)
    assert [line.split()[:3] for line in found.stdout.splitlines()[2:]] == [
        [LOG, "0", "3"],
        [LOG, "4", "7"],
        [LOG, "8", "open"],
        [OTHER, "0", "open"],
    ]
    told = json.loads(shown(server, ["segments", "-format=json", OTHER], tmp_path).stdout)
    assert list(told["logs"]) == [OTHER]


def test_a_copied_log_is_verified_whole(server: LogServer, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    found = shown(server, ["segments", f"-download={folder}"], tmp_path)
    assert found.stdout.splitlines()[:2] == [f"{LOG}: 10 records", f"{OTHER}: 3 records"]
    lines = [
        line for path in sorted((folder / LOG).glob("*.jsonl")) for line in path.read_bytes().splitlines()
    ]
    assert lines == server.lines[LOG]
    (tmp_path / "kept").write_bytes(server.note(LOG))
    read = _verify(tmp_path, f"-key={KEY}", f"-checkpoint={tmp_path / 'kept'}", str(folder))
    assert (read.code, "records 0 to 9: covered by a checkpoint" in read.stdout) == (0, True)


def test_segments_that_have_ended_and_are_not_closed_yet_are_copied_once(
    server: LogServer, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    server.ended = (0, 4)
    for _ in range(2):
        assert shown(server, ["segments", f"-download={folder}", LOG], tmp_path).code == 0
        files = {path.stem: path for path in (folder / LOG).glob("*.jsonl")}
        copied = [files[f"{first:020}"].read_bytes().splitlines() for first in (0, 4, 8)]
        assert copied == [server.lines[LOG][first : first + 4] for first in (0, 4, 8)]
        assert _verify(tmp_path, f"-key={KEY}", str(folder)).code == 0
        server.ended = ()  # and now they are


def test_a_segment_that_is_not_signed_to_its_end_is_copied_as_far(server: LogServer, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    server.ended, server.signed[LOG] = (0, 4), 6
    assert shown(server, ["segments", f"-download={folder}", LOG], tmp_path).code == 0
    lines = [
        line for path in sorted((folder / LOG).glob("*.jsonl")) for line in path.read_bytes().splitlines()
    ]
    assert lines == server.lines[LOG][:6]
    assert _verify(tmp_path, f"-key={KEY}", str(folder)).code == 0


def test_what_is_signed_while_it_is_copied_leaves_no_gap(server: LogServer, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    server.ended, server.signed[LOG] = (4,), 6
    server.later = [lambda: server.signed.update({LOG: 10})]
    assert shown(server, ["segments", f"-download={folder}", LOG], tmp_path).code == 0
    assert not server.later
    paths = sorted((folder / LOG).glob("*.jsonl"))
    assert [line for path in paths for line in path.read_bytes().splitlines()] == server.lines[LOG][:6]
    assert _verify(tmp_path, f"-key={KEY}", str(folder)).code == 0


@pytest.mark.parametrize("name", ["../../away", "/away", "..", "", 7])
def test_a_server_does_not_say_where_else_a_copy_is_written(
    server: LogServer, tmp_path: Path, name: object
) -> None:
    server.status["logs"] = [{"log": name, "first": 0}]
    found = shown(server, ["segments", f"-download={tmp_path / 'a' / 'b' / 'copy'}"], tmp_path)
    assert (found.code, found.stderr) == (2, "the server lists a log by a name that no log has\n")
    assert not [path for path in tmp_path.rglob("*") if path.suffix]
    assert not (tmp_path / "a").exists()


def test_a_copy_goes_on_where_it_was_cut_off_and_asks_for_nothing_twice(
    server: LogServer, tmp_path: Path
) -> None:
    folder, closed = tmp_path / "copy", f"segments/{LOG}/4"
    server.faults[closed] = [(200, b"", {})]
    cut = shown(server, ["segments", f"-download={folder}", LOG], tmp_path)
    assert (cut.code, "ends before the segment does" in cut.stderr) == (2, True)
    part = folder / LOG / f"{4:020}.jsonl.gz.part"
    whole = server.answer("GET", closed, {"offset": "0", "length": "100"}, None)[1]
    part.write_bytes(whole)
    server.asked.clear()
    assert shown(server, ["segments", f"-download={folder}", LOG], tmp_path).code == 0
    offsets = [query["offset"] for path, query in server.asked if path == closed]
    assert offsets[0] == "100"
    assert not [path for path, _ in server.asked if path == f"segments/{LOG}/0"]


def test_a_segment_that_is_not_what_the_server_says_is_not_kept(server: LogServer, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    server.faults[f"segments/{LOG}/0"] = [(200, b"junk", {"X-Segment-Size": "4"})]
    found = shown(server, ["segments", f"-download={folder}", LOG], tmp_path)
    assert (found.code, found.stdout) == (2, "")
    assert f"{LOG}: segment 0 is not what the server says of it" in found.stderr
    assert list((folder / LOG).iterdir()) == []
    assert shown(server, ["segments", f"-download={folder}", LOG], tmp_path).code == 0


def test_a_segment_of_a_server_is_unpacked_no_further_than_it_says(
    server: LogServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vaultctl.commands.audit.download.CHUNK", 1000)
    bomb = gzip.compress(b"\n" * 1_000_000)
    unpacked: list[int] = []
    real = gzip.GzipFile.read

    def counted(file: gzip.GzipFile, size: int) -> bytes:
        unpacked.append(size)
        return real(file, size)

    monkeypatch.setattr(gzip.GzipFile, "read", counted)
    server.faults[f"segments/{LOG}/0"] = [(200, bomb, {"X-Segment-Size": str(len(bomb))})]
    found = shown(server, ["segments", f"-download={tmp_path / 'copy'}", LOG], tmp_path)
    assert (found.code, "segment 0 is not what the server says of it" in found.stderr) == (2, True)
    assert len(unpacked) < 10


def test_a_packed_segment_alone_is_read_unless_it_would_fill_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = b"".join(line + b"\n" for line in chained(record(seq) for seq in range(40)))
    path = tmp_path / f"{0:020}.jsonl.gz"
    path.write_bytes(gzip.compress(lines))
    monkeypatch.setattr("vaultctl.commands.audit.evidence.copies.SURE", 0)
    assert _verify(tmp_path, f"-key={KEY}", str(path)).code == 0
    path.write_bytes(gzip.compress(lines + b"a" * 10_000_000))
    found = _verify(tmp_path, f"-key={KEY}", str(path))
    assert (found.code, "it unpacks to more than 200 times its size" in found.stderr) == (1, True)


def test_what_is_not_closed_is_copied_up_to_its_checkpoint_if_nothing_is_missing(
    server: LogServer, tmp_path: Path
) -> None:
    server.append(LOG, {})
    assert shown(server, ["segments", f"-download={tmp_path / 'copy'}", LOG], tmp_path).code == 0
    assert len((tmp_path / "copy" / LOG / f"{8:020}.jsonl").read_bytes().splitlines()) == 2
    server.hidden = {(LOG, 8)}
    found = shown(server, ["segments", f"-download={tmp_path / 'other'}", LOG], tmp_path)
    assert (found.code, f"{LOG}: record 8 is missing" in found.stderr) == (2, True)
    shutil.rmtree(tmp_path / "other")
    (tmp_path / "other").write_text("")
    found = shown(server, ["segments", f"-download={tmp_path / 'other'}", LOG], tmp_path)
    assert (found.code, "cannot write" in found.stderr) == (1, True)


def test_an_index_that_is_behind_the_checkpoint_is_waited_for(server: LogServer, tmp_path: Path) -> None:
    nothing = (200, b'{"$page":{"complete":true,"next":7}}\n', dict[str, str]())
    server.faults["records"] = [nothing, nothing]
    assert shown(server, ["segments", f"-download={tmp_path / 'copy'}", LOG], tmp_path).code == 0
    assert [query.get("wait") for path, query in server.asked if path == "records"] == [None, "1", "1"]
    server.faults["records"] = [nothing] * 9
    found = shown(server, ["segments", f"-download={tmp_path / 'other'}", LOG], tmp_path)
    assert (found.code, found.stderr) == (2, f"{LOG}: ends before its checkpoint\n")


@pytest.mark.parametrize(("count", "purged"), [(10, 4), (530, 516), (530, 512), (270, 256)])
def test_what_was_purged_is_stood_for_by_tiles(count: int, purged: int, tmp_path: Path) -> None:
    enable_socket()
    with log_server(own=count) as server:
        server.purge(LOG, purged)
        (tmp_path / "kept").write_bytes(server.note(LOG))
        found = shown(server, ["segments", f"-download={tmp_path / 'copy'}"], tmp_path)
        asked = [path for path, _ in server.asked if path.startswith("tiles")]
    assert (found.code, len(asked) < 8) == (0, True)
    told = json.loads(
        _verify(
            tmp_path,
            f"-key={KEY}",
            f"-checkpoint={tmp_path / 'kept'}",
            "-format=json",
            str(tmp_path / "copy"),
        ).stdout
    )
    (log,) = told["logs"]
    assert (told["good"], log["first"], log["size"], log["covered"]) == (True, purged, count, count)


def test_a_purged_log_without_its_hashes_is_not_copied(server: LogServer, tmp_path: Path) -> None:
    server.purged = 4
    missing = (404, b"{}", dict[str, str]())
    server.faults = {f"tiles/{LOG}/tile/0/000{kind}": [missing] for kind in ("", ".p/4")}
    found = shown(server, ["segments", f"-download={tmp_path / 'copy'}", LOG], tmp_path)
    assert (found.code, found.stderr) == (2, f"{LOG}: hashes of the records before its oldest one are lost\n")
