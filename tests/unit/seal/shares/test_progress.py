# SPDX-License-Identifier: EUPL-1.2
import os

import pytest

from tests.unit.barrier.stream import stream
from vault.barrier.key import Key
from vault.seal.failure import SealRefusal
from vault.seal.shares.progress import WRONG_KEY, Progress, check_length, parse_share
from vault.seal.shares.shamir import split

SECRET = bytes(range(32))


def _given(*shares: bytes) -> Progress:
    progress = Progress()
    for share in shares:
        progress = progress.add(share, "g", os.urandom)
    return progress


def test_enough_shares_give_the_key() -> None:
    shares = split(SECRET, 5, 3, os.urandom)
    assert _given(*shares[1:4]).key().same(Key(SECRET))


def test_a_single_share_is_the_key() -> None:
    assert _given(SECRET).key().same(Key(SECRET))


def test_a_repeated_share_changes_nothing() -> None:
    once = _given(b"a" * 33, b"b" * 33)
    assert once.add(b"a" * 33, "g", os.urandom) is once


def test_the_nonce_comes_with_the_first_share_and_stays() -> None:
    assert Progress().nonce == ""
    first = Progress().add(b"a" * 33, "g", stream("n"))
    second = first.add(b"b" * 33, "g", os.urandom)
    assert first.nonce == second.nonce == "4dc1da48-fd61-0547-d186-d33e4b3b643a"


def test_shares_of_another_initialisation_are_dropped() -> None:
    progress = _given(b"a" * 33).add(b"b" * 33, "other", os.urandom)
    assert progress.shares == (b"b" * 33,)


def test_progress_does_not_show_shares() -> None:
    assert "aaaa" not in repr(_given(b"a" * 33))


@pytest.mark.parametrize(
    ("shares", "text"),
    [
        (
            (b"a" * 33, b"b" * 32 + b"a"),
            "invalid key: failed to compute combined key: duplicate part detected",
        ),
        (
            (b"a" * 33, b"b" * 32),
            "invalid key: failed to compute combined key: all parts must be the same length",
        ),
        ((b"a" * 16, b"b" * 16), "invalid key: failed to setup unseal key: crypto/aes: invalid key size 15"),
        ((b"a" * 33,), "invalid key: failed to setup unseal key: crypto/aes: invalid key size 33"),
        ((b"a" * 16,), WRONG_KEY),
        ((b"a" * 25, b"b" * 25), WRONG_KEY),
    ],
)
def test_shares_that_make_no_key_are_refused_in_openbaos_words(shares: tuple[bytes, ...], text: str) -> None:
    with pytest.raises(SealRefusal) as caught:
        _given(*shares).key()
    assert str(caught.value) == text


def test_a_share_is_hexadecimal_or_base64() -> None:
    assert parse_share("0aFF" * 8) == b"\x0a\xff" * 8
    assert parse_share("/////w==") == b"\xff" * 4
    assert parse_share("A" * 32) == b"\xaa" * 16
    assert parse_share("AAAA") == bytes(3)
    with pytest.raises(SealRefusal, match=r"^'key' must be a valid hex or base64 string$"):
        parse_share("zz")


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (0, "invalid key: key is shorter than minimum 16 bytes"),
        (15, "invalid key: key is shorter than minimum 16 bytes"),
        (34, "invalid key: key is longer than maximum 33 bytes"),
    ],
)
def test_a_share_of_impossible_length_is_refused(length: int, text: str) -> None:
    with pytest.raises(SealRefusal) as caught:
        check_length(bytes(length))
    assert str(caught.value) == text
    check_length(bytes(16))
    check_length(bytes(33))
