# SPDX-License-Identifier: EUPL-1.2
"""What comes from elsewhere is a sound key of its kind, or is refused."""

from contextlib import nullcontext
from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, padding, rsa, x25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.conformance.moved_keys import pair, public_pem, secret_of
from tests.unit.engines.transit.test_signatures import TEXT, bare, opened
from vault.engines.transit.keys.key_types import KEY_TYPES
from vault.engines.transit.moving.material import imported, imported_public, of_private
from vault.engines.transit.signatures import Choice, sign, verify
from vault.framework.clock import Entropy
from vault.framework.errors import Malformed

PAIRS: Final = {
    "rsa-2048": "rsa2048",
    "ecdsa-p256": "p256",
    "ecdsa-p384": "p384",
    "ecdsa-p521": "p521",
    "ed25519": "ed25519",
    "mldsa-44": "mldsa44",
    "mldsa-65": "mldsa65",
    "mldsa-87": "mldsa87",
}


def der(private: object, **how: object) -> bytes:
    form = how.get("form", PrivateFormat.PKCS8)
    lock = how.get("lock", NoEncryption())
    found: bytes = private.private_bytes(Encoding.DER, form, lock)  # type: ignore[attr-defined]  # of any kind
    return found


@pytest.mark.parametrize("name", PAIRS)
def test_a_pair_signs_as_itself(name: str) -> None:
    kind = KEY_TYPES[name]
    material = imported(kind, secret_of(PAIRS[name]), Entropy())
    signature = bare(sign(*opened(name, material), TEXT, b"", Choice()).text)
    public = imported_public(kind, public_pem(PAIRS[name]), Entropy())
    assert public.public == material.public
    assert not public.secret
    assert public.mac != material.mac
    assert verify(*opened(name, public), TEXT, signature, b"", Choice())
    with pytest.raises(Malformed, match="does not contain a private part"):
        sign(*opened(name, public), TEXT, b"", Choice())


@pytest.mark.parametrize("name", PAIRS)
def test_a_pair_of_another_kind_is_refused(name: str) -> None:
    for other, key in PAIRS.items():
        if other != name:
            with pytest.raises(Malformed, match=f"expected {name}"):
                imported(KEY_TYPES[name], secret_of(key), Entropy())
            with pytest.raises(Malformed, match=f"expected {name}"):
                imported_public(KEY_TYPES[name], public_pem(key), Entropy())


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("aes128-gcm96", {16}),
        ("aes256-gcm96", {32}),
        ("chacha20-poly1305", {32}),
        ("hmac", {*range(32, 513)}),
    ],
)
def test_a_symmetric_key_has_a_size_of_its_kind(name: str, sizes: set[int]) -> None:
    for size in (0, 1, 15, 16, 17, 24, 31, 32, 33, 64, 512, 513, 4000):
        if size in sizes:
            material = imported(KEY_TYPES[name], bytes(size), Entropy())
            assert material.secret == bytes(size)
            assert (material.mac == material.secret) == (name == "hmac")
        else:
            with pytest.raises(Malformed, match=f"invalid key size {size} bytes for key type {name}"):
                imported(KEY_TYPES[name], bytes(size), Entropy())


def test_what_is_no_plain_pkcs_8_is_refused() -> None:
    p256 = KEY_TYPES["ecdsa-p256"]
    whole = secret_of("p256")
    for wrong in (
        b"",
        b"hello",
        bytes(4000),
        whole[:-1],
        whole + b"x",
        secret_of("old_p256"),
        der(pair("p256"), lock=BestAvailableEncryption(b"password")),
        secret_of("ed25519").replace(b"\x2b\x65\x70", b"\x2b\x65\x71"),  # of Ed448, whose keys are longer
    ):
        with pytest.raises(Malformed, match="error parsing asymmetric key"):
            imported(p256, wrong, Entropy())
    with pytest.raises(Malformed, match="error parsing asymmetric key"):
        imported(KEY_TYPES["rsa-2048"], secret_of("old_rsa2048"), Entropy())
    for other in (
        ec.generate_private_key(ec.SECP256K1()),
        x25519.X25519PrivateKey.generate(),
        ed448.Ed448PrivateKey.generate(),
    ):
        with pytest.raises(Malformed, match="invalid key type: expected ecdsa-p256"):
            imported(p256, der(other), Entropy())


