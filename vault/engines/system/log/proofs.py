# SPDX-License-Identifier: EUPL-1.2
"""What proves the log: checkpoints, proofs of records, consistency, tiles and segments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec

from vault.engines.system.log.readers import LogReading
from vault.engines.system.log.records import RecordPath
from vault.framework.call import Call
from vault.framework.engine import Engine
from vault.framework.errors import NotFound
from vault.framework.fields import Doc
from vault.framework.reply import Reply
from vault.framework.route import Params, read
from vault.log.reader.messages import (
    MOST_BYTES,
    Consistency,
    NewestCheckpoint,
    Proof,
    ReadSegment,
    ReadTile,
    Refused,
    SegmentEntry,
)

_TEXT: Final = "text/plain; charset=utf-8"
_BYTES: Final = "application/octet-stream"
_FEW: Final = 200
"""Segments that are encoded, and hashed for the audit log, on the event loop: more take many milliseconds."""


class LogPath(Params, frozen=True):
    """One log."""

    log: Annotated[str, Doc("The id of the log.")]


class Sizes(Params, frozen=True):
    """Two sizes of one log."""

    log: Annotated[str, Doc("The id of the log.")]
    old: Annotated[int, Doc("The smaller size.", clear=True)] = msgspec.field(default=0, name="from")
    new: Annotated[int, Doc("The larger size.", clear=True)] = msgspec.field(default=0, name="to")


class TilePath(Params, frozen=True):
    """One tile of a log's tree."""

    log: Annotated[str, Doc("The id of the log.")]
    path: Annotated[str, Doc("The tile's path after `tile/` (C2SP tlog-tiles), as `0/x001/067`.")]


class SegmentPath(Params, frozen=True):
    """A part of a segment."""

    log: Annotated[str, Doc("The id of the log.")]
    first: Annotated[int, Doc("The number of its first record.")]
    offset: Annotated[int, Doc("From which byte on.", clear=True)] = 0
    length: Annotated[int, Doc("Most bytes of one answer, 4 MiB at most.", clear=True)] = MOST_BYTES


class ConsistencyProof(msgspec.Struct, frozen=True):
    """The hashes that prove it (RFC 9162, section 2.1.4), in base64."""

    hashes: Sequence[str]


class SegmentList(msgspec.Struct, frozen=True):
    """The segments of a log, the oldest first."""

    segments: Sequence[SegmentEntry]


class SegmentPart(msgspec.Struct, frozen=True):
    """What is recorded of a part of a segment: how many bytes it has."""

    bytes: int


class ProofEngine(Engine):
    """Gives out what a verifier needs. Tenants get proofs of their own records, and no others' parts."""

    def __init__(self, reading: LogReading) -> None:
        self._reading = reading

    @read("log/records/{log}/{seq}/proof", event="log.prove")
    async def read_proof(self, call: Call, params: RecordPath) -> Reply[object]:
        """Prove that a record is in its log, by a `c2sp.org/tlog-proof@v1` that is verified offline."""
        tenants = self._reading.permit(call)
        with self._reading.asking() as reader:
            try:
                found = await reader.proof(Proof(log=params.log, seq=params.seq, tenants=tenants))
            except Refused as refused:
                if refused.refusal.kind == "uncovered":
                    call.admission = [*call.admission, (b"retry-after", b"1")]
                raise
        return Reply(raw=found.text.encode(), content_type=_TEXT)

    @read("log/checkpoints/{log}", event="log.checkpoint")
    async def read_checkpoint(self, call: Call, params: LogPath) -> Reply[object]:
        """Read the newest checkpoint of a log: a C2SP signed note."""
        self._reading.permit(call)
        with self._reading.asking() as reader:
            found = await reader.checkpoint(NewestCheckpoint(log=params.log))
        if not found.text:
            raise NotFound("the log has no checkpoint yet")
        return Reply(raw=found.text.encode(), content_type=_TEXT)

    @read("log/consistency/{log}", event="log.prove")
    async def read_consistency(self, call: Call, params: Sizes) -> ConsistencyProof:
        """Prove that a log of the size `to` begins with what it was at the size `from`."""
        self._reading.permit(call)
        ask = Consistency(log=params.log, old=params.old, new=params.new)
        with self._reading.asking() as reader:
            return ConsistencyProof((await reader.consistency(ask)).hashes)

    @read("log/tiles/{log}/tile/{path:path}", event="log.export")
    async def read_tile(self, call: Call, params: TilePath) -> Reply[object]:
        """Read a tile of a log's tree (C2SP tlog-tiles). For who may read the whole log."""
        self._reading.permit_all(call)
        with self._reading.asking() as reader:
            found = await reader.tile(ReadTile(log=params.log, path=f"tile/{params.path}"))
        return Reply(raw=found.content, content_type=_BYTES)

    @read("log/segments/{log}", event="log.export")
    async def list_segments(self, call: Call, params: LogPath) -> Reply[SegmentList]:
        """Show the segments of a log. For who may read the whole log."""
        self._reading.permit_all(call)
        with self._reading.asking() as reader:
            found = await reader.all_segments(params.log)
        return Reply(SegmentList(found), long=len(found) > _FEW)

    @read("log/segments/{log}/{first}", event="log.export")
    async def read_segment(self, call: Call, params: SegmentPath) -> Reply[object]:
        """Read a part of a closed segment, which is a gzip file. For who may read the whole log."""
        self._reading.permit_all(call)
        ask = ReadSegment(
            log=params.log,
            first=params.first,
            offset=params.offset,
            length=min(max(params.length, 1), MOST_BYTES),
        )
        with self._reading.asking() as reader:
            found = await reader.segment(ask)
        headers = {"X-Segment-Size": str(found.size)}
        part = SegmentPart(sum(map(len, found.pieces)))
        return Reply(part, pieces=found.pieces, content_type=_BYTES, headers=headers)
