# SPDX-License-Identifier: EUPL-1.2
"""What the blocks of a chain say, found out block by block, so that chains that begin alike share it.

It rests on nothing but what the blocks say: two chains that say the same read the same, whoever has signed them. Whether
the signatures hold is asked of each chain, and before anything of it is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Final, NamedTuple, Protocol

from nhi.biscuit.format.chain import Chain, SignedBlock
from nhi.biscuit.format.datalog import Block, Check, Tables
from nhi.biscuit.format.decode import KnownChecks, read_block
from nhi.biscuit.format.error import BiscuitError
from nhi.biscuit.offline.attenuation import Attenuation, AttenuationsSoFar, next_attenuation
from nhi.biscuit.offline.deadline import deadline_of_check
from nhi.biscuit.offline.lint import FEW_FACTS, MOST_COST, Costs, check_attenuation, lint
from vault.values.times import Millis

_TIME: Final = "time"
_BYTES_PER_BYTE: Final = 4
"""How many times as much of a cache's memory a byte takes in checks that are read as in a token (measured)."""
_BYTES_OF_TEXTS: Final = 500
"""The same for what one block says in words."""


class RefusedBlock(BiscuitError):
    """The signatures hold, and a block is not taken: a holder of the token made it. `blocks` are all, where all can be read."""

    def __init__(self, message: str, blocks: tuple[Block, ...]) -> None:
        super().__init__(message)
        self.blocks = blocks


class Alike:
    """What blocks behind the same ones have in common that have the same checks, and facts that no check asks about.

    It refers to none of them, and so leads back to nothing.
    """

    __slots__ = ("checks", "cost", "end", "largest", "mentions", "scan", "so_far", "steady")

    def __init__(self, content: ChainContent) -> None:
        """See `ChainContent` for what they are."""
        self.checks: Final[tuple[Check, ...]] = content.blocks[-1].checks
        """As long as they are here, no other check has the identity of one of them."""
        self.scan: Final[int] = content.costs.scan
        self.largest: Final[int] = content.costs.largest
        self.mentions: Final[frozenset[str]] = content.mentions
        self.end: Final[Millis] = content.end
        self.steady: Final[bool] = content.steady
        self.cost: Final[int] = content.cost
        self.so_far: AttenuationsSoFar | None = None

    def fits(self, block: Block, costs: Costs, most: int) -> bool:
        """Whether a block that has its checks is one of them, which cost no more than `most`."""
        return (
            (costs.scan, costs.largest) == (self.scan, self.largest)
            and self.cost <= most
            and not any(fact.name in self.mentions for fact in block.facts)
        )


class ChainContent:
    """Blocks that were read and linted: what the first ones of a chain say, up to some block."""

    __slots__ = (
        "_alike",
        "_so_far",
        "before",
        "blocks",
        "cost",
        "costs",
        "end",
        "left",
        "mentions",
        "steady",
        "tables",
    )

    def __init__(
        self,
        before: ChainContent | None,
        block: Block,
        tables: Tables,
        left: int,
        ambient: Mapping[str, int],
        most: int = MOST_COST,
        behind: AlikesBehind | None = None,
    ) -> None:
        """Add a block to those `before`; `left` is how many parts others may still have, `most` what all may cost.

        `behind` is what is known of other blocks in its place. Raises `BiscuitError`.
        """
        self.before = before
        self.blocks: tuple[Block, ...] = (block,) if before is None else (*before.blocks, block)
        self.tables = tables
        self.left = left
        self.costs: Costs = Costs((block,), ambient, None if before is None else before.costs)
        self._so_far: AttenuationsSoFar | None = None
        simple = not (block.rules or block.scopes or block.external) and len(block.facts) < FEW_FACTS
        if not (simple and block.checks):
            behind = None
        self._alike: Alike | None = behind.get(block.checks) if behind is not None else None
        self.mentions: frozenset[str]
        """Names of the facts that the checks ask about."""
        self.end: Millis
        """The earliest time (ms) after which some check fails for certain; 0 if none says so."""
        self.steady: bool
        """Whether what the checks say of time is all in `end`."""
        self.cost: int
        """What all checks cost."""
        if self._alike is not None and self._alike.fits(block, self.costs, most):
            self._share(self._alike, block)
            return
        self._find_out(before, block, ambient, most)
        self._alike = None
        if behind is not None and not any(fact.name in self.mentions for fact in block.facts):
            self._alike = Alike(self)
            behind.put(self._alike, len(self.blocks))

    def _share(self, alike: Alike, block: Block) -> None:
        """Say of a block what is known of those like it. Raises `BiscuitError` for facts that it may not state."""
        check_attenuation(block)
        self.mentions, self.end = alike.mentions, alike.end
        self.steady, self.cost = alike.steady, alike.cost

    def _find_out(
        self, before: ChainContent | None, block: Block, ambient: Mapping[str, int], most: int
    ) -> None:
        mentions = set() if before is None else set(before.mentions)
        ends = [] if before is None or not before.end else [before.end]
        steady = before is None or before.steady
        for check in block.checks:
            asked = {predicate.name for query in check.queries for predicate in query.body}
            mentions |= asked
            end = deadline_of_check(check)
            if end:
                ends.append(end)
            elif _TIME in asked:
                steady = False
        self.mentions = frozenset(mentions)
        self.end = min(ends, default=Millis(0))
        self.steady = steady
        self.cost = self._sum_up(before, block, ambient, most)

    def _sum_up(
        self, before: ChainContent | None, block: Block, ambient: Mapping[str, int], most: int
    ) -> int:
        if before is not None:
            check_attenuation(block)
            if not self.costs.leave(before.costs, before.mentions, block):
                return lint(self.blocks, ambient, most)
        cost = self.costs.of(block) + (0 if before is None else before.cost)
        if cost > most:
            raise BiscuitError("the checks are too costly")
        return cost

    @property
    def attenuations(self) -> tuple[Attenuation, ...]:
        """What each block does."""
        return self.so_far.found

    @property
    def so_far(self) -> AttenuationsSoFar:
        """What each block does, for the next one."""
        alike = self._alike
        found = self._so_far if alike is None else alike.so_far
        if found is None:
            so_far = AttenuationsSoFar() if self.before is None else self.before.so_far
            found = next_attenuation(so_far, self.blocks[-1], self.blocks[0])
            if alike is None:
                self._so_far = found
            else:
                alike.so_far = found
        return found


