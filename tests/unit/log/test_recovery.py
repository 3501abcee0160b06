# SPDX-License-Identifier: EUPL-1.2
"""A log goes on where it ended: after a kill, a torn line, a lost end, or beside another process."""

import json
import os
from pathlib import Path

import pytest

from tests.unit.log.folders import draft, opened, records, wrote
from vault.framework.clock import Clock, Entropy
from vault.framework.telemetry.log import Log
from vault.log.recovery import LogInUse, node_id
from vault.log.signing import Checkpoints
from vault.log.writer import LogLimits

SEED = b"s" * 32


def _signed(folder: Path, *, count: int = 3) -> None:
    """A log of `count` records whose last checkpoint covers all."""
    log = opened(folder)
    wrote(log, *[draft() for _ in range(count)])
    checkpoints = Checkpoints(log.writer, "o", Clock(), Log())
    checkpoints.use(SEED)
    checkpoints.sign_now()
    log.writer.close()


def _open_segment(folder: Path) -> Path:
    return max(folder.rglob("*.jsonl"))


def test_a_log_goes_on_after_a_stop(tmp_path: Path) -> None:
    log = opened(tmp_path)
    wrote(log, draft(), draft(tenant="a"))
    root = log.writer.chain.root()
    log.writer.close()
    again = opened(tmp_path)
    assert (again.id, again.lost, again.writer.chain.root()) == (log.id, "", root)
    wrote(again, draft(tenant="a"))
    found = records(tmp_path)
    assert [(record["seq"], record["tenant_seq"]) for record in found] == [(0, 0), (1, 0), (2, 1)]
    assert found[2]["tenant_prev_hash"] == found[2]["prev_hash"]


@pytest.mark.parametrize("torn", [b'{"actor"', b"\0" * 40, b"{}\n", b'{"log":1}\n', b"\n"])
def test_a_torn_line_is_cut_off(tmp_path: Path, torn: bytes) -> None:
    log = opened(tmp_path)
    wrote(log, draft(), draft())
    log.writer.close()
    with _open_segment(tmp_path).open("ab") as file:
        file.write(torn)
    again = opened(tmp_path)
    assert (again.id, again.lost) == (log.id, "")
    wrote(again, draft())
    assert [record["seq"] for record in records(tmp_path)] == [0, 1, 2]


def test_a_start_reads_the_newest_segment_alone(tmp_path: Path) -> None:
    limits = LogLimits(segment_bytes=900)
    log = opened(tmp_path, limits=limits)
    wrote(log, *[draft(tenant=name) for name in "abcabcabc"])
    root = log.writer.chain.root()
    log.writer.close()
    for path in sorted(tmp_path.rglob("*.jsonl"))[:-1]:
        path.unlink()
    again = opened(tmp_path, limits=limits)
    assert again.writer.chain.root() == root
    wrote(again, draft(tenant="a"))
    assert records(tmp_path)[-1]["tenant_seq"] == 3


def _killed(folder: Path, limits: LogLimits) -> tuple[int, bytes]:
    """A log of several segments whose writer was killed before it stored where they begin; its size and root."""
    log = opened(folder, limits=limits)
    wrote(log, *[draft(tenant=name) for name in "abcabcabc"])
    root = log.writer.chain.root()
    assert len(list(folder.rglob("*.jsonl"))) == 3
    assert not list(folder.rglob("*.state"))
    log.writer.sync = lambda: None  # type: ignore[method-assign]  # a kill has nothing on the disk
    log.writer.close()
    return root


def test_a_start_reads_all_segments_since_the_last_one_whose_begin_is_stored(tmp_path: Path) -> None:
    limits = LogLimits(segment_bytes=900)
    root = _killed(tmp_path, limits)
    again = opened(tmp_path, limits=limits)
    assert (again.lost, again.writer.chain.root()) == ("", root)
    wrote(again, draft(tenant="a"))
    assert records(tmp_path)[-1]["tenant_seq"] == 3
    again.writer.sync()
    firsts = {path.stem for path in tmp_path.rglob("*.jsonl")} - {f"{0:020d}"}
    assert {path.stem for path in tmp_path.rglob("*.state")} >= firsts


def test_what_a_killed_writer_left_is_on_the_disk_before_it_is_signed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = LogLimits(segment_bytes=900)
    _killed(tmp_path, limits)
    again, synced, real = opened(tmp_path, limits=limits), list[str](), os.fsync

    def note(fd: int) -> None:
        synced.append(Path(f"/proc/self/fd/{fd}").readlink().name)
        real(fd)

    monkeypatch.setattr(os, "fsync", note)
    again.writer.sync()
    assert synced[:3] == [path.name for path in sorted(tmp_path.rglob("*.jsonl"))]


def test_a_segment_without_its_begin_after_one_that_was_cut_is_a_lost_end(tmp_path: Path) -> None:
    limits = LogLimits(segment_bytes=900)
    _killed(tmp_path, limits)
    second = sorted(tmp_path.rglob("*.jsonl"))[1]
    second.write_bytes(second.read_bytes()[:-9])
    again = opened(tmp_path, limits=limits)
    size = int(second.stem) + len(second.read_bytes().splitlines()) - 1
    following = sorted(tmp_path.rglob("*.jsonl"))[2]
    assert again.lost.endswith(
        f": it ends after {size} records, and a segment begins with record {int(following.stem)}"
    )


