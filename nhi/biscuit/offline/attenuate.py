# SPDX-License-Identifier: EUPL-1.2
"""What a holder does to a token offline: add a block, add a third party's block, seal the token.

The library cannot serialise a third party's request or block, nor seal; so that is done here, on bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
from biscuit_auth import Biscuit, BiscuitBuilder, BlockBuilder, KeyPair
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from nhi.biscuit.format.authority import LATEST_VERSION, Algorithm
from nhi.biscuit.format.chain import (
    LONGEST_SIGNATURE,
    Chain,
    ExternalSignature,
    Key,
    SignedBlock,
    block_payload,
    external_payload,
    read_chain,
    read_external,
    seal_payload,
    write_external,
)
from nhi.biscuit.format.error import BiscuitError
from nhi.biscuit.format.protobuf import BYTES, field, read, taken_bytes
from nhi.biscuit.offline.guard import Term, guarded
from nhi.biscuit.offline.keys import RootKey, public_key, sign, verifies

LONGEST_SOURCE: Final = 16_384
"""Bytes of Datalog text that is compiled: the library's parser recurses, and does not come back from too deep."""
_DEEPEST: Final = 32
_MOST_OPERATORS: Final = 2000
_MOST_NEGATIONS: Final = 64


def append(chain: Chain, block: bytes, new_secret: bytes, external: ExternalSignature | None = None) -> Chain:
    """Return a token with one more compiled block; `new_secret` are 32 random bytes, the next holder's key.

    Raises `BiscuitError` for a sealed token.
    """
    secret = _secret(chain)
    following = Ed25519PrivateKey.from_private_bytes(new_secret)
    raw = following.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    unsigned = SignedBlock(block, Key(Algorithm.ED25519, raw), b"", external, LATEST_VERSION)
    signature = sign(secret, block_payload(unsigned, chain.blocks[-1].signature))
    signed = msgspec.structs.replace(unsigned, signature=signature)
    return msgspec.structs.replace(chain, blocks=(*chain.blocks, signed), next_secret=new_secret)


def seal(chain: Chain) -> Chain:
    """Return a token that cannot be attenuated any more. Raises `BiscuitError` for one that is sealed already."""
    final = sign(_secret(chain), seal_payload(chain.blocks[-1]))
    return msgspec.structs.replace(chain, next_secret=None, final=final)


def request(chain: Chain) -> bytes:
    """Return what a third party needs to know of a token: its last signature (`ThirdPartyBlockRequest`)."""
    _secret(chain)
    return field(3, chain.blocks[-1].signature)


def approve(asked: bytes, source: str, terms: Mapping[str, Term], key: RootKey) -> bytes:
    """Return a third party's signed block (`ThirdPartyBlockContents`), good for the token that asks alone.

    Raises `BiscuitError` for a request or Datalog that is none, and what `key` raises.
    """
    previous = taken_bytes(read(asked, "request", {1: BYTES, 2: BYTES, 3: BYTES}), 3, "request")
    if not 0 < len(previous) <= LONGEST_SIGNATURE:
        raise BiscuitError("request: its signature has a wrong length")
    block = _third_party_block(source, terms)
    external = ExternalSignature(sign(key, external_payload(block, previous)), public_key(key))
    return field(1, block) + field(2, write_external(external))


def append_approval(chain: Chain, contents: bytes, new_secret: bytes) -> Chain:
    """Return a token with a third party's block. Raises `BiscuitError` for one that was made for another token."""
    found = read(contents, "third-party block", {1: BYTES, 2: BYTES})
    block = taken_bytes(found, 1, "third-party block")
    external = read_external(taken_bytes(found, 2, "third-party block"), "third-party block")
    if not verifies(external.key, external.signature, external_payload(block, chain.blocks[-1].signature)):
        raise BiscuitError("third-party block: was not made for this token")
    return append(chain, block, new_secret, external)


def check_source(source: str) -> None:
    """Refuse Datalog that is too long or nested too deep to be parsed. Raises `BiscuitError`."""
    if len(source.encode()) > LONGEST_SOURCE:
        raise BiscuitError(f"the Datalog has more than {LONGEST_SOURCE} bytes")
    depth = negations = operators = 0
    for one in source:
        depth += (one in "([{") - (one in ")]}")
        negations = negations + 1 if one == "!" else (negations if one.isspace() else 0)
        operators += one in "&|+-*/<>=^!,"
        if depth > _DEEPEST or negations > _MOST_NEGATIONS or operators > _MOST_OPERATORS:
            raise BiscuitError("the Datalog is nested too deep")


def _secret(chain: Chain) -> RootKey:
    if chain.next_secret is None:
        raise BiscuitError("the token is sealed")
    if chain.blocks[-1].next_key.algorithm is Algorithm.ED25519:
        return Ed25519PrivateKey.from_private_bytes(chain.next_secret)
    try:
        return ec.derive_private_key(int.from_bytes(chain.next_secret, "big"), ec.SECP256R1())
    except ValueError:
        raise BiscuitError("proof: the secret is no key") from None


def _third_party_block(source: str, terms: Mapping[str, Term]) -> bytes:
    """Return Datalog compiled as a third party's block: with its own symbols, under keys that are thrown away."""
    check_source(source)

    def compiled() -> bytes:
        base = BiscuitBuilder("").build(KeyPair().private_key)
        pair = KeyPair()
        block = base.third_party_request().create_block(pair.private_key, BlockBuilder(source, dict(terms)))
        whole: Biscuit = base.append_third_party(pair.public_key, block)
        return read_chain(bytes(whole.to_bytes())).blocks[1].block

    made = guarded(compiled)
    if made is None:
        raise BiscuitError("the Datalog cannot be compiled")
    return made
