# SPDX-License-Identifier: EUPL-1.2
"""What can be asked of the log, and the times that requests name."""

from __future__ import annotations

import contextlib
import re
from datetime import UTC, datetime
from typing import Annotated, Final, get_args

import msgspec

from vault.framework.errors import Malformed
from vault.framework.fields import CommaList, Doc, Span
from vault.framework.route import Params
from vault.log.reader.messages import FilterName
from vault.values.times import DAY, Nanos, Seconds, seconds_to_nanos

MOST: Final = 1000
"""Records on one page."""
_TIME: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?(Z|[+-][0-9]{2}:[0-9]{2})"
)
_LENGTH: Final = re.compile(r"([0-9]{1,7})(s|m|h|d)")
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
FILTERS: Final[tuple[FilterName, ...]] = get_args(FilterName)
"""The parameters that are filters, each called as its filter is."""
_LATEST: Final = (1 << 62) - 1
"""The last time that the log reader is asked for, in nanoseconds since the epoch: in the year 2116."""


class RecordFilters(Params, frozen=True):
    """Which records are meant. Several values of one filter mean any of them, several filters all of them."""

    event: Annotated[CommaList, Doc("Names of events; `esa.kv.*` means all that begin so.", clear=True)] = ()
    resource: Annotated[
        CommaList, Doc("Ids of resources; a trailing `*` means all that begin so.", clear=True)
    ] = ()
    resource_type: Annotated[CommaList, Doc("Types of resources, as `kv.secret`.", clear=True)] = ()
    outcome: Annotated[
        CommaList,
        Doc("`success`, `denied` or `failed`; no outcome that a later record supersedes.", clear=True),
    ] = ()
    phase: Annotated[
        CommaList,
        Doc("`attempt`, `outcome` or `notice`; no outcome that a later record supersedes.", clear=True),
    ] = ()
    actor: Annotated[
        CommaList, Doc("Who acted: ids of entities, or `accessor:` and that of a token.", clear=True)
    ] = ()
    credential: Annotated[
        CommaList, Doc("Accessors of tokens, or revocation ids of blocks of Biscuits.")
    ] = ()
    policy: Annotated[
        CommaList, Doc("Policies that allowed it, or have the rule that refused it.", clear=True)
    ] = ()
    rule: Annotated[CommaList, Doc("Paths of the rules that decided.", clear=True)] = ()
    address: Annotated[CommaList, Doc("Addresses of clients.", clear=True)] = ()
    request_id: Annotated[CommaList, Doc("Ids of requests.", clear=True)] = ()
    trace_id: Annotated[CommaList, Doc("Trace ids, as callers send them in `traceparent`.", clear=True)] = ()

    def filters(self) -> dict[FilterName, tuple[str, ...]]:
        """Return the filters that are set."""
        return {name: values for name in FILTERS if (values := tuple(getattr(self, name)))}


class RecordTimes(RecordFilters, frozen=True):
    """Records of a time."""

    begins: Annotated[
        str,
        Doc("From when on, in RFC 3339, or as a length of time until now: `24h`, unless given.", clear=True),
    ] = msgspec.field(default="", name="from")
    ends: Annotated[
        str,
        Doc(
            "Until before when, in RFC 3339; now, unless given, and a search has what a clock was ahead for too.",
            clear=True,
        ),
    ] = msgspec.field(default="", name="to")


class RecordSearch(RecordTimes, frozen=True):
    """A search, or what follows a number."""

    order: Annotated[str, Doc("`desc`, the newest first, or `asc`.", clear=True)] = "desc"
    limit: Annotated[int, Doc("Most records on a page, 1000 at most.", clear=True)] = 100
    cursor: Annotated[str, Doc("Where an earlier page ended: what it calls `next`.")] = ""
    log: Annotated[str, Doc("To follow: the id of the log.", clear=True)] = ""
    after: Annotated[
        int | None, Doc("To follow: the number behind which to go on, -1 for the beginning.", clear=True)
    ] = None
    wait: Annotated[
        Span, Doc("To follow: how long to wait for a record, 60 seconds at most.", clear=True)
    ] = Seconds(0)


class CountTimes(RecordTimes, frozen=True):
    """Counts over a time."""

    buckets: Annotated[int, Doc("Into how many parts the time is divided, 500 at most.", clear=True)] = 60


def between(params: RecordTimes, now: Nanos) -> tuple[Nanos, Nanos]:
    """Return the times between which records are meant: a day until now, unless they say it. Raises `Malformed`."""
    ends = moment("to", params.ends) if params.ends else now
    if not params.begins:
        return Nanos(max(0, ends - seconds_to_nanos(DAY))), ends
    if length := _LENGTH.fullmatch(params.begins):
        return Nanos(max(0, ends - seconds_to_nanos(Seconds(int(length[1]) * _UNITS[length[2]])))), ends
    begins = moment("from", params.begins)
    if begins > ends and params.ends:
        raise Malformed("from must not be after to")
    return begins, max(begins, ends)  # which is yet to come, where a clock was ahead


def moment(name: str, text: str) -> Nanos:
    """Return a time in RFC 3339. Raises `Malformed`, which names the field."""
    found = _TIME.fullmatch(text)
    seconds = -1
    if found is not None:
        with contextlib.suppress(ValueError, OverflowError):
            second = datetime.fromisoformat(found[1] + found[3].replace("Z", "+00:00")).astimezone(UTC)
            seconds = int(second.timestamp())
    if found is None or seconds < 0:
        raise Malformed(f"{name} must be a time in RFC 3339, as 2026-11-24T09:30:00Z")
    return Nanos(min(seconds_to_nanos(Seconds(seconds)) + int((found[2] or "0").ljust(9, "0")), _LATEST))
