# SPDX-License-Identifier: EUPL-1.2
"""The outer bytes of a Biscuit that has an authority block and nothing else, read and written.

The format is protobuf with proto2 rules, of which four messages with two types of field are used here: whole numbers
and bytes. Reading is strict: known fields only, each once and in order, numbers as short as they can be. So there is
one spelling of each value, and what was read is written back as it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Final

import msgspec

LARGEST: Final = 65_536
"""Bytes of the largest token that is read."""
LARGEST_ROOT_KEY_ID: Final = 0xFFFF_FFFF
LATEST_VERSION: Final = 1
"""Version of the signed payload: 0 is deprecated, 1 is what we sign."""

_NUMBER: Final = 0
_BYTES: Final = 2
_VARINT_BYTES: Final = 5
"""Every number of the format fits 32 bits."""
_LONGEST_SIGNATURE: Final = 72
"""Two numbers of 256 bits in DER; an Ed25519 signature has 64 bytes."""


class BiscuitError(Exception):
    """This is no token that we make or take; the message names the part, never its content."""


class Algorithm(IntEnum):
    """Kinds of key, and the number of each."""

    ED25519 = 0
    P256 = 1


PUBLIC_KEY_BYTES: Final = {Algorithm.ED25519: 32, Algorithm.P256: 33}
"""Length of an encoded public key: raw, or a compressed point (SEC 1, 2.3.3)."""
SECRET_BYTES: Final = 32


class Authority(msgspec.Struct, frozen=True, kw_only=True):
    """A token of one block. `block` is the compiled Datalog, `next_secret` what the next block is signed with."""

    root_key_id: int | None
    """Which root signed it: a hint that is not signed itself."""
    block: bytes
    next_algorithm: Algorithm
    next_public: bytes
    signature: bytes
    version: int
    next_secret: bytes

    def __repr__(self) -> str:
        """Name the token without anything that it can be made from."""
        return f"<Authority of root key {self.root_key_id}>"


def parse(token: bytes) -> Authority:
    """Read a token that has an authority block alone and can be attenuated. Raises `BiscuitError`."""
    if len(token) > LARGEST:
        raise BiscuitError(f"the token has more than {LARGEST} bytes")
    outer = _fields(token, "token", {1: _NUMBER, 2: _BYTES, 4: _BYTES})
    signed = _fields(_bytes(outer, 2, "token"), "authority", {1: _BYTES, 2: _BYTES, 3: _BYTES, 5: _NUMBER})
    key = _fields(_bytes(signed, 2, "authority"), "next key", {1: _NUMBER, 2: _BYTES})
    proof = _fields(_bytes(outer, 4, "token"), "proof", {1: _BYTES})
    algorithm = _number(key, 1, "next key")
    if algorithm > Algorithm.P256:
        raise BiscuitError("next key: its algorithm is unknown")
    version = _number(signed, 5, "authority") if 5 in signed else 0
    if version > LATEST_VERSION or (5 in signed and not version):
        raise BiscuitError("authority: its version must be absent or 1")
    return _checked(
        Authority(
            root_key_id=_number(outer, 1, "token") if 1 in outer else None,
            block=_bytes(signed, 1, "authority"),
            next_algorithm=Algorithm(algorithm),
            next_public=_bytes(key, 2, "next key"),
            signature=_bytes(signed, 3, "authority"),
            version=version,
            next_secret=_bytes(proof, 1, "proof"),
        )
    )


def serialise(token: Authority) -> bytes:
    """Write a token. Raises `BiscuitError` for values that do not fit."""
    _checked(token)
    key = _tagged(1, token.next_algorithm) + _tagged(2, token.next_public)
    signed = _tagged(1, token.block) + _tagged(2, key) + _tagged(3, token.signature)
    if token.version:
        signed += _tagged(5, token.version)
    outer = b"" if token.root_key_id is None else _tagged(1, token.root_key_id)
    written = outer + _tagged(2, signed) + _tagged(4, _tagged(1, token.next_secret))
    if len(written) > LARGEST:
        raise BiscuitError(f"the token has more than {LARGEST} bytes")
    return written


def _checked(token: Authority) -> Authority:
    for wrong, problem in (
        (
            token.root_key_id is not None and not 0 <= token.root_key_id <= LARGEST_ROOT_KEY_ID,
            "token: the root key's id must fit 32 bits",
        ),
        (
            len(token.next_public) != PUBLIC_KEY_BYTES[token.next_algorithm],
            "next key: has the wrong length for its algorithm",
        ),
        (not 0 < len(token.signature) <= _LONGEST_SIGNATURE, "authority: its signature has a wrong length"),
        (len(token.next_secret) != SECRET_BYTES, f"proof: the secret must have {SECRET_BYTES} bytes"),
        (not token.block, "authority: its block is empty"),
    ):
        if wrong:
            raise BiscuitError(problem)
    return token


def _fields(data: bytes, what: str, known: Mapping[int, int]) -> dict[int, int | bytes]:
    """Read one message: `known` tells the fields that it may have, and the type of each."""
    found: dict[int, int | bytes] = {}
    last = at = 0
    while at < len(data):
        tag, at = _varint(data, at, what)
        number, kind = tag >> 3, tag & 7
        if known.get(number) != kind:
            raise BiscuitError(f"{what}: has a field that is not read here (number {number})")
        if number <= last:
            raise BiscuitError(f"{what}: field {number} comes twice or out of order")
        last = number
        value, at = _varint(data, at, what)
        if kind == _NUMBER:
            found[number] = value
        else:
            end = at + value
            if end > len(data):
                raise BiscuitError(f"{what}: ends within field {number}")
            found[number], at = data[at:end], end
    return found


def _varint(data: bytes, at: int, what: str) -> tuple[int, int]:
    """Read a number of at most 32 bits; return it, and where it ends."""
    value = 0
    for count in range(_VARINT_BYTES):
        if at + count >= len(data):
            raise BiscuitError(f"{what}: ends within a number")
        byte = data[at + count]
        value |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            if (count and not byte) or value > LARGEST_ROOT_KEY_ID:
                break
            return value, at + count + 1
    raise BiscuitError(f"{what}: has a number that is too long or too large")


def _bytes(found: Mapping[int, int | bytes], number: int, what: str) -> bytes:
    value = found.get(number)
    if not isinstance(value, bytes):
        raise BiscuitError(f"{what}: field {number} is missing")
    return value


def _number(found: Mapping[int, int | bytes], number: int, what: str) -> int:
    value = found.get(number)
    if not isinstance(value, int):
        raise BiscuitError(f"{what}: field {number} is missing")
    return value


def _tagged(number: int, value: int | bytes) -> bytes:
    """Write one field."""
    if isinstance(value, int):
        return _varint_bytes(number << 3 | _NUMBER) + _varint_bytes(value)
    return _varint_bytes(number << 3 | _BYTES) + _varint_bytes(len(value)) + value


def _varint_bytes(value: int) -> bytes:
    written = bytearray()
    while value >= 0x80:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)
