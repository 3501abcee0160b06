# SPDX-License-Identifier: EUPL-1.2
"""What blocks say is remembered for chains that begin alike: it is what a chain that nobody knows says, and nothing else."""

import sys
from random import Random

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from nhi.biscuit.credential.cache import BiscuitCache
from nhi.biscuit.format.chain import (
    ExternalSignature,
    block_payload,
    external_payload,
    read_chain,
    write_chain,
)
from nhi.biscuit.format.datalog import Check
from nhi.biscuit.format.decode import CheckKey
from nhi.biscuit.format.error import BiscuitError
from nhi.biscuit.offline.attenuation import attenuations
from nhi.biscuit.offline.chain_content import Alike, ChainContent, KnownBlocks, RefusedBlock
from nhi.biscuit.offline.deadline import deadline_of
from nhi.biscuit.offline.keys import public_key
from nhi.biscuit.offline.lint import lint
from nhi.biscuit.offline.verify import TokenLimits, VerifiedToken, read_token, verify
from tests.unit.nhi.biscuit.tokens import AMBIENT, ED25519, hostile_block, lets, mint, narrowed
from vault.cache.follow import BoundedCache

BELOW = 'check if resource($r), $r.starts_with("secret/data/app/");'
READS = 'check if operation($o), {"read"}.contains($o);'
UNTIL = "check if time($t), $t < 2027-01-01T00:00:00Z;"


class Kept(BiscuitCache[ChainContent]):
    """Counts what was found and what was put."""

    def __init__(self, most: int = 1 << 20) -> None:
        super().__init__(most)
        self.found = self.made = 0
        self.checks: BoundedCache[CheckKey, tuple[Check, int]] = BoundedCache(64)
        self.alikes: BiscuitCache[Alike] = BiscuitCache(2 * most)

    def get(self, digest: bytes) -> ChainContent | None:
        content = super().get(digest)
        self.found += content is not None
        return content

    def put(self, digest: bytes, value: ChainContent, tags: tuple[str, ...], size: int) -> None:
        self.made += 1
        super().put(digest, value, tags, size)


def _checked(raw: bytes, kept: Kept | None = None, parts: int = TokenLimits().parts) -> VerifiedToken:
    limits = TokenLimits(size=65_536, parts=parts)
    known = KnownBlocks(kept, kept.checks, kept.alikes) if kept is not None else None
    return verify(raw, read_token(raw, limits), public_key(ED25519), AMBIENT, limits, known)


def _told(raw: bytes, kept: Kept | None = None) -> object:
    """Return all that is found out about a chain, or why it is refused."""
    try:
        verified = _checked(raw, kept)
    except RefusedBlock as refused:
        return str(refused), refused.blocks
    content = verified.content
    return content.blocks, content.mentions, content.end, content.steady, content.cost, content.attenuations


def test_chains_that_begin_alike_are_read_once_as_far_as_they_do() -> None:
    kept, raw = Kept(), mint()
    assert lets(_checked(narrowed(raw, BELOW, READS), kept))
    assert (kept.found, kept.made) == (0, 2)
    assert lets(_checked(narrowed(raw, BELOW, UNTIL), kept))
    assert (kept.found, kept.made) == (1, 2)
    assert not lets(_checked(narrowed(raw, BELOW, READS), kept), operation="delete")
    assert not lets(_checked(narrowed(raw, UNTIL, READS), kept), operation="delete")
    assert (kept.found, kept.made) == (3, 3)


@pytest.mark.parametrize("seed", range(3))
def test_what_is_remembered_is_what_a_chain_says_that_nobody_knows(seed: int) -> None:
    random, kept, raw = Random(seed), Kept(), mint()
    sources = [
        BELOW,
        READS,
        UNTIL,
        "f(1); f(2); check if f($a);",
        'workload("other");',
        "check if time($t), $t > $t;",
    ]
    sources += [
        f"{fact}; {check}" for fact in ("g(1)", "g(2)", "f(3)") for check in (READS, "check if f($a);")
    ]
    sources += [hostile_block(random) for _ in range(6)]
    taken = 0
    for _ in range(60):
        chain = narrowed(raw, *random.choices(sources, k=random.randint(1, 4)))
        fresh = _told(chain)
        assert _told(chain, kept) == fresh
        if isinstance(fresh, tuple) and len(fresh) == 6:
            blocks, _, end, _, cost, so_far = fresh
            assert (end, cost, so_far) == (deadline_of(blocks), lint(blocks, AMBIENT), attenuations(blocks))
            taken += 1
    assert taken > 10 and kept.found > 10


