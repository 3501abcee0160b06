# SPDX-License-Identifier: EUPL-1.2
"""`sys/log/records`: two ways to read. *Follow* goes by number and loses nothing; *search* filters, and says how far it sees."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from itertools import chain
from typing import Annotated, Any, Final

import msgspec

from vault.engines.system.log.params import FILTERS, MOST, CountTimes, RecordSearch, RecordTimes, between
from vault.engines.system.log.readers import LogReading
from vault.framework import schema
from vault.framework.call import ROOT, Call
from vault.framework.clock import Clock, rfc3339
from vault.framework.engine import Engine
from vault.framework.errors import Failed, Malformed
from vault.framework.fields import Doc
from vault.framework.quote import quote, quoted_words
from vault.framework.reply import Reply
from vault.framework.request.accept import prefers
from vault.framework.route import Params, read, write
from vault.log.common_log import CommonLog
from vault.log.cursor import Place
from vault.log.reader.messages import (
    LONGEST_VALUE,
    LONGEST_WAIT,
    MOST_CHARACTERS,
    MOST_VALUES,
    Count,
    Follow,
    Position,
    Record,
    Records,
    Search,
    TailPage,
    Tenants,
)
from vault.values.times import Nanos

NDJSON: Final = "application/x-ndjson"
_BY_LIMIT: Final = "limit"
"""The field that the ACL itself may set."""


class RecordPath(Params, frozen=True):
    """One record."""

    log: Annotated[str, Doc("The id of the log.")]
    seq: Annotated[int, Doc("The number of the record.")]


class LogPage(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer says beside its records, and how many they are.

    `next` is the cursor or the number to go on with; None after the last page of a search. `complete` is false where
    the time for a page was over before it was full, and where a log is damaged. `indexed_through` is, by log, the last record
    that a search can find; `damaged`, None unless there are such, by log that is damaged the first record that it cannot.
    """

    records: int
    next: str | int | None
    complete: bool = True
    indexed_through: Mapping[str, object] | None = None
    damaged: Mapping[str, int] | None = None


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """How many records each outcome has, by parts of a time that are equally long.

    `complete` is false where time ran out, and where a log is damaged: `damaged` has then, by log, the first record that is
    not counted, nor any behind it.
    """

    begins: str
    ends: str
    buckets: Sequence[Mapping[str, int]]
    complete: bool
    damaged: Mapping[str, int] | None = None


class RecordEngine(Engine):
    """Reads the log. What it answers is not repeated in the record of the reading, which names filters and counts."""

    def __init__(self, reading: LogReading, common: CommonLog | None, clock: Clock) -> None:
        """`common` is this server's own log, None where it keeps none."""
        self._reading, self._common, self._clock = reading, common, clock

    @read("log/records", event="log.query")
    async def read_records(self, call: Call, params: RecordSearch) -> Reply[LogPage]:
        """Search the log, or with `after` follow one.

        An answer in `application/x-ndjson`, one record on a line, ends with a line `{"$page": …}`: without it, it was cut.
        """
        return await self._read(call, params)

    @write("log/records/search", writes=False, asks=True, event="log.query")
    async def search_records(self, call: Call, params: RecordSearch) -> Reply[LogPage]:
        """Search the log, with filters that no proxy writes down."""
        return await self._read(call, params)

    @read("log/counts", event="log.query")
    async def read_counts(self, call: Call, params: CountTimes) -> Counts:
        """Count records by outcome over a time, for a picture of it."""
        tenants = self._reading.permit(call)
        _refuse_unknown(call, params)
        if not 1 <= params.buckets <= 500:
            raise Malformed("buckets must be between 1 and 500")
        begins, ends = between(params, self._clock.nanos())
        ask = Count(
            filters=params.filters(), begins=begins, ends=ends, buckets=params.buckets, tenants=tenants
        )
        with self._reading.going_on(call, self._reading.searches) as reader:
            found = await reader.count(ask)
        outcomes = [{name: count for name, count in part.items() if name} for part in found.counts]
        return Counts(
            begins=rfc3339(begins),
            ends=rfc3339(ends),
            buckets=outcomes,
            complete=found.done is None and not found.damaged,
            damaged=found.damaged or None,
        )

    @read("log/records/{log}/{seq}", event="log.read")
    async def read_record(self, call: Call, params: RecordPath) -> Reply[LogPage]:
        """Read one record."""
        tenants = self._reading.permit(call)
        with self._reading.asking() as reader:
            found = await reader.record(Record(log=params.log, seq=params.seq, tenants=tenants))
        return _page(call, found, next_=None)

    async def _read(self, call: Call, params: RecordSearch) -> Reply[LogPage]:
        tenants = self._reading.permit(call)
        _refuse_unknown(call, params)
        if not 1 <= params.limit <= MOST:
            raise Malformed(f"limit must be between 1 and {MOST}")
        if params.after is not None:
            return await self._follow(call, params, params.after)
        if params.log or params.wait:
            raise Malformed("log and wait are for following a log: say after which record, or -1")
        return await self._search(call, params, tenants)

    async def _follow(self, call: Call, params: RecordSearch, after: int) -> Reply[LogPage]:
        if params.filters() or params.begins or params.ends or params.cursor:
            raise Malformed("a log is followed without filters: leave them out, or search without after")
        if params.wait > LONGEST_WAIT or after < -1:
            raise Malformed(f"wait must be at most {LONGEST_WAIT} seconds, and after at least -1")
        own = self._common.id if self._common is not None else ""
        tenant = None if call.namespace is ROOT else call.namespace.id
        ask = Follow(log=params.log or own, after=after, limit=params.limit, wait=params.wait, tenant=tenant)
        with self._reading.going_on(call, self._reading.tails) as reader:
            found = await _while_there(call, reader.follow(ask))
        return _page(call, found, next_=found.after)

    async def _search(self, call: Call, params: RecordSearch, tenants: Tenants) -> Reply[LogPage]:
        if params.order not in {"asc", "desc"}:
            raise Malformed("order must be asc or desc")
        filters = params.filters()
        query = msgspec.json.encode([call.namespace.id, params.order, sorted(filters.items())])
        begins, ends, position = self._begun(params, query)
        ask = Search(
            filters=filters,
            begins=begins,
            ends=ends,
            open=not (params.cursor or params.ends),
            order="asc" if params.order == "asc" else "desc",
            limit=params.limit,
            tenants=tenants,
            position=position,
        )
        with self._reading.going_on(call, self._reading.searches) as reader:
            found = await reader.search(ask)
        return _page(
            call,
            found,
            next_=self._next(found.position, begins, found.ends or ends, query),
            complete=found.complete,
            indexed_through=found.indexed_through if tenants is None else found.tenants_through,
            damaged=found.damaged or None,
        )

    def _begun(self, params: RecordSearch, query: bytes) -> tuple[Nanos, Nanos, Position | None]:
        """Return where a search begins or goes on. Raises `Malformed` for a cursor of another search."""
        if not params.cursor:
            return *between(params, self._clock.nanos()), None
        if params.begins or params.ends:
            raise Malformed("a cursor has the times of its search: leave out from and to")
        cursors = None if self._common is None else self._common.cursors
        place = None if cursors is None else cursors.read(params.cursor, query)
        if place is None:
            raise Malformed(
                "cursor is not of this search: give what the last page calls next, with the same filters"
            )
        return place.begins, place.ends, Position(place.time, place.log, place.seq)

    def _next(self, position: Position | None, begins: Nanos, ends: Nanos, query: bytes) -> str | None:
        if position is None or self._common is None or self._common.cursors is None:
            return None
        place = Place(position.time, position.log, position.seq, begins, ends)
        return self._common.cursors.write(place, query)


