# SPDX-License-Identifier: EUPL-1.2
"""Verifies a token that was presented: refusals come in the order of what it costs to find them.

Size and spelling first, then signatures, then what the blocks would cost to evaluate. Nothing of a block is evaluated
before its token was verified and linted.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Final

import msgspec
from biscuit_auth import Biscuit

from nhi.biscuit.format.authority import LARGEST
from nhi.biscuit.format.chain import Chain, Key, read_chain
from nhi.biscuit.format.datalog import Block
from nhi.biscuit.format.error import BiscuitError
from nhi.biscuit.format.ids import canonical_ids, is_low
from nhi.biscuit.offline.chain_content import ChainContent, KnownBlocks, read_content
from nhi.biscuit.offline.guard import guarded
from nhi.biscuit.offline.keys import library_key
from nhi.biscuit.offline.lint import MOST_COST

PREFIX: Final = "biscuit:"
"""What some tools put before a token."""
_STANDARD: Final = bytes.maketrans(b"-_", b"+/")


class TokenLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What a token may be. `size` is in bytes before base64; `cost` in units of `nhi.biscuit.offline.lint`."""

    size: int = 8192
    blocks: int = 16
    cost: int = MOST_COST
    parts: int = 600
    """Statements, terms, steps of expressions: some three microseconds each to read."""


class VerifiedToken(msgspec.Struct, frozen=True):
    """A token whose signatures hold and whose checks may be evaluated. Whether they hold is asked each time."""

    token: Biscuit
    chain: Chain
    content: ChainContent
    """What its blocks say."""
    ids: tuple[bytes, ...]
    """The canonical id of each block."""
    size: int
    """Bytes of the token."""

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The blocks, the issuer's first."""
        return self.content.blocks

    @property
    def mentions(self) -> frozenset[str]:
        """Names of the facts that the checks ask about."""
        return self.content.mentions

    @property
    def cost(self) -> int:
        """What all checks cost to evaluate."""
        return self.content.cost

    def __repr__(self) -> str:
        """Name the token without anything that it can be made from."""
        return f"<Verified {self.ids[-1].hex()} of {len(self.blocks)} blocks>"


def from_text(token: str, longest: int = TokenLimits().size) -> bytes:
    """Return the bytes of a token of at most `longest` bytes in base64 for URLs. Raises `BiscuitError`."""
    text = token.removeprefix(PREFIX)
    if len(text) > -(-longest // 3) * 4:
        raise BiscuitError(f"the token has more than {longest} bytes")
    bare = text.rstrip("=")
    raw = decoded(bare, what="the token")
    spelled = base64.urlsafe_b64encode(raw).rstrip(b"=")
    if not raw or spelled != bare.encode() or len(text) > len(bare) + 2:
        raise BiscuitError("the token is not spelled as base64 is written")
    return raw


def decoded(text: str, longest: int = LARGEST, *, what: str = "this") -> bytes:
    """Return the bytes, `longest` at most, of a text in base64 for URLs, padded or not. Raises `BiscuitError`.

    `what` is how the error calls it.
    """
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        raw = binascii.a2b_base64(padded.translate(_STANDARD), strict_mode=True)
    except ValueError:
        raise BiscuitError(f"{what} is not base64 for URLs") from None
    if len(raw) > longest:
        raise BiscuitError(f"{what} has more than {longest} bytes")
    return raw


def no_biscuit(token: str) -> str:
    """Return why a text is no token of this form at all; empty where it is one. Signatures are not checked."""
    try:
        raw = from_text(token)
    except BiscuitError as error:
        return f"it is no Biscuit: {error}"
    try:
        read_token(raw, TokenLimits())
    except BiscuitError:
        return "it is no Biscuit"
    return ""


def to_text(token: bytes) -> str:
    """Return a token in base64 for URLs."""
    return base64.urlsafe_b64encode(token).decode()


def read_token(raw: bytes, limits: TokenLimits) -> Chain:
    """Read a token that is within limits and signed as ours are; no signature was checked. Raises `BiscuitError`."""
    if len(raw) > limits.size:
        raise BiscuitError(f"the token has more than {limits.size} bytes")
    chain = read_chain(raw)
    if len(chain.blocks) > limits.blocks:
        raise BiscuitError(f"the token has more than {limits.blocks} blocks")
    if any(not signed.version for signed in chain.blocks):
        raise BiscuitError("a block is signed in a way that is not taken any more")
    return chain


def verify(
    raw: bytes,
    chain: Chain,
    root: Key,
    ambient: Mapping[str, int],
    limits: TokenLimits,
    kept: KnownBlocks | None = None,
) -> VerifiedToken:
    """Verify a token that was read by `read_token`; `ambient` tells how many facts the server adds to each evaluation, by name.

    `kept` remembers what the blocks say of chains that begin alike: nothing of their signatures.

    Raises `BiscuitError`, and `RefusedBlock` where every signature holds.

    1. The issuer's signature has the one form that issuers here make.
    2. Every signature holds: the library says so.
    3. Every block can be read, and none is too dear to evaluate. From here on a holder of a genuine token is at fault.
    """
    # 1. The form: of P-256 the smaller of two values of s, so that a token has one id.
    if not is_low(chain.blocks[0].signature, root.algorithm):
        raise BiscuitError("the issuer's signature is not in the form that issuers here make")
    ids = canonical_ids(chain, root.algorithm)
    # 2. The signatures.
    token = guarded(lambda: Biscuit.from_bytes(raw, library_key(root)))
    if token is None:
        raise BiscuitError("a signature does not hold")
    # 3. The blocks.
    content = read_content(chain, ambient, parts=limits.parts, cost=limits.cost, kept=kept)
    return VerifiedToken(token, chain, content, ids, len(raw))
