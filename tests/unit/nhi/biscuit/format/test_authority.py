# SPDX-License-Identifier: EUPL-1.2
"""Reading and writing the outer bytes of a token: one spelling each, one error, and never another exception."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nhi.biscuit.format.authority import LARGEST, PUBLIC_KEY_BYTES, Algorithm, Authority, parse, serialise
from nhi.biscuit.format.error import BiscuitError

VECTORS = json.loads((Path(__file__).parents[4] / "vectors" / "biscuit.json").read_text(encoding="utf-8"))
TOKENS = [bytes.fromhex(case["token"]) for case in (*VECTORS["ours"], *VECTORS["library"])]
GOOD = Authority(
    root_key_id=5,
    block=b"block",
    next_algorithm=Algorithm.ED25519,
    next_public=b"k" * 32,
    signature=b"s" * 64,
    version=1,
    next_secret=b"n" * 32,
)


@st.composite
def _authorities(draw: st.DrawFn) -> Authority:
    algorithm = draw(st.sampled_from(Algorithm))
    size = PUBLIC_KEY_BYTES[algorithm]
    return Authority(
        root_key_id=draw(st.none() | st.integers(0, 0xFFFF_FFFF)),
        block=draw(st.binary(min_size=1, max_size=300)),
        next_algorithm=algorithm,
        next_public=draw(st.binary(min_size=size, max_size=size)),
        signature=draw(st.binary(min_size=1, max_size=72)),
        version=draw(st.sampled_from((0, 1))),
        next_secret=draw(st.binary(min_size=32, max_size=32)),
    )


@given(_authorities())
def test_what_is_written_is_read_back(token: Authority) -> None:
    assert parse(serialise(token)) == token


def _read_or_refused(token: bytes) -> None:
    try:
        read = parse(token)
    except BiscuitError:
        return
    assert serialise(read) == token


@given(st.binary(max_size=400))
def test_garbage_is_refused_or_is_the_one_spelling_of_a_token(garbage: bytes) -> None:
    _read_or_refused(garbage)


@given(st.sampled_from(TOKENS), st.data())
def test_a_changed_token_is_refused_or_is_the_one_spelling_of_another(
    token: bytes, data: st.DataObject
) -> None:
    changed = bytearray(token)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(changed) - 1))
        changed[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(changed)))
    _read_or_refused(bytes(changed))
    _read_or_refused(bytes(changed[:cut]))
    _read_or_refused(bytes(changed[cut:]))


@pytest.mark.parametrize("token", TOKENS)
def test_no_part_of_a_token_is_left_out_or_added(token: bytes) -> None:
    assert serialise(parse(token)) == token
    for cut in range(len(token)):
        with pytest.raises(BiscuitError):
            parse(token[:cut])
    with pytest.raises(BiscuitError):
        parse(token + b"\0")


def _message(**fields: str) -> bytes:
    """Return the good token with one of its messages replaced: hexadecimal, the message without its length."""
    key = bytes.fromhex(fields.get("key", "08001220" + "6b" * 32))
    signed = bytes.fromhex(fields.get("signed", "0a0162")) + b"\x12" + bytes([len(key)]) + key
    signed += bytes.fromhex(fields.get("rest", "1a0173"))
    proof = bytes.fromhex(fields.get("proof", "0a20" + "6e" * 32))
    outer = bytes.fromhex(fields.get("outer", ""))
    return (
        outer
        + b"\x12"
        + bytes([len(signed)])
        + signed
        + bytes.fromhex(fields.get("more", ""))
        + b"\x22"
        + bytes([len(proof)])
        + proof
    )


_WRONG: list[tuple[dict[str, str], str]] = [
    ({"outer": "08ffffffff1f"}, "too large"),
    ({"outer": "08808080808001"}, "too long"),
    ({"outer": "088500"}, "too long"),
    ({"outer": "08050805"}, "field 1 comes twice"),
    ({"outer": "0a0105"}, "number 1"),
    ({"outer": "0d00000000"}, "number 1"),
    ({"more": "1a00"}, "number 3"),
    ({"more": "120162"}, "field 2 comes twice"),
    ({"proof": "1240" + "00" * 64}, "proof: has a field that is not read here"),
    ({"proof": ""}, "proof: field 1 is missing"),
    ({"proof": "0a1f" + "00" * 31}, "32 bytes"),
    ({"key": "1220" + "6b" * 32}, "next key: field 1 is missing"),
    ({"key": "0800"}, "next key: field 2 is missing"),
    ({"key": "08021220" + "6b" * 32}, "algorithm is unknown"),
    ({"key": "08011220" + "6b" * 32}, "wrong length for its algorithm"),
    ({"key": "0800121f" + "6b" * 31}, "wrong length for its algorithm"),
    ({"signed": ""}, "authority: field 1 is missing"),
    ({"signed": "0a00"}, "block is empty"),
    ({"signed": "0a05"}, "authority: has a field|ends within|out of order|twice"),
    ({"rest": ""}, "authority: field 3 is missing"),
    ({"rest": "1a00"}, "signature has a wrong length"),
    ({"rest": "1a49" + "73" * 73}, "signature has a wrong length"),
    ({"rest": "1a01732200"}, "number 4"),
    ({"rest": "1a01732800"}, "absent or 1"),
    ({"rest": "1a01732802"}, "absent or 1"),
    ({"rest": "1a017328"}, "ends within a number"),
    ({"rest": "1a0573"}, "ends within field 3"),
]


@pytest.mark.parametrize(("fields", "refusal"), _WRONG)
def test_other_spellings_and_other_tokens_are_refused(fields: dict[str, str], refusal: str) -> None:
    assert parse(_message()).signature == b"s"
    with pytest.raises(BiscuitError, match=refusal):
        parse(_message(**fields))


_VALUES: list[tuple[dict[str, Any], str]] = [
    ({"root_key_id": -1}, "32 bits"),
    ({"root_key_id": 1 << 32}, "32 bits"),
    ({"next_public": b"k" * 33}, "wrong length"),
    ({"signature": b""}, "wrong length"),
    ({"signature": b"s" * 73}, "wrong length"),
    ({"next_secret": b""}, "32 bytes"),
    ({"block": b""}, "empty"),
    ({"block": b"b" * LARGEST}, "more than 65536 bytes"),
]


@pytest.mark.parametrize(("values", "refusal"), _VALUES)
def test_what_could_not_be_read_is_not_written(values: dict[str, Any], refusal: str) -> None:
    with pytest.raises(BiscuitError, match=refusal):
        serialise(msgspec.structs.replace(GOOD, **values))


def test_sl_41_the_largest_token_can_be_read_and_no_larger_one() -> None:
    spare = LARGEST - len(serialise(GOOD))
    largest = serialise(msgspec.structs.replace(GOOD, block=b"b" * spare))
    assert LARGEST - 8 < len(largest) <= LARGEST
    assert parse(largest).signature == GOOD.signature
    with pytest.raises(BiscuitError, match="more than 65536 bytes"):
        parse(largest + b"\0" * 8)


def test_a_token_does_not_show_its_secret() -> None:
    assert "n" * 8 not in repr(GOOD)
