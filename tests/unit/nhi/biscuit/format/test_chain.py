# SPDX-License-Identifier: EUPL-1.2
"""A signed block in its usual spelling is cut, and it is what reading field by field finds; every other one is read so."""

from random import Random

import pytest

from nhi.biscuit.format.authority import Algorithm
from nhi.biscuit.format.chain import (
    ExternalSignature,
    Key,
    SignedBlock,
    _signed,
    _signed_as_most,
    _signed_otherwise,
    _written,
)
from nhi.biscuit.format.error import BiscuitError

KEY = Key(Algorithm.ED25519, b"k" * 32)


def _block(size: int, **otherwise: object) -> bytes:
    usual: dict[str, object] = {
        "block": b"b" * size,
        "next_key": KEY,
        "signature": b"s" * 64,
        "external": None,
        "version": 1,
    }
    return _written(SignedBlock(**{**usual, **otherwise}))  # type: ignore[arg-type]  # of its own types


def _read(data: bytes) -> object:
    try:
        return _signed_otherwise(data, "block 1")
    except BiscuitError as error:
        return str(error)


@pytest.mark.parametrize("size", [0, 1, 127, 128, 129, 255, 256, 16_383])
def test_a_block_of_any_usual_length_is_cut_as_it_is_read(size: int) -> None:
    data = _block(size)
    assert _signed_as_most(data) == _signed_otherwise(data, "block 1")


@pytest.mark.parametrize(
    "otherwise",
    [
        {"next_key": Key(Algorithm.P256, b"k" * 33)},
        {"signature": b"s" * 70},
        {"version": 0},
        {"external": ExternalSignature(b"x" * 64, KEY)},
        {"block": b"b" * 16_384},
    ],
)
def test_any_other_block_is_read(otherwise: dict[str, object]) -> None:
    data = _block(9, **otherwise)
    assert _signed_as_most(data) is None
    assert _signed(data, "block 1") == _signed_otherwise(data, "block 1")


def test_what_is_cut_of_changed_bytes_is_what_would_be_read_of_them() -> None:
    random, cut = Random(1), 0
    for _ in range(4000):
        data = bytearray(_block(random.choice([0, 5, 127, 128, 300])))
        for _ in range(random.randint(0, 2)):
            place = random.choice([random.randrange(len(data)), random.randrange(3), -random.randint(1, 107)])
            data[place] = random.choice([0, 1, 0x20, 0x24, 0x40, 0x7F, 0x80, 0xFF, random.randrange(256)])
        if not random.randrange(8):
            data = data[: random.randrange(len(data))]
        found = _signed_as_most(bytes(data))
        if found is not None:
            cut += 1
            assert found == _read(bytes(data))
    assert 500 < cut < 3900
