# SPDX-License-Identifier: EUPL-1.2
"""Opens a log where it ended, whatever ended it.

1. Take the newest log of this node and worker, and its lock; make one where there is none.
2. Read the state that was stored when its newest segment began, and every whole line after it. A torn last line was
   never answered for and is cut off.
3. A log that is shorter than its last checkpoint, or another one, or has records that do not chain, has lost its end:
   it stays as it is, and a new epoch begins. The new log says so in its first record.

Whoever has a log's lock is the only one to write it. What is there may change until a lock is taken, and is looked at again.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from vault.framework.clock import Entropy, parse_rfc3339_whole
from vault.log.chain import Chain, ChainState
from vault.log.format.checkpoint import BadCheckpoint, parse_checkpoint
from vault.log.format.files import create_file, make_folder, of_process, sync_folder
from vault.log.format.note import BadNote, parse_note
from vault.log.format.segment import CHECKPOINTS, CLOSED, SEGMENT, STATE, LogId, Segment, list_logs
from vault.log.format.tree import leaf_hash
from vault.log.reader.lines import LONGEST_LINE, newest_notes
from vault.log.writer import LogLimits, LogWriter
from vault.values.times import Nanos

NODE: Final = "node"
LOCK: Final = "lock"
MOST_WORKERS: Final = 64
"""Logs that one node may write at a time."""


class LogInUse(Exception):
    """Too many processes write logs in one folder; the message says which."""


class LogDamaged(Exception):
    """The log lost its end, or its end is another one than was signed; the message says how."""


class OpenedLog(msgspec.Struct, frozen=True):
    """A log that is ready to be written, and what is to be said in its first record."""

    writer: LogWriter
    id: str
    lost: str = ""
    """The id of the log that lost its end, and why; empty where nothing was lost."""


class _Position(msgspec.Struct):
    """What a start reads of a record."""

    log: str
    seq: int
    prev_hash: str
    observed_timestamp: str
    tenant: str
    tenant_seq: int


_DECODER: Final = msgspec.json.Decoder(_Position)


def open_log(
    folder: Path, limits: LogLimits, entropy: Entropy, *, nanos: Callable[[], Nanos], monotonic: float
) -> OpenedLog:
    """Open the first log of this node that nobody writes, or make one. It reads a whole segment.

    `nanos` tells the time (since the epoch), `monotonic` is a monotonic clock's in seconds. Raises `LogInUse`, and
    `OSError` where the folder cannot be used.
    """
    node = node_id(folder, entropy)
    for worker in range(MOST_WORKERS):
        # 1.
        log, lock = _take_newest(folder, node, worker)
        if lock < 0:
            continue
        try:
            writer = _resume(folder / str(log), limits, nanos, monotonic, lock)
        except LogDamaged as damage:
            # 3. The damaged log stays locked: another process would begin an epoch of its own.
            log, lost, damaged = LogId(node, worker, log.epoch + 1), f"{log}: {damage}", lock
            lock = _lock(folder / str(log))
            if lock >= 0:
                writer = _resume(folder / str(log), limits, nanos, monotonic, lock)
            os.close(damaged)
            if lock < 0:
                continue  # who saw its folder before it was locked has it, and says what was lost
        else:
            lost = "" if writer.chain.seq else _lost_before(folder, log, nanos)
        sync_folder(folder)  # who made the log's folder may have ended before that was on the disk
        return OpenedLog(writer, str(log), lost)
    raise LogInUse(f"{MOST_WORKERS} processes write logs in {folder}; give each server a folder of its own")


def _take_newest(folder: Path, node: str, worker: int) -> tuple[LogId, int]:
    """Return the newest log of a worker, and the descriptor of its lock: -1 where another process has it.

    Raises `OSError`.
    """
    newest = _newest_log(folder, node, worker)
    while (lock := _lock(folder / str(newest))) >= 0:
        # Until it was locked, another process may have found it damaged, begun the next one, and let go of it.
        found = _newest_log(folder, node, worker)
        if found == newest:
            break
        os.close(lock)
        newest = found
    return newest, lock


def _newest_log(folder: Path, node: str, worker: int) -> LogId:
    epochs = [log.epoch for log in _logs(folder) if (log.node, log.worker) == (node, worker)]
    return LogId(node, worker, max(epochs, default=1))


def _lost_before(folder: Path, log: LogId, nanos: Callable[[], Nanos]) -> str:
    """Return what a log without records has to say of the one before it, which it was begun for: who made it may have
    ended before it said so. Raises `OSError`.
    """
    before = [one for one in _logs(folder) if (one.node, one.worker) == (log.node, log.worker) and one < log]
    for damaged in before[-1:]:
        try:
            _read_log(folder / str(damaged), LogLimits(), nanos, -1)
        except LogDamaged as damage:
            return f"{damaged}: {damage}"
    return ""


def end_idle_segments(folder: Path, own: str, before: Nanos, nanos: Callable[[], Nanos]) -> None:
    """Begin another segment in the logs of this node that nobody writes, where the newest began before a time.

    `own` is the log of this process. Only segments that ended are closed and purged; one whose log is damaged stays.
    It reads whole segments: call it in a thread. Raises `OSError`.
    """
    ours = LogId.parse(own)
    for found in _logs(folder):
        log = folder / str(found)
        if found.node != ours.node or found == ours or not _is_old(log, before):
            continue
        lock = _lock(log)
        if lock < 0:
            continue
        try:
            writer = _resume(log, LogLimits(), nanos, 0.0, lock)
        except LogDamaged:
            os.close(lock)
            continue
        writer.begin(writer.chain.written, 0, 0.0)
        writer.close()  # which stores where that begins


def _is_old(log: Path, before: Nanos) -> bool:
    """Whether the newest segment of a log has a record that was made before a time."""
    try:
        line = next(_lines(Segment(log, _newest_segment(log)).path(SEGMENT)), b"")
        return parse_rfc3339_whole(_DECODER.decode(line).observed_timestamp) < before
    except (LogDamaged, msgspec.MsgspecError, ValueError):
        return False


def node_id(folder: Path, entropy: Entropy) -> str:
    """Return the name of this node in log ids: eight hexadecimal digits, made once. Raises `OSError`."""
    make_folder(folder)
    path = folder / NODE
    if not path.exists():
        # Several workers start at once, and one of them names the node.
        with contextlib.suppress(FileExistsError):
            create_file(path, f"{entropy.bytes(4).hex()}\n".encode(), beside=of_process())
    sync_folder(folder)
    return path.read_text(encoding="ascii").strip()


def _logs(folder: Path) -> list[LogId]:
    return [log for log in list_logs(folder) if (folder / str(log)).is_dir()]


def _lock(folder: Path) -> int:
    """Return the descriptor of a log's lock, -1 where another process has it; the log is made. Raises `OSError`."""
    make_folder(folder)
    fd = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(fd)
        if error.errno not in {errno.EAGAIN, errno.EACCES}:
            raise
        return -1
    return fd


