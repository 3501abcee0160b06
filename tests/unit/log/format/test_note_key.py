# SPDX-License-Identifier: EUPL-1.2
"""Keys of notes: their ids, how people hand them on, and what they verify."""

import binascii
import re
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, derive_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.house.tree import ROOT
from tests.unit.log.format.signing import ed25519, p256, witness
from tests.unit.log.format.trees import VECTORS
from vault.log.format.note import Signer
from vault.log.format.note_key import (
    BadKey,
    BadName,
    BadSignature,
    KeyKind,
    Verifier,
    check_name,
    cosign,
    cosigned,
)

_C2SP_VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"


@pytest.mark.parametrize("vkey", [_C2SP_VKEY, VECTORS["ed25519_vkey"]])
def test_a_verifier_key_is_written_as_it_is_read(vkey: str) -> None:
    assert Verifier.parse(vkey).vkey == vkey
    assert vkey in repr(Verifier.parse(vkey))


def test_the_id_of_a_p256_key_is_that_of_its_spki_under_any_name() -> None:
    key = Verifier("vault.example.eu/log/1", KeyKind.ECDSA, binascii.a2b_base64(VECTORS["p256_spki"]))
    assert key.key_id.hex() == key.under("another").key_id.hex() == VECTORS["p256_key_id"]
    assert Verifier.parse(key.vkey).public == key.public


def test_under_another_name_an_ed25519_key_has_the_id_of_that_name() -> None:
    key = Verifier.parse(_C2SP_VKEY)
    other = key.under("example.com/bar")
    assert (other.public, other.name) == (key.public, "example.com/bar")
    assert other.key_id != key.key_id
    assert other.under(key.name).vkey == _C2SP_VKEY


@pytest.mark.parametrize(
    ("vkey", "problem"),
    [
        ("example.com/foo", "a verifier key is"),
        ("example.com/foo+530d903a", "a verifier key is"),
        ("example.com/foo+530d903a+!", "a verifier key is"),
        ("example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", "the id of"),
        ("example.com/fop+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", "the id of"),
        ("example.com/foo+530D903A+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", "the id of"),
        ("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3Q==", "can't be read"),
        ("example.com/foo+530d903a+CekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", "can't be read"),
        ("example.com/foo+530d903a+AukyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", "can't be read"),
    ],
)
def test_what_is_no_verifier_key_is_refused(vkey: str, problem: str) -> None:
    with pytest.raises(BadKey, match=problem):
        Verifier.parse(vkey)


@pytest.mark.parametrize("name", ["", "a b", "a\u00a0b", "a+b", "a\nb", "a\x00b", "a" * 1025])
def test_a_name_without_spaces_and_plus_is_needed(name: str) -> None:
    with pytest.raises(BadName):
        check_name(name)
    with pytest.raises(BadName):
        Verifier.parse(_C2SP_VKEY).under(name)


@pytest.mark.parametrize("name", ["", "a b", "a" * 1025])
def test_a_verifier_key_has_such_a_name(name: str) -> None:
    with pytest.raises(BadName):
        Verifier.parse(_C2SP_VKEY.replace("example.com/foo", name))


def test_an_ecdsa_key_is_one_on_p256() -> None:
    other_curve = derive_private_key(7, SECP384R1()).public_key()
    other_kind = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()
    for key in (other_curve, other_kind):
        spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        with pytest.raises(BadKey, match="none on P-256"):
            Verifier("name", KeyKind.ECDSA, spki)
    with pytest.raises(BadKey, match="SPKI in DER"):
        Verifier("name", KeyKind.ECDSA, b"\x30\x00")
    with pytest.raises(BadKey, match="has 32 bytes"):
        Verifier("name", KeyKind.COSIGNATURE, bytes(31))
    with pytest.raises(BadKey, match="too long"):
        Verifier("name", KeyKind.ECDSA, bytes(257))


@pytest.mark.parametrize("made", [ed25519, p256])
def test_a_signature_is_of_one_text_by_one_key(made: Callable[[str, int], Signer]) -> None:
    mine, other = made("name", 1), made("name", 2)
    signature = mine.sign(b"text\n")
    assert mine.verifier.verify(b"text\n", signature) is None
    for verifier, text, value in (
        (mine.verifier, b"text\n\n", signature),
        (other.verifier, b"text\n", signature),
        (mine.verifier, b"text\n", signature[:-1]),
        (mine.verifier, b"text\n", b""),
    ):
        with pytest.raises(BadSignature, match="invalid signature"):
            verifier.verify(text, value)


def test_a_cosignature_is_of_a_text_and_a_time() -> None:
    verifier, key = witness("witness.example/w1")
    signature = cosign(b"text\n", 1_679_315_147, key.sign)
    assert verifier.verify(b"text\n", signature) == 1_679_315_147
    assert signature[:8] == (1_679_315_147).to_bytes(8, "big")
    key.public_key().verify(signature[8:], b"cosignature/v1\ntime 1679315147\ntext\n")
    assert cosigned(b"text\n", 5) == b"cosignature/v1\ntime 5\ntext\n"
    latest, too_late = (cosign(b"text\n", time, key.sign) for time in ((1 << 63) - 1, 1 << 63))
    assert verifier.verify(b"text\n", latest) == (1 << 63) - 1
    earlier = (1_679_315_146).to_bytes(8, "big") + signature[8:]
    for wrong in (earlier, signature[:7], too_late, b""):
        with pytest.raises(BadSignature, match="invalid signature"):
            verifier.verify(b"text\n", wrong)


def test_each_verifier_key_that_a_document_shows_is_one() -> None:
    """People copy it to try a command."""
    shown = [
        found[0]
        for page in ROOT.glob("docs/**/*.md")
        for found in re.finditer(r"[\w./-]+\+[0-9a-f]{8}\+[A-Za-z0-9+/]{20,}=*", page.read_text())
    ]
    assert len(shown) >= 5
    assert [vkey for vkey in shown if Verifier.parse(vkey).vkey != vkey] == []
