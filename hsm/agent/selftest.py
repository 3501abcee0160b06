# SPDX-License-Identifier: EUPL-1.2
"""What is asked of a token before it is trusted with a seal: small trials with keys that are gone with the session.

Each trial ends well with a remark, or by an exception. What is public is done in software and must agree.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, Final, NamedTuple

import pkcs11
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, keywrap
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from pkcs11 import MGF, Attribute, GCMParams, KeyType, Mechanism, MechanismFlag
from pkcs11.util.ec import encode_named_curve_parameters

from hsm.agent.keys.mechanisms import Entropy

_SECRET: Final = {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False, Attribute.PRIVATE: True}
_EDWARDS: Final = b"\x13\x0cedwards25519"
_HASHES: Final[dict[str, tuple[hashes.HashAlgorithm, Mechanism, MGF]]] = {
    "sha256": (hashes.SHA256(), Mechanism.SHA256, MGF.SHA256),
    "sha1": (hashes.SHA1(), Mechanism.SHA_1, MGF.SHA1),  # noqa: S303 - the only one that some tokens know
}

FAILURES: Final = (pkcs11.PKCS11Error, AttributeError, ValueError, InvalidSignature)
"""How a trial ends that a token does not pass: python-pkcs11 leaves out the method of a use that a key lacks."""


class CheckFailed(ValueError):
    """The token answered, and not as it must; the message is what to tell."""


class Bench:
    """A session with its keys, which are made when a trial first wants them."""

    def __init__(self, session: pkcs11.Session, random: Entropy) -> None:
        self.session = session
        self.random = random

    def aes(self, uses: MechanismFlag, **extra: bool) -> Any:  # noqa: ANN401 - its methods depend on its uses
        """Make an AES-256 key that must not leave the token, unless `EXTRACTABLE=True`."""
        named = {Attribute[name]: value for name, value in extra.items()}
        return self.session.generate_key(
            KeyType.AES, 256, store=False, capabilities=uses, template={**_SECRET, **named}
        )

    @cached_property
    def kek(self) -> Any:  # noqa: ANN401 - as above
        """An AES-256 key that encrypts."""
        return self.aes(MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT)

    @cached_property
    def rsa(self) -> tuple[rsa.RSAPublicKey, Any]:
        """An RSA-2048 key pair, its public half in software."""
        public, private = self.session.generate_keypair(
            KeyType.RSA, 2048, store=False, private_template=dict(_SECRET)
        )
        numbers = (int.from_bytes(public[name], "big") for name in (_EXPONENT, _MODULUS))
        return rsa.RSAPublicNumbers(*numbers).public_key(), private

    def pair(self, kind: KeyType, parameters: bytes, mechanism: Mechanism) -> tuple[bytes, Any]:
        """Make a key pair on a curve; the public point without its wrapping, and the private key."""
        domain = self.session.create_domain_parameters(kind, {Attribute.EC_PARAMS: parameters}, local=True)
        public, private = domain.generate_keypair(
            mechanism=mechanism,
            store=False,
            private_template={**_SECRET, Attribute.SIGN: True},
        )
        point = bytes(public[Attribute.EC_POINT])
        return point[2:] if point[:1] == b"\x04" and point[1] == len(point) - 2 else point, private


_EXPONENT: Final = Attribute.PUBLIC_EXPONENT
_MODULUS: Final = Attribute.MODULUS


def _hardened_key(bench: Bench) -> str:
    bench.aes(MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT, MODIFIABLE=False, COPYABLE=False)
    return ""


def _hidden_value(bench: Bench) -> str:
    try:
        bench.kek[Attribute.VALUE]
    except pkcs11.PKCS11Error as error:
        return f"refused: {_named(error)}"
    raise CheckFailed("the token gives out the value of a sensitive key")


def _no_way_out(bench: Bench) -> str:
    wrapping = bench.aes(MechanismFlag.WRAP | MechanismFlag.UNWRAP)
    answers = set()
    for mechanism in (Mechanism.AES_KEY_WRAP, Mechanism.AES_KEY_WRAP_PAD, Mechanism.AES_CBC_PAD):
        parameter = bench.random(16) if mechanism is Mechanism.AES_CBC_PAD else None
        try:
            wrapping.wrap_key(bench.kek, mechanism=mechanism, mechanism_param=parameter)
        except pkcs11.PKCS11Error as error:
            answers.add(_named(error))
        else:
            raise CheckFailed(f"the token wraps a key that must not leave it ({mechanism.name})")
    return f"refused: {', '.join(sorted(answers))}"


def _check_value(bench: Bench) -> str:
    found = bytes(bench.kek[Attribute.CHECK_VALUE])
    if not found:
        raise CheckFailed("it is empty")
    return f"{len(found)} bytes"


def _gcm(bench: Bench) -> str:
    data, iv, aad = bench.random(32), bench.random(12), b"bound"
    sealed = bench.kek.encrypt(data, mechanism=Mechanism.AES_GCM, mechanism_param=GCMParams(iv, aad))
    opened = bench.kek.decrypt(sealed, mechanism=Mechanism.AES_GCM, mechanism_param=GCMParams(iv, aad))
    _same(opened, data)
    broken = bytes([sealed[0] ^ 1]) + sealed[1:]
    try:
        bench.kek.decrypt(broken, mechanism=Mechanism.AES_GCM, mechanism_param=GCMParams(iv, aad))
    except pkcs11.PKCS11Error as error:
        return f"a changed byte is {_named(error)}"
    raise CheckFailed("a changed byte is not noticed")


def _cbc(bench: Bench) -> str:
    data, iv = bench.random(32), bench.random(16)
    sealed = bench.kek.encrypt(data, mechanism=Mechanism.AES_CBC_PAD, mechanism_param=iv)
    _same(bench.kek.decrypt(sealed, mechanism=Mechanism.AES_CBC_PAD, mechanism_param=iv), data)
    return ""


def _hmac(bench: Bench) -> str:
    key: Any = bench.session.generate_key(
        KeyType.GENERIC_SECRET,
        256,
        mechanism=Mechanism.GENERIC_SECRET_KEY_GEN,
        store=False,
        capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
        template=dict(_SECRET),
    )
    mac = key.sign(b"data", mechanism=Mechanism.SHA256_HMAC)
    if key.verify(b"other", mac, mechanism=Mechanism.SHA256_HMAC):
        raise CheckFailed("other data has the same code")
    return ""


def _key_wrap(mechanism: Mechanism, reference: Callable[[bytes, bytes], bytes]) -> Callable[[Bench], str]:
    def check(bench: Bench) -> str:
        uses = MechanismFlag.WRAP | MechanismFlag.UNWRAP
        clear = {"SENSITIVE": False, "EXTRACTABLE": True}
        wrapping, wrapped = bench.aes(uses, **clear), bench.aes(MechanismFlag.ENCRYPT, **clear)
        made = wrapping.wrap_key(wrapped, mechanism=mechanism)
        if made != reference(wrapping[Attribute.VALUE], wrapped[Attribute.VALUE]):
            raise CheckFailed(f"{len(made)} bytes that are not what the RFC says")
        return ""

    return check


def _oaep(name: str) -> Callable[[Bench], str]:
    def check(bench: Bench) -> str:
        algorithm, digest, mask = _HASHES[name]
        public, private = bench.rsa
        data = bench.random(32)
        sealed = public.encrypt(data, padding.OAEP(padding.MGF1(algorithm), algorithm, None))
        parameters = (digest, mask, None)
        opened = private.decrypt(sealed, mechanism=Mechanism.RSA_PKCS_OAEP, mechanism_param=parameters)
        _same(opened, data)
        return ""

    return check


def _rsa_pkcs1(bench: Bench) -> str:
    public, private = bench.rsa
    signature = private.sign(b"data", mechanism=Mechanism.SHA256_RSA_PKCS)
    public.verify(signature, b"data", padding.PKCS1v15(), hashes.SHA256())
    return ""


def _rsa_pss(bench: Bench) -> str:
    public, private = bench.rsa
    parameters = (Mechanism.SHA256, MGF.SHA256, 32)
    signature = private.sign(b"data", mechanism=Mechanism.SHA256_RSA_PKCS_PSS, mechanism_param=parameters)
    public.verify(signature, b"data", padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    return ""


def _ecdsa(name: str, curve: ec.EllipticCurve, algorithm: hashes.HashAlgorithm) -> Callable[[Bench], str]:
    def check(bench: Bench) -> str:
        parameters = encode_named_curve_parameters(name)
        point, private = bench.pair(KeyType.EC, parameters, Mechanism.EC_KEY_PAIR_GEN)
        public = ec.EllipticCurvePublicKey.from_encoded_point(curve, point)
        digest = hashes.Hash(algorithm)
        digest.update(b"data")
        raw = private.sign(digest.finalize(), mechanism=Mechanism.ECDSA)
        half = len(raw) // 2
        numbers = (int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big"))
        public.verify(utils.encode_dss_signature(*numbers), b"data", ec.ECDSA(algorithm))
        return ""

    return check


def _ed25519(bench: Bench) -> str:
    point, private = bench.pair(KeyType.EC_EDWARDS, _EDWARDS, Mechanism.EC_EDWARDS_KEY_PAIR_GEN)
    signature = private.sign(b"data", mechanism=Mechanism.EDDSA)
    ed25519.Ed25519PublicKey.from_public_bytes(point).verify(signature, b"data")
    return ""


def _random(bench: Bench) -> str:
    first, second = bench.session.generate_random(256), bench.session.generate_random(256)
    if first == second or len(first) != 32:
        raise CheckFailed("two draws are alike")
    return ""


class Check(NamedTuple):
    """One trial: its name, what needs it, and how it is done."""

    name: str
    purpose: str
    run: Callable[[Bench], str]


CHECKS: Final = (
    Check("AES-256 key, unchangeable and not copyable", "seal", _hardened_key),
    Check("value of a sensitive key stays hidden", "safety", _hidden_value),
    Check("key that must not leave is not wrapped", "safety", _no_way_out),
    Check("key check value", "ceremony", _check_value),
    Check("AES-GCM with bound data", "seal AES_GCM", _gcm),
    Check("AES-CBC with padding", "seal AES_CBC_HMAC", _cbc),
    Check("HMAC-SHA-256", "seal AES_CBC_HMAC", _hmac),
    Check("AES key wrap (RFC 3394)", "import", _key_wrap(Mechanism.AES_KEY_WRAP, keywrap.aes_key_wrap)),
    Check(
        "AES key wrap with padding (RFC 5649)",
        "import",
        _key_wrap(Mechanism.AES_KEY_WRAP_PAD, keywrap.aes_key_wrap_with_padding),
    ),
    Check("RSA-OAEP with SHA-256", "seal RSA_PKCS_OAEP", _oaep("sha256")),
    Check("RSA-OAEP with SHA-1", "seal RSA_PKCS_OAEP with sha1", _oaep("sha1")),
    Check("RSA signature, PKCS #1", "managed keys", _rsa_pkcs1),
    Check("RSA signature, PSS", "managed keys", _rsa_pss),
    Check("ECDSA on P-256", "managed keys", _ecdsa("secp256r1", ec.SECP256R1(), hashes.SHA256())),
    Check("ECDSA on P-384", "managed keys", _ecdsa("secp384r1", ec.SECP384R1(), hashes.SHA384())),
    Check("Ed25519", "managed keys", _ed25519),
    Check("random numbers", "entropy", _random),
)


def describe_failure(error: BaseException) -> str:
    """Say why a trial ended, in a few words."""
    if isinstance(error, CheckFailed):
        return str(error)
    if isinstance(error, AttributeError):
        return "the key has no such use"
    if isinstance(error, InvalidSignature):
        return "the signature is not valid in software"
    return _named(error)


def _named(error: BaseException) -> str:
    text = str(error)
    return type(error).__name__ + (f" ({text})" if text else "")


def _same(found: bytes, wanted: bytes) -> None:
    if found != wanted:
        raise CheckFailed("what comes back is not what went in")