def test_what_is_no_public_key_in_pem_is_refused() -> None:
    for wrong in ("", "junk", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"):
        with pytest.raises(Malformed, match="error parsing public key"):
            imported_public(KEY_TYPES["ecdsa-p256"], wrong, Entropy())
    with pytest.raises(Malformed, match="too long"):
        imported_public(KEY_TYPES["ecdsa-p256"], "x" * 16_385, Entropy())


def test_a_public_half_of_rsa_with_a_long_exponent_is_refused() -> None:
    """It would encrypt and verify as slowly as it signs, on the event loop: 27 ms each with 3072 bits."""
    private = pair("rsa2048")
    assert isinstance(private, rsa.RSAPrivateKey)
    numbers = private.public_key().public_numbers()
    for exponent, wrong in ((numbers.n - 2, True), ((1 << 31) + 1, True), ((1 << 31) - 1, False)):
        public = rsa.RSAPublicNumbers(exponent, numbers.n).public_key()
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        with pytest.raises(Malformed, match="too large") if wrong else nullcontext():
            assert imported_public(KEY_TYPES["rsa-2048"], pem, Entropy()).public


def unsound() -> dict[str, rsa.RSAPrivateNumbers]:
    private = pair("rsa2048")
    assert isinstance(private, rsa.RSAPrivateKey)
    good, public = private.private_numbers(), private.public_key().public_numbers()
    other = rsa.generate_private_key(65537, 2048).private_numbers()
    made = rsa.RSAPrivateNumbers
    p, q, d, dp, dq, inverse = good.p, good.q, good.d, good.dmp1, good.dmq1, good.iqmp
    return {
        "exponent": made(p, q, d + 2, dp, dq, inverse, public),
        "first half": made(p, q, d, dp + 2, dq, inverse, public),
        "second half": made(p, q, d, dp, dq + 2, inverse, public),
        "inverse": made(p, q, d, dp, dq, inverse + 1, public),
        "factors": made(other.p, other.q, d, dp, dq, inverse, public),
        "public half": made(p, q, d, dp, dq, inverse, rsa.RSAPublicNumbers(3, public.n)),
        "large public exponent": made(
            p, q, d, dp, dq, inverse, rsa.RSAPublicNumbers((1 << 33) + 1, public.n)
        ),
    }


@pytest.mark.parametrize("what", unsound())
def test_a_pair_of_rsa_whose_parts_do_not_belong_together_is_refused(what: str) -> None:
    with pytest.raises(
        (Malformed, ValueError), match=r"do not belong together|must equal modulus|is too large"
    ):
        of_private(
            KEY_TYPES["rsa-2048"], unsound()[what].private_key(unsafe_skip_rsa_key_validation=True), b""
        )


def test_factors_that_are_no_primes_are_refused() -> None:
    """Every equation holds of them, but what they sign does not verify."""
    e = 65537
    while True:
        p, q = (_composite(e) for _ in range(2))
        if (p * q).bit_length() == 2048:
            break
    d = pow(e, -1, (p - 1) * (q - 1))
    numbers = rsa.RSAPrivateNumbers(
        p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), rsa.RSAPublicNumbers(e, p * q)
    )
    broken = numbers.private_key(unsafe_skip_rsa_key_validation=True)
    with pytest.raises(Malformed, match="do not belong together"):
        of_private(KEY_TYPES["rsa-2048"], broken, b"")


def _composite(e: int) -> int:
    while True:
        pair_of_primes = rsa.generate_private_key(65537, 1024).private_numbers()  # noqa: S505 - its factors are wanted
        first, second = pair_of_primes.p, pair_of_primes.q
        if (first * second - 1) % e:
            return first * second


def test_a_key_for_pss_alone_comes_as_one_of_rsa() -> None:
    """Its identifier in PKCS #8 is another one (RFC 4055); what it is here may do all that RSA can."""
    material = imported(KEY_TYPES["rsa-2048"], secret_of("pss_rsa2048"), Entropy())
    assert material.secret == secret_of("rsa2048")


def test_the_public_half_of_a_curve_is_its_own() -> None:
    """In PKCS #8 it stands beside the private half, and may be another's."""
    plain = secret_of("p256")
    own = pair("p256").public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    other = pair("p256_b").public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    with pytest.raises(Malformed, match="error parsing asymmetric key"):
        imported(KEY_TYPES["ecdsa-p256"], plain.replace(own, other), Entropy())


def test_an_imported_rsa_key_works_for_others() -> None:
    material = imported(KEY_TYPES["rsa-2048"], secret_of("rsa2048"), Entropy())
    _, version = opened("rsa-2048", material)
    private = version.signer
    assert isinstance(private, rsa.RSAPrivateKey)
    signature = private.sign(b"x", padding.PKCS1v15(), SHA256())
    public = pair("rsa2048").public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    public.verify(signature, b"x", padding.PKCS1v15(), SHA256())


_WHOLE: Final = {name: secret_of(key) for name, key in PAIRS.items()}


@given(
    st.sampled_from(sorted(_WHOLE)),
    st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), max_size=4),
)
def test_an_altered_pair_works_or_is_refused(name: str, changes: list[tuple[int, int]]) -> None:
    data = bytearray(_WHOLE[name])
    for place, byte in changes:
        data[place % len(data)] = byte
    try:
        material = imported(KEY_TYPES[name], bytes(data), Entropy())
    except Malformed:
        return
    key, version = opened(name, material)
    signature = bare(sign(key, version, TEXT, b"", Choice()).text)
    assert verify(key, version, TEXT, signature, b"", Choice())


@given(st.sampled_from(sorted(_WHOLE)), st.binary(max_size=200), st.text(max_size=200))
def test_anything_else_is_refused(name: str, data: bytes, text: str) -> None:
    with pytest.raises(Malformed):
        imported(KEY_TYPES[name], data, Entropy())
    with pytest.raises(Malformed):
        imported_public(KEY_TYPES[name], text, Entropy())
