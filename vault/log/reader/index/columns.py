# SPDX-License-Identifier: EUPL-1.2
"""What the records of a block have, as it grows and as it is stored.

What many records have alike goes into one column of numbers, each of which stands for a key with the values of several
kinds: who called, what it was, which rules decided. What nearly every record has of its own is a checksum by record.
Which records are meant is one integer: a bit for each record, the first one lowest.
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
from itertools import compress, count
from typing import Final, Generic, NamedTuple, TypeVar
from zlib import crc32

import msgspec

from vault.log.reader.index.entry import Kind

MOST_RECORDS: Final = 4096
"""Records of the largest block."""
_NARROW: Final = 256
_HEAD: Final = struct.Struct("=II")
_SUM: Final = struct.Struct("=I")
_CODE: Final = struct.Struct("=H")
_FEW: Final = 8
"""So many numbers are looked for one by one."""
_ONE: Final = ord("1")

Key = TypeVar("Key", bound=Hashable)


class BadColumn(Exception):
    """What is stored of a column is not what was stored."""


class Criterion(msgspec.Struct, frozen=True):
    """What a filter asks of one kind: any of some values, or of what begins with one of some texts."""

    kind: Kind
    values: frozenset[str]
    prefixes: tuple[str, ...] = ()

    def has(self, value: str) -> bool:
        """Whether a value is asked for; what is empty is none."""
        return bool(value) and (
            value in self.values or (bool(self.prefixes) and value.startswith(self.prefixes))
        )


class Candidates(NamedTuple):
    """Records that may have what a criterion asks for."""

    bits: int
    value: str = ""
    """A value that they may have: the index has its checksum, and the records tell. Empty where they have it."""
    alike: bool = False
    """Whether these all have the same values, so that one of them tells for all."""


class CodeColumn(Generic[Key]):
    """Grows by the keys of records, many of which are the same."""

    def __init__(self) -> None:
        self._codes = array("H")
        self._numbers: defaultdict[Key, int] = defaultdict(count().__next__)

    def extend(self, keys: Iterable[Key]) -> None:
        """Take the keys of the next records."""
        self._codes.extend(map(self._numbers.__getitem__, keys))

    def __len__(self) -> int:
        """How many different keys there are."""
        return len(self._numbers)

    @property
    def keys(self) -> Sequence[Key]:
        """The keys, in the order of their numbers."""
        return [*self._numbers]

    def packed(self) -> bytes:
        """Return what `Codes` reads."""
        wide = len(self._numbers) > _NARROW
        codes = self._codes if wide else array("B", self._codes)
        return _HEAD.pack(len(codes), wide) + codes.tobytes()


class Codes:
    """What `CodeColumn` packed."""

    def __init__(self, packed: bytes) -> None:
        """Raises `BadColumn`."""
        count, self._wide = _head(packed)
        self._codes = packed[_HEAD.size :]
        if len(self._codes) != count * (1 + self._wide):
            raise BadColumn("codes of another size")

    def bits(self, numbers: Collection[int]) -> int:
        """Return the records of the keys that some numbers stand for."""
        if not self._wide:
            table = bytearray(b"0") * _NARROW
            for number in numbers:
                table[number] = _ONE
            return int(self._codes.translate(table)[::-1] or b"0", 2)
        if len(numbers) <= _FEW:
            return bits_of(
                [place for number in numbers for place in _places(self._codes, _CODE.pack(number))]
            )
        return bits_of(
            [at for at, number in enumerate(memoryview(self._codes).cast("H")) if number in numbers]
        )


class ChecksumColumn:
    """Grows by the values of records, few of which are the same."""

    def __init__(self) -> None:
        self._sums = array("I")

    def extend(self, values: Iterable[str]) -> None:
        """Take the values of the next records, an empty one of a record that has none."""
        self._sums.extend(array("I", map(crc32, map(str.encode, values))))

    def packed(self) -> bytes:
        """Return the checksums; nothing where there is no value."""
        return self._sums.tobytes() if any(self._sums) else b""


def pack_sums(values: Sequence[str], more: Sequence[tuple[int, str]] = ()) -> bytes:
    """Return the checksums of the value that each key has, in the order of their numbers, and of further ones by number."""
    sums = array("I", map(crc32, map(str.encode, values)))
    sums.extend([crc32(value.encode()) for _, value in more])
    return (
        _HEAD.pack(len(values), len(more))
        + sums.tobytes()
        + array("H", [number for number, _ in more]).tobytes()
    )


class SumsOfKeys:
    """What `pack_sums` packed."""

    def __init__(self, packed: bytes) -> None:
        """Raises `BadColumn`."""
        self._count, more = _head(packed)
        end = _HEAD.size + 4 * (self._count + more)
        if len(packed) != end + 2 * more:
            raise BadColumn("sums of another size")
        self._sums, self._more = packed[_HEAD.size : end], memoryview(packed)[end:].cast("H")

    def numbers(self, value: str) -> list[int]:
        """Return the numbers of keys that may have a value: those with its checksum."""
        places = places_of(self._sums, value)
        return [place if place < self._count else self._more[place - self._count] for place in places]


def find_named(criterion: Criterion, values: Sequence[Iterable[str]], packed: bytes) -> Iterator[Candidates]:
    """Yield the records whose key has what a criterion asks for, by the values of each key. Raises `BadColumn`."""
    numbers = {number for number, its in enumerate(values) if any(map(criterion.has, its))}
    if numbers:
        yield Candidates(Codes(packed).bits(numbers))


def find_begun(criterion: Criterion, names: Sequence[str], packed: bytes) -> Iterator[Candidates]:
    """Yield the records whose key is asked for, or begins with what is. Raises `BadColumn`."""
    values, prefixes = criterion.values, criterion.prefixes
    numbers = {
        number for number, name in enumerate(names) if name.startswith(prefixes) or name in values if name
    }
    if numbers:
        yield Candidates(Codes(packed).bits(numbers))


def find_summed(criterion: Criterion, sums: bytes, packed: bytes) -> Iterator[Candidates]:
    """Yield the records whose key may have what a criterion asks for, by checksums. Raises `BadColumn`."""
    known, codes = SumsOfKeys(sums), Codes(packed)
    for value in criterion.values:
        for number in known.numbers(value):
            yield Candidates(codes.bits({number}), value, alike=True)


def find_unique(criterion: Criterion, sums: bytes) -> Iterator[Candidates]:
    """Yield the records that may have what a criterion asks for, by the checksum of each."""
    for value in criterion.values:
        yield Candidates(bits_of(places_of(sums, value)), value)


def places_of(sums: bytes, value: str) -> list[int]:
    """Return where the checksum of a value is among checksums."""
    return _places(sums, _SUM.pack(crc32(value.encode())))


def _places(numbers: bytes, number: bytes) -> list[int]:
    """Return where a number is among numbers of the same size."""
    size = len(number)
    found, at = [], numbers.find(number)
    while at >= 0:
        if not at % size:
            found.append(at // size)
        at = numbers.find(number, at + 1)
    return found


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


def _head(packed: bytes) -> tuple[int, int]:
    try:
        first, second = _HEAD.unpack_from(packed)
    except struct.error:
        raise BadColumn("nothing is stored") from None
    return first, second
