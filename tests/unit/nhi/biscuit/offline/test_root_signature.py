# SPDX-License-Identifier: EUPL-1.2
"""Tokens signed by a root that the library never sees, judged by the library; and the library's own, judged here."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from biscuit_auth import (
    AuthorizationError,
    AuthorizerBuilder,
    Biscuit,
    BiscuitBuilder,
    BiscuitValidationError,
    BlockBuilder,
    KeyPair,
    PrivateKey,
)
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from nhi.biscuit.format.authority import Authority, parse
from nhi.biscuit.format.error import BiscuitError
from nhi.biscuit.offline.keys import RootKey, low_s
from nhi.biscuit.offline.root_signature import build, payload, resign, root_public_key
from tests.patience import patient

VECTORS = json.loads((Path(__file__).parents[4] / "vectors" / "biscuit.json").read_text(encoding="utf-8"))
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
SOURCE = 'workload("w1");\n'
ROOTS: dict[str, Any] = {
    "p256": ec.derive_private_key(int("11" * 32, 16), ec.SECP256R1()),
    "ed25519": Ed25519PrivateKey.from_private_bytes(b"\x33" * 32),
}
FIRST = {"p256": ROOTS["p256"], "ed25519": Ed25519PrivateKey.from_private_bytes(b"\x11" * 32)}


def _allowed(token: Biscuit, operation: str) -> bool:
    code = f'operation("{operation}"); allow if workload("w1");'
    try:
        patient(AuthorizerBuilder(code)).build(token).authorize()
    except AuthorizationError:
        return False
    return True


@pytest.mark.parametrize("name", ROOTS)
def test_the_library_verifies_authorises_and_attenuates(name: str) -> None:
    root = ROOTS[name]
    token = Biscuit.from_bytes(build(BiscuitBuilder(SOURCE), root, 5), root_public_key(root))
    assert token.block_source(0) == SOURCE
    assert _allowed(token, "write")
    narrower = token.append(BlockBuilder('check if operation("read");')).append(
        BlockBuilder("check if true;")
    )
    again = Biscuit.from_bytes(bytes(narrower.to_bytes()), root_public_key(root))
    assert again.block_count() == 3
    assert _allowed(again, "read")
    assert not _allowed(again, "write")


@pytest.mark.parametrize("name", ROOTS)
def test_a_token_of_another_root_is_refused(name: str) -> None:
    original = bytes(BiscuitBuilder(SOURCE).build(KeyPair().private_key).to_bytes())
    with pytest.raises(BiscuitValidationError):
        Biscuit.from_bytes(original, root_public_key(ROOTS[name]))
    signed = resign(original, ROOTS[name])
    with pytest.raises(BiscuitValidationError):
        Biscuit.from_bytes(signed, KeyPair().public_key)
    assert parse(original).block == parse(signed).block
    assert parse(original).next_secret == parse(signed).next_secret


@pytest.mark.parametrize("name", ROOTS)
def test_the_library_finds_the_root_by_its_identifier(name: str) -> None:
    asked: list[int | None] = []

    def provide(identifier: int | None) -> Any:
        asked.append(identifier)
        return root_public_key(ROOTS[name])

    for identifier in (0, 5, 0xFFFF_FFFF, None):
        Biscuit.from_bytes(build(BiscuitBuilder(SOURCE), ROOTS[name], identifier), provide)
    assert asked == [0, 5, 0xFFFF_FFFF, None]


@pytest.mark.parametrize("case", VECTORS["ours"], ids=lambda case: case["algorithm"])
def test_our_bytes_are_pinned(case: dict[str, Any]) -> None:
    token = bytes.fromhex(case["token"])
    read = parse(token)
    assert payload(read).hex() == case["payload"]
    assert (read.root_key_id, read.block.hex()) == (case["root_key_id"], case["block"])
    assert read.signature.hex() == case["signature"]
    root = _rfc6979(ROOTS[case["algorithm"]])
    public = root_public_key(ROOTS[case["algorithm"]])
    assert bytes(public.to_bytes()).hex() == case["root_public"]
    assert resign(token, root, case["root_key_id"]) == token
    Biscuit.from_bytes(token, public)


def _rfc6979(root: Any) -> Any:
    """Return a root whose signatures are the same each time."""
    return root if isinstance(root, Ed25519PrivateKey) else _Deterministic(root)


class _Forwarding(ec.EllipticCurvePrivateKey):
    """A root that is another one, but for how it signs."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key

    def _no(self, *_: object, **__: object) -> Any:
        raise NotImplementedError

    __copy__ = __deepcopy__ = exchange = private_bytes = private_numbers = _no

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._key.public_key()

    @property
    def curve(self) -> ec.EllipticCurve:
        return self._key.curve

    @property
    def key_size(self) -> int:
        return self._key.key_size