def test_a_check_that_was_read_in_any_chain_is_known_by_its_bytes_and_what_they_stand_for() -> None:
    kept = Kept()
    content = _checked(narrowed(mint(), BELOW), kept).content
    known = len(kept.checks)
    again = _checked(narrowed(mint(), f"user(1); {BELOW}"), kept).content
    assert again.blocks[1].checks[0] is content.blocks[1].checks[0]
    assert len(kept.checks) == known
    other = _checked(narrowed(mint(), BELOW.replace("app", "web")), kept).content
    assert other.blocks[1] == _checked(narrowed(mint(), BELOW.replace("app", "web"))).content.blocks[1]
    assert len(kept.checks) == known + 1


def test_a_check_that_is_known_has_as_many_parts_as_one_that_is_read() -> None:
    kept, chain = Kept(), narrowed(mint(), READS)
    parts = next(most for most in range(600) if isinstance(_limited(chain, most, None), VerifiedToken))
    assert isinstance(_limited(chain, parts, kept), VerifiedToken)
    kept.drop(None)
    assert len(kept.checks) > 1
    assert isinstance(_limited(chain, parts, kept), VerifiedToken)
    kept.drop(None)
    assert _limited(chain, parts - 1, kept) == "the blocks have too many parts"


def test_a_long_check_is_not_remembered() -> None:
    kept = Kept()
    _checked(narrowed(mint(), READS), kept)
    known = len(kept.checks)
    many = ", ".join(str(one) for one in range(300))
    _checked(narrowed(mint(), f"check if [{many}].contains(1);"), kept)
    assert len(kept.checks) == known


def _limited(raw: bytes, parts: int, kept: Kept | None) -> VerifiedToken | str:
    """Return what a chain is where it may have so many parts, or why it is refused."""
    try:
        return _checked(raw, kept, parts)
    except RefusedBlock as refused:
        return str(refused)


def test_known_blocks_under_another_signature_are_refused() -> None:
    kept = Kept()
    chain = read_chain(narrowed(mint(), BELOW, READS))
    _checked(write_chain(chain), kept)
    for place in range(3):
        signed = chain.blocks[place]
        changed = signed.signature[:40] + bytes([signed.signature[40] ^ 1]) + signed.signature[41:]
        blocks = list(chain.blocks)
        blocks[place] = msgspec.structs.replace(signed, signature=changed)
        with pytest.raises(BiscuitError, match="does not hold"):
            _checked(write_chain(msgspec.structs.replace(chain, blocks=tuple(blocks))), kept)


def _vouched(raw: bytes, approver: Ed25519PrivateKey | None) -> bytes:
    """Return a token whose second block says the same whoever vouches for it; a third one follows."""
    chain = read_chain(narrowed(raw, 'right("read"); check if true;'))
    holder = Ed25519PrivateKey.from_private_bytes(read_chain(raw).next_secret or b"")
    first, second = chain.blocks
    if approver is not None:
        signature = approver.sign(external_payload(second.block, first.signature))
        second = msgspec.structs.replace(second, external=ExternalSignature(signature, public_key(approver)))
        second = msgspec.structs.replace(
            second, signature=holder.sign(block_payload(second, first.signature))
        )
    return narrowed(write_chain(msgspec.structs.replace(chain, blocks=(first, second))), READS)


