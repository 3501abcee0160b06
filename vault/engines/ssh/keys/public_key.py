# SPDX-License-Identifier: EUPL-1.2
"""Public keys as they travel: a line of an `authorized_keys` file, with a key in the wire format of RFC 4253, section 6.6."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from typing import Final

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_public_key

from vault.framework.errors import Malformed
from vault.values.encoding import NotBase64, from_base64

Verifier = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
"""The public half of a pair."""
_LONGEST: Final = 16_384
"""Characters of a line: a key of RSA with 16,384 bits has 3,000."""
_WORD: Final = re.compile(r"[^ ]*")
_LENGTH: Final = 4
_NONE: Final = "ssh: no such key"
RSA: Final = "rsa"
_ED25519: Final = "ssh-ed25519"
_SIZE_ED25519: Final = 32
_BITS_ED25519: Final = 256
_FIELDS: Final[Mapping[str, tuple[str, int]]] = {
    "ssh-rsa": ("rsa", 2),
    "ecdsa-sha2-nistp256": ("ecdsa", 2),
    "ecdsa-sha2-nistp384": ("ecdsa", 2),
    "ecdsa-sha2-nistp521": ("ecdsa", 2),
    "ssh-ed25519": ("ed25519", 1),
    "sk-ecdsa-sha2-nistp256@openssh.com": ("ecdsa", 3),
    "sk-ssh-ed25519@openssh.com": ("ed25519", 2),
}
"""By the type of a key, its family and how many fields follow the type (RFC 4253, 5656 and 8709, OpenSSH's PROTOCOL.u2f)."""


class PublicKey(msgspec.Struct, frozen=True):
    """A public key. `blob` is all of it in the wire format, which begins with `type`; `fields` is what follows that."""

    type: str
    blob: bytes
    fields: bytes
    bits: int
    """The size of the key, as roles count it."""

    @property
    def family(self) -> str:
        """`rsa`, `ecdsa` or `ed25519`."""
        return _FIELDS[self.type][0]

    @property
    def in_device(self) -> bool:
        """Whether its private half is in a security key (FIDO)."""
        return self.type.startswith("sk-")

    @property
    def key(self) -> Verifier:
        """As the library reads it. Of a key in a security key it lacks the application, which is in `fields`."""
        return _loaded(self.type, self.blob)

    @property
    def digest(self) -> str:
        """SHA-256 of the key, in hexadecimal digits."""
        return hashlib.sha256(self.blob).hexdigest()


def read_public_key(text: str, problem: str) -> PublicKey:
    """Read a line: type, key in base64, comment; or the key alone. Raises `Malformed`, with `problem` before the reason.

    As in OpenBao the type before the key says nothing: the key names its own.
    """
    if len(text) > _LONGEST:
        raise Malformed(f"{problem}the key may have at most {_LONGEST} characters")
    first, blank, rest = text.partition(" ")
    word = _WORD.match(rest) if blank else None
    try:
        blob = from_base64(word.group() if word is not None else first)
    except NotBase64 as error:
        raise Malformed(f"{problem}illegal base64 data at input byte {error.at}") from None
    kind, fields = _kind_of(blob, problem)
    if kind == _ED25519:  # any 32 bytes are one: the library says no more, and takes 10 us for it
        if len(fields) != _LENGTH + _SIZE_ED25519:
            raise Malformed(f"{problem}{_NONE}")
        return PublicKey(kind, blob, fields, _BITS_ED25519)
    try:
        key = _loaded(kind, blob)
    except (ValueError, UnsupportedAlgorithm):
        wrong = "ssh: invalid curve point" if _FIELDS[kind][0] == "ecdsa" else _NONE
        raise Malformed(f"{problem}{wrong}") from None
    bits = _BITS_ED25519 if isinstance(key, ed25519.Ed25519PublicKey) else key.key_size
    return PublicKey(kind, blob, fields, bits)


def _loaded(kind: str, blob: bytes) -> Verifier:
    key = load_ssh_public_key(kind.encode() + b" " + base64.b64encode(blob))
    assert isinstance(key, Verifier)
    return key


def _kind_of(blob: bytes, problem: str) -> tuple[str, bytes]:
    """Return the type of a key and its fields. Raises `Malformed`: for one that is no key, and one of an unknown type."""
    name, at = _field(blob, 0, problem)
    kind = name.decode("latin-1")
    if kind not in _FIELDS:
        raise Malformed(f"{problem}ssh: unknown key algorithm; must be one of {', '.join(_FIELDS)}")
    end = at
    for _ in range(_FIELDS[kind][1]):
        _, end = _field(blob, end, problem)
    if end < len(blob):
        raise Malformed(f"{problem}ssh: trailing junk in public key")
    return kind, blob[at:]


def _field(blob: bytes, at: int, problem: str) -> tuple[bytes, int]:
    """Return the string at an offset (RFC 4251, section 5), and where it ends. Raises `Malformed`."""
    begin = at + _LENGTH
    end = begin + int.from_bytes(blob[at:begin])
    if begin > len(blob) or end > len(blob):
        raise Malformed(f"{problem}ssh: short read")
    return blob[begin:end], end


def line_of(key: Verifier) -> str:
    """Return a public key as a line without a comment."""
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode() + "\n"
