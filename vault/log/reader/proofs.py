# SPDX-License-Identifier: EUPL-1.2
"""What the reader says of one log for whoever verifies it: records, proofs, tiles, checkpoints and segments."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from vault.framework.concurrency.time_slice import TimeSlice
from vault.log.format.checkpoint import BadCheckpoint, Checkpoint, parse_checkpoint
from vault.log.format.note import BadNote, parse_note
from vault.log.format.proof import LogProof
from vault.log.format.segment import CHECKPOINTS, CLOSED, MANIFEST, BadSegment, Segment
from vault.log.format.tiles import BadTile, parse_tile
from vault.log.format.tree import MissingHash, encode_hash
from vault.log.format.tree_proof import consistency_proof, inclusion_proof
from vault.log.reader.follower import FollowedLog
from vault.log.reader.index.entry import decode
from vault.log.reader.lines import Lines, SegmentGone, newest_notes, read_manifest
from vault.log.reader.messages import (
    MOST_BYTES,
    NONSENSE,
    Consistency,
    Content,
    Hashes,
    ListSegments,
    NewestCheckpoint,
    Proof,
    ReadSegment,
    ReadTile,
    Record,
    Refused,
    SegmentEntry,
    Segments,
    TailPage,
    Text,
)

_FILES: Final = {"records": CLOSED, "manifest": MANIFEST, "checkpoints": CHECKPOINTS}
_MOST_NOTES: Final = MOST_BYTES // 2
"""Characters of checkpoints after which a page of segments ends, most of which are one byte."""
_LEAST: Final = 2
"""Segments of a page at least, if there are so many: a purge goes on with the last of a page, which it leaves."""
_LOST: Final = "hashes of the tree are lost, so this log has no proofs; see its status"


def record(log: FollowedLog, lines: Lines, ask: Record | Proof) -> TailPage:
    """Return one record of tenants that may be seen. Raises `Refused`."""
    block = log.block_of(ask.seq)
    if block is None:
        if ask.tenants is None and ask.seq < log.first:
            raise Refused("purged", f"the oldest record of the log is {log.first}", first=log.first)
        raise Refused("missing", "there is no such record, or it is not indexed yet")
    places, at = block.places, ask.seq - block.first
    try:
        line = lines.read(log.name, block.segment, begin=places[at], end=places[at + 1])[:-1]
        entry = decode(line)
    except (SegmentGone, BadSegment, *NONSENSE):
        raise Refused("missing", "the record cannot be read; see the status of the log") from None
    if entry.seq != ask.seq or (ask.tenants is not None and entry.tenant not in ask.tenants):
        raise Refused("missing", "there is no such record, or it is not indexed yet")
    return TailPage(count=1, pieces=(line,), after=ask.seq)


def proof(log: FollowedLog, lines: Lines, ask: Proof) -> Text:
    """Return the proof of a record, as C2SP's tlog-proof has it. Raises `Refused`."""
    record(log, lines, ask)
    note, checkpoint = _given(ask.checkpoint) if ask.checkpoint else _covering(log, ask.seq)
    if ask.seq >= checkpoint.size or checkpoint.size > log.next:
        raise Refused(
            "uncovered", "the record is not under this checkpoint, or what is under it is not indexed yet"
        )
    try:
        if log.tree.root(checkpoint.size) != checkpoint.root:
            raise Refused("malformed", "the checkpoint is not one of this log: its root is another")
        hashes = inclusion_proof(ask.seq, checkpoint.size, log.tree.subtree)
    except (MissingHash, BadTile):
        raise Refused("damaged", _LOST) from None
    return Text(LogProof(index=ask.seq, hashes=tuple(hashes), checkpoint=note.encode()).format().decode())


def consistency(log: FollowedLog, ask: Consistency) -> Hashes:
    """Return the proof that the log of one size begins with that of another. Raises `Refused`."""
    if ask.old > ask.new:
        raise Refused("malformed", "from must not be larger than to")
    if ask.new > log.next:
        raise Refused("uncovered", f"the log has {log.next} indexed records")
    try:
        return Hashes(tuple(map(encode_hash, consistency_proof(ask.old, ask.new, log.tree.subtree))))
    except (MissingHash, BadTile):
        raise Refused("damaged", _LOST) from None


def tile(log: FollowedLog, ask: ReadTile) -> Content:
    """Return the hashes of a tile, full or partial. Raises `Refused`."""
    try:
        found = log.tree.read(parse_tile(ask.path))
    except BadTile as error:
        raise Refused("malformed", str(error)) from None
    except MissingHash:
        raise Refused("missing", "the tree has no such tile") from None
    return Content(pieces=(found,), size=len(found))


def checkpoint(log: FollowedLog, ask: NewestCheckpoint) -> Text:
    """Return the newest checkpoint; nothing where none was signed."""
    del ask
    return Text(next(_notes(log), ("",))[0])


async def segments(log: FollowedLog, ask: ListSegments) -> Segments:
    """Return a page of the segments, the oldest first. A manifest is large, so others have their turn between two."""
    asked = [one for one in log.segments.items() if one[0] >= ask.first]
    found: list[SegmentEntry] = []
    size, turn = 0, TimeSlice()
    for first, closed in asked[: ask.limit]:
        if size > _MOST_NOTES and len(found) >= _LEAST:
            break
        found.append(_described(log, first, closed=closed))
        size += len(found[-1].checkpoint)
        await turn.step()
    rest = asked[len(found) :]
    return Segments(tuple(found), rest[0][0] if rest else None)


def segment(log: FollowedLog, ask: ReadSegment) -> Content:
    """Return a part of a file of a closed segment. Raises `Refused`."""
    found = Segment(log.folder, ask.first)
    if not log.segments.get(ask.first):
        raise Refused("missing", "there is no such segment, or it is not closed")
    try:
        with found.path(_FILES[ask.file]).open("rb") as file:
            size = file.seek(0, 2)
            file.seek(min(ask.offset, size))
            return Content(pieces=(file.read(ask.length),), size=size)
    except FileNotFoundError:
        raise Refused("missing", "the segment has no such file") from None


def _described(log: FollowedLog, first: int, *, closed: bool) -> SegmentEntry:
    if not closed:
        return SegmentEntry(first=first, closed=False)
    try:
        manifest = read_manifest(log.folder, first)
    except (SegmentGone, BadSegment):
        return SegmentEntry(first=first, closed=True)
    return SegmentEntry(
        first=first, closed=True, last=manifest.last, sha256=manifest.sha256, root=manifest.root,
        checkpoint=manifest.checkpoint, size=manifest.size, begins=manifest.begins, ends=manifest.ends,
    )  # fmt: skip


def _given(note: str) -> tuple[str, Checkpoint]:
    try:
        return note, parse_checkpoint(parse_note(note.encode()).text)
    except (BadNote, BadCheckpoint) as error:
        raise Refused("malformed", f"this is no checkpoint: {error}") from None


def _covering(log: FollowedLog, seq: int) -> tuple[str, Checkpoint]:
    """Return the newest checkpoint over what is indexed. Raises `Refused` where a record is not under it."""
    for note, found in _notes(log):
        if found.size <= seq:
            break
        if found.size <= log.next:
            return note, found
    raise Refused("uncovered", "the record is not under a checkpoint yet")


def _notes(log: FollowedLog) -> Iterator[tuple[str, Checkpoint]]:
    """Yield the checkpoints of a log, the newest first."""
    for first in reversed(log.segments):
        for note in newest_notes(log.folder, first):
            try:
                yield _given(note)
            except Refused:
                continue  # it is torn, and was shown to nobody