def _resume(
    own: Path, limits: LogLimits, nanos: Callable[[], Nanos], monotonic: float, lock: int
) -> LogWriter:
    """Return the writer of a log that is there. Raises `LogDamaged`, `OSError`."""
    writer, newest, size = _read_log(own, limits, nanos, lock)
    writer.begin(newest, size, monotonic)
    return writer


def _read_log(
    own: Path, limits: LogLimits, nanos: Callable[[], Nanos], lock: int
) -> tuple[LogWriter, int, int]:
    """Read a log, and change nothing. Return its writer, which has not begun, and the open segment with its size.

    Raises `LogDamaged`, `OSError`.
    """
    log, newest = own.name, _newest_segment(own)
    begin, state = _last_state(own)
    writer = LogWriter(own, Chain(log, state, nanos), limits, lock)
    # 2.
    signed = _last_signed(own)
    writer.note_unsynced(begin)
    size = _read(writer, log, begin, signed)
    for first in _segments(own):
        if first > begin:
            if first != writer.chain.seq:
                raise LogDamaged(
                    f"it ends after {writer.chain.seq} records, and a segment begins with record {first}"
                )
            writer.begins(first)
            writer.note_unsynced(first)
            size = _read(writer, log, first, signed)
    if writer.chain.seq < signed[0]:
        raise LogDamaged(f"it ends after {writer.chain.seq} records, and {signed[0]} were signed")
    return writer, newest, size


