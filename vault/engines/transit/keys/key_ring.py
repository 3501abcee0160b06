# SPDX-License-Identifier: EUPL-1.2
"""Keys that are in use: read once, opened once, and forgotten as soon as anything about them changes."""

from __future__ import annotations

from functools import cached_property
from typing import Final

import msgspec

from vault.barrier.view import ReadView, View
from vault.cache.follow import BoundedCache, Follower
from vault.engines.transit.keys.key_types import (
    KEY_TYPES,
    Aead,
    KeyType,
    Material,
    Signer,
    Verifier,
    load_signer,
    load_verifier,
)
from vault.engines.transit.keys.model import (
    KEY,
    KEYS,
    MOUNT_SETTINGS,
    SETTINGS,
    USES,
    VERSION,
    KeyVersion,
    MountSettings,
    TransitKey,
    version_path,
)
from vault.framework.call import Call
from vault.framework.concurrency.time_slice import TimeSlice
from vault.framework.errors import FactsChanged, Malformed
from vault.framework.keys.safe import Safe
from vault.values.times import Nanos, millis_to_nanos

PREFIX: Final = "vault:v"
"""How what a key makes begins; the version follows, and a colon."""
KEY_FACT: Final = "transit-key"
"""Kind of the cached fact 'what a key is'; its key is the id of a transit key, or the uuid of a mount for all of its."""
NO_PAIR: Final = (
    "this version is an AES key in a device: it neither signs nor verifies, and has no public half"
)
_KEYS: Final = 1024
"""Keys of one mount in memory, where its settings do not say otherwise."""
_MOUNTS: Final = 256
"""Mounts that have keys in memory."""
_VERSIONS: Final = 64
"""Opened versions of one key in memory."""


class OpenVersion:
    """One version, ready for use."""

    def __init__(self, number: int, kind: KeyType, stored: KeyVersion, material: Material) -> None:
        self.number = number
        self.prefix: Final = f"{PREFIX}{number}:"
        self.kind = kind
        self.stored = stored
        self.secret = material.secret
        self.mac = material.mac

    def __repr__(self) -> str:
        """Show nothing of it."""
        return f"<OpenVersion {self.number}>"

    @property
    def secretive(self) -> bool:
        """Whether it has its secret: of an imported pair the public half may be all."""
        return bool(self.secret)

    @cached_property
    def aead(self) -> Aead:
        """The cipher of a symmetric key that is not derived."""
        assert self.kind.aead is not None
        return self.kind.aead(self.secret)

    @cached_property
    def signer(self) -> Signer:
        """The private half of a pair. Raises `Malformed` where the public half was imported alone."""
        if not self.secretive:
            raise Malformed("requested version for signing does not contain a private part")
        return load_signer(self.secret)

    @cached_property
    def verifier(self) -> Verifier:
        """The public half of a pair. Raises `Malformed` for an AES key in a device."""
        if not self.stored.public:
            raise Malformed(NO_PAIR)
        return load_verifier(self.stored.public)


class Unopened(Exception):
    """A version of a key is not in memory yet."""

    def __init__(self, number: int) -> None:
        """`number` is the version's."""
        super().__init__(number)
        self.number = number


class OpenKey:
    """A key, and those of its versions that were used."""

    def __init__(self, settings: TransitKey) -> None:
        self.settings = settings
        self.kind = KEY_TYPES[settings.type]
        self.versions: BoundedCache[int, OpenVersion] = BoundedCache(_VERSIONS)

    def __repr__(self) -> str:
        """Show nothing of it."""
        return f"<OpenKey {self.settings.type}>"

    def opened(self, number: int) -> OpenVersion:
        """Return a version that is in memory. Raises `Unopened`."""
        found = self.versions.get(number)
        if found is None:
            raise Unopened(number)
        return found


