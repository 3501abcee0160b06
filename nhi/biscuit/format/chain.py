# SPDX-License-Identifier: EUPL-1.2
"""A whole token: authority block, further blocks, proof. Each has one spelling, and no other is read or written.

What is signed is put together here too (Biscuit specification, "Cryptography"); of the payloads only version 1 is
written, and a token of ours has no other.
"""

from __future__ import annotations

from typing import Final

import msgspec

from nhi.biscuit.format.authority import LARGEST, LATEST_VERSION, PUBLIC_KEY_BYTES, SECRET_BYTES, Algorithm
from nhi.biscuit.format.error import BiscuitError
from nhi.biscuit.format.protobuf import (
    BYTES,
    NUMBER,
    Message,
    field,
    read,
    read_all,
    taken_bytes,
    taken_number,
)

LONGEST_SIGNATURE: Final = 72
MOST_BLOCKS: Final = 128
"""Blocks of the longest token that is read at all; what may be presented is a matter of `TokenLimits`."""
_SPELLED: Final = {b"\x08\x00\x12\x20": Algorithm.ED25519, b"\x08\x01\x12\x21": Algorithm.P256}
"""What comes before the bytes of a key: its algorithm, and how many they are."""
_ED25519_KEY: Final = 32
_ED25519_SIGNATURE: Final = 64
_SECRET_COMES: Final = b"\x0a\x20"
_BLOCK_COMES: Final = b"\x0a"
_KEY_COMES: Final = b"\x12\x24\x08\x00\x12\x20"
_SIGNATURE_COMES: Final = b"\x1a\x40"
_VERSION_COMES: Final = b"\x28\x01"
_BEHIND_BLOCK: Final = (
    len(_KEY_COMES) + _ED25519_KEY + len(_SIGNATURE_COMES) + _ED25519_SIGNATURE + len(_VERSION_COMES)
)
"""Bytes that follow a block where it and the next one are signed by Ed25519."""
_OUTER: Final = {1: NUMBER, 2: BYTES, 3: BYTES, 4: BYTES}
_SIGNED: Final = {1: BYTES, 2: BYTES, 3: BYTES, 4: BYTES, 5: NUMBER}
_KEY: Final = {1: NUMBER, 2: BYTES}
_PAIR: Final = {1: BYTES, 2: BYTES}


class Key(msgspec.Struct, frozen=True, gc=False):
    """A public key: 32 raw bytes of Ed25519, or 33 of a compressed point of P-256."""

    algorithm: Algorithm
    data: bytes


class ExternalSignature(msgspec.Struct, frozen=True, gc=False):
    """Who else vouches for a block."""

    signature: bytes
    key: Key


class SignedBlock(msgspec.Struct, frozen=True, gc=False):
    """One block as it was signed. `block` is compiled Datalog; `next_key` verifies what comes after it."""

    block: bytes
    next_key: Key
    signature: bytes
    external: ExternalSignature | None
    version: int


class Chain(msgspec.Struct, frozen=True):
    """A token. It has `next_secret`, and then it can be attenuated, or `final`, and then it is sealed."""

    root_key_id: int | None
    blocks: tuple[SignedBlock, ...]
    next_secret: bytes | None
    final: bytes | None

    def __repr__(self) -> str:
        """Name the token without anything that it can be made from."""
        return f"<Chain of {len(self.blocks)} blocks, root key {self.root_key_id}>"


def read_chain(token: bytes) -> Chain:
    """Read a token. Raises `BiscuitError`."""
    if len(token) > LARGEST:
        raise BiscuitError(f"the token has more than {LARGEST} bytes")
    root_key_id: int | None = None
    blocks: list[SignedBlock] = []
    proof: Message = {}
    for number, value in read_all(token, "token", _OUTER, (3,)):
        if isinstance(value, int):
            root_key_id = value
        elif number == 4:
            proof = {1: value[2:]} if _is_usual_secret(value) else read(value, "proof", _PAIR)
        else:
            if (number == 2) is bool(blocks):
                raise BiscuitError("token: its authority block is missing")
            if len(blocks) == MOST_BLOCKS:
                raise BiscuitError(f"the token has more than {MOST_BLOCKS} blocks")
            blocks.append(_signed(value, f"block {len(blocks)}"))
    if not blocks:
        raise BiscuitError("token: its authority block is missing")
    secret, final = proof.get(1), proof.get(2)
    if (secret is None) is (final is None):
        raise BiscuitError("proof: must be a secret or a signature")
    chain = Chain(
        root_key_id,
        tuple(blocks),
        secret if isinstance(secret, bytes) else None,
        final if isinstance(final, bytes) else None,
    )
    if chain.next_secret is not None and len(chain.next_secret) != SECRET_BYTES:
        raise BiscuitError(f"proof: the secret must have {SECRET_BYTES} bytes")
    if chain.final is not None:
        _check_signature(chain.final, "proof")
    return chain


def write_chain(chain: Chain) -> bytes:
    """Write a token. Raises `BiscuitError` for one that is too large."""
    outer = b"" if chain.root_key_id is None else field(1, chain.root_key_id)
    for place, signed in enumerate(chain.blocks):
        outer += field(3 if place else 2, _written(signed))
    proof = field(1, chain.next_secret) if chain.next_secret is not None else field(2, chain.final or b"")
    written = outer + field(4, proof)
    if len(written) > LARGEST:
        raise BiscuitError(f"the token has more than {LARGEST} bytes")
    return written


