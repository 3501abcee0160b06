# SPDX-License-Identifier: EUPL-1.2
"""The newest block of a log: up to 4,096 records of one segment, with what they have of each kind."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import IntEnum
from typing import Final

import msgspec

from vault.log.reader.index.columns import (
    MOST_RECORDS,
    BadColumn,
    Candidates,
    ChecksumColumn,
    CodeColumn,
    Codes,
    Criterion,
    find_begun,
    find_named,
    find_summed,
    find_unique,
    pack_sums,
)
from vault.log.reader.index.entry import Columns, Credential, Grant, Kind
from vault.values.times import Nanos


class Column(IntEnum):
    """What is stored of a block, by the numbers of the index."""

    EVENT = 0
    """Event, type, outcome, phase and tenant of each record: few together."""
    GRANT = 1
    """The rules that allowed or refused it."""
    CALLER = 2
    """Actor, address and credential."""
    RESOURCE = 3
    REQUEST = 4
    TRACE = 5
    TENANT = 6
    """By tenant, the number that its first record has in its own chain."""
    ACTOR_SUMS = 7
    ADDRESS_SUMS = 8
    CREDENTIAL_SUMS = 9
    """Of each caller the checksums of what it has."""
    EVENT_NAMES = 10
    GRANT_NAMES = 11
    RESOURCE_NAMES = 12
    RESOURCE_SUMS = 13


Read = Callable[[Column], bytes]
"""Returns what is stored of a column."""
_EVENT_KINDS: Final = (Kind.EVENT, Kind.TYPE, Kind.OUTCOME, Kind.PHASE, Kind.TENANT)
_SUMS: Final = {
    Kind.ACTOR: (Column.ACTOR_SUMS, Column.CALLER),
    Kind.ADDRESS: (Column.ADDRESS_SUMS, Column.CALLER),
    Kind.CREDENTIAL: (Column.CREDENTIAL_SUMS, Column.CALLER),
    Kind.RESOURCE: (Column.RESOURCE_SUMS, Column.RESOURCE),
}
_pack: Final = msgspec.msgpack.Encoder().encode
_tenants: Final = msgspec.msgpack.Decoder(dict[str, int]).decode
_names: Final = msgspec.msgpack.Decoder(list[str]).decode
_keys: Final = msgspec.msgpack.Decoder(list[list[str]]).decode


class OpenBlock:
    """Grows by records. Of what they have it keeps what a stored block has, and no more."""

    def __init__(self, first: int, *, segment: int, begin: int) -> None:
        """Begin with record `first`, whose line begins at `begin` in its segment."""
        self.first: Final = first
        self.segment: Final = segment
        self.times: array[int] = array("q")
        self.places: array[int] = array("I", [begin])
        """Where the first line begins, and where each ends."""
        self.tenants: dict[str, int] = {}
        """By tenant, the number that its first record here has in its own chain."""
        self.superseded: list[int] = []
        """The numbers of the records, here or before, that records here take the place of."""
        self._events: CodeColumn[tuple[str, ...]] = CodeColumn()
        self._grants: CodeColumn[tuple[Grant, ...]] = CodeColumn()
        self._callers: CodeColumn[tuple[str, str, Credential]] = CodeColumn()
        self._resources: CodeColumn[str] = CodeColumn()
        self._requests, self._traces = ChecksumColumn(), ChecksumColumn()
        callers, grants = self._callers, self._grants
        self._parts: Mapping[Column, Callable[[], bytes]] = {
            Column.EVENT: self._events.packed,
            Column.GRANT: grants.packed,
            Column.CALLER: callers.packed,
            Column.RESOURCE: self._resources.packed,
            Column.REQUEST: self._requests.packed,
            Column.TRACE: self._traces.packed,
            Column.TENANT: lambda: _pack(self.tenants),
            Column.ACTOR_SUMS: lambda: pack_sums([actor for actor, _, _ in callers.keys]),
            Column.ADDRESS_SUMS: lambda: pack_sums([address for _, address, _ in callers.keys]),
            Column.CREDENTIAL_SUMS: lambda: _pack_credentials(
                [credential for _, _, credential in callers.keys]
            ),
            Column.EVENT_NAMES: lambda: _pack(self._events.keys),
            Column.GRANT_NAMES: lambda: _pack([*map(_parts_of, grants.keys)]),
            Column.RESOURCE_SUMS: lambda: pack_sums(self._resources.keys),
            Column.RESOURCE_NAMES: lambda: _pack(self._resources.keys),
        }

    @property
    def count(self) -> int:
        """How many records there are."""
        return len(self.times)

    @property
    def begins(self) -> Nanos:
        """When its first record was made."""
        return Nanos(self.times[0])

    @property
    def ends(self) -> Nanos:
        """When its last record was made."""
        return Nanos(self.times[-1])

    @property
    def full(self) -> bool:
        """Whether it takes no more records."""
        return len(self.times) >= MOST_RECORDS

    def extend(self, records: Columns, times: Sequence[int], places: Sequence[int]) -> None:
        """Take the next records: their entries, their times, and where their lines end in the segment."""
        known = len(self._events)
        types = [resource.type for resource in records.resources]
        self._events.extend(
            zip(records.events, types, records.outcomes, records.phases, records.tenants, strict=True)
        )
        if len(self._events) > known:  # there may be a tenant that is new
            for tenant in dict.fromkeys(records.tenants):
                if tenant not in self.tenants:
                    self.tenants[tenant] = records.tenant_seqs[records.tenants.index(tenant)]
        self._grants.extend([policy.decided for policy in records.policies])
        actors = [actor.id for actor in records.actors]
        self._callers.extend(zip(actors, records.addresses, records.credentials, strict=True))
        self._resources.extend([resource.id for resource in records.resources])
        self._requests.extend(records.requests)
        self._traces.extend(records.traces)
        self.superseded.extend(records.superseded)
        self.times.extend(times)
        self.places.extend(places)

    def find(self, criterion: Criterion) -> Iterator[Candidates]:
        """Yield the records that have, or may have, what a criterion asks for."""
        return find(criterion, self.packed)

    def groups(self, kind: Kind) -> Mapping[str, int]:
        """Return by value the records that have it, of a kind with few values."""
        return groups(kind, self.packed)

    def packed(self, column: Column) -> bytes:
        """Return what is stored of a column."""
        return self._parts[column]()


def find(criterion: Criterion, read: Read) -> Iterator[Candidates]:
    """Yield the records of a block that have, or may have, what a criterion asks for. Raises `BadColumn`."""
    kind = criterion.kind
    if kind in _EVENT_KINDS:
        at = _EVENT_KINDS.index(kind)
        return find_named(
            criterion, [key[at : at + 1] for key in _read_keys(read(Column.EVENT_NAMES))], read(Column.EVENT)
        )
    if kind in {Kind.POLICY, Kind.RULE}:
        keys = _read_keys(read(Column.GRANT_NAMES))
        return find_named(criterion, [key[kind is Kind.RULE :: 2] for key in keys], read(Column.GRANT))
    if kind is Kind.RESOURCE and criterion.prefixes:
        return find_begun(criterion, _read_names(read(Column.RESOURCE_NAMES)), read(Column.RESOURCE))
    if kind in _SUMS:
        sums, codes = _SUMS[kind]
        return find_summed(criterion, read(sums), read(codes))
    return find_unique(criterion, read(Column.REQUEST if kind is Kind.REQUEST else Column.TRACE))


def groups(kind: Kind, read: Read) -> Mapping[str, int]:
    """Return by value the records of a block that have it, of one of the kinds of an event. Raises `BadColumn`."""
    at, codes = _EVENT_KINDS.index(kind), Codes(read(Column.EVENT))
    numbers: dict[str, set[int]] = {}
    for number, key in enumerate(_read_keys(read(Column.EVENT_NAMES))):
        if key[at]:
            numbers.setdefault(key[at], set()).add(number)
    return {value: codes.bits(its) for value, its in numbers.items()}


def _pack_credentials(credentials: Sequence[Credential]) -> bytes:
    more = [(number, block) for number, credential in enumerate(credentials) for block in credential.blocks]
    return pack_sums([credential.accessor for credential in credentials], more)


def _parts_of(grants: Iterable[Grant]) -> list[str]:
    return [part for grant in grants for part in (grant.policy, grant.rule)]


def read_tenants(packed: bytes) -> Mapping[str, int]:
    """Return the tenants of a block, each with the number of its first record. Raises `BadColumn`."""
    with _believing():
        return _tenants(packed)


def _read_keys(packed: bytes) -> Sequence[Sequence[str]]:
    with _believing():
        return _keys(packed)


def _read_names(packed: bytes) -> Sequence[str]:
    with _believing():
        return _names(packed)


@contextmanager
def _believing() -> Iterator[None]:
    try:
        yield
    except msgspec.MsgspecError:
        raise BadColumn("names that cannot be read") from None
