# SPDX-License-Identifier: EUPL-1.2
"""Keys that stay in their device, as engines see them: an engine finds a key by reference and hands it the work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol, TypeVar

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA224, SHA256, SHA384, SHA512, HashAlgorithm

from vault.framework.call import Call, MountFacts, Namespace

T = TypeVar("T")

PrivateKey = EllipticCurvePrivateKey | RSAPrivateKey | Ed25519PrivateKey
"""A private key in the form that cryptography's builders take; one in a device signs, and exports nothing.

One of RSA decrypts too, with OAEP: it raises `ValueError` for every wrong ciphertext alike.
"""


class SecretKey(Protocol):
    """An AES key in a device, which encrypts and decrypts by AES-GCM."""

    @property
    def bits(self) -> int:
        """Its size; 0 where the device does not tell."""
        ...

    @property
    def fingerprint(self) -> str:
        """What it is known by, which tells nothing of it; empty where it only decrypts."""
        ...

    def encrypt(self, data: bytes, associated_data: bytes) -> bytes:
        """Return a nonce of 12 bytes, which is a new one each time, the encrypted data, and the tag of 16 bytes."""
        ...

    def decrypt(self, data: bytes, associated_data: bytes) -> bytes:
        """Return the data. Raises `cryptography.exceptions.InvalidTag` for every wrong ciphertext alike."""
        ...


_OAEP_HASHES: Final[Mapping[str, HashAlgorithm]] = {
    "sha1": SHA1(),  # noqa: S303 - in OAEP no collision of it helps; some devices know no other
    "sha224": SHA224(),
    "sha256": SHA256(),
    "sha384": SHA384(),
    "sha512": SHA512(),
}


def oaep(hash_name: str) -> OAEP:
    """Return RSA-OAEP (RFC 8017 section 7.1) with one hash throughout, and without a label."""
    algorithm = _OAEP_HASHES[hash_name]
    return OAEP(MGF1(algorithm), algorithm, None)


LARGEST_DATA: Final = 61_440
"""Bytes of data, with associated data, that an AES key in a device takes at once."""


class AskFirst(Exception):
    """Raised by a handler within its transaction when it needs a device: other writes must not wait for the device.

    The pipeline undoes the transaction, awaits `ask`, and begins the call again with the result in `call.prepared`.
    """

    def __init__(self, ask: Callable[[], Awaitable[object]]) -> None:
        """`ask` raises `VaultError` where there is no answer."""
        self.ask = ask


class ExternalKey(Protocol):
    """One key in a device, found and granted."""

    @property
    def ref(self) -> str:
        """The reference `<config>:<key>`, as it was given."""
        ...

    @property
    def oaep(self) -> str:
        """The hash with which the device was seen to decrypt RSA-OAEP; empty for a key that does not decrypt so."""
        ...

    def describe(self) -> Mapping[str, str]:
        """Tell which key in which device this is (serial number, labels, version), for the audit record."""
        ...

    async def use(self, call: Call | None, work: Callable[[PrivateKey], T]) -> T:
        """Return what `work` makes with the key, a pair, in a thread, because it waits for the device at each signature.

        Never within a transaction: see `AskFirst`.

        The audit record of `call` names the key, whether this succeeds or fails. None is the server's own use.
        Raises `Unavailable` when the device does not answer, `Failed` when it refuses, and `Malformed` for an AES key.
        """
        ...

    async def use_any(self, call: Call | None, work: Callable[[PrivateKey | SecretKey], T]) -> T:
        """As `use`, of whatever kind the key is."""
        ...


class ExternalKeys(Protocol):
    """Where engines find external keys."""

    async def require_grant(self, namespace: Namespace, mount: MountFacts, ref: str) -> None:
        """Make sure that the mount may use a key, without asking its device. Raises `Malformed` as `find`."""
        ...

    async def find(self, namespace: Namespace, mount: MountFacts, ref: str) -> ExternalKey:
        """Return the key `<config>:<key>` of `namespace` for the engine that is mounted there as `mount`.

        Raises `Malformed`, in OpenBao's words, where `ref` is no reference, there is no such key or config, or the
        mount has no grant; `Unavailable` when the device does not answer.
        """
        ...
