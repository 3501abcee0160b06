# SPDX-License-Identifier: EUPL-1.2
"""The life of keys: made, read, rotated, configured, trimmed, put away and removed."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import partial
from typing import Final, NamedTuple

import msgspec

from vault.barrier.view import ReadView, View
from vault.engines.transit.answers import KeyCopyInfo, KeyInfo, Names, PublicVersion
from vault.engines.transit.encryption import decode_context
from vault.engines.transit.keys.derivation import derived_pair, public_text
from vault.engines.transit.keys.devices import Devices
from vault.engines.transit.keys.key_ring import KeyRing, find_key, stored_version
from vault.engines.transit.keys.key_types import (
    EXTERNAL,
    HMAC,
    KEY_TYPES,
    UNKNOWN_TYPE,
    Material,
    make,
    pem_chain,
    pem_public,
    raw_public,
)
from vault.engines.transit.keys.model import KEYS, SOFT_DELETED, KeyCopy, KeyVersion, TransitKey
from vault.engines.transit.keys.rotation import (
    NO_ROTATION,
    PERIOD,
    SHORTEST_PERIOD,
    TIMERS,
    require_rotation,
    set_timer,
)
from vault.engines.transit.params import (
    ConfigParams,
    CreateParams,
    KeyName,
    PageParams,
    RotateParams,
    ShowParams,
    TrimParams,
)
from vault.engines.transit.usage.uses import Uses
from vault.framework.call import Call
from vault.framework.clock import Clock, Entropy, rfc3339
from vault.framework.concurrency.offload import Pool, client_of
from vault.framework.concurrency.time_slice import TimeSlice
from vault.framework.engine import Engine
from vault.framework.errors import Malformed, NotFound
from vault.framework.keys.asked_first import asked_first, prepared
from vault.framework.keys.external import AskFirst
from vault.framework.names import check_length
from vault.framework.quote import quote
from vault.framework.route import delete, list_, read, write
from vault.values.times import (
    Millis,
    millis_after,
    millis_to_nanos,
    nanos_to_millis,
    nanos_to_seconds,
)

_FROM_ONE: Final = (
    "since Vault 0.3 (prior to the OpenBao fork), transit key numbering starts at 1; forcing minimum to 1"
)
_HMAC_SIZES: Final = range(32, 513)
_NO_REF_FOR_NEW: Final = "must provide external_key_ref to create policy of type external-key"
_NO_REF: Final = "must provide external_key_ref to rotate policy of type external-key"
_NO_PERIOD: Final = "cannot enable auto-rotation with external keys"
CONVERGENT_VERSION: Final = -1
"""What a listing says of the way in which a convergent key makes its nonces: the newest."""


ShownVersion = int | str | PublicVersion
"""What is told of a version: when it was made, where it is, or its public half."""


class _Look(NamedTuple):
    """What was seen of a key's versions before a transaction, and at which epoch."""

    id: str
    epoch: int
    shown: Mapping[int, ShownVersion]


