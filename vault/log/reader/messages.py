# SPDX-License-Identifier: EUPL-1.2
"""What the server and the log reader say to each other: frames, each behind its length in four bytes.

Every question has a number that its answer has again, so that a slow one keeps no other waiting. Limits are in the
types: what is over one is refused before anything is done for it. A frame is JSON, or a piece of what an answer has
in bytes: those come before it, in small pieces, for the server's event loop only hands them on.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from vault.values.times import Nanos

VERSION: Final = "4"
"""Of what is said. A reader of another one is ended, and one of the server's own started."""
SOCKET: Final = "reader.sock"
LOCK: Final = "reader.lock"
LARGEST_QUESTION: Final = 1 << 20
"""Bytes of the largest frame that a reader takes."""
LARGEST_ANSWER: Final = 16 << 20
"""Bytes of the largest answer that it sends, pieces and all."""
PIECE: Final = 64 << 10
"""Bytes of a piece of what comes before an answer."""
MOST_BYTES: Final = 4 << 20
"""Bytes of records after which a page ends, and of a part of a segment."""
LONGEST_WAIT: Final = 60
"""Seconds that a tail waits."""
MOST_SEGMENTS: Final = 500
"""Segments on one page: a second of work, or less."""
MOST_VALUES: Final = 100
"""Values of one filter."""
LONGEST_VALUE: Final = 8192
"""Characters of the longest of them."""
MOST_CHARACTERS: Final = MOST_VALUES * LONGEST_VALUE
"""Characters of all filters together: as many as one may have."""

NONSENSE: Final = (ValueError, RecursionError)
"""What msgspec raises of bytes that are no message: errors of its own are of the first kind, as those of UTF-8 are."""
_LENGTH: Final = struct.Struct(">I")
_PIECE_HEAD: Final = struct.Struct(">cQ")
"""What a piece begins with: a byte that no JSON begins with, and the number of its question."""
_IS_PIECE: Final = b"P"

LogName = Annotated[str, Meta(max_length=40)]
Tenant = Annotated[str, Meta(max_length=256)]
Tenants = Annotated[tuple[Tenant, ...], Meta(max_length=10_000)] | None
"""The namespaces whose records may be seen; None stands for all."""
Limit = Annotated[int, Meta(ge=1, le=1000)]
Seq = Annotated[int, Meta(ge=0, lt=1 << 62)]
After = Annotated[int, Meta(ge=-1, lt=1 << 62)]
Moment = Annotated[Nanos, Meta(ge=0, lt=1 << 62)]
Note = Annotated[str, Meta(max_length=128 << 10)]
FilterName = Literal[
    "event", "resource", "resource_type", "outcome", "phase", "actor", "address", "policy", "rule", "credential",
    "request_id", "trace_id",
]  # fmt: skip
FilterValues = Annotated[
    tuple[Annotated[str, Meta(min_length=1, max_length=LONGEST_VALUE)], ...],
    Meta(min_length=1, max_length=MOST_VALUES),
]
Filters = Mapping[FilterName, FilterValues]


class Position(Struct, frozen=True):
    """Where a traversal stands: behind this record, in the order by time, then log, then number. There need be none."""

    time: Moment
    log: LogName
    seq: After


class Search(Struct, frozen=True, kw_only=True, tag="search"):
    """Records that have one of the values of each filter, from a point in time and before another.

    Where it is asked how calls ended, by phase or outcome, an outcome is left out whose place a later record takes.
    """

    filters: Filters = {}
    begins: Moment
    ends: Moment
    open: bool = False
    """Whether it ends behind the newest record of any log, where that is later: where a clock was ahead."""
    order: Literal["asc", "desc"] = "desc"
    limit: Limit = 100
    tenants: Tenants = None
    position: Position | None = None


class Follow(Struct, frozen=True, kw_only=True, tag="follow"):
    """Records of one log behind a number, in order: the log's own, or where a tenant is named that of its chain.

    With `wait` seconds it is a tail: it is answered when there is a record that is none of reading, or with none.
    """

    log: LogName
    after: After = -1
    limit: Limit = 100
    wait: Annotated[float, Meta(ge=0, le=LONGEST_WAIT)] = 0
    tenant: Tenant | None = None


class Record(Struct, frozen=True, kw_only=True, tag="record"):
    """One record."""

    log: LogName
    seq: Seq
    tenants: Tenants = None


class Proof(Struct, frozen=True, kw_only=True, tag="proof"):
    """The proof that a record is in its log, under the newest checkpoint or a given one."""

    log: LogName
    seq: Seq
    tenants: Tenants = None
    checkpoint: Note = ""


class Consistency(Struct, frozen=True, kw_only=True, tag="consistency"):
    """The proof that a log of some size begins with a smaller one."""

    log: LogName
    old: Seq
    new: Seq


