# SPDX-License-Identifier: EUPL-1.2
"""A key slot in software that can be away, slow, broken or given another key, as a token can."""

import asyncio
import hashlib
import os
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hsm.errors import HsmError, IntegrityError, KeyMissing
from hsm.key_slot import KeyIdentity, SlotState, WrappedKey


class SoftSlot:
    """Wraps with AES-GCM under keys of its own; `away` is raised by everything while it is set."""

    def __init__(
        self, name: str, *, kind: str = "pkcs11", random: Callable[[int], bytes] = os.urandom
    ) -> None:
        self.name = name
        self.kind = kind
        self.away: HsmError | None = None
        self.software = False
        self.calls: list[str] = []
        self.hold: asyncio.Event | None = None
        self.entered = asyncio.Event()
        self.before: Callable[[str], object] = self.calls.count
        self.closed = False
        self._random = random
        self.codes = ""
        """What its key for HMAC is known by."""
        self.keys = {"v0001": random(32)}

    @property
    def version(self) -> str:
        """The newest version of the key."""
        return max(self.keys)

    def rotate(self) -> None:
        """Make another version of the key; older ones still unwrap."""
        self.keys[f"v{len(self.keys) + 1:04}"] = self._random(32)

    def replace(self) -> None:
        """Become another token with the same labels."""
        self.keys = {name: self._random(32) for name in self.keys}

    async def _call(self, name: str) -> None:
        self.calls.append(name)
        self.before(name)
        self.entered.set()
        if self.hold is not None:
            await self.hold.wait()
        if self.away is not None:
            raise self.away

    def _fingerprint(self, version: str) -> str:
        return hashlib.sha256(self.keys[version]).hexdigest()[:32]

    def _recorded(self, key: KeyIdentity | None) -> str:
        """The version to wrap with: as a token does, it refuses another key in the place of the one that is recorded."""
        if key is None:
            return self.version
        if key.version not in self.keys:
            raise KeyMissing(f"slot {self.name}: no key {key.version}")
        if key.fingerprint not in {"", self._fingerprint(key.version)} or key.authenticator not in {
            "",
            self.codes,
        }:
            raise IntegrityError(
                f"slot {self.name}: {key.version} is another key than the slot's record names"
            )
        return key.version

    async def identify(self, key: KeyIdentity | None = None) -> KeyIdentity:
        await self._call("identify")
        version = self._recorded(key)
        return KeyIdentity(
            label="kek",
            version=version,
            fingerprint=self._fingerprint(version),
            authenticator=self.codes,
        )

    async def wrap(self, dek: bytes, key: KeyIdentity | None = None) -> WrappedKey:
        await self._call("wrap")
        version = self._recorded(key)
        nonce = self._random(12)
        sealed = AESGCM(self.keys[version]).encrypt(nonce, dek, None)
        return WrappedKey(m="aes-gcm", k=version, iv=nonce, ct=sealed, mac=self.codes.encode())

    async def unwrap(self, wrapped: WrappedKey) -> bytes:
        await self._call("unwrap")
        if wrapped.k not in self.keys:
            raise KeyMissing(f"slot {self.name}: no key {wrapped.k}")
        refusal = IntegrityError(f"slot {self.name}: not what was wrapped")
        if wrapped.mac != self.codes.encode():
            raise refusal
        try:
            return AESGCM(self.keys[wrapped.k]).decrypt(wrapped.iv, wrapped.ct, None)
        except (InvalidTag, ValueError):
            raise refusal from None

    async def probe(self) -> SlotState:
        self.calls.append("probe")
        reason = "" if self.away is None else str(self.away)
        return SlotState(
            up=self.away is None, key_version=self.version, reason=reason, software=self.software
        )

    async def probe_forever(self) -> None:
        """Wait until `hold` lets go."""
        await self._call("probe")

    async def close(self) -> None:
        self.closed = True