class KeptContents(Protocol):
    """Remembers contents by the digest of what they rest on: some of them, for some time."""

    def get(self, digest: bytes) -> ChainContent | None:
        """Return what is kept."""
        ...

    def put(self, digest: bytes, value: ChainContent, tags: tuple[str, ...], size: int) -> None:
        """Keep what was read of so many bytes."""
        ...


class KeptAlikes(Protocol):
    """Remembers what blocks have in common, by what they stand behind and their checks: some of it, for some time."""

    def get(self, digest: bytes) -> Alike | None:
        """Return what is kept."""
        ...

    def put(self, digest: bytes, value: Alike, tags: tuple[str, ...], size: int) -> None:
        """Keep what takes so much memory."""
        ...


class AlikesBehind(NamedTuple):
    """What is known of blocks in one place of a chain."""

    kept: KeptAlikes
    before: bytes
    """The digest of what those before it say."""
    size: int
    """Bytes of the block that is in this place now."""

    def get(self, checks: tuple[Check, ...]) -> Alike | None:
        """Return what is known of those with these checks, and no others like them."""
        return self.kept.get(self._name(checks))

    def put(self, alike: Alike, place: int) -> None:
        """Remember what a block is like, the `place`th of its chain."""
        size = _BYTES_PER_BYTE * self.size + _BYTES_OF_TEXTS * place
        self.kept.put(self._name(alike.checks), alike, (), size)

    def _name(self, checks: tuple[Check, ...]) -> bytes:
        return self.before + b"".join([id(check).to_bytes(8, "little") for check in checks])


class KnownBlocks(NamedTuple):
    """What was read of other chains: their first blocks, checks anywhere in them, and what blocks have in common."""

    contents: KeptContents
    checks: KnownChecks
    alikes: KeptAlikes


def read_content(
    chain: Chain, ambient: Mapping[str, int], *, parts: int, cost: int, kept: KnownBlocks | None = None
) -> ChainContent:
    """Return what all blocks say, which have at most so many parts and cost at most so much.

    What is `kept` of a chain that begins alike is not read again, and what may be shared with others is put there: all
    but the last block, and every check. Raises `RefusedBlock`.
    """
    digests = _digests(chain) if kept is not None else ()
    found: ChainContent | None = None
    for digest in reversed(digests):
        found = kept.contents.get(digest) if kept is not None else None
        if found is not None:
            break
    blocks: tuple[Block, ...] = ()
    try:
        read = _read(chain, found, parts, kept.checks if kept is not None else None)
        blocks = (*(found.blocks if found is not None else ()), *(block for block, _, _ in read))
        for block, tables, left in read:
            place = 1 if found is None else len(found.blocks) + 1
            size = len(chain.blocks[place - 1].block)
            behind = (
                AlikesBehind(kept.alikes, digests[place - 2], size)
                if kept is not None and place > 1
                else None
            )
            found = ChainContent(found, block, tables, left, ambient, cost, behind)
            if kept is not None and place <= len(digests):
                kept.contents.put(digests[place - 1], found, (), size)
    except BiscuitError as error:
        raise RefusedBlock(str(error), blocks) from None
    if found is None:
        raise AssertionError("a chain without blocks")
    return found


def _read(
    chain: Chain, found: ChainContent | None, parts: int, known: KnownChecks | None
) -> list[tuple[Block, Tables, int]]:
    """Return the blocks that are still to be read, each with the tables behind it and the parts that are left."""
    tables = Tables() if found is None else found.tables
    left = parts if found is None else found.left
    read = []
    for place in range(0 if found is None else len(found.blocks), len(chain.blocks)):
        tables = Tables(tables)
        block, left = read_block(chain.blocks[place], place, tables, left, known)
        read.append((block, tables, left))
    return read


def _digests(chain: Chain) -> tuple[bytes, ...]:
    """Return for each block but the last what it and those before it say, in a digest."""
    found = []
    before = b""
    for signed in chain.blocks[:-1]:
        before = sha256(before + _signer(signed) + signed.block).digest()
        found.append(before)
    return tuple(found)


def _signer(signed: SignedBlock) -> bytes:
    """Return who else vouches for a block: its length follows from its first byte."""
    if signed.external is None:
        return b"\0"
    key = signed.external.key
    return bytes((1 + key.algorithm,)) + key.data
