# SPDX-License-Identifier: EUPL-1.2
"""A key slot whose key is given by the environment: a file, a variable, a deployment's own secret store.

It protects against a thief who has only the storage. A process that can read the key opens the vault.
"""

from __future__ import annotations

import re
from typing import Final

from cryptography.exceptions import InvalidTag

from hsm.errors import BadConfig, IntegrityError, KeyMissing
from hsm.key_slot import KeyIdentity, SlotState, WrappedKey
from vault.barrier.envelope import NONCE_BYTES
from vault.barrier.key import KEY_BYTES, Key, Random
from vault.values.encoding import from_base64, from_hex

MECHANISM: Final = "aes-gcm"
_DOMAIN: Final = b"coffre.static\0"


def parse_key(field: str, data: bytes) -> Key:
    """Read 32 raw bytes, or their hexadecimal or base64 form. Raises `BadConfig` naming `field`."""
    if len(data) == KEY_BYTES:
        return Key(data)
    text = data.decode("latin-1")
    found = from_hex(text) if len(text) == 2 * KEY_BYTES else None
    if found is None and re.fullmatch(r"[A-Za-z0-9+/]{43}=", text):
        found = from_base64(text)
    if found is None or len(found) != KEY_BYTES:
        raise BadConfig(
            f'seal "static": {field}: must be {KEY_BYTES} bytes, raw, in hexadecimal or in base64, and no line end'
        )
    return Key(found)


class StaticSlot:
    """A key slot with one key that wraps, and perhaps the one before it, which still unwraps."""

    kind = "static"

    def __init__(
        self, name: str, key_id: str, key: Key, *, previous: tuple[str, Key] | None = None, random: Random
    ) -> None:
        """`key_id` names `key` for ever; `previous` is the key that was in use before, with its name."""
        self._name = name
        self._key_id = key_id
        self._keys = {key_id: key} if previous is None else {previous[0]: previous[1], key_id: key}
        self._random = random

    @property
    def name(self) -> str:
        """Name of the slot."""
        return self._name

    async def identify(self, key: KeyIdentity | None = None) -> KeyIdentity:
        """The current key: the configuration says which it is."""
        return KeyIdentity(version=self._key_id)

    async def wrap(self, dek: bytes, key: KeyIdentity | None = None) -> WrappedKey:
        """Wrap `dek` under the current key."""
        nonce = self._random(NONCE_BYTES)
        sealed = self._keys[self._key_id].aead.encrypt(nonce, dek, self._bound(self._key_id))
        return WrappedKey(m=MECHANISM, k=self._key_id, iv=nonce, ct=sealed)

    async def unwrap(self, wrapped: WrappedKey) -> bytes:
        """Return what was wrapped. Raises `KeyMissing` for a key that is not configured, else `IntegrityError`."""
        key = self._keys.get(wrapped.k)
        if key is None:
            raise KeyMissing(
                f'seal "static" {self._name}: the key {wrapped.k} is neither current_key_id nor previous_key_id'
            )
        if wrapped.m != MECHANISM or len(wrapped.iv) != NONCE_BYTES or wrapped.mac:
            raise IntegrityError(f'seal "static" {self._name}: what is stored was not wrapped by this slot')
        try:
            return key.aead.decrypt(wrapped.iv, wrapped.ct, self._bound(wrapped.k))
        except InvalidTag:
            raise IntegrityError(
                f'seal "static" {self._name}: the key {wrapped.k} is another one than wrapped, or the record was altered'
            ) from None

    async def probe(self) -> SlotState:
        """The key is in memory: the slot is up."""
        return SlotState(up=True, key_version=self._key_id, software=True, description="static key")

    async def close(self) -> None:
        """There is nothing to release."""

    def _bound(self, key_id: str) -> bytes:
        return _DOMAIN + key_id.encode()
