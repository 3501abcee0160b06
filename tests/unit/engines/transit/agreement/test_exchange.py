# SPDX-License-Identifier: EUPL-1.2
"""Keys that two sides agree on: RFC 5903's vectors, both sides come to the same, and what is no public half."""

import base64
from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.unit.engines.transit.test_signatures import of_pair
from vault.engines.transit.agreement.exchange import agreed, read_peer
from vault.framework.errors import Malformed

CURVES: Final = {
    "ecdsa-p256": ec.SECP256R1(),
    "ecdsa-p384": ec.SECP384R1(),
    "ecdsa-p521": ec.SECP521R1(),
}
RFC5903: Final = {
    "ecdsa-p256": (
        "C88F01F510D9AC3F70A292DAA2316DE544E9AAB8AFE84049C62A9C57862D1433",
        "D12DFB5289C8D4F81208B70270398C342296970A0BCCB74C736FC7554494BF63",
        "56FBF3CA366CC23E8157854C13C58D6AAC23F046ADA30F8353E74F33039872AB",
        "D6840F6B42F6EDAFD13116E0E12565202FEF8E9ECE7DCE03812464D04B9442DE",
    ),
    "ecdsa-p384": (
        "099F3C7034D4A2C699884D73A375A67F7624EF7C6B3C0F160647B67414DCE655E35B538041E649EE3FAEF896783AB194",
        "E558DBEF53EECDE3D3FCCFC1AEA08A89A987475D12FD950D83CFA41732BC509D0D1AC43A0336DEF96FDA41D0774A3571",
        "DCFBEC7AACF3196472169E838430367F66EEBE3C6E70C416DD5F0C68759DD1FFF83FA40142209DFF5EAAD96DB9E6386C",
        "11187331C279962D93D604243FD592CB9D0A926F422E47187521287E7156C5C4D603135569B9E9D09CF5D4A270F59746",
    ),
    "ecdsa-p521": (
        "0037ADE9319A89F4DABDB3EF411AACCCA5123C61ACAB57B5393DCE47608172A095AA85A30FE1C2952C6771D937BA9777F5957B2639BAB072462F68C27A57382D4A52",
        "00D0B3975AC4B799F5BEA16D5E13E9AF971D5E9B984C9F39728B5E5739735A219B97C356436ADC6E95BB0352F6BE64A6C2912D4EF2D0433CED2B6171640012D9460F",
        "015C68226383956E3BD066E797B623C27CE0EAC2F551A10C2C724D9852077B87220B6536C5C408A1D2AEBB8E86D678AE49CB57091F4732296579AB44FCD17F0FC56A",
        "01144C7D79AE6956BC8EDB8E7C787C4521CB086FA64407F97894E5E6B2D79B04D1427E73CA4BAA240A34786859810C06B3C715A3A8CC3151F2BEE417996D19F3DDEA",
    ),
}
"""Our private half, both numbers of the other side's public half, and what is shared (RFC 5903, section 8)."""


def pem(public: ec.EllipticCurvePublicKey) -> str:
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.mark.parametrize("name", RFC5903)
def test_the_vectors_of_rfc_5903(name: str) -> None:
    own, x, y, shared = (int(text, 16) for text in RFC5903[name])
    curve = CURVES[name]
    peer = ec.EllipticCurvePublicNumbers(x, y, curve).public_key()
    _, version = of_pair(name, ec.derive_private_key(own, curve))
    secret = shared.to_bytes((curve.key_size + 7) // 8, "big")
    for size in (16, 32):
        made = agreed(version, read_peer(pem(peer)), size)
        assert made == HKDF(SHA256(), size, None, b"").derive(secret)


@pytest.mark.parametrize("name", CURVES)
def test_both_sides_come_to_the_same_key_and_nobody_else(name: str) -> None:
    pairs = [ec.generate_private_key(CURVES[name]) for _ in range(3)]
    (_, one), (_, other), (_, stranger) = (of_pair(name, pair) for pair in pairs)
    made = agreed(one, pairs[1].public_key(), 32)
    assert made == agreed(other, pairs[0].public_key(), 32)
    assert made != agreed(stranger, pairs[0].public_key(), 32)
    assert len({made, agreed(one, pairs[2].public_key(), 32)}) == 2


def test_a_half_of_another_curve_is_refused() -> None:
    _, own = of_pair("ecdsa-p256", ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(Malformed, match="base private key type ecdsa-p256 does not match peer"):
        agreed(own, ec.generate_private_key(ec.SECP384R1()).public_key(), 32)


def test_what_is_no_public_half_is_refused_before_much_of_it_is_read() -> None:
    good = pem(ec.generate_private_key(ec.SECP256R1()).public_key())
    read_peer(good)
    for wrong in (
        "",
        "x",
        good + good,
        good + "x",
        good.replace("PUBLIC", "PRIVATE"),
        good + " " * 17_000,
        good[:60],
    ):
        with pytest.raises(Malformed, match="failed to parse supplied peer public key PEM"):
            read_peer(wrong)


def test_a_point_that_is_not_on_its_curve_is_refused() -> None:
    """Else whoever sends it learns of the private half (invalid curve attack)."""
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    off = der[:-1] + bytes([der[-1] ^ 1])
    text = base64.encodebytes(off).decode()
    with pytest.raises(Malformed, match="failed to parse supplied peer public key PEM"):
        read_peer(f"-----BEGIN PUBLIC KEY-----\n{text}-----END PUBLIC KEY-----\n")
