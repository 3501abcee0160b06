# SPDX-License-Identifier: Apache-2.0
"""A caller of cryptography as a service: one credential at one mount of keys."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from esa_conformance.binding.client import Client
from esa_conformance.binding.replies import Reply


@dataclass(frozen=True)
class Transit:
    """Asks as one caller for what is done with keys. Data are bytes here and base64 on the wire."""

    client: Client
    mount: str

    def by(self, client: Client) -> Transit:
        """The same keys, asked for by another caller."""
        return replace(self, client=client)

    def path(self, verb: str, key: str, *more: str) -> str:
        """Where something is done with a key, as policies name it."""
        return "/".join((self.mount, verb, key, *more))

    def _post(self, verb: str, key: str, body: Mapping[str, object], *more: str) -> Reply:
        return self.client.send("POST", self.path(verb, key, *more), body)

    # ---------------------------------------------------------------------------------------- keys
    def make_key(self, key: str, **settings: object) -> Reply:
        """Have a key made: `type`, `derived`, `exportable`."""
        return self._post("keys", key, settings)

    def key(self, key: str) -> Reply:
        """Read a key's settings, and its public keys by version."""
        return self.client.send("GET", self.path("keys", key))

    def rotate(self, key: str) -> Reply:
        """Make a new version."""
        return self._post("keys", key, {}, "rotate")

    def configure(self, key: str, **settings: object) -> Reply:
        """Change settings: `min_decryption_version`, `deletion_allowed`."""
        return self._post("keys", key, settings, "config")

    def remove_key(self, key: str) -> Reply:
        """Remove a key with all its versions."""
        return self.client.send("DELETE", self.path("keys", key))

    def export(self, kind: str, key: str) -> Reply:
        """Have all versions given out: of `encryption-key`, `signing-key`, `hmac-key`."""
        return self.client.send("GET", self.path("export", kind, key))

    # ---------------------------------------------------------------------------------------- data
    def encrypt(self, key: str, data: bytes, **more: object) -> Reply:
        """Encrypt; `associated_data` and `context` are base64."""
        return self._post("encrypt", key, {"plaintext": text_of(data), **more})

    def decrypt(self, key: str, ciphertext: str, **more: object) -> Reply:
        """Decrypt."""
        return self._post("decrypt", key, {"ciphertext": ciphertext, **more})

    def encrypt_all(self, key: str, data: Sequence[bytes]) -> Reply:
        """Encrypt several in one request."""
        return self._post("encrypt", key, {"batch_input": [{"plaintext": text_of(one)} for one in data]})

    def decrypt_all(self, key: str, ciphertexts: Sequence[str]) -> Reply:
        """Decrypt several in one request."""
        return self._post("decrypt", key, {"batch_input": [{"ciphertext": one} for one in ciphertexts]})

    def rewrap(self, key: str, ciphertext: str) -> Reply:
        """Bring a ciphertext to the newest version."""
        return self._post("rewrap", key, {"ciphertext": ciphertext})

    def sign(self, key: str, data: bytes) -> Reply:
        """Sign."""
        return self._post("sign", key, {"input": text_of(data)})

    def authenticate(self, key: str, data: bytes) -> Reply:
        """Make a message authentication code."""
        return self._post("hmac", key, {"input": text_of(data)})

    def verify(self, key: str, data: bytes, made: str, *, code: bool) -> Reply:
        """Verify what `sign` or, as a `code`, `authenticate` made."""
        member = "hmac" if code else "signature"
        return self._post("verify", key, {"input": text_of(data), member: made})


def text_of(data: bytes) -> str:
    """Bytes as they stand on the wire."""
    return base64.b64encode(data).decode()


def plaintext_of(reply: Reply) -> bytes | None:
    """The bytes that were decrypted; None where there are none."""
    return _bytes(reply.answer.member("data", "plaintext"))


def made_of(reply: Reply) -> str:
    """The ciphertext, signature or code that was made; empty where there is none."""
    for name in ("ciphertext", "signature", "hmac"):
        found = reply.answer.member("data", name)
        if isinstance(found, str):
            return found
    return ""


def ciphertexts_of(reply: Reply) -> list[str]:
    """The ciphertexts of several that were encrypted in one request; empty where there is none."""
    found = reply.answer.member("data", "batch_results")
    items = found if isinstance(found, list) else []
    return [str(one.get("ciphertext", "")) if isinstance(one, dict) else "" for one in items]


def outcomes_of(reply: Reply) -> list[bytes | None]:
    """What came of each of several that were decrypted: its bytes, or None where it was refused."""
    found = reply.answer.member("data", "batch_results")
    items = found if isinstance(found, list) else []
    return [
        None if not isinstance(one, dict) or one.get("error") else _bytes(one.get("plaintext", ""))
        for one in items
    ]


def is_valid(reply: Reply) -> bool:
    """Whether what was verified was found good."""
    return reply.ok and reply.answer.member("data", "valid") is True


def version_of(made: str) -> int | None:
    """The version that something was made with; None where it does not say so."""
    prefix, _, rest = made.partition(":")
    number, _, binary = rest.partition(":")
    named = prefix and number[:1] == "v" and number[1:].isdecimal() and binary
    return int(number[1:]) if named else None


def altered(made: str, place: int = -1) -> str:
    """The same with one bit of the binary part changed."""
    binary = bytearray(_binary(made))
    binary[place] ^= 1
    return made[: -len(made.rpartition(":")[2])] + text_of(bytes(binary))


def cut(made: str) -> str:
    """The same without the last byte of the binary part."""
    return made[: -len(made.rpartition(":")[2])] + text_of(_binary(made)[:-1])


def signature_bytes(made: str) -> bytes:
    """The binary part of a signature, as other software takes it."""
    return _binary(made)


def public_key_der(reply: Reply, version: int) -> bytes:
    """The SubjectPublicKeyInfo of a version in a key's description; empty where there is none."""
    found = reply.answer.member("data", "keys")
    entry = found.get(str(version)) if isinstance(found, dict) else None
    pem = entry.get("public_key") if isinstance(entry, dict) else None
    lines = [line for line in str(pem or "").splitlines() if line and not line.startswith("-----")]
    return _bytes("".join(lines)) or b""


def _binary(made: str) -> bytes:
    return _bytes(made.rpartition(":")[2]) or b"\0"


def _bytes(found: object) -> bytes | None:
    if not isinstance(found, str):
        return None
    try:
        return base64.b64decode(found, validate=True)
    except (binascii.Error, ValueError):
        return None