class _Deterministic(_Forwarding):
    def sign(self, data: Any, signature_algorithm: Any) -> bytes:
        return self._key.sign(data, ec.ECDSA(SHA256(), deterministic_signing=True))


class _HighS(_Forwarding):
    def sign(self, data: Any, signature_algorithm: Any) -> bytes:
        r, s = decode_dss_signature(self._key.sign(data, signature_algorithm))
        return encode_dss_signature(r, max(s, ORDER - s))


class _Wrong(_Forwarding):
    def sign(self, data: Any, signature_algorithm: Any) -> bytes:
        return self._key.sign(b"something else", signature_algorithm)


@pytest.mark.parametrize("case", VECTORS["library"], ids=lambda case: case["algorithm"])
def test_the_library_s_bytes_are_pinned(case: dict[str, Any]) -> None:
    read = parse(bytes.fromhex(case["token"]))
    assert read.version == case["version"]
    _verify(FIRST[case["algorithm"]], read)
    for number in range(3):
        root = _library_key(FIRST[case["algorithm"]])
        source = f'workload("w{number}"); check if time($t), $t < 2030-01-01T00:00:00Z;'
        fresh = parse(bytes(BiscuitBuilder(source).build(root).to_bytes()))
        assert fresh.version == case["version"], "the library signs otherwise now: read its changes"
        _verify(FIRST[case["algorithm"]], fresh)


def _library_key(key: Any) -> Any:
    return PrivateKey.from_der(  # type: ignore[attr-defined]  # its stub is older than itself
        key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    )


def _verify(root: Any, token: Authority) -> None:
    """Verify as the library signs: version 0 has no marks between its parts."""
    message = payload(token)
    if token.version == 0:
        message = token.block + token.next_algorithm.to_bytes(4, "little") + token.next_public
    if isinstance(root, Ed25519PrivateKey):
        root.public_key().verify(token.signature, message)
    else:
        root.public_key().verify(token.signature, message, ec.ECDSA(SHA256()))


def test_a_p256_signature_has_one_form() -> None:
    root: Any = ROOTS["p256"]
    signed = parse(build(BiscuitBuilder(SOURCE), _HighS(root)))
    r, s = decode_dss_signature(signed.signature)
    assert s <= ORDER // 2
    other = encode_dss_signature(r, ORDER - s)
    assert low_s(other) == low_s(signed.signature) == signed.signature


def test_a_signature_that_the_library_does_not_verify_never_leaves() -> None:
    with pytest.raises(BiscuitError, match="does not verify"):
        build(BiscuitBuilder(SOURCE), _Wrong(ROOTS["p256"]))


def test_every_part_of_the_payload_is_signed() -> None:
    root: Any = ROOTS["ed25519"]
    signed = parse(build(BiscuitBuilder(SOURCE), root))
    for change in (
        {"block": signed.block + b"\0"},
        {"version": 0},
        {"next_public": bytes(32)},
    ):
        with pytest.raises(InvalidSignature):
            root.public_key().verify(signed.signature, payload(msgspec.structs.replace(signed, **change)))


@pytest.mark.parametrize("curve", [ec.SECP384R1(), ec.SECP256K1()])
def test_other_keys_are_no_roots(curve: ec.EllipticCurve) -> None:
    root: RootKey = ec.generate_private_key(curve)
    with pytest.raises(BiscuitError, match=f"not on {curve.name}"):
        build(BiscuitBuilder(SOURCE), root)


def test_only_an_authority_block_alone_is_signed_anew() -> None:
    root = ROOTS["ed25519"]
    token = Biscuit.from_bytes(build(BiscuitBuilder(SOURCE), root), root_public_key(root))
    longer = bytes(token.append(BlockBuilder("check if true;")).to_bytes())
    with pytest.raises(BiscuitError, match="number 3"):
        resign(longer, root)
