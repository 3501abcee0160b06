# SPDX-License-Identifier: EUPL-1.2
"""Tokens as strangers present them: what is taken, what is refused, and how soon."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from time import thread_time

import msgspec
import pytest
from biscuit_auth import Biscuit, BiscuitBuilder, KeyPair
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from nhi.biscuit.format.authority import Algorithm
from nhi.biscuit.format.chain import read_chain, write_chain
from nhi.biscuit.format.error import BiscuitError
from nhi.biscuit.format.ids import P256_ORDER, canonical_ids
from nhi.biscuit.format.printer import print_key
from nhi.biscuit.format.protobuf import field
from nhi.biscuit.offline import guard
from nhi.biscuit.offline.attenuate import append, append_approval, approve, request, seal
from nhi.biscuit.offline.guard import checks_hold, guarded, stated_fact
from nhi.biscuit.offline.keys import library_key, public_key
from nhi.biscuit.offline.verify import PREFIX, TokenLimits, from_text, read_token, to_text
from tests.unit.nhi.biscuit.tokens import (
    ED25519,
    HOSTILE,
    NOW,
    P256,
    ROOTS,
    SOURCE,
    checked,
    hostile_block,
    lets,
    mint,
    narrowed,
    stated,
    with_holder,
)

SECRET = b"\x44" * 32
DEAREST_REFUSAL = 10
"""How many ordinary tokens could be checked in the time in which a hostile one is refused."""
DEAREST_REQUEST = 40
"""The same for one request with a token that is let through."""
WASM = json.loads((Path(__file__).parents[4] / "vectors" / "biscuit_wasm.json").read_text(encoding="utf-8"))
APP = 'check if resource($r), $r.starts_with("secret/data/app/");'
READ = 'check if operation($o), {"read"}.contains($o);'


def _twin(raw: bytes, block: int) -> bytes:
    """Return the same token with the other form of one P-256 signature."""
    chain = read_chain(raw)
    r, s = decode_dss_signature(chain.blocks[block].signature)
    other = msgspec.structs.replace(chain.blocks[block], signature=encode_dss_signature(r, P256_ORDER - s))
    blocks = [*chain.blocks[:block], other, *chain.blocks[block + 1 :]]
    return write_chain(msgspec.structs.replace(chain, blocks=tuple(blocks)))


@pytest.mark.parametrize("name", ROOTS)
def test_a_token_lets_what_its_checks_let_and_each_block_narrows_it(name: str) -> None:
    root = ROOTS[name]
    raw = mint(root=root)
    whole, narrow = checked(raw, root), checked(narrowed(raw, APP, READ, root=root), root)
    assert lets(whole)
    assert lets(whole, operation="delete", resource="sys/mounts")
    assert lets(narrow)
    assert not lets(narrow, operation="delete")
    assert not lets(narrow, resource="secret/data/other")
    assert not lets(narrow, time=datetime(2031, 1, 1, tzinfo=UTC))
    assert not lets(narrow, audience_srv="elsewhere")
    assert narrow.ids[0] == whole.ids[0]
    assert len({*narrow.ids}) == 3
    assert narrow.mentions == {"time", "audience_srv", "audience", "resource", "operation"}


@pytest.mark.parametrize("name", ROOTS)
def test_a_token_of_another_root_or_with_a_changed_byte_is_refused(name: str) -> None:
    root = ROOTS[name]
    raw = narrowed(mint(root=root), APP, root=root)
    with pytest.raises(BiscuitError):
        checked(raw, ED25519 if root is P256 else P256)
    for place in range(0, len(raw), 7):
        changed = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
        if place == 1:
            continue  # the number of the root key, which is not signed
        with pytest.raises(BiscuitError):
            checked(changed, root)


def exceeds(times: int, work: Callable[[], object]) -> bool:
    """Whether `work` takes more of the processor than so many ordinary tokens, each of several times that it is done.

    A slow machine is slow with both. What counts is the time of this thread, as others may have the processor
    meanwhile; and each time is compared by itself, as a collection of garbage comes into one and not into all.
    """
    ordinary = narrowed(mint(), APP, READ)
    return all(_spent(work) > times * _spent(lambda: lets(checked(ordinary))) for _ in range(10))


def _spent(work: Callable[[], object]) -> float:
    began = thread_time()
    work()
    return thread_time() - began


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_token_is_refused_unevaluated_and_soon(case: str) -> None:
    raw = narrowed(mint(), HOSTILE[case])
    assert not exceeds(DEAREST_REFUSAL, lambda: refuses(raw))


def refuses(raw: bytes, limits: TokenLimits | None = None) -> None:
    with pytest.raises(BiscuitError):
        checked(raw, limits=limits)


def test_twenty_thousand_facts_and_deep_terms_are_refused_soon() -> None:
    many = narrowed(mint(), "".join(f"f({i});" for i in range(1200)))
    deep = _nested(1000)
    for raw, limits in ((many, TokenLimits(size=65_536)), (many, TokenLimits()), (deep, TokenLimits())):
        assert not exceeds(DEAREST_REFUSAL, partial(refuses, raw, limits))


def _nested(levels: int) -> bytes:
    """Return a token whose block has a term within terms, written by hand as no tool would."""
    term = field(2, 1)
    for _ in range(levels):
        term = field(9, field(1, term))
    fact = field(4, field(1, field(1, 13) + field(2, term)))
    return write_chain(append(read_chain(mint()), field(3, 6) + fact, SECRET))


@pytest.mark.parametrize(("levels", "taken"), [(0, True), (15, True), (17, False), (40, False), (400, False)])
def test_terms_may_be_nested_and_not_too_deep(levels: int, taken: bool) -> None:
    if taken:
        assert lets(checked(_nested(levels)))
        return
    with pytest.raises(BiscuitError, match=r"nested more than 16 deep|does not hold"):
        checked(_nested(levels))


def _survivors(seed: int, count: int) -> tuple[int, list[list[str]]]:
    """Return how many random hostile tokens are let through, and the blocks of those that then take too long."""
    random, base = Random(seed), mint()
    accepted, dear = 0, []
    for _ in range(count):
        sources = [hostile_block(random) for _ in range(random.choice((1, 1, 1, 2, 3)))]
        try:
            verified = checked(narrowed(base, *sources))
        except BiscuitError:
            continue
        accepted += 1
        if exceeds(DEAREST_REQUEST, partial(lets, verified)):
            dear.append(sources)
    return accepted, dear


def test_no_token_that_is_let_through_takes_long() -> None:
    accepted, dear = _survivors(1, 300)
    assert accepted > 10
    assert dear == []


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_no_token_of_a_hundred_thousand_that_is_let_through_takes_long() -> None:
    accepted, dear = _survivors(20_261_125, 100_000)
    assert accepted > 3_000
    assert dear == []


def test_the_twin_of_a_signature_gives_no_second_token() -> None:
    raw = mint(root=P256)
    twin = _twin(raw, 0)
    assert Biscuit.from_bytes(twin, library_key(public_key(P256))).revocation_ids != (
        Biscuit.from_bytes(raw, library_key(public_key(P256))).revocation_ids
    )
    with pytest.raises(BiscuitError, match="not in the form that issuers here make"):
        checked(twin, P256)
    assert canonical_ids(read_chain(twin), Algorithm.P256) == checked(raw, P256).ids


def test_the_twin_of_a_holders_signature_has_the_same_id() -> None:
    chain = read_chain(mint())
    holder = ec.derive_private_key(int("22" * 32, 16), ec.SECP256R1())
    raw = with_holder(chain, holder)
    assert checked(raw).ids == checked(_twin(raw, 1)).ids
    assert lets(checked(_twin(raw, 1)))


def test_a_sealed_token_is_taken_and_nobody_adds_to_it() -> None:
    for root in ROOTS.values():
        chain = seal(read_chain(narrowed(mint(root=root), READ, root=root)))
        sealed = checked(write_chain(chain), root)
        assert lets(sealed)
        assert not lets(sealed, operation="update")
        for add in (lambda c: append(c, b"x", SECRET), seal, request):
            with pytest.raises(BiscuitError, match="sealed"):
                add(chain)
        with pytest.raises(BiscuitError):
            checked(write_chain(msgspec.structs.replace(chain, final=b"\1" * 64)), root)


@pytest.mark.parametrize("name", ROOTS)
def test_an_approver_discharges_a_check_for_one_token_alone(name: str) -> None:
    approver = ROOTS[name]
    source = SOURCE + f"check if approved($c) trusting {print_key(public_key(approver))};"
    waiting = read_chain(mint(source))
    assert not lets(checked(write_chain(waiting)))
    block = approve(request(waiting), "approved({change});", {"change": "chg-1"}, approver)
    assert lets(checked(write_chain(append_approval(waiting, block, SECRET))))
    own = narrowed(write_chain(waiting), 'approved("chg-1");')
    assert not lets(checked(own))
    with pytest.raises(BiscuitError, match="not made for this token"):
        append_approval(read_chain(mint(source)), block, SECRET)


def test_datalog_text_that_would_crash_the_parser_is_refused() -> None:
    chain = read_chain(mint())
    for source in (
        "check if " + "(" * 2000 + "true" + ")" * 2000,
        "check if " + "!" * 5000 + "true",
        "a" * 20_000,
    ):
        with pytest.raises(BiscuitError, match=r"nested too deep|more than 16384 bytes"):
            approve(request(chain), source, {}, ED25519)
    with pytest.raises(BiscuitError, match="cannot be compiled"):
        approve(request(chain), "no datalog", {}, ED25519)


def test_limits_hold_before_anything_is_verified() -> None:
    raw = narrowed(mint(), *["check if true;"] * 15)
    assert len(checked(raw).blocks) == 16
    with pytest.raises(BiscuitError, match="more than 16 blocks"):
        checked(narrowed(raw, "check if true;"))
    with pytest.raises(BiscuitError, match="more than 500 bytes"):
        read_token(raw, TokenLimits(size=500))


def test_a_token_that_was_signed_the_old_way_is_refused() -> None:
    old = bytes(BiscuitBuilder(SOURCE).build(KeyPair().private_key).to_bytes())
    with pytest.raises(BiscuitError, match="not taken any more"):
        read_token(old, TokenLimits())


def test_text_has_one_spelling_with_or_without_padding_and_prefix() -> None:
    raw = mint()
    text = to_text(raw)
    assert from_text(text) == from_text(text.rstrip("=")) == from_text(PREFIX + text) == raw
    twisted = base64.urlsafe_b64encode(b"\x00").decode().replace("AA", "AB")
    for wrong in ("", "*", text + " ", text[:-3] + "é", "A", twisted, "A" * 20_000):
        with pytest.raises(BiscuitError):
            from_text(wrong)


@given(st.binary(max_size=600))
def test_noise_is_refused_and_never_more(noise: bytes) -> None:
    with pytest.raises(BiscuitError):
        checked(noise)


@given(st.data())
def test_a_changed_token_is_refused_or_says_the_same(data: st.DataObject) -> None:
    original = narrowed(mint(), APP, READ)
    raw = bytearray(original)
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        verified = checked(bytes(raw))
    except BiscuitError:
        return
    assert verified.ids == checked(original).ids


def test_a_panic_of_the_library_is_a_refusal_and_an_interrupt_is_not() -> None:
    assert stated_fact("time;", NOW) is None  # not Datalog
    assert stated_fact("resource", "\ud800") is None

    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        guarded(interrupted)


def test_an_evaluation_that_fails_refuses() -> None:
    assert not lets(checked(narrowed(mint(), "check if 1 / 0 === 1 || true;")))
    assert not lets(checked(narrowed(mint(), "check if operation($o), $o === 1;")))


def test_nothing_secret_is_shown() -> None:
    verified = checked(mint())
    assert repr(verified) == f"<Verified {verified.ids[0].hex()} of 1 blocks>"
    assert repr(verified.chain) == "<Chain of 1 blocks, root key 5>"


@pytest.mark.parametrize("case", WASM["tokens"], ids=lambda case: str(case["algorithm"]))
def test_what_another_implementation_narrowed_and_sealed_is_taken(case: dict[str, str]) -> None:
    root = ROOTS[case["algorithm"]]
    first = checked(from_text(case["token"]), root)
    for made in (case["narrowed"], case["sealed"]):
        verified = checked(from_text(made), root)
        assert verified.ids[0] == first.ids[0]
        assert lets(verified)
        assert not lets(verified, resource="secret/data/other")
    assert read_chain(from_text(case["sealed"])).next_secret is None


def test_an_evaluation_that_was_cut_short_without_having_worked_is_asked_again() -> None:
    none = (timedelta(0), guard._limits(timedelta(0)))
    verified = checked(narrowed(mint(), 'check if operation("read");'))

    def holds(*patience: tuple[timedelta, object], operation: str = "read") -> bool:
        return checks_hold(verified.token, stated(operation=operation), patience=patience)

    assert not holds(none)
    usual = (guard.MAX_TIME, guard._limits(timedelta(seconds=20)))
    assert holds(none, usual)
    assert not holds(none, usual, operation="update")
