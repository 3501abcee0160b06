# SPDX-License-Identifier: EUPL-1.2
"""`sys/log/purge` and `sys/log/holds`: what of the log goes, and what stays whatever its age."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Final

import msgspec

from vault.engines.system.log.params import moment
from vault.engines.system.log.readers import NO_LOG, LogReading
from vault.framework.call import Call
from vault.framework.clock import Clock, rfc3339
from vault.framework.engine import Engine
from vault.framework.errors import Malformed, NotFound, Unavailable
from vault.framework.fields import Doc
from vault.framework.route import Params, delete, list_, read, write
from vault.log.purger import HeldPart, PurgedPart, Purger
from vault.log.retention import Hold, delete_hold, put_hold, read_hold
from vault.values.times import Nanos

MOST_HOLDS: Final = 1000
LONGEST_REASON: Final = 1024
"""Characters of the longest reason."""
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}")


class PurgeTime(Params, frozen=True):
    """Up to when to purge."""

    before: Annotated[
        str, Doc("Segments whose records all are of before this time go, in RFC 3339.", clear=True)
    ] = ""


class PurgeAnswer(msgspec.Struct, frozen=True):
    """What a purge took of each log, and where a hold kept it from going on."""

    purged: Sequence[PurgedPart]
    held: Sequence[HeldPart]


class HoldPath(Params, frozen=True):
    """One hold."""

    name: Annotated[str, Doc("The name of the hold.")]


class HoldTimes(Params, frozen=True):
    """What a hold is on: everything, or a time."""

    name: Annotated[str, Doc("The name of the hold.")]
    begins: Annotated[
        str, Doc("Records from this time on, in RFC 3339; from the first, unless given.", clear=True)
    ] = msgspec.field(default="", name="from")
    ends: Annotated[
        str, Doc("Records before this time, in RFC 3339; all that come, unless given.", clear=True)
    ] = msgspec.field(default="", name="to")
    reason: Annotated[str, Doc("Why; whoever may read holds reads it.")] = ""


class HoldView(msgspec.Struct, frozen=True, kw_only=True, rename={"begins": "from", "ends": "to"}):
    """A hold: since when it is there, what it is on, and why. Times that are not bounded are empty."""

    made: str
    begins: str
    ends: str
    reason: str


class HoldList(msgspec.Struct, frozen=True):
    """All holds by their names."""

    keys: Sequence[str]
    key_info: Mapping[str, HoldView]


class RetentionEngine(Engine):
    """Purges, and holds. Both are of the whole log: namespaces have no say in them."""

    def __init__(self, reading: LogReading, purger: Purger | None, clock: Clock) -> None:
        """`purger` is None where no log is kept."""
        self._reading, self._purger, self._clock = reading, purger, clock

    @write("log/purge", sudo=True, writes=False, event="log.purge.start")
    async def purge_log(self, call: Call, params: PurgeTime) -> PurgeAnswer:
        """Purge the segments of this server's logs whose records all are of before a time. Needs sudo.

        The time may not be younger than `retention_min`. What a hold is on stays, and what follows it in its log.
        """
        self._reading.permit_all(call)
        if not params.before:
            raise Malformed("before is missing: say up to when to purge, as 2026-11-24T09:30:00Z")
        before = moment("before", params.before)
        purger = self._purges()
        allowed = purger.retention.purgeable(self._clock.nanos())
        if before > allowed:
            raise Malformed(
                f"before must not be after {rfc3339(allowed)}: younger records are kept (retention_min)"
            )
        with self._reading.asking():
            try:
                purged, held = await purger.purge(before)
            except OSError as failure:
                raise Unavailable(
                    "the log cannot be purged; see the server log",
                    detail=f"the log was not purged: {failure.strerror}",
                ) from failure
        return PurgeAnswer(purged=purged, held=held)

    @list_("log/holds", sudo=True, event="log.hold.list")
    async def list_holds(self, call: Call) -> HoldList:
        """List the holds. Needs sudo."""
        self._reading.permit_all(call)
        found = await self._purges().holds()
        if not found:
            raise NotFound
        return HoldList(sorted(found), {name: _view(hold) for name, hold in found.items()})

    @read("log/holds/{name}", sudo=True, event="log.hold.read")
    async def read_hold(self, call: Call, params: HoldPath) -> HoldView:
        """Read a hold. Needs sudo."""
        self._reading.permit_all(call)
        found = (await self._purges().holds()).get(params.name)
        if found is None:
            raise NotFound
        return _view(found)

    @write("log/holds/{name}", sudo=True, event="log.hold.write")
    async def write_hold(self, call: Call, params: HoldTimes) -> None:
        """Keep records whatever their age, or change what a hold is on. Needs sudo.

        A hold counts from its answer on for every purge that is not under way by then.
        """
        self._reading.permit_all(call)
        if _NAME.fullmatch(params.name) is None:
            raise Malformed("the name of a hold has lower case letters, digits, and - . _ between them")
        if len(params.reason) > LONGEST_REASON:
            raise Malformed(f"reason may have at most {LONGEST_REASON} characters")
        begins = moment("from", params.begins) if params.begins else Nanos(0)
        ends = moment("to", params.ends) if params.ends else Nanos(0)
        if ends and ends <= begins:
            raise Malformed("to must be after from")
        old = await read_hold(call.core, params.name)
        if old is None and len(await call.core.list("log/hold/", limit=MOST_HOLDS)) >= MOST_HOLDS:
            raise Malformed(f"there are {MOST_HOLDS} holds; delete one that has ended")
        made = old.made if old is not None else self._clock.nanos()
        hold = Hold(made=made, begins=begins, ends=ends, reason=params.reason)
        call.record.changed = {**_told("old", old), **_told("new", hold)}
        await put_hold(call.core, params.name, hold)

    @delete("log/holds/{name}", sudo=True, event="log.hold.delete")
    async def delete_hold(self, call: Call, params: HoldPath) -> None:
        """End a hold: what it kept is purged by its age again. Needs sudo."""
        self._reading.permit_all(call)
        call.record.changed = _told("old", await read_hold(call.core, params.name))
        await delete_hold(call.core, params.name)

    def _purges(self) -> Purger:
        if self._purger is None:
            raise NotFound(NO_LOG)
        return self._purger


def _told(which: str, hold: Hold | None) -> dict[str, str]:
    """Return the time that a hold is on under this name; nothing where there is none."""
    return {} if hold is None else {which: hold.interval}


def _view(hold: Hold) -> HoldView:
    return HoldView(
        made=rfc3339(hold.made),
        begins=rfc3339(hold.begins) if hold.begins else "",
        ends=rfc3339(hold.ends) if hold.ends else "",
        reason=hold.reason,
    )