class KeyEngine(Engine):
    """Keys."""

    def __init__(
        self, ring: KeyRing, devices: Devices, uses: Uses, clock: Clock, entropy: Entropy, pool: Pool
    ) -> None:
        """`pool` makes pairs of RSA."""
        self._ring = ring
        self._devices = devices
        self._uses = uses
        self._sealed = 0
        self._clock = clock
        self._made: dict[str, Material] = {}
        """By the id of a key: its next version, made for a timer that begins again with it."""
        self._entropy = entropy
        self._pool = pool

    stays = True  # a timer names the namespace of its mount

    @list_("keys", event="transit.key.list")
    async def list_keys(self, call: Call, params: PageParams) -> Names:
        """List the names of all keys."""
        names = await call.reader.list(KEYS, after=params.after, limit=max(params.limit, 0))
        if not names:
            raise NotFound
        return Names(names)

    @read("keys/{name:word}", event="transit.key.read")
    async def read_key(self, call: Call, params: ShowParams) -> KeyInfo:
        """Show what is known of a key; its secret is not shown."""
        context = decode_context(params.context)
        key = await find_key(call.reader, params.name)
        if key is None:
            raise NotFound
        info = await self._info(call.reader, params.name, key, context)
        if params.usage:
            info = msgspec.structs.replace(info, usage=await self._uses.of(call.reader, key))
        return info

    @write("keys/{name:word}", exists="key_exists", event="transit.key.create")
    async def write_key(self, call: Call, params: CreateParams) -> KeyInfo:
        """Make a key. One that is there already stays as it is."""
        check_length(name=params.name)
        check_new(params)
        key = await find_key(call.tx, params.name)
        if key is None:
            new = new_key(params, self._entropy)
            material = await self._material(call, params.name, new, params.external_key_ref)
            key = await self._ring.create(call, params.name, new, material)
            await set_timer(call, params.name, key)
        return await self._info(call.tx, params.name, key, b"")

    async def key_exists(self, call: Call) -> bool:
        """Tell update from create."""
        return await find_key(call.reader, call.captures["name"]) is not None

    @write("keys/{name:word}/rotate", before="look", event="transit.key.rotate")
    async def rotate(self, call: Call, params: RotateParams) -> KeyInfo:
        """Make a new version, which encrypts and signs from now on. Older ones go on to decrypt and verify."""
        key = await find_key(call.tx, params.name)
        if key is None:
            raise Malformed("key not found")
        if key.soft_deleted:
            raise Malformed(SOFT_DELETED)
        require_rotation(params.name, key)
        if (key.type == EXTERNAL) != bool(params.external_key_ref):
            raise Malformed(
                _NO_REF if key.type == EXTERNAL else f"cannot use external_key_ref on key of type {key.type}"
            )
        material = await self._material(call, params.name, key, params.external_key_ref)
        key = await self._ring.add_version(call.tx, params.name, key, material, millis_to_nanos(call.now))
        await set_timer(call, params.name, key)
        return await self._changed_info(call, params.name, key)

    async def _material(self, call: Call, name: str, key: TransitKey, ref: str) -> Material:
        """Make the next version of a key, or find it in its device. No transaction waits for that, or for RSA."""
        if key.type == EXTERNAL:
            return await asked_first(call, (name, ref), Material, partial(self._devices.material, call, ref))
        kind = KEY_TYPES[key.type]
        work = partial(make, kind, key.key_size, self._entropy)
        if not kind.rsa:
            return work()
        return await asked_first(
            call, (name, key.type), Material, partial(self._pool.run, client_of(call), work)
        )

    @write("keys/{name:word}/config", before="look", contained=True, event="transit.key.tune")
    async def configure(self, call: Call, params: ConfigParams) -> KeyInfo:
        """Change which versions may be used, and whether the key may leave or be removed."""
        key = await find_key(call.tx, params.name)
        if key is None:
            raise Malformed(f"no existing key named {quote(params.name)} could be found")
        changed = configured(key, params)
        if params.min_decryption_version == 0:
            call.warnings.append(_FROM_ONE)
        if changed != key:
            await self._change(call, params.name, changed)
        return await self._changed_info(call, params.name, changed)

    @write("keys/{name:word}/trim", before="look", contained=True, event="transit.key.destroy")
    async def trim(self, call: Call, params: TrimParams) -> KeyInfo:
        """Remove versions that neither encrypt nor decrypt any more, for good."""
        key = await find_key(call.tx, params.name)
        if key is None:
            raise Malformed("invalid key name")
        oldest = trimmed(key, params.min_available_version)
        await self._ring.remove_versions(call.tx, key, range(key.first, oldest))
        changed = msgspec.structs.replace(key, min_available=oldest, first=max(key.first, oldest))
        await self._change(call, params.name, changed)
        return await self._changed_info(call, params.name, changed)

    @delete("keys/{name:word}/soft-delete", before="look", contained=True, event="transit.key.disable")
    async def soft_delete(self, call: Call, params: KeyName) -> KeyInfo | None:
        """Put a key away: it is refused everywhere until it is restored."""
        return await self._put_away(call, params.name, soft_deleted=True)

    @write("keys/{name:word}/soft-delete-restore", before="look", contained=True, event="transit.key.enable")
    async def soft_delete_restore(self, call: Call, params: KeyName) -> KeyInfo | None:
        """Let a key that was put away be used again."""
        return await self._put_away(call, params.name, soft_deleted=False)

    async def _put_away(self, call: Call, name: str, *, soft_deleted: bool) -> KeyInfo | None:
        key = await find_key(call.tx, name)
        if key is None:
            return None
        changed = msgspec.structs.replace(key, soft_deleted=soft_deleted)
        await self._change(call, name, changed)
        return await self._changed_info(call, name, changed)

    @delete("keys/{name:word}", contained=True, event="transit.key.delete")
    async def delete_key(self, call: Call, params: KeyName) -> None:
        """Remove a key with all its versions, for good, if its settings allow it."""
        key = await find_key(call.tx, params.name)
        wrong = "could not delete key; not found" if key is None else "deletion is not allowed for this key"
        if key is None or not key.deletion_allowed:
            raise Malformed(f"error deleting policy {quote(params.name)}: {wrong}")
        await self._ring.remove_key(call.tx, params.name, key)
        await TIMERS.cancel(call, params.name)

    async def _change(self, call: Call, name: str, key: TransitKey) -> None:
        """Store other settings of a key, and when it is to be rotated."""
        await self._ring.put_key(call.tx, name, key)
        await set_timer(call, name, key)

    async def look(self, call: Call, params: KeyName) -> _Look:
        """Read the versions of a key before the transaction that changes it: no write waits for many of them."""
        key = await find_key(call.reader, params.name)
        if key is None:
            return _Look("", 0, {})
        shown = await self._shown(call.reader, key, range(key.first, key.latest + 1), {}, b"")
        return _Look(key.id, call.reader.epoch, shown)

    async def _changed_info(self, call: Call, name: str, key: TransitKey) -> KeyInfo:
        """Describe a key that was changed. What was seen before the transaction is not read again if it still holds."""
        seen = prepared(call)
        known = (
            seen.shown if isinstance(seen, _Look) and (seen.id, seen.epoch) == (key.id, call.tx.epoch) else {}
        )
        return await self._info(call.tx, name, key, b"", known)

    async def _info(
        self,
        view: ReadView,
        name: str,
        key: TransitKey,
        context: bytes,
        known: Mapping[int, ShownVersion] = {},
    ) -> KeyInfo:
        """Describe a key with those of its versions that may be used."""
        numbers = range(max(key.first, key.min_decryption), key.latest + 1)
        shown = await self._shown(view, key, numbers, known, context)
        return key_info(name, key, {str(number): one for number, one in shown.items()})

    async def _shown(
        self,
        view: ReadView,
        key: TransitKey,
        numbers: range,
        known: Mapping[int, ShownVersion],
        context: bytes,
    ) -> Mapping[int, ShownVersion]:
        """Describe versions, and read those of them that are not `known`."""
        shown: dict[int, ShownVersion] = {}
        turn = TimeSlice()
        for number in numbers if key.type != HMAC else ():
            if number in known:
                shown[number] = known[number]
                continue
            stored = await stored_version(view, key, number)
            if stored is not None:
                shown[number] = await self._version_info(key, number, stored, context)
            await turn.step()
        return shown

    async def _version_info(
        self, key: TransitKey, number: int, stored: KeyVersion, context: bytes
    ) -> ShownVersion:
        kind = KEY_TYPES[key.type]
        if stored.external:
            return stored.external
        if not kind.pair:
            return nanos_to_seconds(stored.created)
        if key.derived:
            version = await self._ring.open(key, number, stored) if context else None
            public = public_text(derived_pair(version, context)) if version is not None else ""
        else:
            raw = raw_public(stored.public)
            public = pem_public(stored.public) if raw is None else base64.b64encode(raw).decode()
        return PublicVersion(
            pem_chain(stored.chain).rstrip("\n"), rfc3339(stored.created), kind.shown, public
        )

    async def rotate_when_due(self, data: View, name: str) -> Millis | None:
        """Rotate a key whose period is over; say when to look again. Raises `AskFirst`: no write waits for RSA."""
        key = await find_key(data, name)
        made = self._made.pop(key.id, None) if key is not None else None
        if key is None or not key.auto_rotate:
            return None
        newest = await stored_version(data, key, key.latest)
        now = self._clock.millis()
        due = millis_after(nanos_to_millis(newest.created), key.auto_rotate) if newest is not None else now
        if due > now:
            return due
        if not key.soft_deleted and key.rotates:
            key = await self._ring.add_version(data, name, key, made or self._next(key), millis_to_nanos(now))
        return millis_after(now, key.auto_rotate)

    def _next(self, key: TransitKey) -> Material:
        """Make a version of a key whose time has come. Raises `AskFirst` where that takes a while."""
        kind = KEY_TYPES[key.type]
        work = partial(make, kind, key.key_size, self._entropy)
        if not kind.rsa:
            return work()

        sealed = self._sealed

        async def ask() -> None:
            made = await self._pool.run((key.id, ""), work)
            if self._sealed == sealed:  # else nothing of it is to be in memory any more
                self._made[key.id] = made

        raise AskFirst(ask)

    def forget(self) -> None:
        """Forget what was made for timers, as the vault is sealed."""
        self._made.clear()
        self._sealed += 1


