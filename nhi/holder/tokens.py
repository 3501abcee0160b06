# SPDX-License-Identifier: EUPL-1.2
"""Attenuates, seals and shows tokens, which are texts here. The stock library adds blocks; it cannot seal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from biscuit_auth import Biscuit, BlockBuilder

from nhi.biscuit.format.authority import LARGEST, PUBLIC_KEY_BYTES, Algorithm
from nhi.biscuit.format.chain import Chain, Key, read_chain, write_chain
from nhi.biscuit.format.datalog import Block, TermKind
from nhi.biscuit.format.decode import read_blocks
from nhi.biscuit.format.error import BiscuitError
from nhi.biscuit.format.ids import canonical_ids
from nhi.biscuit.format.printer import print_block, print_key
from nhi.biscuit.offline.attenuate import check_source, seal
from nhi.biscuit.offline.deadline import deadline_of
from nhi.biscuit.offline.facts import AMBIENT
from nhi.biscuit.offline.guard import Term, guarded
from nhi.biscuit.offline.keys import library_key
from nhi.biscuit.offline.verify import TokenLimits, from_text, read_token, to_text, verify
from vault.values.ids import TokenId
from vault.values.times import Seconds, millis_to_seconds

_BEGINS: Final = b"\x08\x12"
"""What a token begins with: the number of its root key, or its authority."""
_ALGORITHMS: Final = {"ed25519": Algorithm.ED25519, "secp256r1": Algorithm.P256}


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One block. `id` is its canonical id, by which it is revoked; empty where the issuer's key is not known."""

    id: str
    datalog: str
    external_key: str


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What a token says of itself. Without `verified`, anybody could have written it."""

    verified: bool
    root_key_id: int | None
    token_id: TokenId
    workload: str
    namespace: str
    policies: Sequence[str]
    until: Seconds
    """When its checks let nothing through any more, in seconds since the epoch, as far as they say so; else 0."""
    sealed: bool
    size: int
    cost: int
    blocks: Sequence[Part]


def root_key_id(token: str) -> int | None:
    """Return the number that a token says its root key has. Raises `BiscuitError`."""
    return _chain(token).root_key_id


def root_key(text: str) -> Key:
    """Return a public key that is written as Datalog names it, `ed25519/…` or `secp256r1/…`. Raises `BiscuitError`."""
    word, _, digits = text.strip().partition("/")
    algorithm = _ALGORITHMS.get(word)
    try:
        data = bytes.fromhex(digits)
    except ValueError:
        data = b""
    if algorithm is None or len(data) != PUBLIC_KEY_BYTES[algorithm]:
        raise BiscuitError("the root key must be ed25519/… or secp256r1/…, its bytes in hex")
    return Key(algorithm, data)


def ends_at(token: str) -> Seconds:
    """Return when a token ends, in seconds since the epoch, as far as it says so; else 0. Raises `BiscuitError`."""
    return millis_to_seconds(deadline_of(read_blocks(_chain(token))))


def attenuated(token: str, root: Key, source: str, terms: Mapping[str, Term]) -> str:
    """Return a token with one more block. Raises `BiscuitError`: forged, sealed, or no Datalog."""
    check_source(source)
    if _chain(token).next_secret is None:
        raise BiscuitError("the token is sealed: nothing can be added to it")
    raw = from_text(token, LARGEST)
    key = library_key(root)
    held = guarded(lambda: Biscuit.from_bytes(raw, key))
    if held is None:
        raise BiscuitError("the token is not signed by this root key")
    made = guarded(lambda: bytes(held.append(BlockBuilder(source, dict(terms))).to_bytes()))
    if made is None:
        raise BiscuitError("the block is no Datalog that can be compiled")
    return _written(made)


def problem(token: str, root: Key) -> str:
    """Return why a server does not take a token, whatever is asked with it; empty where it takes it."""
    try:
        raw = from_text(token, LARGEST)
        verify(raw, read_token(raw, TokenLimits()), root, AMBIENT, TokenLimits())
    except BiscuitError as error:
        return str(error)
    return ""


def sealed(token: str) -> str:
    """Return a token that cannot be attenuated any more. Raises `BiscuitError` for one that is sealed already."""
    return _written(write_chain(seal(_chain(token))))


def look(token: str, root: Key | None) -> Look:
    """Return what a token says, verified where its root key is known. Raises `BiscuitError`, also for a wrong key."""
    raw, chain = _read(token)
    blocks = read_blocks(chain)
    cost = verify(raw, chain, root, AMBIENT, TokenLimits(size=LARGEST)).cost if root is not None else 0
    ids = canonical_ids(chain, root.algorithm) if root is not None else ()
    return Look(
        verified=root is not None,
        root_key_id=chain.root_key_id,
        token_id=TokenId(next(iter(_values(blocks[0], "token_id")), "")),
        workload=next(iter(_values(blocks[0], "workload")), ""),
        namespace=next(iter(_values(blocks[0], "namespace")), ""),
        policies=_values(blocks[0], "policy"),
        until=millis_to_seconds(deadline_of(blocks)),
        sealed=chain.next_secret is None,
        size=len(raw),
        cost=cost,
        blocks=[
            Part(
                id=ids[place].hex() if ids else "",
                datalog=print_block(block),
                external_key=print_key(block.external) if block.external is not None else "",
            )
            for place, block in enumerate(blocks)
        ],
    )


def _chain(token: str) -> Chain:
    return _read(token)[1]


def _read(token: str) -> tuple[bytes, Chain]:
    """Return the bytes of a token, and what they are. Raises `BiscuitError` that says plainly what is none."""
    try:
        raw = from_text(token, LARGEST)
    except BiscuitError as error:
        raise BiscuitError(f"this is no Biscuit: {error}") from None
    if raw[0] not in _BEGINS:
        raise BiscuitError("this is no Biscuit")
    try:
        return raw, read_chain(raw)
    except BiscuitError as error:
        raise BiscuitError(f"this is no Biscuit, or not a whole one: {error}") from None


def _written(raw: bytes) -> str:
    return to_text(raw).rstrip("=")


def _values(block: Block, name: str) -> list[str]:
    """Return what the facts of a name say, in order: texts, and bytes in hex."""
    found = []
    for fact in block.facts:
        if fact.name == name and len(fact.terms) == 1:
            term = fact.terms[0]
            if term.kind is TermKind.STRING:
                found.append(str(term.value))
            elif term.kind is TermKind.BYTES and isinstance(term.value, bytes):
                found.append(term.value.hex())
    return found