def test_a_block_that_somebody_else_vouches_for_is_another_block() -> None:
    kept, raw = Kept(), mint()
    keys = [None, *(Ed25519PrivateKey.from_private_bytes(bytes([one]) * 32) for one in (1, 2))]
    for key in keys:
        content = _checked(_vouched(raw, key), kept).content
        assert content.blocks[1].external == (public_key(key) if key is not None else None)


def test_what_is_remembered_is_bounded_and_what_was_used_longest_ago_leaves() -> None:
    kept = Kept(40_000)
    for one in range(20):
        _checked(narrowed(mint(), f'check if resource("secret/{one}");', READS), kept)
    assert len(kept) == 4
    assert kept.bytes <= 40_000


def _memory(value: object, known: set[int]) -> int:
    """Return the bytes of an object and of all that it leads to."""
    if id(value) in known:
        return 0
    known.add(id(value))
    parts: list[object] = [*value] if isinstance(value, tuple | list | frozenset) else []
    if isinstance(value, dict):
        parts = [*value, *value.values()]
    names = getattr(type(value), "__slots__", getattr(type(value), "__struct_fields__", ()))
    parts += [getattr(value, name) for name in names if hasattr(value, name)]
    return sys.getsizeof(value) + sum(_memory(part, known) for part in parts)


@pytest.mark.parametrize(
    "check",
    [
        'check if operation("{0}");',
        f'check if resource($r), $r.starts_with("{{0}}"); {READS} {UNTIL}',
        "".join(
            f'check if resource($r), $r.starts_with("{{0}}x{n}"), $r.starts_with("b"), true, true;'
            for n in range(12)
        ),
        f'check if {"true, " * 150} "{{0}}" != "a";',
        f'check if "{"x" * 5000}{{0}}" != "a";',
        "".join(f'check if "{n}{"x" * 200}{{0}}" != "a";' for n in range(12)),
        f"check if [{', '.join(str(1000 + n) for n in range(400))}].contains({{0}});",
    ],
    ids=["short", "usual", "many checks", "many parts", "a long text", "many texts", "a large set"],
)
def test_what_blocks_behind_one_have_in_common_takes_no_more_memory_than_is_counted(check: str) -> None:
    kept = Kept()
    kept.checks = BoundedCache(1)
    for one in range(15):
        assert _checked(narrowed(mint(), BELOW, check.replace("{0}", str(one))), kept).content.attenuations
    assert len(kept) == 2 and len(kept.alikes) == 16
    taken = _memory([kept._kept, kept.alikes._kept], set())
    assert taken < kept.bytes + kept.alikes.bytes


@pytest.mark.parametrize(
    "added",
    [
        "f(3);",
        "".join(f"other({one});" for one in range(40)),
        f'other("{"x" * 2000}");',
        "other(1);",
    ],
    ids=["what it asks for", "many facts", "a long text", "nothing that counts"],
)
def test_what_a_block_states_makes_the_checks_before_it_as_dear_as_it_always_did(added: str) -> None:
    kept = Kept()
    before = "f(1); f(2); check if f($a), f($b), $a != $b;"
    _checked(narrowed(mint(), before, READS), kept)
    content = _checked(narrowed(mint(), before, added), kept).content
    assert kept.found == 1
    assert content.cost == lint(content.blocks, AMBIENT)


def test_a_block_with_known_checks_and_facts_that_none_asks_about_is_as_the_one_before() -> None:
    kept, raw = Kept(), mint()
    first, second = (_checked(narrowed(raw, BELOW, f"hop({n}); {READS}"), kept).content for n in (1, 2))
    assert second.blocks != first.blocks
    assert second.attenuations is first.attenuations
    for odd in (
        f"operation_of(1); hop(1); {READS} {UNTIL}",
        f'hop("{"x" * 2000}"); {READS}',
        "hop(1); check if hop($a);",
        "hop(2); check if hop($a);",
    ):
        chain = narrowed(raw, BELOW, odd)
        assert _told(chain, kept) == _told(chain)
        assert _checked(chain, kept).content.attenuations is not first.attenuations
    stated = narrowed(raw, BELOW, f'operation("read"); {READS}')
    assert "only the server" in str(_told(stated, kept))