class ReadTile(Struct, frozen=True, kw_only=True, tag="tile"):
    """Hashes of the tree: the path of the tile, as tlog-tiles has it."""

    log: LogName
    path: Annotated[str, Meta(max_length=64)]


class ListSegments(Struct, frozen=True, kw_only=True, tag="segments"):
    """The segments of a log that begin with some record or a later one: so many of the oldest."""

    log: LogName
    first: Seq = 0
    limit: Annotated[int, Meta(ge=1, le=MOST_SEGMENTS)] = MOST_SEGMENTS


class ReadSegment(Struct, frozen=True, kw_only=True, tag="segment"):
    """A part of a file of a closed segment."""

    log: LogName
    first: Seq
    file: Literal["records", "manifest", "checkpoints"] = "records"
    offset: Seq = 0
    length: Annotated[int, Meta(ge=1, le=MOST_BYTES)] = MOST_BYTES


class NewestCheckpoint(Struct, frozen=True, kw_only=True, tag="checkpoint"):
    """The newest checkpoint of a log."""

    log: LogName


class Count(Struct, frozen=True, kw_only=True, tag="count"):
    """How many records there are of each outcome, by parts of a time that are equally long.

    An outcome whose place a later record takes is not counted.
    `done` is what an earlier answer said that it counted, where that was not all.
    """

    filters: Filters = {}
    begins: Moment
    ends: Moment
    buckets: Annotated[int, Meta(ge=1, le=500)]
    tenants: Tenants = None
    done: Moment | None = None


class Purge(Struct, frozen=True, kw_only=True, tag="purge"):
    """Remove the oldest segments of a log that end with a record up to this one, whole and closed ones alone.

    A rehearsal removes nothing, and is refused where the purge would be.
    """

    log: LogName
    through: Seq
    rehearse: bool = False


class Status(Struct, frozen=True, tag="status"):
    """How the reader is."""


class Beat(Struct, frozen=True, tag="beat"):
    """Whether the reader's event loop goes on. It answers with nothing, or that it does not know the question."""


class Stop(Struct, frozen=True, tag="stop"):
    """Let the reader end."""


class Cancel(Struct, frozen=True, tag="cancel"):
    """Nobody waits any more for the answer to a tail: it has none then, and neither has this, unless there is no such tail."""

    tail: int
    """The number of its question."""


Ask = (
    Search
    | Follow
    | Record
    | Proof
    | Consistency
    | ReadTile
    | ListSegments
    | ReadSegment
    | NewestCheckpoint
    | Count
    | Purge
    | Status
    | Beat
    | Stop
    | Cancel
)


class Question(Struct, frozen=True):
    """What is asked, with a number for its answer."""

    number: int
    ask: Ask


class WithContent(Struct, frozen=True, kw_only=True):
    """An answer with bytes that come in pieces before it."""

    pieces: tuple[bytes, ...] = ()

    @property
    def content(self) -> bytes:
        """The bytes."""
        return b"".join(self.pieces)


class Records(WithContent, frozen=True, kw_only=True):
    """An answer whose content is so many records as they were written, one on a line, the last one without a line's end."""

    count: int = 0

    @property
    def lines(self) -> list[bytes]:
        """The records."""
        return self.content.split(b"\n") if self.pieces else []


class SearchPage(Records, frozen=True, kw_only=True):
    """A page of a search. Only one without a `position` is the last.

    It is not `complete` where time ran out, and where a log is damaged.
    """

    position: Position | None
    complete: bool
    damaged: Mapping[str, int] = {}
    """By log that is damaged the first record that is not found, nor any behind it: it, or the one before, is another."""
    ends: Nanos = Nanos(0)
    """Before which time it looked; the next page is to name it."""
    indexed_through: Mapping[str, int] = {}
    """By log the last record that was looked at, where all tenants may be seen; a log without records has none."""
    tenants_through: Mapping[str, Mapping[str, int]] = {}
    """The same by log and tenant, in the number of the tenant's own chain, where some may."""


class TailPage(Records, frozen=True, kw_only=True):
    """Records, and the number to go on behind."""

    after: int


class Text(Struct, frozen=True):
    """A proof, or a note; nothing where there is none."""

    text: str


class Hashes(Struct, frozen=True):
    """Hashes in base64, in the order of the proof."""

    hashes: tuple[str, ...]


class Content(WithContent, frozen=True, kw_only=True):
    """Bytes of a file, and how many it has in all."""

    size: int


class SegmentEntry(Struct, frozen=True, kw_only=True):
    """What is known of a segment. All but its first record is said of closed ones alone."""

    first: int
    closed: bool
    last: int = -1
    sha256: str = ""
    root: str = ""
    checkpoint: str = ""
    size: int = 0
    begins: str = ""
    ends: str = ""


