# SPDX-License-Identifier: EUPL-1.2
"""Randomness mixed from two sources, and what happens when the token's is none."""

import asyncio
import hashlib
import hmac
from fractions import Fraction
from math import comb

import pytest

from hsm.client.entropy import (
    LARGEST,
    PROPORTION_CUTOFF,
    PROPORTION_WINDOW,
    REPETITION_CUTOFF,
    HealthTestFailed,
    HealthTests,
    MixedEntropy,
)
from hsm.errors import SlotUnavailable


def stream(seed: str) -> bytes:
    """Bytes that look random and are always the same."""
    return b"".join(hashlib.sha512(f"{seed}{n}".encode()).digest() for n in range(200))


class Source:
    """A token that gives the bytes of a stream, or fails."""

    def __init__(self, data: bytes, *, down: bool = False) -> None:
        self.data = data
        self.down = down

    async def random(self, size: int) -> bytes:
        if self.down:
            raise SlotUnavailable("no device", ckr="DeviceRemoved")
        given, self.data = self.data[:size], self.data[size:]
        return given


class Local:
    """The operating system, known in advance."""

    def __init__(self, seed: str) -> None:
        self.data = stream(seed)

    def __call__(self, size: int) -> bytes:
        given, self.data = self.data[:size], self.data[size:]
        return given


def _first(local: str, token: str) -> bytes:
    return asyncio.run(MixedEntropy(Local(local), Source(stream(token)).random).random(32))


def test_either_source_alone_changes_the_result() -> None:
    results = {_first(local, token) for local in "ab" for token in "ab"}
    assert len(results) == 4
    assert _first("a", "a") in results


def test_the_mix_is_hkdf_over_both_sources() -> None:
    """RFC 5869 §2.2 and §2.3 by hand: first the source, then the salt come from the operating system."""
    local, token = stream("a"), stream("b")
    extracted = hmac.digest(local[64:96], local[:64] + token[:64], "sha512")
    expanded = hmac.digest(extracted, b"vault entropy v1\x01", "sha512")
    assert _first("a", "b") == expanded[:32]


def test_any_size_up_to_the_largest() -> None:
    mixed = MixedEntropy(Local("a"), Source(stream("b")).random)
    assert len(asyncio.run(mixed.random(1))) == 1
    assert len(asyncio.run(mixed.random(LARGEST))) == LARGEST
    for size in (0, LARGEST + 1):
        with pytest.raises(ValueError, match="entropy"):
            asyncio.run(mixed.random(size))


def test_without_the_token_it_prefers_or_requires() -> None:
    preferring = MixedEntropy(Local("a"), Source(b"", down=True).random)
    assert len(asyncio.run(preferring.random(32))) == 32
    assert (preferring.fallbacks, preferring.problem) == (1, "no device")
    requiring = MixedEntropy(Local("a"), Source(b"", down=True).random, policy="require")
    with pytest.raises(SlotUnavailable, match="entropy: no device") as raised:
        asyncio.run(requiring.random(32))
    assert raised.value.ckr == "DeviceRemoved"


def test_the_problem_is_over_when_the_token_is_back() -> None:
    source = Source(stream("b"), down=True)
    mixed = MixedEntropy(Local("a"), source.random)
    asyncio.run(mixed.random(8))
    source.down = False
    asyncio.run(mixed.random(8))
    assert (mixed.fallbacks, mixed.problem) == (1, "")


@pytest.mark.parametrize("given", [bytes(64), b"", stream("x")[:63]])
def test_what_is_not_random_is_not_used(given: bytes) -> None:
    with pytest.raises(SlotUnavailable):
        asyncio.run(MixedEntropy(Local("a"), Source(given).random, policy="require").random(32))


def test_good_bytes_pass() -> None:
    tests = HealthTests()
    data = stream("good")
    for at in range(0, len(data), 64):
        tests.feed(data[at : at + 64])


def test_a_block_that_comes_twice_fails() -> None:
    tests = HealthTests()
    tests.feed(stream("a")[:64])
    with pytest.raises(HealthTestFailed, match="twice"):
        tests.feed(stream("a")[:64])


def test_a_byte_that_stays_fails_also_over_two_blocks() -> None:
    tests = HealthTests()
    tests.feed(b"ab" + b"x" * (REPETITION_CUTOFF - 1))
    with pytest.raises(HealthTestFailed):
        tests.feed(b"x")
    tests.feed(b"x" * (REPETITION_CUTOFF - 1))


def test_a_byte_that_comes_too_often_fails() -> None:
    often = b"".join(bytes([7, 50 + n]) for n in range(PROPORTION_CUTOFF))
    tests = HealthTests()
    with pytest.raises(HealthTestFailed):
        tests.feed(often)
    tests.feed(often[: 2 * PROPORTION_CUTOFF - 3])


def test_the_proportion_is_counted_within_a_window() -> None:
    tests = HealthTests()
    for _ in range(3):
        often = b"".join(bytes([7, 50 + n]) for n in range(PROPORTION_CUTOFF - 1))
        rest = bytes(100 + n % 150 for n in range(PROPORTION_WINDOW - len(often)))
        for window in (often + rest, bytes(100 + n % 150 for n in range(PROPORTION_WINDOW))):
            tests.feed(window)


def test_cutoffs_raise_a_false_alarm_once_in_two_to_the_fortieth() -> None:
    alarm = Fraction(1, 2**40)
    p, n = Fraction(1, 256), PROPORTION_WINDOW - 1

    def at_least(k: int) -> Fraction:
        return Fraction(sum(comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k, n + 1)))

    assert at_least(PROPORTION_CUTOFF - 1) <= alarm < at_least(PROPORTION_CUTOFF - 2)
    assert p ** (REPETITION_CUTOFF - 1) <= alarm < p ** (REPETITION_CUTOFF - 2)
