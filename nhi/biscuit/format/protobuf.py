# SPDX-License-Identifier: EUPL-1.2
"""Protobuf messages with proto2 rules, read strictly: known fields only, in order, numbers as short as they can be.

So there is one spelling of each value, and what was read is written back as it was. Two types of field are used
by the format of Biscuits: whole numbers and bytes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from nhi.biscuit.format.error import BiscuitError

NUMBER: Final = 0
"""Wire type of a whole number."""
BYTES: Final = 2
"""Wire type of bytes, texts and messages."""
LARGEST: Final = 0xFFFF_FFFF
"""The largest number of 32 bits, which every number of a token's outer messages fits."""
LARGEST_64: Final = 0xFFFF_FFFF_FFFF_FFFF
"""The largest number that a compiled block may have."""

Value = int | bytes
Message = Mapping[int, Value]


def read(data: bytes, what: str, known: Mapping[int, int]) -> dict[int, Value]:
    """Read a message whose fields come once each; `known` tells what fields it may have, and the type of each.

    Raises `BiscuitError` that names the message as `what`.
    """
    return dict(read_all(data, what, known, ()))


def read_all(
    data: bytes,
    what: str,
    known: Mapping[int, int],
    repeated: Collection[int],
    largest: int = LARGEST,
) -> list[tuple[int, Value]]:
    """Read a message in which those of `repeated` may come more than once; return its fields in order.

    Raises `BiscuitError` that names the message as `what`.
    """
    found: list[tuple[int, Value]] = []
    last = at = 0
    size = len(data)
    while at < size:
        tag = data[at]
        if tag < 0x80:
            at += 1
        else:
            tag, at = _varint(data, at, what, LARGEST)
        number = tag >> 3
        if known.get(number) != tag & 7:
            raise BiscuitError(f"{what}: has a field that is not read here (number {number})")
        if number <= last and (number < last or number not in repeated):
            raise BiscuitError(f"{what}: field {number} comes twice or out of order")
        last = number
        is_number = not tag & 7
        value = data[at] if at < size else 0x80
        if value < 0x80:
            at += 1
        elif not is_number and at + 1 < size and 0 < data[at + 1] < 0x80:  # lengths of blocks and signatures
            value += (data[at + 1] - 1) << 7
            at += 2
        else:
            value, at = _varint(data, at, what, largest if is_number else LARGEST)
        if is_number:
            found.append((number, value))
            continue
        end = at + value
        if end > size:
            raise BiscuitError(f"{what}: ends within field {number}")
        found.append((number, data[at:end]))
        at = end
    return found


def read_one(data: bytes, what: str, known: Mapping[int, int], largest: int = LARGEST) -> tuple[int, Value]:
    """Read a message that has one field and no more; return it. Raises `BiscuitError`."""
    size = len(data)
    if size > 1 and data[0] < 0x80 and data[1] < 0x80:  # almost all of them are short
        number, kind, value = data[0] >> 3, data[0] & 7, data[1]
        if known.get(number) == kind:
            if kind == NUMBER and size == 2:
                return number, value
            if kind == BYTES and size == 2 + value:
                return number, data[2:]
    found = read_all(data, what, known, (), largest)
    if len(found) != 1:
        raise BiscuitError(f"{what}: has a part that is not one thing")
    return found[0]


def taken_bytes(found: Message, number: int, what: str) -> bytes:
    """Return a field of bytes. Raises `BiscuitError` where it is missing."""
    value = found.get(number)
    if not isinstance(value, bytes):
        raise BiscuitError(f"{what}: field {number} is missing")
    return value


def taken_number(found: Message, number: int, what: str) -> int:
    """Return a field that is a number. Raises `BiscuitError` where it is missing."""
    value = found.get(number)
    if not isinstance(value, int):
        raise BiscuitError(f"{what}: field {number} is missing")
    return value


def field(number: int, value: Value) -> bytes:
    """Write one field; `number` is less than 16."""
    if isinstance(value, int):
        return _SHORT[number << 3 | NUMBER] + varint(value)
    return _SHORT[number << 3 | BYTES] + varint(len(value)) + value


_SHORT: Final = tuple(bytes([value]) for value in range(0x80))


def _varint(data: bytes, at: int, what: str, largest: int) -> tuple[int, int]:
    """Read a number of at most `largest`; return it, and where it ends."""
    value = shift = 0
    for place in range(at, min(at + 10, len(data))):
        byte = data[place]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if (shift and not byte) or value > largest:
                break
            return value, place + 1
        shift += 7
        if value > largest:
            break
    else:
        if shift < 70:
            raise BiscuitError(f"{what}: ends within a number")
    raise BiscuitError(f"{what}: has a number that is too long or too large")


def varint(value: int) -> bytes:
    """Write a number alone."""
    if value < 0x80:
        return _SHORT[value]
    written = bytearray()
    while value >= 0x80:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)