def check_new(params: CreateParams) -> None:
    """Refuse settings that no key has, whether there is one already or not. Raises `Malformed` in OpenBao's order."""
    if params.auto_rotate_period and params.auto_rotate_period < SHORTEST_PERIOD:
        raise Malformed(PERIOD)
    if params.convergent_encryption and not params.derived:
        raise Malformed("convergent encryption requires derivation to be enabled")
    kind = KEY_TYPES.get(params.type)
    if kind is None:
        raise Malformed(UNKNOWN_TYPE)
    if params.key_size and kind.name != HMAC:
        raise Malformed(f"key_size is not valid for algorithm {kind.name}")
    if params.key_size and params.key_size not in _HMAC_SIZES:
        raise Malformed("invalid key_size; must be 32 to 512")
    external = kind.name == EXTERNAL
    if external != bool(params.external_key_ref):
        raise Malformed(
            _NO_REF_FOR_NEW if external else "must provide type=external-key to use external_key_ref"
        )
    if external and params.auto_rotate_period:
        raise Malformed(_NO_PERIOD)


def new_key(params: CreateParams, entropy: Entropy) -> TransitKey:
    """Return the settings of a new key. Raises `Malformed` in OpenBao's words."""
    kind = KEY_TYPES[params.type]
    if params.derived and not kind.derives:
        raise Malformed(
            f"key derivation and convergent encryption not supported for keys of type {kind.name}"
        )
    if kind.name == HMAC and not params.key_size:
        raise Malformed("invalid key size for HMAC key, must be between 32 and 512 bytes")
    return TransitKey(
        id=entropy.uuid(),
        type=kind.name,
        derived=params.derived,
        convergent=params.convergent_encryption,
        exportable=params.exportable,
        plaintext_backup=params.allow_plaintext_backup,
        auto_rotate=params.auto_rotate_period,
        key_size=params.key_size,
    )


