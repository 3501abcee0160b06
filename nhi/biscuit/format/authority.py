# SPDX-License-Identifier: EUPL-1.2
"""The outer bytes of a Biscuit that has an authority block and no other: parsed and serialised.

Four messages of protobuf; there is one spelling of each value, and what was read is written back as it was.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import msgspec

from nhi.biscuit.format import protobuf
from nhi.biscuit.format.error import BiscuitError
from nhi.biscuit.format.protobuf import BYTES, NUMBER, field, taken_bytes, taken_number

LARGEST: Final = 65_536
"""Bytes of the largest token that is read."""
LARGEST_ROOT_KEY_ID: Final = protobuf.LARGEST
LATEST_VERSION: Final = 1
"""Version of the signed payload: 0 is deprecated, 1 is what we sign."""

_LONGEST_SIGNATURE: Final = 72
"""Two numbers of 256 bits in DER; an Ed25519 signature has 64 bytes."""


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
    outer = protobuf.read(token, "token", {1: NUMBER, 2: BYTES, 4: BYTES})
    signed = protobuf.read(
        taken_bytes(outer, 2, "token"), "authority", {1: BYTES, 2: BYTES, 3: BYTES, 5: NUMBER}
    )
    key = protobuf.read(taken_bytes(signed, 2, "authority"), "next key", {1: NUMBER, 2: BYTES})
    proof = protobuf.read(taken_bytes(outer, 4, "token"), "proof", {1: BYTES})
    algorithm = taken_number(key, 1, "next key")
    if algorithm > Algorithm.P256:
        raise BiscuitError("next key: its algorithm is unknown")
    version = taken_number(signed, 5, "authority") if 5 in signed else 0
    if version > LATEST_VERSION or (5 in signed and not version):
        raise BiscuitError("authority: its version must be absent or 1")
    return _checked(
        Authority(
            root_key_id=taken_number(outer, 1, "token") if 1 in outer else None,
            block=taken_bytes(signed, 1, "authority"),
            next_algorithm=Algorithm(algorithm),
            next_public=taken_bytes(key, 2, "next key"),
            signature=taken_bytes(signed, 3, "authority"),
            version=version,
            next_secret=taken_bytes(proof, 1, "proof"),
        )
    )


def serialise(token: Authority) -> bytes:
    """Write a token. Raises `BiscuitError` for values that do not fit."""
    _checked(token)
    key = field(1, token.next_algorithm) + field(2, token.next_public)
    signed = field(1, token.block) + field(2, key) + field(3, token.signature)
    if token.version:
        signed += field(5, token.version)
    outer = b"" if token.root_key_id is None else field(1, token.root_key_id)
    written = outer + field(2, signed) + field(4, field(1, token.next_secret))
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
