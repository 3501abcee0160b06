# SPDX-License-Identifier: EUPL-1.2
"""Changing the slots of an open vault: add, renew, order, remove, and replace the root key under all of them.

Everything follows one protocol:

1. Ask the slot for the key to wrap under.
2. Write a new record beside the old one, where it does not count yet.
3. Read it back, let the slot open it, and compare what it gives with the root key in memory.
4. In one transaction: see that configuration and records are still those that the work began with, and make the new
   record count.

So a crash at any point leaves the slots that worked before. Devices are asked outside transactions, since they are
slow. What is stored is compared again inside, since another process may have written at the same place meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping

import msgspec

from hsm.errors import HsmError, IntegrityError
from hsm.key_slot import KeyIdentity, KeySlot
from vault.barrier.barrier import Barrier
from vault.barrier.failure import BarrierFailure
from vault.barrier.key import Key, Random
from vault.seal.changes import recovery_key
from vault.seal.failure import SealFailure, SealRefusal
from vault.seal.records import seal_store
from vault.seal.records.record import (
    LINKS_PREFIX,
    SHAMIR_SLOT,
    SLOTS_PREFIX,
    RecoveryEntry,
    SealConfig,
    ShamirSlot,
    SlotEntry,
    WrappedSlot,
    decode,
    encode,
    holding_phrase,
    link_path,
    make_shamir_slot,
    slot_path,
)
from vault.seal.records.sealwrap import LostValues, SealWrap
from vault.seal.records.slots import Slots, check_canary, key_version, unwrap_root, wrap_root
from vault.seal.shield import Shield
from vault.storage.protocol import ReadTx, Storage, Tx
from vault.values.times import Millis

Records = Mapping[str, WrappedSlot | ShamirSlot]
"""Records that a change relies on, by their paths."""


class SealChanged(SealFailure):
    """What the work was based on is not what is stored any more."""

    def __init__(self) -> None:
        super().__init__("the seal was changed meanwhile; look at the slots and try again")


class SlotChanges:
    """Changes the slots of an unsealed vault, one change at a time. Raises `BarrierSealed` while sealed."""

    def __init__(
        self,
        storage: Storage,
        barrier: Barrier,
        slots: Slots,
        *,
        now: Callable[[], Millis],
        random: Random,
        root_key: Key | None = None,
        root_version: int = 0,
    ) -> None:
        """`now` gives milliseconds since the epoch, `random` entropy; `root_key` instead of the barrier's."""
        self.storage = storage
        self.barrier = barrier
        self.slots = slots
        self.random = random
        self.lock = asyncio.Lock()
        """Held during every change."""
        self.wraps: SealWrap | None = None
        """The values that are wrapped for the slots, of a vault that has any."""
        self._now = now
        self._root_key = root_key
        self.root_version = root_version
        """The generation of the root key in memory: behind the stored one as long as another process's is not followed."""
        self.shield = Shield()

    def with_root_key(self, root_key: Key, root_version: int) -> SlotChanges:
        """Return what changes the slots of a vault that is about to be opened with `root_key` of that generation."""
        return SlotChanges(
            self.storage,
            self.barrier,
            self.slots,
            now=self._now,
            random=self.random,
            root_key=root_key,
            root_version=root_version,
        )

    @property
    def root_key(self) -> Key:
        """The root key that slots are to hold; raises `BarrierSealed`."""
        return self._root_key or self.barrier.root_key

    async def add(self, name: str) -> SealConfig:
        """Make key slot `name`, which is new to the vault, one of its slots: it gets the root key.

        Raises `SealRefusal` for a slot that is not configured or no new one, `HsmError` when it does not answer; then
        nothing has changed.
        """
        async with self.lock:
            return await self.renew_held(self.new_slot(await self.config(), name))

    async def renew(self, name: str, *, ordered: bool = True) -> SealConfig:
        """Wrap the root key anew under key slot `name`, with the newest version of its key, and make that count.

        Unless somebody `ordered` it, the key stays the one that is recorded, whatever the token has by now.
        Raises as `add`, and `SealRefusal` for a slot that is no part of the vault: one that was removed while this
        waited for its turn stays removed.
        """
        async with self.lock:
            slot = self.vault_slot(await self.config(), name)
            return await self.renew_held(slot, ordered=ordered)

    async def add_shamir(self) -> SealConfig:
        """Let the recovery shares open the vault too, without any key slot."""
        async with self.lock:
            config = await self.config()
            entry = self.check_shares_wanted(config)
            key = await seal_store.unwrap_recovery(self.storage.reader(), config, self.slots)
            async with self.storage.write() as tx:
                config = await self.unchanged(tx, config)
                config = await self.put_shamir(tx, config, key, entry.shares, entry.threshold)
                await seal_store.write_config(tx, config)
            return config

    async def put_shamir(
        self,
        tx: Tx,
        config: SealConfig,
        key: Key,
        shares: int,
        threshold: int,
    ) -> SealConfig:
        """Store within `tx` the slot that shares of `key` open, and return the configuration that has it."""
        name = config.shamir or self.slots.shamir
        slot = make_shamir_slot(
            self.root_key,
            key,
            generation=config.generation,
            shares=shares,
            threshold=max(threshold, 1),  # of a single share, initialisation allows less
            random=self.random,
            name=name,
            root_version=config.root_version,
        )
        old = config.entry(name).revision if name in config.slots else 0
        path = slot_path(name, old + 1)
        await tx.put(path, encode(path, slot))
        entry = SlotEntry(
            kind=SHAMIR_SLOT, revision=old + 1, root_version=config.root_version, added=self._now()
        )
        return await self.tidy(tx, config.with_entry(name, entry))

    async def remove(self, name: str, *, abandon: bool = False) -> SealConfig:
        """Take slot `name` from the vault; refused unless another slot is seen to work now.

        What it alone holds goes to the key slots that stay. Refused where they cannot take it. With `abandon` wrapped
        values that no slot opens any more, this one included, are deleted instead. A slot that the vault left before
        is taken for one while it holds wrapped values still.
        """
        async with self.lock:
            config = await self.config()
            proof = await self.leaving(config, name)
            lost = await self.hand_over(config, {name}, abandon=abandon)
            async with self.storage.write() as tx:
                config = await self.unchanged(tx, config, proof)
                config = await self.tidy(tx, config.without(name))
                if not config.wrapped:
                    config = await seal_store.drop_recovery(tx, config)
                config = await self.take(tx, config, {name}, lost)
                await seal_store.write_config(tx, config)
            return config

    async def leaving(self, config: SealConfig, name: str) -> Records:
        """Return what proves that the vault opens without slot `name`. The caller holds `lock`. Raises `SealRefusal`."""
        if name not in config.slots and self.wraps is not None and name in await self.wraps.stuck(()):
            return {}  # it opens nothing any more
        return await self.proof_without(config, name)

    async def take(
        self, tx: Tx, config: SealConfig, left: Collection[str], abandoned: LostValues
    ) -> SealConfig:
        """Forget within `tx` what is wrapped for the slots `left`, which are no part of `config` any more.

        Returns the configuration to store. Raises `SealFailure` where they alone hold something not `abandoned`.
        """
        config = await recovery_key.take_recovery(tx, config, left)
        if self.wraps is not None and left:
            await self.wraps.take(tx, left, abandoned)
        return config

    async def hand_over(
        self, config: SealConfig, leaving: Collection[str], *, dry_run: bool = False, abandon: bool = False
    ) -> LostValues:
        """Give what the slots `leaving` alone hold to the key slots that stay. The caller holds `lock`.

        With `dry_run` nothing is stored. Returns wrapped values that go with those slots, since no slot opens them.
        Raises `SealRefusal` or `NoSlotAnswers` where they cannot take it, and for values that go unless `abandon`.
        """
        more = await recovery_key.recovery_to_leave(self, config, leaving, abandon=abandon)
        if more is not None and not dry_run:
            await recovery_key.store(self, config, more)
        return await self.hand_values_over(config, leaving, dry_run=dry_run, abandon=abandon)

    async def hand_values_over(
        self, config: SealConfig, leaving: Collection[str], *, dry_run: bool, abandon: bool
    ) -> LostValues:
        """As `hand_over`, of the wrapped values alone."""
        if self.wraps is None:
            return {}
        staying = tuple(name for name in config.wrapped if name not in leaving)
        found = await self.wraps.carry(staying, dry_run=dry_run)
        lost = {path: one for path, one in found.items() if not set(one.holders).isdisjoint(leaving)}
        if lost and not abandon:
            holding = {name for one in lost.values() for name in one.holders if name in leaving}
            raise SealRefusal(
                f"{holding_phrase(holding)} wrapped values that no slot opens: {', '.join(sorted(lost))}; "
                "repair that, or say abandon to have them deleted"
            )
        return lost

    async def move(self, name: str, *, first: bool) -> SealConfig:
        """Try slot `name` before all others from now on, or after them."""
        async with self.lock, self.storage.write() as tx:
            config = self.reordered(await self.config(tx), name, first=first)
            await seal_store.write_config(tx, config)
            return config

    async def verify(self, name: str) -> str:
        """Open the stored canary and the root key through slot `name`; return its key's version.

        Raises `HsmError` or `SealFailure` with what is wrong, `SealRefusal` for a slot that cannot be tried.
        """
        async with self.lock:
            return await self._verify(name)

    async def _verify(self, name: str) -> str:
        config = await self.config()
        slot = self.tryable(config, name)
        reader = self.storage.reader()
        record = await seal_store.wrapped_slot(reader, config, name)
        await check_canary(slot, record, generation=config.generation, revision=config.entry(name).revision)
        root_key = await seal_store.unwrap_newest(reader, config, slot)
        if not root_key.same(self.root_key):
            raise IntegrityError(f"seal slot {name}: holds another root key than the one in use; renew it")
        return key_version(record)

    async def renew_held(self, slot: KeySlot, *, ordered: bool = True) -> SealConfig:
        """As `add` or `renew`. The caller holds `lock`."""
        config = await self.config()
        if config.root_version != self.root_version:
            raise SealChanged
        root_key = self.root_key  # of that generation, whatever is followed meanwhile
        old = config.entry(slot.name).revision if slot.name in config.slots else 0
        # 1. A key that nobody ordered is not taken, although the token has it.
        key = await (
            slot.identify() if ordered else seal_store.recorded_key(self.storage.reader(), config, slot)
        )
        # 2. and 3.
        record = await self.write(slot, root_key, config, key, version=config.root_version, revision=old + 1)
        recovery = await recovery_key.recovery_for(self, slot, config, key)
        # 4.
        async with self.storage.write() as tx:
            written = {slot_path(slot.name, old + 1): record}
            config = await self.unchanged(tx, config, written, root_key)
            config = await self.tidy(
                tx,
                config.with_entry(
                    slot.name, self.entry(record, key, version=config.root_version, revision=old + 1)
                ),
            )
            if recovery is not None:
                await recovery.put(tx)
            await seal_store.write_config(tx, config)
        return config

    async def write(
        self,
        slot: KeySlot,
        root_key: Key,
        config: SealConfig,
        key: KeyIdentity,
        *,
        version: int,
        revision: int,
    ) -> WrappedSlot:
        """Write a record that does not count yet, read it back, and open it: what the slot gives is the root key.

        Raises `SealChanged` once the configuration is another one than `config`.
        """
        record = await wrap_root(
            slot,
            root_key,
            generation=config.generation,
            root_version=version,
            revision=revision,
            random=self.random,
            key=key,
        )
        path = slot_path(slot.name, revision)
        async with self.storage.write() as tx:
            await self.unchanged(tx, config)  # else the record there may be the one that counts by now
            await tx.put(path, encode(path, record))
        stored = await self.storage.reader().get(path)
        if stored is None:
            raise SealChanged
        again = decode(path, stored, WrappedSlot)
        opened = await unwrap_root(slot, again, generation=config.generation, revision=revision)
        if not opened.same(root_key):
            raise IntegrityError(f"seal slot {slot.name}: gave back another key than it was given")
        await check_canary(slot, again, generation=config.generation, revision=revision)
        return again

    async def proof_without(self, config: SealConfig, name: str) -> Records:
        """Return the record of a slot other than `name` that opens the vault. The caller holds `lock`.

        Key slots are tried, but for those that the vault is to leave. Of the slot for shares, all is checked but the shares, which people have. Raises
        `SealRefusal` where there is none, or no slot `name`.
        """
        check_part(config, name)
        for other in config.slots:
            if other == name or self.slots.get(other) in self.slots.disabled:
                continue
            reader = self.storage.reader()
            path = slot_path(other, config.entry(other).revision)
            try:
                if config.entry(other).kind == SHAMIR_SLOT:
                    await seal_store.check_shares(reader, config, other)
                    return {path: await seal_store.shamir_slot(reader, config, other)}
                found = await seal_store.wrapped_slot(reader, config, other)
                await self._verify(other)
            except (HsmError, SealFailure, SealRefusal):
                continue
            return {path: found}
        raise SealRefusal(f"slot {name} is the last one that works; add or repair another one first")

    @staticmethod
    async def tidy(tx: Tx, config: SealConfig) -> SealConfig:
        """Remove what `config` does not need: links between older root keys, and records that do not count.

        A record may be left from a change that was interrupted: it holds the root key for a slot that may be gone.
        """
        oldest = min(config.entry(name).root_version for name in config.slots)
        needed = {link_path(version) for version in range(oldest, config.root_version)}
        needed |= {slot_path(name, config.entry(name).revision) for name in config.slots}
        for prefix in (LINKS_PREFIX, SLOTS_PREFIX):
            for path in await tx.scan(prefix):
                if prefix + path not in needed:
                    await tx.delete(prefix + path)
        return config

    def entry(self, record: WrappedSlot, key: KeyIdentity, *, version: int, revision: int) -> SlotEntry:
        """Return what the configuration says of a slot whose record is now `record`."""
        return SlotEntry(
            kind=record.by,
            revision=revision,
            root_version=version,
            key_version=key_version(record),
            key_label=key.label,
            key_fingerprint=key.fingerprint,
            key_authenticator=key.authenticator,
            key_imported=key.imported,
            added=self._now(),
        )

    def configured(self, name: str) -> KeySlot:
        """Return the configured slot `name`; raises `SealRefusal` where there is none."""
        slot = self.slots.get(name)
        if slot is None:
            raise SealRefusal(
                f'no seal stanza has the name {name}; add one with name = "{name}", then SIGHUP or restart'
            )
        return slot

    def new_slot(self, config: SealConfig, name: str) -> KeySlot:
        """Return the configured slot `name`, which `config` has not; raises `SealRefusal`."""
        slot = self.configured(name)
        if name in config.slots:
            raise SealRefusal(f"slot {name} is part of the vault already; rewrap renews it")
        if slot in self.slots.disabled:
            raise SealRefusal(f"slot {name} is disabled in the configuration; remove that and restart")
        return slot

    def vault_slot(self, config: SealConfig, name: str) -> KeySlot:
        """Return the configured slot `name`, which `config` has; raises `SealRefusal`."""
        slot = self.configured(name)
        if name not in config.slots:
            raise SealRefusal(f"slot {name} is no part of the vault; add it")
        return slot

    def tryable(self, config: SealConfig, name: str) -> KeySlot:
        """Return the slot `name` of `config`, which is tried without people; raises `SealRefusal`."""
        if name in config.slots and config.entry(name).kind == SHAMIR_SLOT:
            raise SealRefusal(f"slot {name} opens with people's shares; nothing here can try them")
        slot = self.configured(name)
        if name not in config.slots:
            raise SealRefusal(f"slot {name} is configured and not part of the vault yet; add it")
        return slot

    @staticmethod
    def check_shares_wanted(config: SealConfig) -> RecoveryEntry:
        """Return which recovery key a new slot for shares would open with; raises `SealRefusal`."""
        if config.shamir is not None:
            raise SealRefusal(f"slot {config.shamir} exists already")
        if config.recovery is None:
            raise SealRefusal(
                "there are no recovery keys to open it with; make some with sys/rotate/recovery"
            )
        return config.recovery

    @staticmethod
    def reordered(config: SealConfig, name: str, *, first: bool) -> SealConfig:
        """Return `config` with slot `name` before or after all others; raises `SealRefusal`."""
        check_part(config, name)
        rest = tuple(other for other in config.slots if other != name)
        return msgspec.structs.replace(config, slots=(name, *rest) if first else (*rest, name))

    def timestamp(self) -> Millis:
        """Return milliseconds since the epoch."""
        return self._now()

    async def config(self, tx: ReadTx | None = None) -> SealConfig:
        """Return the stored configuration; raises `SealFailure`."""
        config = await seal_store.read_config(tx or self.storage.reader())
        if config is None:
            raise SealFailure("storage holds no seal configuration")
        return config

    async def unchanged(
        self, tx: Tx, config: SealConfig, records: Records | None = None, root_key: Key | None = None
    ) -> SealConfig:
        """Return what is stored; `SealChanged` unless that is what the work was based on, and `records` with it.

        `SealChanged` too where `root_key`, or else the root key in memory, does not open the stored keyring: no slot may get it.
        Its generation does not tell, once a backup was restored and the root key replaced from there on. That the
        initialisation was confirmed meanwhile is no change of the slots.
        """
        found = await self.config(tx)
        try:
            await self.barrier.check(root_key or self.root_key, tx)
        except BarrierFailure:
            raise SealChanged from None
        if found.root_version != self.root_version:
            raise SealChanged
        for path, record in (records or {}).items():
            if await tx.get(path) != encode(path, record):
                raise SealChanged
        if found != msgspec.structs.replace(config, confirmed=found.confirmed):
            raise SealChanged
        return found


def check_part(config: SealConfig, name: str) -> None:
    """Raise `SealRefusal` unless slot `name` is part of the vault."""
    if name not in config.slots:
        raise SealRefusal(f"there is no seal slot {name}; there are: {', '.join(sorted(config.slots))}")
