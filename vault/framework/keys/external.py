# SPDX-License-Identifier: EUPL-1.2
"""Keys that stay in their device, as engines see them: an engine finds a key by reference and hands it the work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, TypeVar

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from vault.framework.call import Call, MountFacts, Namespace

T = TypeVar("T")

PrivateKey = EllipticCurvePrivateKey | RSAPrivateKey | Ed25519PrivateKey
"""A private key in the form that cryptography's builders take; one in a device signs, and exports nothing."""


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

    def describe(self) -> Mapping[str, str]:
        """Tell which key in which device this is (serial number, labels, version), for the audit record."""
        ...

    async def use(self, call: Call | None, work: Callable[[PrivateKey], T]) -> T:
        """Return what `work` makes with the key, in a thread, because it waits for the device at each signature.

        Never within a transaction: see `AskFirst`.

        The audit record of `call` names the key, whether this succeeds or fails. None is the server's own use.
        Raises `Unavailable` when the device does not answer, and `Failed` when it refuses.
        """
        ...


class ExternalKeys(Protocol):
    """Where engines find external keys."""

    async def find(self, namespace: Namespace, mount: MountFacts, ref: str) -> ExternalKey:
        """Return the key `<config>:<key>` of `namespace` for the engine that is mounted there as `mount`.

        Raises `Malformed`, in OpenBao's words, where `ref` is no reference, there is no such key or config, or the
        mount has no grant; `Unavailable` when the device does not answer.
        """
        ...
