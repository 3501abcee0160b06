# SPDX-License-Identifier: EUPL-1.2
"""What of a record is indexed: its members by kind, and nothing else of its line is decoded."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from enum import IntEnum
from typing import Final, NamedTuple

import msgspec

from vault.values.ids import NO_ACCESSOR, TokenAccessor
from vault.values.times import Nanos, Seconds, seconds_to_nanos

READING: Final = "esa.log."
"""What the event of a record of reading begins with: a tail that it woke would feed itself."""
NOTICE: Final = "notice"
"""The phase of what the log says by itself, as of a device that failed: of no reading, whatever its event."""
_MINUTE: Final = len("2026-11-28T09:00:")
_DOT: Final = len("2026-11-28T09:00:00")
_ONE: Final = 10 ** (len("00") + len("000000000"))
"""More than there are nanoseconds in a minute: a one before the digits of a time in it."""
_TIME: Final = len("2026-11-28T09:00:00.000000000Z")
_OTHER: Final = "a time of the log has nine digits and is in UTC"


_numbers: Final = msgspec.json.Decoder(list[int]).decode


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


class Actor(msgspec.Struct, frozen=True, gc=False):
    """Who calls."""

    id: str = ""


class Credential(msgspec.Struct, frozen=True, gc=False):
    """What a caller shows: its accessor, and the revocation ids of a Biscuit's blocks."""

    accessor: TokenAccessor = NO_ACCESSOR
    blocks: tuple[str, ...] = ()


class Grant(msgspec.Struct, frozen=True, gc=False):
    """A policy that allowed or refused something, and which of its rules."""

    policy: str = ""
    rule: str = ""


class Policy(msgspec.Struct, frozen=True, gc=False):
    """What allowed it, or refused it."""

    by: tuple[Grant, ...] = ()
    """What has the rule that refused it."""
    grant: tuple[Grant, ...] = ()

    @property
    def decided(self) -> tuple[Grant, ...]:
        """All that decided."""
        return self.by + self.grant


class Resource(msgspec.Struct, frozen=True, gc=False):
    """What it was done to."""

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

    actor: Actor = Actor()
    address: str = ""
    credential: Credential = Credential()
    event: str = ""
    time: str
    outcome: str = ""
    phase: str = ""
    policy: Policy = Policy()
    prev_hash: str
    request: str = ""
    resource: Resource = Resource()
    seq: int
    supersedes: int = -1
    """The number of the outcome that it takes the place of."""
    tenant: str = ""
    tenant_seq: int = -1
    trace: str = ""


decode: Final[Callable[[bytes], Entry]] = msgspec.json.Decoder(Entry).decode
"""Returns the entry of a line. Raises what `NONSENSE` names."""


class Columns(NamedTuple):
    """The entries of some records, member by member, in the order of `Entry`: cheaper to look at than one by one."""

    actors: tuple[Actor, ...]
    addresses: tuple[str, ...]
    credentials: tuple[Credential, ...]
    events: tuple[str, ...]
    times: tuple[str, ...]
    outcomes: tuple[str, ...]
    phases: tuple[str, ...]
    policies: tuple[Policy, ...]
    prev_hashes: tuple[str, ...]
    requests: tuple[str, ...]
    resources: tuple[Resource, ...]
    seqs: tuple[int, ...]
    supersedes: tuple[int, ...]
    tenants: tuple[str, ...]
    tenant_seqs: tuple[int, ...]
    traces: tuple[str, ...]

    @property
    def reading(self) -> set[str]:
        """The events of reading among these."""
        return {event for event in {*self.events} if event.startswith(READING)}

    @property
    def waking(self) -> Sequence[bool]:
        """Of each record whether a tail that waits is woken by it."""
        reading = self.reading
        return [
            event not in reading or phase == NOTICE
            for event, phase in zip(self.events, self.phases, strict=True)
        ]

    @property
    def superseded(self) -> Sequence[int]:
        """The numbers of the earlier records that these take the place of: few, if any."""
        if max(self.supersedes) < 0:
            return ()
        return [
            earlier for earlier, seq in zip(self.supersedes, self.seqs, strict=True) if 0 <= earlier < seq
        ]


def decode_all(lines: Iterable[bytes]) -> Columns:
    """Return the entries of lines, of which there is one at least. Raises what `NONSENSE` names."""
    return Columns(*zip(*map(msgspec.structs.astuple, map(decode, lines)), strict=True))


def values(entry: Entry, kind: Kind) -> set[str]:
    """Return what a record has of a kind: of most one value, of some several, and nothing where that is empty."""
    return {value for value in _VALUES[kind](entry) if value}


_VALUES: Final[Mapping[Kind, Callable[[Entry], Iterable[str]]]] = {
    Kind.EVENT: lambda entry: (entry.event,),
    Kind.RESOURCE: lambda entry: (entry.resource.id,),
    Kind.TYPE: lambda entry: (entry.resource.type,),
    Kind.OUTCOME: lambda entry: (entry.outcome,),
    Kind.PHASE: lambda entry: (entry.phase,),
    Kind.TENANT: lambda entry: (entry.tenant,),
    Kind.ACTOR: lambda entry: (entry.actor.id,),
    Kind.ADDRESS: lambda entry: (entry.address,),
    Kind.POLICY: lambda entry: [grant.policy for grant in entry.policy.decided],
    Kind.RULE: lambda entry: [grant.rule for grant in entry.policy.decided],
    Kind.CREDENTIAL: lambda entry: (entry.credential.accessor, *entry.credential.blocks),
    Kind.REQUEST: lambda entry: (entry.request,),
    Kind.TRACE: lambda entry: (entry.trace,),
}


def nanos_of_text(text: str) -> Nanos:
    """Return the point in time that a record names: RFC 3339 in UTC, with nine digits. Raises `ValueError`."""
    return nanos_of_texts([text])[0]


def nanos_of_texts(texts: Sequence[str]) -> list[Nanos]:
    """Return the points in time that records name, of which there is one at least. Raises `ValueError`."""
    if {*map(len, texts)} != {_TIME}:
        raise ValueError(_OTHER)
    minute = texts[0][:_MINUTE]
    if texts[-1].startswith(minute) and (found := _within_minute(minute, texts)) is not None:
        return found
    if {text[_DOT] + text[-1] for text in texts} != {".Z"}:
        raise ValueError(_OTHER)
    begins = {minute: _minute(minute) for minute in {text[:_MINUTE] for text in texts}}
    return [begins[text[:_MINUTE]] + int(text[_MINUTE:_DOT] + text[_DOT + 1 : -1]) for text in texts]  # type: ignore[misc]  # sums of nanoseconds


def _within_minute(minute: str, texts: Sequence[str]) -> list[Nanos] | None:
    """Return the times of one minute, None where there are others: the digits behind it are one number of nanoseconds.

    A one stands for the minute, as numbers of JSON begin with no zero.
    """
    text = ",".join(texts).replace(minute, "1").replace(".", "").replace("Z", "")
    try:
        parts = _numbers(f"[{text}]")
    except msgspec.MsgspecError:
        return None
    if min(parts) < _ONE or max(parts) >= 2 * _ONE:
        return None
    begins = _minute(minute) - _ONE
    return [begins + part for part in parts]


@functools.lru_cache(maxsize=64)
def _minute(text: str) -> Nanos:
    return seconds_to_nanos(Seconds(int(datetime.fromisoformat(f"{text}00+00:00").timestamp())))
