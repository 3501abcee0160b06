# SPDX-License-Identifier: EUPL-1.2
"""What the records of a block have of one kind, as it grows and as it is stored.

Each record has a number that stands for its value, and each number the checksum of the value; of kinds with nearly as
many values as records, each record has the checksum itself. A record with several values has its further ones behind. Which records are meant is one integer: a bit for each
record, the first one lowest.
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain, compress
from typing import Final, NamedTuple
from zlib import crc32

import msgspec

from vault.log.reader.index.entry import NAMED, Kind

MOST_RECORDS: Final = 4096
"""Records of the largest block."""
UNIQUE: Final = frozenset({Kind.REQUEST, Kind.TRACE})
"""Kinds with nearly as many values as records."""
_NARROW: Final = 256
_HEAD: Final = struct.Struct("=III")
_KEY: Final = struct.Struct("=I")
_ONE: Final = ord("1")


class BadColumn(Exception):
    """What is stored of a column is not what was stored."""


class Criterion(msgspec.Struct, frozen=True):
    """What a filter asks of one kind: any of some values, or of what begins with one of some texts."""

    kind: Kind
    values: frozenset[str]
    prefixes: tuple[str, ...] = ()

    def has(self, value: str) -> bool:
        """Whether a value is asked for."""
        return value in self.values or (bool(self.prefixes) and value.startswith(self.prefixes))


class Candidates(NamedTuple):
    """Records that may have what a criterion asks for."""

    bits: int
    value: str = ""
    """A value that they may have: the index has its checksum, and the records tell. Empty where they have it."""
    alike: bool = False
    """Whether these all have one value, so that one of them tells for all."""


class CodeColumn:
    """Grows by the values of records, many of which are the same."""

    def __init__(self) -> None:
        self._codes = array("H")
        self._names: dict[str, int] = {}
        self._more: list[tuple[int, int]] = []

    def extend(self, values: Iterable[str]) -> None:
        """Take the values of the next records, an empty one of a record that has none."""
        values = [*values]
        try:
            numbers = [*map(self._names.__getitem__, values)]
        except KeyError:
            self._number({*values}.difference(self._names))
            numbers = [*map(self._names.__getitem__, values)]
        self._codes.extend(numbers)

    def _number(self, new: Collection[str]) -> None:
        self._names.update(zip(new, range(len(self._names), len(self._names) + len(new)), strict=True))

    def add(self, at: int, value: str) -> None:
        """Take another value of a record."""
        if value not in self._names:
            self._number([value])
        self._more.append((at, self._names[value]))

    @property
    def more(self) -> int:
        """How many further values there are."""
        return len(self._more)

    @property
    def names(self) -> list[str]:
        """The values, in the order of their numbers."""
        return [*self._names]

    def packed(self) -> bytes:
        """Return what `Codes` reads; nothing where there is no value."""
        if not self._names.keys() - {""}:
            return b""
        wide = len(self._names) > _NARROW
        codes = (self._codes if wide else array("B", self._codes)).tobytes()
        keys = array("I", map(crc32, map(str.encode, self._names)))
        head = _HEAD.pack(len(self._codes), len(self._more), len(keys))
        return b"".join((head, keys, array("H", chain.from_iterable(self._more)), codes))


class Codes:
    """What `CodeColumn` packed."""

    def __init__(self, packed: bytes) -> None:
        """Raises `BadColumn`."""
        count, more, names = _head(packed)
        wide = names > _NARROW
        begin = _HEAD.size + 4 * names
        end = begin + 4 * more
        if len(packed) != end + count * (1 + wide):
            raise BadColumn("codes of another size")
        self._keys = packed[_HEAD.size : begin]
        self._more = memoryview(packed)[begin:end].cast("H")
        self._codes: Sequence[int] = memoryview(packed)[end:].cast("H") if wide else packed[end:]

    def numbers(self, value: str) -> list[int]:
        """Return the numbers that may stand for a value: those with its checksum."""
        return _found(self._keys, value)

    def bits(self, numbers: Collection[int]) -> int:
        """Return the records of the values that some numbers stand for."""
        if isinstance(self._codes, bytes):
            table = bytearray(b"0") * _NARROW
            for number in numbers:
                table[number] = _ONE
            bits = int(self._codes.translate(table)[::-1] or b"0", 2)
        else:
            bits = bits_of([at for at, number in enumerate(self._codes) if number in numbers])
        further = zip(self._more[::2], self._more[1::2], strict=True)
        return bits | bits_of([at for at, number in further if number in numbers])


class ChecksumColumn:
    """Grows by the values of records, few of which are the same."""

    more: Final = 0

    def __init__(self) -> None:
        self._keys = array("I")

    def extend(self, values: Iterable[str]) -> None:
        """Take the values of the next records, an empty one of a record that has none."""
        self._keys.extend(map(crc32, map(str.encode, values)))

    @property
    def names(self) -> list[str]:
        """Nothing: no value is kept."""
        return []

    def packed(self) -> bytes:
        """Return what `Checksums` reads; nothing where there is no value."""
        return self._keys.tobytes() if any(self._keys) else b""


def find(criterion: Criterion, packed: bytes, names: Callable[[], Sequence[str]]) -> Iterator[Candidates]:
    """Yield the records of a block that have, or may have, what a criterion asks for. Raises `BadColumn`."""
    if criterion.kind in UNIQUE:
        for value in criterion.values:
            yield Candidates(bits_of(_found(packed, value)), value)
        return
    codes = Codes(packed)
    if criterion.kind in NAMED:
        if criterion.prefixes or any(map(codes.numbers, criterion.values)):
            numbers = {number for number, name in enumerate(names()) if name and criterion.has(name)}
            yield Candidates(codes.bits(numbers) if numbers else 0)
        return
    for value in criterion.values:
        for number in codes.numbers(value):
            yield Candidates(codes.bits({number}), value, alike=True)


def groups(packed: bytes, names: Sequence[str]) -> Mapping[str, int]:
    """Return by value the records of a block that have it, of a kind with few values. Raises `BadColumn`."""
    codes = Codes(packed)
    return {name: codes.bits({number}) for number, name in enumerate(names) if name}


def bits_of(records: Sequence[int]) -> int:
    """Return records of a block as one integer."""
    if len(records) < 8:
        bits = 0
        for at in records:
            bits |= 1 << at
        return bits
    flags = bytearray(b"0") * MOST_RECORDS
    for at in records:
        flags[at] = _ONE
    flags.reverse()
    return int(flags, 2)


def records_of(bits: int) -> list[int]:
    """Return the records that an integer means, in order."""
    text = f"{bits:b}"
    return list(compress(range(len(text) - 1, -1, -1), map(int, text)))[::-1]


def within(times: Sequence[int], begin: int, end: int) -> int:
    """Return the records with times from `begin`, and before `end`; `times` are in order."""
    first, last = bisect_left(times, begin), bisect_left(times, end)
    return ((1 << last) - (1 << first)) if first < last else 0


def _found(keys: bytes, value: str) -> list[int]:
    """Return where the checksum of a value is among checksums."""
    key = _KEY.pack(crc32(value.encode()))
    found, at = [], keys.find(key)
    while at >= 0:
        if not at & 3:
            found.append(at >> 2)
        at = keys.find(key, at + 1)
    return found


def _head(packed: bytes) -> tuple[int, int, int]:
    try:
        first, second, third = _HEAD.unpack_from(packed)
    except struct.error:
        raise BadColumn("nothing is stored") from None
    return first, second, third
