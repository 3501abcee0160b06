# SPDX-License-Identifier: EUPL-1.2
"""What of a log is stored that witnesses are asked about, and what they have cosigned: the ends of its newest files."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from vault.log.format.checkpoint import BadCheckpoint, Checkpoint, parse_checkpoint
from vault.log.format.note import BadNote, Note, Signature, UnknownSigner, parse_note, verify_note
from vault.log.format.note_key import BadSignature, Verifier
from vault.log.format.segment import (
    CHECKPOINTS,
    COSIGNED,
    Segment,
    StoredCheckpoint,
    list_segments,
    read_checkpoints,
)

_END: Final = 1 << 18
"""Bytes of a file's end that are read."""
_FILES: Final = 4
"""Segments that are looked at, from the newest on."""


class SignedNow(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint, its note, and the first record of the segment beside which it is stored."""

    checkpoint: Checkpoint
    note: bytes
    segment: int


class Cosignature(msgspec.Struct, frozen=True, kw_only=True):
    """A cosignature that was verified: of how many records, when by the witness's clock in seconds since 1970, and its line."""

    records: int
    time: int
    line: Signature


class QuorumMet(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint that enough witnesses have cosigned: when that was stored, how many records it covers, its note."""

    time: str
    records: int
    note: str


class NewestFound(msgspec.Struct, frozen=True, kw_only=True):
    """What there is: the newest checkpoint, by verifier key the newest cosignature, and the newest that met the quorum."""

    newest: SignedNow | None
    cosigned: Mapping[str, Cosignature]
    met: QuorumMet | None


def newest_stored(folder: Path, keys: Sequence[Verifier], quorum: int) -> NewestFound:
    """Return what is stored in the folder of a log; `keys` are those of its witnesses. What can't be read is passed over."""
    segments = list_segments(folder)[: -_FILES - 1 : -1]
    newest = next(filter(None, map(_newest_in, segments)), None)
    cosigned: dict[str, Cosignature] = {}
    met = None
    for stored in (stored for segment in segments for stored in _reversed(segment, COSIGNED)):
        note, checkpoint = _read(stored) or (None, None)
        if note is None or checkpoint is None:
            continue
        found = _verified(note, checkpoint, keys)
        for vkey, one in found.items():
            cosigned.setdefault(vkey, one)
        if met is None and len(found) >= quorum:
            met = QuorumMet(time=stored.time, records=checkpoint.size, note=stored.note)
        if met is not None and len(cosigned) == len(keys):
            break
    return NewestFound(newest=newest, cosigned=cosigned, met=met)


def _newest_in(segment: Segment) -> SignedNow | None:
    for stored in _reversed(segment, CHECKPOINTS):
        found = _read(stored)
        if found is not None:
            return SignedNow(checkpoint=found[1], note=stored.note.encode(), segment=segment.first)
    return None


def _read(stored: StoredCheckpoint) -> tuple[Note, Checkpoint] | None:
    try:
        note = parse_note(stored.note.encode())
        return note, parse_checkpoint(note.text)
    except (BadNote, BadCheckpoint):
        return None


def _verified(note: Note, checkpoint: Checkpoint, keys: Sequence[Verifier]) -> dict[str, Cosignature]:
    """Return the cosignatures of a note, by verifier key; none where one is not valid."""
    try:
        verified = verify_note(note, keys)
    except (BadSignature, UnknownSigner):
        return {}
    lines = {(line.name, line.key_id): line for line in reversed(note.signatures)}
    return {
        one.verifier.vkey: Cosignature(
            records=checkpoint.size, time=one.time or 0, line=lines[one.verifier.name, one.verifier.key_id]
        )
        for one in verified
    }


def _reversed(segment: Segment, kind: str) -> Iterator[StoredCheckpoint]:
    """Yield the checkpoints at the end of a file, the newest first; nothing where there is no file."""
    try:
        with segment.path(kind).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _END))
            end = file.read(_END)
    except OSError:
        return
    yield from reversed(list(read_checkpoints(io.BytesIO(end))))
