# SPDX-License-Identifier: EUPL-1.2
import itertools
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.barrier.stream import stream, stream_of, vectors
from vault.seal.shares.shamir import CombineFailure, combine, interpolate, split


def test_splitting_gives_the_shares_of_the_vectors() -> None:
    for v in vectors("shamir.json")["split"]:
        source = stream(v["random"])
        secret = source(len(v["secret"]) // 2)
        shares = split(secret, len(v["shares"]), v["threshold"], source)
        assert secret.hex() == v["secret"]
        assert [share.hex() for share in shares] == v["shares"]
        assert combine(shares[: v["threshold"]]) == secret


def test_all_large_enough_sets_of_real_openbao_shares_give_the_same_key() -> None:
    v = vectors("shamir.json")["openbao"]
    shares = [bytes.fromhex(share) for share in v["bao_shares"]]
    sets = [s for n in (3, 4, 5) for s in itertools.permutations(shares, n)]
    assert {combine(s).hex() for s in sets} == {v["key"]}
    assert combine(shares[:2]).hex() != v["key"]


def test_further_points_of_the_polynomial_are_the_shares_that_unsealed_openbao() -> None:
    v = vectors("shamir.json")["openbao"]
    shares = [bytes.fromhex(share) for share in v["bao_shares"][:3]]
    for fresh in (bytes.fromhex(share) for share in v["fresh_shares"]):
        assert interpolate(shares, fresh[-1]) == fresh[:-1]


@given(st.binary(min_size=1, max_size=40), st.integers(2, 8), st.integers(0, 6), st.randoms())
def test_any_threshold_of_the_shares_gives_the_secret_back(
    secret: bytes, threshold: int, spare: int, chance: object
) -> None:
    shares = split(secret, threshold + spare, threshold, os.urandom)
    assert len({share[-1] for share in shares}) == threshold + spare
    assert all(share[-1] and len(share) == len(secret) + 1 for share in shares)
    chance.shuffle(shares)  # type: ignore[attr-defined]  # a random.Random, drawn
    assert combine(shares[:threshold]) == secret


def test_one_share_too_few_fits_every_secret() -> None:
    shares = split(b"\x2a", 3, 3, os.urandom)[:2]
    x = next(x for x in range(1, 256) if x not in {share[-1] for share in shares})
    assert len({combine([*shares, bytes([y, x])]) for y in range(256)}) == 256


def test_coordinates_are_drawn_again_until_they_differ_and_are_not_zero() -> None:
    shares = split(b"\x01", 3, 2, stream_of(b"\x07" + b"\x05\x00\x05" + b"\x05\x09\x09" + b"\x00\x0b\x0c"))
    assert [share[-1] for share in shares] == [5, 9, 11]


def test_secrets_with_leading_zero_bytes_survive() -> None:
    for secret in (bytes(32), bytes(31) + b"\1", b"\xff" * 32):
        assert combine(split(secret, 5, 3, os.urandom)[2:]) == secret


@pytest.mark.parametrize(("shares", "threshold"), [(1, 1), (3, 1), (2, 3), (256, 2), (0, 0), (3, -1)])
def test_impossible_splits_are_refused(shares: int, threshold: int) -> None:
    with pytest.raises(ValueError, match="2 <= threshold <= shares <= 255"):
        split(b"secret", shares, threshold, os.urandom)


def test_an_empty_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="not empty"):
        split(b"", 3, 2, os.urandom)


def test_shares_that_cannot_belong_together_are_refused() -> None:
    with pytest.raises(CombineFailure, match="duplicate part detected"):
        combine([b"aaa\x01", b"bbb\x01"])
    with pytest.raises(CombineFailure, match="all parts must be the same length"):
        combine([b"aaa\x01", b"bb\x01"])
