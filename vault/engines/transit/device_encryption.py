# SPDX-License-Identifier: EUPL-1.2
"""Encrypt, decrypt and encrypt anew with keys in devices: each version asks its own device, or its public half."""

from __future__ import annotations

from typing import Final

from vault.engines.transit.answers import Ciphertext
from vault.engines.transit.batch import NO_CIPHERTEXT, Item
from vault.engines.transit.encryption import (
    decode,
    decode_associated,
    require_use,
    split_ciphertext,
    version_to_use,
)
from vault.engines.transit.keys.devices import DECRYPT, ENCRYPT, TOO_LONG, Devices
from vault.engines.transit.keys.key_ring import KeyRing, OpenKey
from vault.framework.call import Call
from vault.framework.errors import Malformed
from vault.framework.keys.external import LARGEST_DATA
from vault.values.encoding import to_base64

_LONGEST: Final = 2 * LARGEST_DATA
"""Characters in base64 and more than that are not even read: no device takes so much."""


class DeviceEncryption:
    """What is asked for of one item. Everything here raises `Malformed`, `Unavailable` and `Failed`, and is never within a transaction."""

    def __init__(self, ring: KeyRing, devices: Devices) -> None:
        self._ring = ring
        self._devices = devices

    async def encrypt(self, call: Call, key: OpenKey, item: Item) -> Ciphertext:
        """Encrypt one plaintext."""
        _check_length(item, ENCRYPT)
        plaintext = decode(item.text or "")
        require_use(key, "encryption")
        return await self._encrypted(call, key, item, plaintext)

    async def decrypt(self, call: Call, key: OpenKey, item: Item) -> str:
        """Return the plaintext of one ciphertext, in base64."""
        return to_base64(await self._opened(call, key, item))

    async def rewrap(self, call: Call, key: OpenKey, item: Item) -> Ciphertext:
        """Encrypt one ciphertext anew."""
        return await self._encrypted(call, key, item, await self._opened(call, key, item))

    async def _encrypted(self, call: Call, key: OpenKey, item: Item, plaintext: bytes) -> Ciphertext:
        number = version_to_use(key.settings, item.key_version, "encryption")
        version = await self._ring.version(call, key, number)
        associated = decode_associated(item.associated_data)
        sealed = await self._devices.encrypt(call, version, plaintext, associated)
        return Ciphertext(version.prefix + to_base64(sealed), number)

    async def _opened(self, call: Call, key: OpenKey, item: Item) -> bytes:
        if not item.text:
            raise Malformed(NO_CIPHERTEXT)
        _check_length(item, DECRYPT)
        require_use(key, "decryption")
        number, sealed = split_ciphertext(key.settings, item.text)
        version = await self._ring.version(call, key, number)
        return await self._devices.decrypt(call, version, sealed, decode_associated(item.associated_data))


def _check_length(item: Item, problem: str) -> None:
    if len(item.text or "") + len(item.associated_data) > _LONGEST:
        raise Malformed(problem + TOO_LONG)