def configured(key: TransitKey, params: ConfigParams) -> TransitKey:
    """Return a key with other settings. Raises `Malformed`."""
    decryption, encryption = key.min_decryption, key.min_encryption
    if params.min_decryption_version is not None:
        decryption = params.min_decryption_version or 1
        if decryption < 0:
            raise Malformed("min decryption version cannot be negative")
        if decryption > key.latest:
            raise Malformed(f"cannot set min decryption version: latest key version is {key.latest}")
    if params.min_encryption_version is not None:
        encryption = params.min_encryption_version
        if encryption < 0:
            raise Malformed("min encryption version cannot be negative")
        if encryption > key.latest:
            raise Malformed(f"cannot set min encryption version: latest key version is {key.latest}")
    if 0 < encryption < decryption:
        raise Malformed(
            "cannot set min encryption/decryption values; min encryption version must be greater than or equal to min "
            "decryption version"
        )
    if encryption < key.min_available:
        raise Malformed("min encryption version should not be less than min available version")
    if decryption < key.min_available:
        raise Malformed("min decryption version should not be less then min available version")
    period = params.auto_rotate_period
    if period is not None and 0 < period < SHORTEST_PERIOD:
        raise Malformed(PERIOD)
    if period and not key.rotates:
        raise Malformed(NO_ROTATION)
    if period and key.type == EXTERNAL:
        raise Malformed("auto rotate period must be disabled on external keys")
    return msgspec.structs.replace(
        key,
        min_decryption=decryption,
        min_encryption=encryption,
        deletion_allowed=key.deletion_allowed if params.deletion_allowed is None else params.deletion_allowed,
        exportable=key.exportable or bool(params.exportable),
        plaintext_backup=key.plaintext_backup or bool(params.allow_plaintext_backup),
        auto_rotate=key.auto_rotate if period is None else period,
    )


