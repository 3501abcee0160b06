# SPDX-License-Identifier: EUPL-1.2
"""Keys that others make: whoever makes a key set, or brings a key along, cannot make a signature costly."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jws
from joserfc.jwk import RSAKey

from nhi.auth.jwt.provider import document
from nhi.jose import signature
from tests.tokens import KEY, b64, jwk, token
from vault.framework.errors import Malformed
from vault.outbound.failure import Unreachable
from vault.outbound.fetch import Answer


def number(value: int) -> str:
    return b64(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def key(bits: int, exponent: int = 65_537) -> dict[str, Any]:
    """A public key of so many bits, whose modulus nobody has made."""
    return {"kty": "RSA", "n": number((1 << (bits - 1)) + 1), "e": number(exponent)}


@pytest.mark.parametrize(("bits", "exponent", "taken"), [
    (2048, 65_537, True),
    (2048, 3, True),
    (8192, 65_537, True),
    (2048, (1 << 31) - 1, True),
    (2040, 65_537, False),
    (8200, 65_537, False),
    (16_384, 65_537, False),
    (2048, (1 << 31) + 1, False),
    (2048, (1 << 2046) + 1, False),
    (3072, (1 << 3070) + 1, False),
], ids=lambda value: str(value)[:12])  # fmt: skip
def test_only_keys_whose_signatures_cost_little_are_taken(bits: int, exponent: int, taken: bool) -> None:
    assert bool(signature.from_set([key(bits, exponent)])) is taken


def test_a_key_of_a_megabit_is_not_even_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[object] = []
    monkeypatch.setattr(RSAKey.binding, "import_public_key", decoded.append)
    assert signature.from_set([key(1_000_000)]) == ()
    assert decoded == []


def test_a_configured_key_that_would_cost_much_is_refused() -> None:
    large = rsa.RSAPublicNumbers((1 << 2046) + 1, (1 << 2047) + 1).public_key()
    with pytest.raises(Malformed, match="does not contain any valid public keys"):
        signature.from_pem([large.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()])


def test_a_token_is_tried_with_so_many_keys_of_a_set_and_not_with_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried = []
    check = jws.validate_compact

    def counted(*args: Any, **options: Any) -> bool:
        tried.append(args)
        return bool(check(*args, **options))

    monkeypatch.setattr(jws, "validate_compact", counted)
    keys = signature.from_set([jwk(KEY)] * 100)
    assert len(keys) == 100
    forged = token({"a": 1})
    assert signature.read(forged[:-6] + "AAAAAA").claims(keys) is None
    assert len(tried) == 20
    assert signature.read(forged).claims(keys) == {"a": 1}


@pytest.mark.parametrize("text", [b'{"keys":[' + b",".join([b"{}"] * 150_000) + b"]}", b"[" * 500_000])
def test_a_document_of_countless_values_is_refused_before_it_is_read(text: bytes) -> None:
    with pytest.raises(Unreachable, match="no JSON object"):
        document(Answer(200, text))