def block_payload(signed: SignedBlock, previous: bytes | None) -> bytes:
    """Return what the key before a block signs; `previous` is the signature before it, None for the authority."""
    payload = (
        b"\0BLOCK\0\0VERSION\0"
        + LATEST_VERSION.to_bytes(4, "little")
        + b"\0PAYLOAD\0"
        + signed.block
        + b"\0ALGORITHM\0"
        + signed.next_key.algorithm.to_bytes(4, "little")
        + b"\0NEXTKEY\0"
        + signed.next_key.data
    )
    if previous is not None:
        payload += b"\0PREVSIG\0" + previous
    if signed.external is not None:
        payload += b"\0EXTERNALSIG\0" + signed.external.signature
    return payload


def external_payload(block: bytes, previous: bytes) -> bytes:
    """Return what a third party signs: its block, bound to the signature that it follows."""
    version = LATEST_VERSION.to_bytes(4, "little")
    return b"\0EXTERNAL\0\0VERSION\0" + version + b"\0PAYLOAD\0" + block + b"\0PREVSIG\0" + previous


def seal_payload(last: SignedBlock) -> bytes:
    """Return what closes a token after its last block."""
    algorithm = last.next_key.algorithm.to_bytes(4, "little")
    return last.block + algorithm + last.next_key.data + last.signature


def read_key(data: bytes, what: str) -> Key:
    """Read a public key, which has one spelling. Raises `BiscuitError`."""
    algorithm = _SPELLED.get(data[:4])
    if algorithm is not None and len(data) == 4 + PUBLIC_KEY_BYTES[algorithm]:
        return Key(algorithm, data[4:])
    found = read(data, what, _KEY)
    if taken_number(found, 1, what) > Algorithm.P256:
        raise BiscuitError(f"{what}: its algorithm is unknown")
    taken_bytes(found, 2, what)
    raise BiscuitError(f"{what}: has the wrong length for its algorithm")


def write_key(key: Key) -> bytes:
    """Write a public key."""
    return field(1, int(key.algorithm)) + field(2, key.data)


def read_external(data: bytes, what: str) -> ExternalSignature:
    """Read a third party's signature. Raises `BiscuitError`."""
    found = read(data, what, _PAIR)
    key = read_key(taken_bytes(found, 2, what), what)
    signature = taken_bytes(found, 1, what)
    _check_signature(signature, what)
    return ExternalSignature(signature, key)


def write_external(external: ExternalSignature) -> bytes:
    """Write a third party's signature."""
    return field(1, external.signature) + field(2, write_key(external.key))


def _signed(data: bytes, what: str) -> SignedBlock:
    return _signed_as_most(data) or _signed_otherwise(data, what)


def _is_usual_secret(proof: bytes) -> bool:
    """Whether a proof is a secret of the one length that they have, and nothing else."""
    return proof[:2] == _SECRET_COMES and len(proof) == len(_SECRET_COMES) + SECRET_BYTES


def _signed_as_most(data: bytes) -> SignedBlock | None:
    """Return a block signed by Ed25519 with such a key to come, whose spelling is fixed but for the block; else None.

    It reads what `_signed_otherwise` does, at a tenth of the price.
    """
    end = len(data) - _BEHIND_BLOCK
    if end < 2 or data[:1] != _BLOCK_COMES:
        return None
    length, at = data[1], 2
    if length >= 0x80:
        if not 0 < data[2] < 0x80:
            return None
        length, at = length + ((data[2] - 1) << 7), 3
    if at + length != end:
        return None
    key, signature = end + len(_KEY_COMES), end + len(_KEY_COMES) + _ED25519_KEY + len(_SIGNATURE_COMES)
    if (
        data[end:key] != _KEY_COMES
        or data[key + _ED25519_KEY : signature] != _SIGNATURE_COMES
        or data[signature + _ED25519_SIGNATURE :] != _VERSION_COMES
    ):
        return None
    return SignedBlock(
        data[at:end],
        Key(Algorithm.ED25519, data[key : key + _ED25519_KEY]),
        data[signature : signature + _ED25519_SIGNATURE],
        None,
        LATEST_VERSION,
    )


def _signed_otherwise(data: bytes, what: str) -> SignedBlock:
    found = read(data, what, _SIGNED)
    version = found.get(5, 0)
    if not isinstance(version, int) or version > LATEST_VERSION or (5 in found and not version):
        raise BiscuitError(f"{what}: its version must be absent or {LATEST_VERSION}")
    signature = taken_bytes(found, 3, what)
    _check_signature(signature, what)
    external = read_external(taken_bytes(found, 4, what), what) if 4 in found else None
    block = taken_bytes(found, 1, what)
    return SignedBlock(block, read_key(taken_bytes(found, 2, what), what), signature, external, version)


def _written(signed: SignedBlock) -> bytes:
    written = field(1, signed.block) + field(2, write_key(signed.next_key)) + field(3, signed.signature)
    if signed.external is not None:
        written += field(4, write_external(signed.external))
    return written + field(5, signed.version) if signed.version else written


def _check_signature(signature: bytes, what: str) -> None:
    if not 0 < len(signature) <= LONGEST_SIGNATURE:
        raise BiscuitError(f"{what}: its signature has a wrong length")