class KeyRing:
    """Finds keys and opens their versions."""

    def __init__(self, safe: Safe, follower: Follower) -> None:
        self._safe = safe
        self._follower = follower
        self._kept: BoundedCache[str, BoundedCache[str, OpenKey]] = BoundedCache(_MOUNTS)
        """By the uuid of a mount, its keys by their names."""

    async def find(self, call: Call, name: str) -> OpenKey | None:
        """Return the key with a name, as `call.reader` sees it; None where there is none."""
        kept = self._kept.get(call.mount.uuid)
        found = kept.get(name) if kept is not None else None
        if found is not None:
            # The answer is of this moment, however long it takes: what changes later comes after it.
            await call.reader.get("")
        else:
            settings = await find_key(call.reader, name)
            if settings is None:
                return None
            found, seen = OpenKey(settings), call.reader.epoch
            most = (await mount_settings(call.reader)).cache_size if kept is None else 0
            current = seen == call.reader.epoch == self._follower.epoch
            if current and not isinstance(call.reader, View):
                if kept is None:
                    kept = BoundedCache(most or _KEYS)
                    self._kept.put(call.mount.uuid, kept)
                kept.put(name, found)
        return found

    async def exists(self, call: Call, name: str) -> bool:
        """Whether there is a key with a name, as far as is known: whoever uses it finds it, and looks."""
        kept = self._kept.get(call.mount.uuid)
        known = kept is not None and kept.get(name) is not None
        return known or await self.find(call, name) is not None

    async def version(self, call: Call, key: OpenKey, number: int) -> OpenVersion:
        """Return a version of a key that is not before its first. Raises `Unavailable`, and `Failed` for an altered one."""
        found = key.versions.get(number)
        if found is None:
            stored = await stored_version(call.reader, key.settings, number)
            if stored is None:
                raise FactsChanged  # the key was trimmed or removed since it was read
            found = await self.open(key.settings, number, stored)
            key.versions.put(number, found)
        return found

    async def open(self, key: TransitKey, number: int, stored: KeyVersion) -> OpenVersion:
        """Return a version, ready for use. Raises `Unavailable`, and `Failed` for an altered one."""
        about = _about(key.id, number, "secret")
        secret = await self._safe.open(about, stored.held) if stored.held else b""
        mac = await self._safe.open(_about(key.id, number, "mac"), stored.mac)
        return OpenVersion(number, KEY_TYPES[key.type], stored, Material(secret, mac, stored.public))

    @staticmethod
    def unstored(key: TransitKey, material: Material) -> OpenVersion:
        """Return the first version of a key that is not stored yet, ready for use."""
        stored = KeyVersion(created=Nanos(0), held=b"", mac=b"", public=material.public)
        return OpenVersion(key.latest, KEY_TYPES[key.type], stored, material)

    async def put_version(
        self, view: View, key: TransitKey, number: int, material: Material, now: Nanos
    ) -> KeyVersion:
        """Store a version, its secrets in the safe. Raises `Unavailable`."""
        stored = self.close(key, number, material, now)
        await view.put(version_path(key, number), VERSION.encode(stored))
        return stored

    @staticmethod
    async def replace_version(view: View, key: TransitKey, number: int, stored: KeyVersion) -> None:
        """Store a version with something else beside its secrets; what is kept in memory of the key is forgotten."""
        await view.put(version_path(key, number), VERSION.encode(stored))
        await view.invalidate(KEY_FACT, key.id)

    def close(self, key: TransitKey, number: int, material: Material, now: Nanos) -> KeyVersion:
        """Return a version as it is stored, its secrets in the safe. Raises `Unavailable`."""
        held = material.secret and self._safe.close(_about(key.id, number, "secret"), material.secret)
        mac = self._safe.close(_about(key.id, number, "mac"), material.mac)
        return KeyVersion(
            created=now,
            held=held,
            mac=mac,
            public=material.public,
            external=material.external,
            device=material.device,
        )

    async def create(self, call: Call, name: str, key: TransitKey, material: Material) -> TransitKey:
        """Store a new key and its first version. Raises `Unavailable`."""
        await self.put_version(call.tx, key, key.latest, material, millis_to_nanos(call.now))
        await call.tx.put(KEYS + name, KEY.encode(key))
        return key

    async def add_version(
        self,
        view: View,
        name: str,
        key: TransitKey,
        material: Material,
        now: Nanos,
        *,
        imported: bool = False,
    ) -> TransitKey:
        """Give a key a newer version; `imported` says that it came from elsewhere. Raises `Unavailable`."""
        grown = msgspec.structs.replace(key, latest=key.latest + 1, imported=imported)
        await self.put_version(view, grown, grown.latest, material, now)
        await self.put_key(view, name, grown)
        return grown

    @staticmethod
    async def put_key(view: View, name: str, key: TransitKey) -> None:
        """Store other settings of a key; what is kept in memory of it is forgotten everywhere."""
        await view.put(KEYS + name, KEY.encode(key))
        await view.invalidate(KEY_FACT, key.id)

    async def remove_key(self, view: View, name: str, key: TransitKey) -> None:
        """Remove a key with all its versions."""
        await self.remove_versions(view, key, range(key.first, key.latest + 1))
        await view.delete(KEYS + name)
        await view.delete(USES + key.id)
        await view.invalidate(KEY_FACT, key.id)

    @staticmethod
    async def remove_versions(view: View, key: TransitKey, numbers: range) -> None:
        """Remove versions of a key."""
        turn = TimeSlice()
        for number in numbers:
            await view.delete(version_path(key, number))
            await turn.step()

    async def drop(self, changed: str | None) -> None:
        """Forget the key with an id, or those of the mount with that uuid, or all."""
        self._kept.drop(changed)
        for kept in self._kept.values():
            kept.discard(lambda key: key.settings.id == changed)

    def forget(self) -> None:
        """Forget all keys, as the vault is sealed."""
        self._kept.drop(None)


async def find_key(view: ReadView, name: str) -> TransitKey | None:
    """Return the settings of a key; None where there is none."""
    stored = await view.get(KEYS + name)
    return KEY.decode(stored) if stored is not None else None


async def mount_settings(view: ReadView) -> MountSettings:
    """Return what holds for a mount."""
    stored = await view.get(SETTINGS)
    return MOUNT_SETTINGS.decode(stored) if stored is not None else MountSettings()


async def stored_version(view: ReadView, key: TransitKey, number: int) -> KeyVersion | None:
    """Return a version as it is stored; None where there is none."""
    stored = await view.get(version_path(key, number))
    return VERSION.decode(stored) if stored is not None else None


def _about(key: str, number: int, part: str) -> tuple[str, ...]:
    return ("transit", key, str(number), part)