class Segments(Struct, frozen=True):
    """Segments of a log, the oldest first; a page may be short."""

    segments: tuple[SegmentEntry, ...]
    next: int | None = None
    """The first record of the next segment; None where there is none."""


class OutcomeCounts(Struct, frozen=True, kw_only=True):
    """By part of the time how many records each outcome has; `done` where time ran out: what is before that is counted."""

    counts: tuple[Mapping[str, int], ...]
    done: Moment | None
    damaged: Mapping[str, int] = {}
    """By log that is damaged the first record that is not counted, nor any behind it."""


class PurgeResult(Struct, frozen=True, kw_only=True):
    """How many segments were removed."""

    segments: int


class LogStatus(Struct, frozen=True, kw_only=True):
    """How far the reader is with one log."""

    log: str
    first: int
    """The oldest record that is there."""
    indexed_through: int
    """The last record that is indexed, -1 before there is one."""
    segments: int
    bytes: int
    """Of all segments, as they are on disk."""
    behind: int
    """Records that are not yet indexed, those of the newest segment not counted."""
    behind_bytes: int
    """Bytes of the newest segment that are not yet indexed."""
    observed: Nanos
    """When the last indexed record was made."""
    proofs: bool
    """Whether the tree is whole."""
    damage: str
    """Which record is not as it should be; nothing behind it is indexed."""


class ReaderStatus(Struct, frozen=True, kw_only=True):
    """How the reader is."""

    logs: tuple[LogStatus, ...]
    index_bytes: int
    rebuilding: bool
    """Whether it has not yet come to the end of all logs since it began: `done` of `total` records, as far as known."""
    done: int
    total: int
    rebuilds: int
    """How often the index was made anew since the reader began."""
    trouble: str
    """What keeps it from going on at present, as a full disk."""


RefusalKind = Literal[
    "malformed", "missing", "purged", "uncovered", "damaged", "busy", "rebuilding", "failed"
]


class Refusal(Struct, frozen=True, kw_only=True):
    """Why there is no answer."""

    kind: RefusalKind
    text: str
    first: int = -1
    """Of what was purged: the oldest record that is there, by the number that was asked for."""


class Refused(Exception):
    """A question has no answer: `refusal` says why."""

    def __init__(self, kind: RefusalKind, text: str, first: int = -1) -> None:
        super().__init__(text)
        self.refusal = Refusal(kind=kind, text=text, first=first)


class Alive(Struct, frozen=True):
    """The reader's event loop goes on."""


class Answer(Struct, frozen=True):
    """The answer to a question: what it asks for, or a refusal."""

    number: int
    answer: Raw = Raw(b"null")
    refusal: Refusal | None = None


class Hello(Struct, frozen=True):
    """What a reader says first."""

    version: str


_encode: Final = msgspec.json.Encoder().encode
question: Final = msgspec.json.Decoder(Question).decode
answer: Final = msgspec.json.Decoder(Answer).decode
hello: Final = msgspec.json.Decoder(Hello).decode


def framed(message: Struct) -> bytes:
    """Return the frame of a message."""
    body = _encode(message)
    return _LENGTH.pack(len(body)) + body


def asked(question: Question) -> bytes:
    """Return the frame of a question. Raises `Refused` for one that is larger than a reader takes."""
    frame = framed(question)
    if len(frame) - _LENGTH.size > LARGEST_QUESTION:
        raise Refused("malformed", "this is too large for the log reader: give fewer or shorter values")
    return frame


def joined(lines: Sequence[bytes]) -> tuple[bytes, ...]:
    """Return the one piece that has these lines."""
    return (b"\n".join(lines),) if lines else ()


def replied(number: int, found: Struct) -> Iterator[bytes]:
    """Yield the frames that answer a question: its content in pieces of one size, and the rest."""
    if isinstance(found, WithContent) and found.pieces:
        content = found.content
        for begin in range(0, len(content), PIECE):
            body = _PIECE_HEAD.pack(_IS_PIECE, number) + content[begin : begin + PIECE]
            yield _LENGTH.pack(len(body)) + body
        found = msgspec.structs.replace(found, pieces=())
    yield framed(Answer(number, Raw(_encode(found))))


def piece_of(body: bytes) -> tuple[int, bytes] | None:
    """Return the number and the bytes of a piece; None for a frame that is none."""
    if body[:1] != _IS_PIECE or len(body) < _PIECE_HEAD.size:
        return None
    number: int = _PIECE_HEAD.unpack_from(body)[1]
    return number, body[_PIECE_HEAD.size :]


def length_of(head: bytes) -> int:
    """Return how many bytes follow the four of a frame's head."""
    length: int = _LENGTH.unpack(head)[0]
    return length
