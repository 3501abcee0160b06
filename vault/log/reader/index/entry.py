# SPDX-License-Identifier: EUPL-1.2
"""What of a record is indexed: its members by kind, and nothing else of its line is decoded."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from enum import IntEnum
from operator import attrgetter
from typing import Final

import msgspec

from vault.values.ids import NO_ACCESSOR, TokenAccessor
from vault.values.times import Nanos, Seconds, seconds_to_nanos

READING: Final = "esa.log."
"""What the event of a record of reading begins with: a tail that it woke would feed itself."""
NOTICE: Final = "notice"
"""The phase of what the log says by itself, as of a device that failed: of no reading, whatever its event."""
_SECOND: Final = len("2026-11-28T09:00:00")
TIME_LENGTH: Final = len("2026-11-28T09:00:00.000000000Z")
"""Characters of a time in the log."""


class Kind(IntEnum):
    """What a filter may ask for. The numbers are those of the index: another meaning is another version of it."""

    EVENT = 0
    RESOURCE = 1
    TYPE = 2
    OUTCOME = 3
    PHASE = 4
    TENANT = 5
    ACTOR = 6
    ADDRESS = 7
    POLICY = 8
    RULE = 9
    CREDENTIAL = 10
    REQUEST = 11
    TRACE = 12


BY_PREFIX: Final = frozenset({Kind.EVENT, Kind.RESOURCE})
"""Kinds whose filters may end in `*`."""
NAMED: Final = frozenset({*Kind} - {Kind.ACTOR, Kind.ADDRESS, Kind.CREDENTIAL, Kind.REQUEST, Kind.TRACE})
"""Kinds whose values the index has as they are. Of the others it has checksums, and a record tells which value it is."""
SEVERAL: Final = (Kind.CREDENTIAL, Kind.POLICY, Kind.RULE)
"""Kinds of which a record may have several values."""


class _Actor(msgspec.Struct, frozen=True, gc=False):
    id: str = ""


class _Credential(msgspec.Struct, frozen=True, gc=False):
    accessor: TokenAccessor = NO_ACCESSOR
    blocks: tuple[str, ...] = ()


class _Grant(msgspec.Struct, frozen=True, gc=False):
    policy: str = ""
    rule: str = ""


class _Policy(msgspec.Struct, frozen=True, gc=False):
    grant: tuple[_Grant, ...] = ()


class _Resource(msgspec.Struct, frozen=True, gc=False):
    id: str = ""
    type: str = ""


class Entry(
    msgspec.Struct,
    frozen=True,
    gc=False,
    kw_only=True,
    rename={
        "address": "client.address",
        "event": "event_name",
        "time": "observed_timestamp",
        "request": "request.id",
        "trace": "trace_id",
    },
):
    """A record as the index sees it. Its fields are in the order of a line (RFC 8785), in which they are found fastest."""

    actor: _Actor = _Actor()
    address: str = ""
    credential: _Credential = _Credential()
    event: str = ""
    time: str
    outcome: str = ""
    phase: str = ""
    policy: _Policy = _Policy()
    prev_hash: str
    request: str = ""
    resource: _Resource = _Resource()
    seq: int
    tenant: str = ""
    tenant_prev_hash: str = ""
    tenant_seq: int = -1
    trace: str = ""

    @property
    def wakes(self) -> bool:
        """Whether a tail that waits is woken by it."""
        return self.phase == NOTICE or not self.event.startswith(READING)


decode: Final[Callable[[bytes], Entry]] = msgspec.json.Decoder(Entry).decode
"""Returns the entry of a line. Raises `msgspec.MsgspecError`."""


FIRST_VALUE: Final[Mapping[Kind, Callable[[Entry], str]]] = {
    Kind.EVENT: attrgetter("event"),
    Kind.RESOURCE: attrgetter("resource.id"),
    Kind.TYPE: attrgetter("resource.type"),
    Kind.OUTCOME: attrgetter("outcome"),
    Kind.PHASE: attrgetter("phase"),
    Kind.TENANT: attrgetter("tenant"),
    Kind.ACTOR: attrgetter("actor.id"),
    Kind.ADDRESS: attrgetter("address"),
    Kind.POLICY: lambda entry: entry.policy.grant[0].policy if entry.policy.grant else "",
    Kind.RULE: lambda entry: entry.policy.grant[0].rule if entry.policy.grant else "",
    Kind.CREDENTIAL: attrgetter("credential.accessor"),
    Kind.REQUEST: attrgetter("request"),
    Kind.TRACE: attrgetter("trace"),
}
"""By kind, what returns the value of a record, or its first one; empty where it has none."""
_FURTHER: Final[Mapping[Kind, Callable[[Entry], Iterable[str]]]] = {
    Kind.CREDENTIAL: attrgetter("credential.blocks"),
    Kind.POLICY: lambda entry: [grant.policy for grant in entry.policy.grant],
    Kind.RULE: lambda entry: [grant.rule for grant in entry.policy.grant],
}


def values(entry: Entry, kind: Kind) -> set[str]:
    """Return what a record has of a kind: of most one value, of some several, and nothing where that is empty."""
    found = {FIRST_VALUE[kind](entry)}
    if kind in _FURTHER:
        found.update(_FURTHER[kind](entry))
    return found - {""}


def nanos_of_text(text: str) -> Nanos:
    """Return the point in time that a record names: RFC 3339 in UTC, with nine digits. Raises `ValueError`."""
    if len(text) != TIME_LENGTH or text[_SECOND] != "." or text[-1] != "Z":
        raise ValueError("a time of the log has nine digits and is in UTC")
    return Nanos(_second(text[:_SECOND]) + int(text[_SECOND + 1 : -1]))


@functools.lru_cache(maxsize=64)
def _second(text: str) -> Nanos:
    return seconds_to_nanos(Seconds(int(datetime.fromisoformat(f"{text}+00:00").timestamp())))