def _read(writer: LogWriter, log: str, first: int, signed: tuple[int, bytes]) -> int:
    """Take the records of a segment into the chain, and return the size of their lines. Raises `LogDamaged`, `OSError`."""
    chain, size = writer.chain, 0
    lines = _lines(Segment(writer.folder, first).path(SEGMENT))
    for line in lines:
        if not _continues(chain, log, line):
            if chain.seq >= signed[0] and (_is_record(line) or any(map(_is_record, lines))):
                raise LogDamaged(f"records follow its first {chain.seq}, and do not chain")
            break
        size += len(line)
        if chain.seq == signed[0] and chain.root()[1] != signed[1]:
            raise LogDamaged(f"its first {chain.seq} records are not those that were signed")
    return size


def _segments(own: Path) -> list[int]:
    """Return the numbers of the first records of all segments that are not compressed."""
    return sorted(int(name.removesuffix(SEGMENT)) for name in os.listdir(own) if name.endswith(SEGMENT))


def _newest_segment(own: Path) -> int:
    """Return the number of the first record of the open segment. Raises `LogDamaged` where it is gone."""
    segments = _segments(own)
    if segments:
        return segments[-1]
    if any(name.endswith(CLOSED) for name in os.listdir(own)):
        raise LogDamaged("its open segment is missing")
    return 0


def _last_state(own: Path) -> tuple[int, ChainState]:
    """Return the newest state that was stored, with the segment that it begins: a kill may have come before the last one.

    Raises `LogDamaged` where there is none.
    """
    segments = _segments(own)
    for first in reversed(segments):
        path = Segment(own, first).path(STATE)
        if path.exists():
            return first, _state(path, first)
    if any(segments[:1]):
        raise LogDamaged(f"the state before record {segments[0]} is missing")
    return 0, ChainState()


def _state(path: Path, first: int) -> ChainState:
    try:
        state = msgspec.json.decode(path.read_bytes(), type=ChainState)
    except msgspec.MsgspecError:
        raise LogDamaged(f"the state before record {first} cannot be read") from None
    if state.seq != first:
        raise LogDamaged(f"the state before record {first} is that of another record")
    return state


def _last_signed(own: Path) -> tuple[int, bytes]:
    """Return size and root of the newest checkpoint; nothing where none was signed."""
    stems = (name.removesuffix(CHECKPOINTS) for name in os.listdir(own) if name.endswith(CHECKPOINTS))
    for first in sorted((int(stem) for stem in stems if stem.isdecimal()), reverse=True):
        for note in newest_notes(own, first):
            try:
                checkpoint = parse_checkpoint(parse_note(note.encode()).text)
            except (BadNote, BadCheckpoint):
                continue
            return checkpoint.size, checkpoint.root
    return 0, b""


def _lines(path: Path) -> Iterator[bytes]:
    """Yield the whole lines of a file, with their line breaks."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        while line := file.readline(LONGEST_LINE + 1):
            if not line.endswith(b"\n") and len(line) <= LONGEST_LINE:
                return
            yield line


def _is_record(line: bytes) -> bool:
    """Whether a line is a record, wherever it belongs: somebody may have been answered for it."""
    try:
        _DECODER.decode(line)
    except (msgspec.MsgspecError, ValueError):
        return len(line) > LONGEST_LINE
    return True


def _continues(chain: Chain, log: str, line: bytes) -> bool:
    """Take a record that is in the file into the chain, if it is the next one."""
    try:
        record = _DECODER.decode(line)
        observed = parse_rfc3339_whole(record.observed_timestamp)
    except (msgspec.MsgspecError, ValueError):
        return False
    if (record.log, record.seq, record.prev_hash) != (log, chain.seq, chain.last):
        return False
    chain.continued(leaf_hash(line[:-1]), record.tenant, observed)
    return True
