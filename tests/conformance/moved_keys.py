# SPDX-License-Identifier: EUPL-1.2
"""Keys that scenarios import: ``{wrapped_NAME}`` is key NAME, wrapped for the captured ``wrapping``, the same for both servers."""

import base64
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.keywrap import aes_key_wrap, aes_key_wrap_with_padding
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_public_key,
)

from vault.engines.transit.keys.key_types import Signer


@cache
def pair(name: str) -> Signer:
    """A pair, the same one for each name: a kind, or a kind and ``_`` and a letter."""
    kind = name.partition("_")[0]
    if kind.startswith("rsa"):
        return rsa.generate_private_key(65537, int(kind.removeprefix("rsa")))
    makers: Mapping[str, Callable[[], Signer]] = {
        "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
        "ed25519": ed25519.Ed25519PrivateKey.generate,
        "mldsa44": mldsa.MLDSA44PrivateKey.generate,
        "mldsa65": mldsa.MLDSA65PrivateKey.generate,
        "mldsa87": mldsa.MLDSA87PrivateKey.generate,
    }
    return makers[kind]()


def public_pem(name: str) -> str:
    """The public half of `pair(name)`."""
    return pair(name).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@dataclass(frozen=True)
class Wrap:
    """How a key is wrapped."""

    algorithm: hashes.HashAlgorithm
    fresh: int = 32
    padded: bool = True


USUAL: Final = Wrap(hashes.SHA256())
WRAPS: Final[Mapping[str, Wrap]] = {
    "sha1": Wrap(hashes.SHA1()),  # noqa: S303 - both servers take it
    "sha224": Wrap(hashes.SHA224()),
    "sha384": Wrap(hashes.SHA384()),
    "sha512": Wrap(hashes.SHA512()),
    "short": Wrap(hashes.SHA256(), fresh=16),
    "bare": Wrap(hashes.SHA256(), padded=False),
}


def wrap(secret: bytes, pem: str, how: Wrap = USUAL) -> str:
    """A secret, wrapped for a public key in PEM."""
    public = load_pem_public_key(pem.encode())
    assert isinstance(public, rsa.RSAPublicKey)
    fresh = secrets.token_bytes(how.fresh)
    sealed = (aes_key_wrap_with_padding if how.padded else aes_key_wrap)(fresh, secret)
    block = public.encrypt(fresh, OAEP(MGF1(how.algorithm), how.algorithm, None))
    return base64.b64encode(block + sealed).decode()


def secret_of(name: str) -> bytes:
    """The key that a name stands for: ``bytes32`` and the like, or a pair in PKCS #8 (``old_``: as before that; ``pss_``: for PSS;
    ``long_``: with a byte too many).
    """
    if name.startswith("bytes"):
        return bytes(number % 256 for number in range(int(name.removeprefix("bytes"))))
    if name.startswith("long_"):
        return secret_of(name.removeprefix("long_")) + b"x"
    if name.startswith("pss_"):
        return _for_pss(secret_of(name.removeprefix("pss_")))
    form = PrivateFormat.PKCS8
    if name.startswith("old_"):
        name, form = name.removeprefix("old_"), PrivateFormat.TraditionalOpenSSL
    return pair(name).private_bytes(Encoding.DER, form, NoEncryption())


def _for_pss(plain: bytes) -> bytes:
    """A pair of RSA with the identifier of those that are for PSS alone (RFC 4055), which has no parameters."""
    usual, other = (bytes.fromhex(f"2a864886f70d0101{end}") for end in ("010500", "0a"))
    length = (int.from_bytes(plain[2:4]) - 2).to_bytes(2)
    inner = plain[4:].replace(b"\x30\x0d\x06\x09" + usual, b"\x30\x0b\x06\x09" + other)
    return plain[:2] + length + inner


def wrapped(name: str, pem: str) -> str:
    """What ``{wrapped_NAME}`` stands for: a key of `secret_of`, and perhaps ``_`` and one of `WRAPS`."""
    inner, _, how = name.rpartition("_")
    if how in WRAPS:
        return wrap(secret_of(inner), pem, WRAPS[how])
    return wrap(secret_of(name), pem)