def _refuse_unknown(call: Call, params: RecordTimes) -> None:
    """Refuse what is no filter or has no value, rather than answer as if it were not there (LOG-022). Raises `Malformed`."""
    unknown = sorted(call.data.keys() - call.bound.route.parameters.keys() - {_BY_LIMIT})
    if unknown:
        raise Malformed(f"the log has no filter {quoted_words(unknown)}")
    filters = params.filters()
    empty = sorted(name for name in FILTERS if name in call.data and not all(filters.get(name, ("",))))
    if empty:
        raise Malformed(f"give a value to filter by, or leave out {quoted_words(empty)}")
    for name, values in filters.items():
        if len(values) > MOST_VALUES or max(map(len, values)) > LONGEST_VALUE:
            raise Malformed(
                f"{quote(name)} takes at most {MOST_VALUES} values of at most {LONGEST_VALUE} characters"
            )
    if sum(len(value) for values in filters.values() for value in values) > MOST_CHARACTERS:
        raise Malformed(
            f"all filters take at most {MOST_CHARACTERS} characters together: search for fewer values"
        )


async def _while_there(call: Call, work: Coroutine[Any, Any, TailPage]) -> TailPage:
    """Return what is found, unless the client leaves before that: then it is no longer waited for. Raises `Failed`."""
    if call.left is None:
        return await work
    found, left = asyncio.ensure_future(work), asyncio.ensure_future(call.left())
    try:
        await asyncio.wait({found, left}, return_when=asyncio.FIRST_COMPLETED)
        if not found.done():
            raise Failed("the client has left")
        return found.result()
    finally:
        found.cancel()
        left.cancel()


def _page(
    call: Call,
    found: Records,
    *,
    next_: str | int | None,
    complete: bool = True,
    indexed_through: Mapping[str, object] | None = None,
    damaged: Mapping[str, int] | None = None,
) -> Reply[LogPage]:
    """Return records in the form that was asked for, as they came: they are not read again, and recorded by their number."""
    page = LogPage(
        records=found.count, next=next_, complete=complete, indexed_through=indexed_through, damaged=damaged
    )
    pieces, about = found.pieces, msgspec.structs.asdict(page)
    del about["records"]
    if prefers(call.head.accept, NDJSON):
        end = schema.encode({"$page": {name: value for name, value in about.items() if value is not None}})
        return Reply(
            page, pieces=[*pieces, b"\n%b\n" % end if pieces else b"%b\n" % end], content_type=NDJSON
        )
    listed = (piece.replace(b"\n", b",") for piece in pieces)
    return Reply(page, pieces=chain((b'{"records":[',), listed, (b"],%b" % schema.encode(about)[1:],)))
