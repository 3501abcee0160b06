# SPDX-License-Identifier: EUPL-1.2
"""The bytes of a certificate (OpenSSH's PROTOCOL.certkeys): its fields in a row, and a signature of the library's (ADR 0039)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from vault.engines.ssh.keys.issuers import OpenIssuer
from vault.engines.ssh.keys.pairs import Signer
from vault.engines.ssh.keys.public_key import PublicKey
from vault.framework.errors import Malformed
from vault.values.encoding import to_base64
from vault.values.times import Seconds

NONCE: Final = 32
_KINDS: Final = {False: 1, True: 2}
"""Users' and hosts'."""
_RSA_HASHES: Final[Mapping[str, type[hashes.SHA1 | hashes.SHA256 | hashes.SHA512]]] = {
    "ssh-rsa": hashes.SHA1,
    "rsa-sha2-256": hashes.SHA256,
    "rsa-sha2-512": hashes.SHA512,
}
_USUAL: Final = "rsa-sha2-256"
_CURVE_HASHES: Final[Mapping[int, type[hashes.SHA256 | hashes.SHA384 | hashes.SHA512]]] = {
    256: hashes.SHA256,
    384: hashes.SHA384,
    521: hashes.SHA512,
}


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """All that a certificate says of a key. `algorithm` is how an RSA key signs; names of options are in order."""

    serial: int
    host: bool
    key_id: str
    principals: Sequence[str]
    begins: Seconds
    ends: Seconds
    critical_options: Mapping[str, str]
    extensions: Mapping[str, str]
    algorithm: str


def type_of_certificate(public: PublicKey) -> str:
    """Return the type of a certificate for a key."""
    return f"{public.type.removesuffix('@openssh.com')}-cert-v01@openssh.com"


def certificate(public: PublicKey, said: Statement, authority: OpenIssuer, nonce: bytes) -> str:
    """Return a signed certificate as a line."""
    kind = type_of_certificate(public)
    body = b"".join(
        (
            _string(kind.encode()),
            _string(nonce),
            public.fields,
            said.serial.to_bytes(8),
            _KINDS[said.host].to_bytes(4),
            _string(said.key_id.encode()),
            _string(b"".join(_string(name.encode()) for name in said.principals)),
            said.begins.to_bytes(8),
            said.ends.to_bytes(8),
            _string(_options(said.critical_options)),
            _string(_options(said.extensions)),
            _string(b""),
            _string(authority.public.blob),
        )
    )
    signature = _signature(body, authority.private, authority.public.type, said.algorithm)
    return f"{kind} {to_base64(body + _string(signature))}\n"


def _signature(body: bytes, signer: Signer, kind: str, algorithm: str) -> bytes:
    """Return a signature with the name of its algorithm (RFC 4253, section 6.6; RFC 8332, 5656, 8709)."""
    if isinstance(signer, ed25519.Ed25519PrivateKey):
        return _string(kind.encode()) + _string(signer.sign(body))
    if isinstance(signer, ec.EllipticCurvePrivateKey):
        der = signer.sign(body, ec.ECDSA(_CURVE_HASHES[signer.key_size]()))
        made = b"".join(map(_number, decode_dss_signature(der)))
        return _string(kind.encode()) + _string(made)
    name = _USUAL if algorithm == "default" else algorithm
    made = signer.sign(body, padding.PKCS1v15(), _RSA_HASHES[name]())
    return _string(name.encode()) + _string(made)


def check_algorithm(signer: Signer, algorithm: str) -> None:
    """Make sure that a key can sign by an algorithm. Raises `Malformed`."""
    if algorithm != "default" and not isinstance(signer, rsa.RSAPrivateKey):
        raise Malformed("the role's algorithm_signer is for RSA, and the key of the issuer is none")


def _options(options: Mapping[str, str]) -> bytes:
    """Return options, which are in order: a value is a string within a string, an empty one is an empty string."""
    return b"".join(
        _string(name.encode()) + _string(_string(value.encode()) if value else b"")
        for name, value in options.items()
    )


def _string(value: bytes) -> bytes:
    """Return a string (RFC 4251, section 5)."""
    return len(value).to_bytes(4) + value


def _number(value: int) -> bytes:
    """Return a positive `mpint` (RFC 4251, section 5): its first bit is never set."""
    return _string(value.to_bytes(value.bit_length() // 8 + 1))
