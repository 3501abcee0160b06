# SPDX-License-Identifier: EUPL-1.2
import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.seal.keys import EXPIRED, NOW, REVOKED, SIGN_ONLY, Holder
from vault.seal.failure import SealRefusal
from vault.seal.shares.pgp import Recipient, UnreadableKey
from vault.values.times import Millis

HOLDER = Holder("holder")
PARSING = "error parsing given PGP key: "


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _refusal(text: str) -> str:
    with pytest.raises(UnreadableKey) as caught:
        Recipient.parse(text, NOW)
    return str(caught.value)


def test_only_the_holder_reads_what_was_encrypted() -> None:
    recipient = Recipient.parse(HOLDER.text, NOW)
    message = recipient.encrypt("0a1b2c")
    assert HOLDER.read(message) == "0a1b2c"
    assert b"0a1b2c" not in message
    with pytest.raises(RuntimeError):
        Holder("other").read(message)


def test_the_fingerprint_is_lowercase_hexadecimal() -> None:
    assert Recipient.parse(HOLDER.text, NOW).fingerprint == HOLDER.fingerprint
    assert Recipient.parse(SIGN_ONLY, NOW).fingerprint == "3e4495402d386dea41cd0235e2c84685f2489ebd"


def test_of_several_keys_the_first_is_taken() -> None:
    recipient = Recipient.parse(_text(HOLDER.public + Holder("other").public), NOW)
    assert recipient.fingerprint == HOLDER.fingerprint


@pytest.mark.parametrize(
    ("key", "key_id"),
    [(SIGN_ONLY, "e2c84685f2489ebd"), (EXPIRED, "cfc0b3231f14791f"), (REVOKED, "3ca1b89dc91b7fc4")],
)
def test_a_key_that_cannot_encrypt_is_refused_in_openbaos_words(key: str, key_id: str) -> None:
    with pytest.raises(SealRefusal) as caught:
        Recipient.parse(key, NOW).encrypt("x")
    assert str(caught.value) == (
        "error setting up encryption for PGP message: openpgp: invalid argument: cannot encrypt a message "
        f"to key id {key_id} because it has no valid encryption keys"
    )
    assert not isinstance(caught.value, UnreadableKey)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("!!!", "error decoding given PGP key: illegal base64 data at input byte 0"),
        ("keybase:a", "error decoding given PGP key: illegal base64 data at input byte 7"),
        ("", PARSING + "EOF"),
        ("YWJj", PARSING + "openpgp: invalid data: tag byte does not have MSB set"),
        (_text(HOLDER.public + b"\0"), PARSING + "openpgp: invalid data: tag byte does not have MSB set"),
        (_text(HOLDER.public + b"\xff"), PARSING + "unexpected EOF"),
        (_text(b"\xd7\x00"), PARSING + "openpgp: invalid data: first packet was not a public/private key"),
        (_text(b"\xc6\x01\x04"), PARSING + "openpgp: invalid data: v4 entity without any identities"),
        (_text(b"\xc6\x01\x04\xcd\x01a"), PARSING + "openpgp: invalid data: not a usable public key"),
    ],
)
def test_what_is_no_public_key_is_refused(text: str, expected: str) -> None:
    assert _refusal(text) == expected


def test_an_armored_key_is_refused_as_openbao_refuses_it() -> None:
    armored = b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n"
    assert _refusal(_text(armored)) == PARSING + "openpgp: invalid data: tag byte does not have MSB set"
    assert _refusal(armored.decode()) == "error decoding given PGP key: illegal base64 data at input byte 0"


def test_a_key_cut_within_its_first_packet_ends_unexpectedly() -> None:
    for length in range(1, 50):
        assert _refusal(_text(HOLDER.public[:length])) == PARSING + "unexpected EOF"


@pytest.mark.parametrize(
    "packet",
    [
        b"\x99\x00\x01\x04",
        b"\x98\x01\x04",
        b"\x9a\x00\x00\x00\x01\x04",
        b"\x9b\x04",
        b"\xc6\x01\x04",
        b"\xc6\xc0\x00" + b"\x04" * 192,
        b"\xc6\xff\x00\x00\x00\x01\x04",
        b"\xc6\xe0\x04\x01\x04",
    ],
)
def test_every_form_of_packet_length_is_followed(packet: bytes) -> None:
    assert _refusal(_text(packet)).endswith("v4 entity without any identities")
    if packet[0] != 0x9B:
        assert _refusal(_text(packet[:-1])).endswith("unexpected EOF")


@given(st.binary(max_size=60))
def test_any_bytes_are_refused_without_being_shown(data: bytes) -> None:
    text = _refusal(_text(data))
    assert "backtrace" not in text
    assert len(text) < 120


@given(st.integers(0, len(HOLDER.public) - 1), st.integers(1, 255))
def test_a_damaged_key_is_refused_or_is_some_key(at: int, change: int) -> None:
    damaged = HOLDER.public[:at] + bytes([HOLDER.public[at] ^ change]) + HOLDER.public[at + 1 :]
    try:
        Recipient.parse(_text(damaged), NOW).encrypt("x")
    except SealRefusal:
        pass


def test_a_key_that_has_not_expired_yet_encrypts() -> None:
    assert Recipient.parse(EXPIRED, Millis(1_700_000_000_000)).encrypt("x")
