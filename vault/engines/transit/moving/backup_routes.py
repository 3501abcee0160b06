# SPDX-License-Identifier: EUPL-1.2
"""Keys that are backed up in the clear, and restored here or in OpenBao."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import partial
from typing import Annotated

import msgspec

from vault.barrier.stored import Stored
from vault.engines.transit.keys.key_ring import KeyRing, OpenVersion, find_key, stored_version
from vault.engines.transit.keys.model import (
    KEY,
    KEYS,
    SOFT_DELETED,
    VERSION,
    KeyCopy,
    TransitKey,
    version_path,
)
from vault.engines.transit.keys.rotation import set_timer
from vault.engines.transit.moving.answers import Backup
from vault.engines.transit.moving.backup import LONGEST, RestoredKey, key_data, require_name, restored_key
from vault.engines.transit.moving.backup_form import NUMBERS, write_backup
from vault.engines.transit.moving.params import RestoreNamedParams, RestoreParams
from vault.framework.call import Call
from vault.framework.clock import Entropy
from vault.framework.concurrency.offload import Pool, client_of
from vault.framework.concurrency.time_slice import TimeSlice
from vault.framework.engine import Engine
from vault.framework.errors import FactsChanged, Malformed
from vault.framework.fields import Doc
from vault.framework.keys.asked_first import asked_first
from vault.framework.names import check_length
from vault.framework.quote import quote
from vault.framework.route import Params, read, write
from vault.values.times import millis_to_nanos


class BackupParams(Params, frozen=True, kw_only=True):
    """Names a key."""

    name: Annotated[str, Doc("Name of the key.")]


class _WrittenBackup(msgspec.Struct, frozen=True):
    """A backup, what the key was when it was made, and what it is with it."""

    was: TransitKey
    becomes: TransitKey
    text: str

    def __repr__(self) -> str:
        return "_WrittenBackup(…)"


class _ReadBackup(msgspec.Struct, frozen=True):
    """A key to be restored, its versions as they will be stored by their numbers."""

    name: str
    settings: TransitKey
    versions: Mapping[int, Stored]

    def __repr__(self) -> str:
        return "_ReadBackup(…)"


class BackupEngine(Engine):
    """Backups of keys."""

    stays = True  # a timer names the namespace of its mount

    def __init__(self, ring: KeyRing, entropy: Entropy, pool: Pool) -> None:
        """`pool` reads and writes backups."""
        self._ring = ring
        self._entropy = entropy
        self._pool = pool

    @read("backup/{name:word}", writes=True, before="write_out", event="transit.key.backup")
    async def back_up(self, call: Call, params: BackupParams) -> Backup:
        """Give a key out with all its versions and settings, in clear, if its settings allow it."""
        made = call.prepared
        assert isinstance(made, _WrittenBackup)
        if await find_key(call.tx, params.name) != made.was:
            call.prepared = None  # it is written out anew
            raise FactsChanged
        await self._ring.put_key(call.tx, params.name, made.becomes)
        return Backup(made.text)

    async def write_out(self, call: Call, params: BackupParams) -> _WrittenBackup:
        """Write a key out before the transaction, which notes that this was done. Raises `Malformed`."""
        key = await find_key(call.reader, params.name)
        if key is None:
            raise Malformed(f'key "{quote(params.name)}" not found')
        if not key.exportable:
            raise Malformed("exporting is disallowed on the policy")
        if not key.plaintext_backup:
            raise Malformed("plaintext backup is disallowed on the policy")
        if key.soft_deleted:
            raise Malformed(SOFT_DELETED)
        if key.type not in NUMBERS:
            raise Malformed("a key in a device, or of a kind that OpenBao has not, has no backup")
        becomes = msgspec.structs.replace(key, backed_up=KeyCopy(millis_to_nanos(call.now), key.latest))
        versions = await self._all_versions(call, key)
        work = partial(_text, params.name, becomes, versions)
        return _WrittenBackup(key, becomes, await self._pool.run(client_of(call), work))

    async def _all_versions(self, call: Call, key: TransitKey) -> Mapping[int, OpenVersion]:
        found = {}
        turn = TimeSlice()
        for number in range(key.first, key.latest + 1):
            stored = await stored_version(call.reader, key, number)
            if stored is None:
                raise FactsChanged  # the key was trimmed or removed since it was read
            found[number] = await self._ring.open(key, number, stored)
            await turn.step()
        return found

    @write("restore", event="transit.key.restore")
    async def restore(self, call: Call, params: RestoreParams) -> None:
        """Take a key in that was backed up here or in OpenBao, under the name that it had."""
        await self._restore(call, params, "")

    @write("restore/{name:path}", event="transit.key.restore")
    async def restore_named(self, call: Call, params: RestoreNamedParams) -> None:
        """Take a key in that was backed up here or in OpenBao, under another name."""
        check_length(name=params.name)
        require_name(params.name)
        await self._restore(call, params, params.name)

    async def _restore(self, call: Call, params: RestoreParams, name: str) -> None:
        if not params.backup:
            raise Malformed("'backup' must be supplied")
        if len(params.backup) > LONGEST:
            raise Malformed("the backup is too long")
        ask = partial(self._read, call, params.backup)
        found = await asked_first(call, ("restore", params.backup), _ReadBackup, ask)
        name = name or found.name
        there = await find_key(call.tx, name)
        if there is not None:
            if not params.force:
                raise Malformed(f'key "{quote(name)}" already exists')
            await self._ring.remove_key(call.tx, name, there)
        turn = TimeSlice()
        for number, stored in found.versions.items():
            await call.tx.put(version_path(found.settings, number), stored)
            await turn.step()
        await call.tx.put(KEYS + name, KEY.encode(found.settings))
        await set_timer(call, name, found.settings)

    async def _read(self, call: Call, text: str) -> _ReadBackup:
        """Read a backup before the transaction, and put its secrets in the safe. Raises `Malformed`, `Unavailable`."""
        now = millis_to_nanos(call.now)
        found: RestoredKey = await self._pool.run(
            client_of(call), partial(restored_key, text, self._entropy, now)
        )
        check_length(name=found.name)
        require_name(found.name)
        versions = {}
        turn = TimeSlice()
        for number, version in found.versions.items():
            stored = self._ring.close(found.settings, number, version.material, version.created)
            whole = msgspec.structs.replace(stored, chain=version.chain)
            versions[number] = VERSION.encode(whole)
            await turn.step()
        return _ReadBackup(found.name, found.settings, versions)


def _text(name: str, key: TransitKey, versions: Mapping[int, OpenVersion]) -> str:
    return base64.b64encode(write_backup(key_data(name, key, versions))).decode()
