# SPDX-License-Identifier: EUPL-1.2
"""Pairs of keys that tests bring: always the same, so that two servers are asked alike."""

import base64
import hashlib

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

_CURVES: dict[int, ec.EllipticCurve] = {256: ec.SECP256R1(), 384: ec.SECP384R1(), 521: ec.SECP521R1()}
Pair = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey


def ed25519_pair(name: str) -> ed25519.Ed25519PrivateKey:
    """The pair of Ed25519 with a name."""
    return ed25519.Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())


def ec_pair(name: str, bits: int = 256) -> ec.EllipticCurvePrivateKey:
    """The pair of ECDSA with a name."""
    secret = int.from_bytes(hashlib.sha256(name.encode()).digest()) >> 8
    return ec.derive_private_key(secret, _CURVES[bits])


def public_line(pair: Pair, comment: str = "") -> str:
    """The public key of a pair as a line of `authorized_keys`."""
    line = pair.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    return f"{line} {comment}\n" if comment else f"{line}\n"


def private_pem(pair: Pair, password: str = "") -> str:
    """The private key of a pair, in OpenSSH's form."""
    encryption = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    return pair.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, encryption).decode()


def string(value: bytes) -> bytes:
    """A string of the wire format (RFC 4251, section 5)."""
    return len(value).to_bytes(4) + value


def security_key(name: str) -> str:
    """The public key of a security key (FIDO), of Ed25519."""
    raw = ed25519_pair(name).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    kind = "sk-ssh-ed25519@openssh.com"
    blob = string(kind.encode()) + string(raw) + string(b"ssh:")
    return f"{kind} {base64.b64encode(blob).decode()}\n"


def security_key_ec(name: str) -> str:
    """The public key of a security key (FIDO), of ECDSA."""
    point = ec_pair(name).public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    kind = "sk-ecdsa-sha2-nistp256@openssh.com"
    blob = string(kind.encode()) + string(b"nistp256") + string(point) + string(b"ssh:")
    return f"{kind} {base64.b64encode(blob).decode()}\n"


def rsa_line(modulus: int) -> str:
    """A public key of RSA with a modulus."""
    number = string(modulus.to_bytes(modulus.bit_length() // 8 + 1))
    blob = string(b"ssh-rsa") + string(b"\x01\x00\x01") + number
    return f"ssh-rsa {base64.b64encode(blob).decode()}\n"


def odd(bits: int) -> int:
    """An odd number of this many bits, always the same: what looks like a modulus from outside."""
    made = b"".join(hashlib.sha256(b"%d" % block).digest() for block in range(bits // 256 + 1))
    return int.from_bytes(made[: bits // 8]) | (1 << (bits - 1)) | 1