def test_segments_whose_first_is_gone_are_a_lost_end(tmp_path: Path) -> None:
    limits = LogLimits(segment_bytes=900)
    _killed(tmp_path, limits)
    first, second = sorted(tmp_path.rglob("*.jsonl"))[:2]
    first.unlink()
    assert f"the state before record {int(second.stem)} is missing" in opened(tmp_path, limits=limits).lost


def test_a_log_that_lost_its_end_is_left_and_a_new_epoch_says_so(tmp_path: Path) -> None:
    _signed(tmp_path)
    segment = _open_segment(tmp_path)
    lines = segment.read_bytes().splitlines(keepends=True)
    segment.write_bytes(b"".join(lines[:2]))
    again = opened(tmp_path)
    assert again.id.endswith("-0-2")
    assert again.lost.endswith("-0-1: it ends after 2 records, and 3 were signed")
    assert segment.read_bytes() == b"".join(lines[:2])
    again.writer.close()
    assert opened(tmp_path).id == again.id


def test_a_log_with_another_end_than_was_signed_is_left(tmp_path: Path) -> None:
    _signed(tmp_path)
    segment = _open_segment(tmp_path)
    segment.write_bytes(segment.read_bytes().replace(b"kv.read", b"kv.list", 1))
    again = opened(tmp_path)
    assert again.id.endswith("-0-2")
    assert "3 were signed" in again.lost


def test_records_behind_one_that_was_changed_are_left_too(tmp_path: Path) -> None:
    log = opened(tmp_path)
    wrote(log, *[draft() for _ in range(9)])
    log.writer.close()
    segment = _open_segment(tmp_path)
    lines = segment.read_bytes().splitlines(keepends=True)
    lines[3] = lines[3].replace(b"kv.read", b"kv.list")
    segment.write_bytes(b"".join(lines))
    again = opened(tmp_path)
    assert again.id.endswith("-0-2")
    assert again.lost == f"{log.id}: records follow its first 4, and do not chain"
    assert segment.read_bytes() == b"".join(lines)


def test_a_chain_made_anew_is_not_gone_on_with(tmp_path: Path) -> None:
    _signed(tmp_path)
    other = tmp_path / "other"
    forged = opened(other)
    wrote(forged, *[draft("esa.kv.list") for _ in range(3)])
    text = _open_segment(other).read_bytes()
    segment = _open_segment(tmp_path / node_and_log(tmp_path))
    segment.write_bytes(text.replace(forged.id.encode(), node_and_log(tmp_path).encode()))
    again = opened(tmp_path)
    assert again.lost


def node_and_log(folder: Path) -> str:
    return f"{node_id(folder, Entropy())}-0-1"


def test_a_missing_open_segment_is_a_lost_end(tmp_path: Path) -> None:
    _signed(tmp_path)
    _open_segment(tmp_path).unlink()
    assert "3 were signed" in opened(tmp_path).lost


def test_a_torn_checkpoint_leaves_the_one_before_it_and_the_next_is_whole(tmp_path: Path) -> None:
    _signed(tmp_path)
    file = next(tmp_path.rglob("*.checkpoints"))
    with file.open("ab") as opening:
        opening.write(b'{"time":"2026')
    again = opened(tmp_path)
    assert again.lost == ""
    wrote(again, draft())
    checkpoints = Checkpoints(again.writer, "o", Clock(), Log())
    checkpoints.use(SEED)
    checkpoints.sign_now()
    last = json.loads(file.read_bytes().splitlines()[-1])
    assert last["note"].splitlines()[1] == "4"


def test_files_that_are_no_log_are_passed_over(tmp_path: Path) -> None:
    log = opened(tmp_path)
    wrote(log, draft())
    log.writer.close()
    (tmp_path / log.id / "copy.checkpoints").write_text("{}\n")
    (tmp_path / f"{log.id[:8]}-0-2").touch()
    again = opened(tmp_path)
    assert (again.id, again.lost) == (log.id, "")


def test_each_process_writes_a_log_of_its_own(tmp_path: Path) -> None:
    one, other = opened(tmp_path), opened(tmp_path)
    assert (one.id[9:], other.id[9:]) == ("0-1", "1-1")
    one.writer.close()
    assert opened(tmp_path).id == one.id


def test_too_many_processes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vault.log.recovery.MOST_WORKERS", 1)
    kept = opened(tmp_path)
    with pytest.raises(LogInUse, match="give each server a folder of its own"):
        opened(tmp_path)
    kept.writer.close()


def test_a_node_keeps_its_name(tmp_path: Path) -> None:
    name = node_id(tmp_path, Entropy())
    assert len(name) == 8
    assert node_id(tmp_path, Entropy()) == name
    assert [path.name for path in tmp_path.iterdir()] == ["node"]
