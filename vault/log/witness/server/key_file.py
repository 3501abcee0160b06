# SPDX-License-Identifier: EUPL-1.2
"""The key of a witness, in one file that nobody else may read.

The file has the line that Go's `sumdb/note` writes for signing keys, of Ed25519: other witnesses can be given the same.
"""

from __future__ import annotations

import binascii
import os
import stat
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from vault.log.format.note_key import BadName, KeyKind, Verifier, check_name, cosign

_PREFIX: Final = "PRIVATE+KEY"
SEED_BYTES: Final = 32
_LONGEST: Final = 4096


class UnfitKey(Exception):
    """A file has no key of a witness, or may be read by others; the message says which."""


class WitnessKey:
    """A key that cosigns, and its verifier key."""

    __slots__ = ("_private", "verifier")

    def __init__(self, name: str, seed: bytes) -> None:
        """`seed` is 32 bytes. Raises `BadName`."""
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.verifier: Final = Verifier(
            name, KeyKind.COSIGNATURE, self._private.public_key().public_bytes_raw()
        )

    def cosign(self, text: str, time: int) -> bytes:
        """Return the cosignature of the checkpoint of this text, seen at `time` in seconds since 1970."""
        return cosign(text.encode(), time, self._private.sign)

    def written(self) -> bytes:
        """Return the content of its file."""
        name, seed = self.verifier.name, self._private.private_bytes_raw()
        material = binascii.b2a_base64(bytes([KeyKind.ED25519]) + seed, newline=False).decode()
        return f"{_PREFIX}+{name}+{_key_id(self.verifier)}+{material}\n".encode()

    def __repr__(self) -> str:
        """Show what people hand on."""
        return f"<WitnessKey {self.verifier.vkey}>"


def write_key(path: Path, key: WitnessKey) -> None:
    """Write a key into a file that is not there yet. Raises `OSError`."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(file, "wb") as opened:
        opened.write(key.written())
        opened.flush()
        os.fsync(file)


def read_key(path: Path) -> WitnessKey:
    """Read a key. Raises `OSError`, `UnfitKey`."""
    with path.open("rb") as file:
        if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
            raise UnfitKey("others may read it: give it to this user alone, with mode 0600")
        content = file.read(_LONGEST)
    try:
        prefix, word, name, key_id, encoded = content.decode().strip().split("+", 4)
        check_name(name)
        material = binascii.a2b_base64(encoded, strict_mode=True)
    except (ValueError, BadName):
        raise UnfitKey("it has no signing key, which is one line that begins with PRIVATE+KEY") from None
    seed = material[1:]
    if f"{prefix}+{word}" != _PREFIX or material[:1] != bytes([KeyKind.ED25519]) or len(seed) != SEED_BYTES:
        raise UnfitKey("it has no signing key of Ed25519")
    key = WitnessKey(name, seed)
    if _key_id(key.verifier) != key_id:
        raise UnfitKey("the id of the key is not that of its name and seed")
    return key


def _key_id(verifier: Verifier) -> str:
    """Return the id that sumdb/note gives the key: that of its Ed25519 signatures, not of its cosignatures."""
    return Verifier(verifier.name, KeyKind.ED25519, verifier.public).key_id.hex()