def trimmed(key: TransitKey, oldest: int | None) -> int:
    """Return the oldest version that is to be kept. Raises `Malformed`."""
    if oldest is None:
        raise Malformed("missing min_available_version")
    if oldest < key.min_available:
        raise Malformed("minimum available version cannot be decremented")
    if key.min_encryption == 0:
        raise Malformed("minimum available version cannot be set when minimum encryption version is not set")
    if oldest > key.min_encryption:
        raise Malformed("minimum available version cannot be greater than minmum encryption version")
    if oldest > key.min_decryption:
        raise Malformed("minimum available version cannot be greater than minimum decryption version")
    return oldest


def key_info(name: str, key: TransitKey, shown: Mapping[str, ShownVersion]) -> KeyInfo:
    """Describe a key."""
    kind = KEY_TYPES[key.type]
    derived = key.derived
    kdf = "hmac-sha256-counter" if key.counter_kdf else "hkdf_sha256"
    return KeyInfo(
        allow_plaintext_backup=key.plaintext_backup,
        auto_rotate_period=key.auto_rotate,
        backup_info=_copied(key.backed_up),
        convergent_encryption=key.convergent if derived else msgspec.UNSET,
        convergent_encryption_version=CONVERGENT_VERSION if key.convergent else msgspec.UNSET,
        deletion_allowed=key.deletion_allowed,
        derived=derived,
        exportable=key.exportable,
        imported_key=key.imported,
        imported_key_allow_rotation=key.allow_rotation if key.imported else msgspec.UNSET,
        kdf=kdf if derived else msgspec.UNSET,
        kdf_mode=kdf if key.counter_kdf else msgspec.UNSET,
        key_size=key.key_size if kind.name == HMAC else msgspec.UNSET,
        keys=msgspec.UNSET if kind.name == HMAC else shown,
        latest_version=key.latest,
        min_available_version=key.min_available,
        min_decryption_version=key.min_decryption,
        min_encryption_version=key.min_encryption,
        name=name,
        restore_info=_copied(key.restored),
        soft_deleted=key.soft_deleted,
        supports_decryption=kind.encrypts,
        supports_derivation=kind.derives,
        supports_encryption=kind.encrypts,
        supports_signing=kind.signs,
        type=kind.name,
    )


def _copied(copied: KeyCopy | None) -> KeyCopyInfo | msgspec.UnsetType:
    return KeyCopyInfo(rfc3339(copied.time), copied.version) if copied is not None else msgspec.UNSET
