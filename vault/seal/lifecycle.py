# SPDX-License-Identifier: EUPL-1.2
"""Initialise, unseal, seal: the life of a vault, as `sys/init`, `sys/unseal` and `sys/seal` show it.

A vault is sealed or open. Shares that people give open it, or say that they consent to a key slot's opening it;
key slots open it by themselves.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

import msgspec
from msgspec.structs import replace

from vault.barrier.barrier import Barrier
from vault.barrier.failure import BarrierFailure
from vault.barrier.key import KEY_BYTES, Key, Random
from vault.seal.changes import root_rotation
from vault.seal.changes.migration import Migration, migrate, pending
from vault.seal.changes.slot_changes import SlotChanges
from vault.seal.failure import RootKeyReplaced, SealFailure, SealRefusal
from vault.seal.init_store import InitStore
from vault.seal.records import seal_store
from vault.seal.records.record import SHAMIR_SLOT, SealConfig, open_shamir_slot
from vault.seal.records.seal_store import SEAL_KIND
from vault.seal.records.slots import Reasons, Slots
from vault.seal.shares.progress import WRONG_KEY, Progress, check_length, parse_share
from vault.storage.protocol import ReadTx, Storage
from vault.values.times import Millis

SAVE_SECONDS: Final = 2.0
"""How long sealing waits for storage before it forgets the keys all the same."""

WRONG_RECOVERY_KEY: Final = "recovery key does not match submitted values"
"""OpenBao's words when shares give another key than the recovery key."""

_NOT_INITIALIZED: Final = "Vault is not initialized"
_NO_KEY: Final = "'key' must be specified in request body as JSON, or 'reset' set to true"
_NO_MIGRATION: Final = "can't perform a seal migration, no migration seal found"
_PENDING: Final = "migrate option not provided and seal migration is pending"
_SAME_NUMBER: Final = (
    "a backup was restored and the root key replaced from there on, up to the number of the one in memory, or the stored "
    "keyring is damaged"
)
_NO_SHARES: Final = "invalid key: failed to compute combined key: less than two parts cannot be used to reconstruct the secret"
"""OpenBao's words where a vault has no shares: only its key slots open it."""
_INVALID_RECOVERY: Final = f"invalid key: failed to verify recovery key: {WRONG_RECOVERY_KEY}"

__all__ = ["SEAL_KIND", "Lifecycle", "Status"]


class Status(msgspec.Struct, frozen=True):
    """The facts of `sys/seal-status` that the seal knows; all zero but `sealed` before initialisation."""

    type: str
    initialized: bool
    sealed: bool
    t: int
    n: int
    progress: int
    nonce: str
    recovery: bool = False
    """Whether key slots unseal, and shares only say who may."""
    migration: bool = False
    """Whether the next unseal changes the kind of seal."""


class HeldKeys(msgspec.Struct, frozen=True):
    """What opens the vault in another process of the same server."""

    generation: str
    root_version: int
    root_key: bytes
    by_shares: bool

    def __repr__(self) -> str:
        """Show no key."""
        return "HeldKeys(…)"


class ShareScheme(msgspec.Struct, frozen=True):
    """What shares are checked by: how many there are and how many it takes."""

    shares: int
    threshold: int


class Lifecycle(InitStore):
    """Owns the way from sealed to unsealed and back: no other code loads or seals the barrier."""

    def __init__(
        self,
        storage: Storage,
        barrier: Barrier,
        slots: Slots | None = None,
        *,
        now: Callable[[], Millis],
        random: Random,
    ) -> None:
        """`now` gives milliseconds since the epoch, `random` entropy; without `slots` the seal is Shamir's."""
        super().__init__(storage, barrier, slots or Slots(), now=now, random=random)
        self._progress = Progress()
        self._lock = asyncio.Lock()
        self._forgetters: list[Callable[[], None]] = []
        self._kept_sealed = False
        self._opened_by_shares = False
        self._generation = ""
        self._ask_others: Callable[[str, int], Awaitable[Key | None]] | None = None
        self.slot_changes = SlotChanges(storage, barrier, self.slots, now=now, random=random)

    def on_seal(self, forget: Callable[[], None]) -> None:
        """Call `forget` whenever the vault is sealed: what it drops came from people or from the open vault."""
        self._forgetters.append(forget)

    def on_replaced(self, ask: Callable[[str, int], Awaitable[Key | None]]) -> None:
        """Call `ask` with a generation and a version for a root key that another process of this server has put there."""
        self._ask_others = ask

    async def status(self) -> Status:
        """Return the current facts; raises `SealFailure`."""
        reader = self._storage.reader()
        while True:
            config = await seal_store.read_config(reader)
            if config is None:
                kind = self._kind()
                return Status(kind, False, True, 0, 0, 0, "", recovery=kind != SHAMIR_SLOT)
            try:
                scheme = await _share_scheme(reader, config)
                break
            except SealFailure:
                if (
                    await seal_store.read_config(reader) == config
                ):  # else the seal was changed between the two
                    raise
        wanted = pending(config, self.slots)
        kind = self._kind_of(config, wanted)
        given = self._progress if self._progress.generation == config.generation else Progress()
        return Status(
            kind,
            initialized=True,
            sealed=self._barrier.sealed,
            t=scheme.threshold,
            n=scheme.shares,
            progress=len(given.shares),
            nonce=given.nonce,
            recovery=kind != SHAMIR_SLOT,
            migration=wanted is not Migration.NOTHING,
        )

    async def unseal(self, key: str = "", *, reset: bool = False, migrate: bool = False) -> Status:
        """Do what `sys/unseal` does with these parameters, and return the status after it.

        Raises `SealRefusal` with OpenBao's text and status; after wrong shares the progress is empty.
        Raises `SealFailure` when the right shares meet damaged records or no slot answers that is needed; then
        the vault stays sealed.
        """
        migrated = False
        async with self._lock:
            if reset:
                self._reset()
            elif not key:
                raise SealRefusal(_NO_KEY)
            else:
                migrated = await self._submit(parse_share(key), migrate=migrate)
        return replace(await self.status(), migration=True) if migrated else await self.status()

    async def auto_unseal(self) -> Reasons | None:
        """Unseal through the first key slot that answers; return what went wrong with those before it.

        The device is asked outside the lock, since it may take long. So whether somebody sealed the vault meanwhile is
        asked again under it. None when there is nothing to do: not initialised, unsealed, only shares unseal, a migration is
        pending, or somebody has sealed it (`keep_sealed`). Raises `NoSlotAnswers` or another `SealFailure`; then the vault stays sealed.
        """
        reader = self._storage.reader()
        config = await seal_store.read_config(reader)
        if (
            config is None
            or not self._barrier.sealed
            or self.stays_sealed()
            or not self._opens_itself(config)
        ):
            return None
        enabled = replace(self.slots, disabled=())
        root_key, _, reasons = await seal_store.unwrap_any(reader, config, enabled)
        async with self._lock:
            if self.stays_sealed():
                return None
            await self._open(root_key, config, confirm=False)
        return reasons

    async def follow_root(self) -> None:
        """Take the root key and the keyring that another process put in the place of those in memory, if one did.

        Links lead to it, or a key slot gives it. Where it is replaced once more meanwhile, that is followed too. Raises
        `RootKeyReplaced` where neither does, another `SealFailure` for damage, and `BarrierSealed`; then the newest key that was found stays.
        """
        while True:
            config = await self.config()
            if config is None:
                raise RootKeyReplaced("storage holds no seal configuration")
            try:
                return await self._follow(config)
            except SealFailure:
                if await self.config() == config:  # else it failed because the seal was changed once more
                    raise

    async def _follow(self, config: SealConfig) -> None:
        if config.generation != self._generation:
            raise RootKeyReplaced("the stored seal configuration belongs to another initialisation")
        known = self._barrier.root_key
        root_key = await self._newest(config, known, self.slot_changes.root_version)
        with _damage_as_failure():
            await self._barrier.check(root_key)
        if self._barrier.root_key is known:  # else somebody else here followed meanwhile
            self._barrier.adopt_root(root_key)
            self.slot_changes.root_version = config.root_version
        with _damage_as_failure():
            await self._barrier.refresh()

    async def _newest(self, config: SealConfig, root_key: Key, version: int) -> Key:
        """Return the root key that counts, given the one of generation `version`. Raises `RootKeyReplaced`.

        One of the same number is another one where a backup was restored, and the root key replaced from there on.
        """
        reader = self._storage.reader()
        reason = "nothing leads to it from the one in memory"
        if version < config.root_version:  # no link leads back, to a backup that was restored
            with suppress(SealFailure):
                return await seal_store.follow_links(reader, config, root_key, version)
        elif version == config.root_version:
            with suppress(BarrierFailure):
                await self._barrier.check(root_key)
                return root_key
            reason = _SAME_NUMBER
        try:
            root_key, _, _ = await seal_store.unwrap_any(reader, config, replace(self.slots, disabled=()))
        except SealFailure as failure:
            given = (
                None
                if self._ask_others is None
                else await self._ask_others(config.generation, config.root_version)
            )
            if given is None:
                raise RootKeyReplaced(f"{reason}; {failure}") from failure
            return given
        return root_key

    @property
    def sealed(self) -> bool:
        """Whether there are no keys in memory, whatever storage says."""
        return self._barrier.sealed

    def stays_sealed(self) -> bool:
        """Whether somebody sealed it: a method, for a type checker takes an attribute to be what it was before an await."""
        return self._kept_sealed

    def held(self) -> HeldKeys:
        """Return what `take_over` opens the vault with in another process; raises `BarrierSealed`."""
        return HeldKeys(
            self._generation,
            self.slot_changes.root_version,
            self._barrier.root_key.reveal(),
            self._opened_by_shares,
        )

    async def take_over(self, held: HeldKeys) -> bool:
        """Unseal with what another process holds; return whether it was sealed until now, and is not any more.

        Raises `SealFailure` where that is not the vault's, nor leads to what is.
        """
        async with self._lock:
            config = await self._expect(held.generation)
            if not self._barrier.sealed:
                return False
            root_key = await self._newest(config, Key(held.root_key), held.root_version)
            await self._open(root_key, config, confirm=False)
            self._opened_by_shares = held.by_shares
            return True

    def keep_sealed(self) -> None:
        """Open through no key slot from now on, until shares are given: somebody seals the vault.

        Call it together with `seal`, and not while a share is being submitted.
        """
        self._kept_sealed = True

    @property
    def opened_by_shares(self) -> bool:
        """Whether people's shares opened the vault, and no key slot has been seen to work since."""
        return self._opened_by_shares

    def slot_works(self) -> None:
        """Note that a key slot that holds the root key works."""
        self._opened_by_shares = False

    async def references(self) -> dict[str, dict[str, int]]:
        """Count what is stored for the seal under each version of each slot's key; raises `SealFailure`."""
        reader = self._storage.reader()
        config = await seal_store.read_config(reader)
        return {} if config is None else await seal_store.references(reader, config)

    async def opens_itself(self) -> bool:
        """Whether a key slot is to unseal this vault, without anybody's share."""
        config = await self.config()
        return config is not None and self._opens_itself(config)

    async def seal(self) -> None:
        """Save the encryption counts and forget all keys; without effect while sealed.

        Call it outside any transaction. Whatever saving raises (`TimeoutError` after `SAVE_SECONDS`
        included), the vault is sealed when this returns or raises. A stored keyring that does not open, as after another
        process replaced the root key, takes no counts and is no reason to raise.
        """
        async with self._lock:
            self._progress = Progress()
            try:
                if not self._barrier.sealed:  # the counts first: they are encrypted by a key that goes now
                    async with asyncio.timeout(SAVE_SECONDS):
                        with suppress(BarrierFailure):
                            await self._barrier.save_counts()
            finally:
                self._barrier.seal()
                for forget in self._forgetters:
                    forget()

    async def share_scheme(self) -> ShareScheme:
        """Return how many shares there are in people's hands, and how many it takes; zeros where there are none."""
        reader = self._storage.reader()
        config = await seal_store.read_config(reader)
        if config is None:
            raise SealFailure("storage holds no seal configuration")
        return await _share_scheme(reader, config)

    async def accepts_key(self, key: bytes) -> bool:
        """Whether shares that combine to `key` are the ones in people's hands, if any are; raises `NoSlotAnswers`."""
        reader = self._storage.reader()
        config = await seal_store.read_config(reader)
        if config is None:
            raise SealFailure("storage holds no seal configuration")
        if config.shamir is not None:
            slot = await seal_store.shamir_slot(reader, config, config.shamir)
            return len(key) == KEY_BYTES and open_shamir_slot(slot, Key(key), config.shamir) is not None
        if config.recovery is None:
            return False
        expected = await seal_store.unwrap_recovery(reader, config, self.slots)
        return hmac.compare_digest(expected.reveal(), key)

    def _kind_of(self, config: SealConfig, wanted: Migration) -> str:
        """Kind of the seal as clients see it: the one that is being migrated to, or the first slot's."""
        if wanted is Migration.TO_SLOTS:
            return self._kind()
        if wanted is Migration.TO_SHAMIR or not self._opens_itself(config):
            return SHAMIR_SLOT
        enabled = {slot.name for slot in self.slots.enabled}
        return next(config.entry(name).kind for name in config.wrapped if name in enabled)

    def _opens_itself(self, config: SealConfig) -> bool:
        enabled = {slot.name for slot in self.slots.enabled}
        return any(name in enabled for name in config.wrapped)

    def _reset(self) -> None:
        if not self._barrier.sealed:
            raise SealRefusal("vault is unsealed")
        self._progress = Progress()

    async def _submit(self, share: bytes, *, migrate: bool) -> bool:
        """Take a share; return whether the vault was opened and migrated.

        1. Refuse what cannot lead to an unseal, in OpenBao's order.
        2. Keep the share. Go on once there are enough.
        3. Combine the shares, and find the newest root key with the key that they give.
        4. See that this root key opens the keyring, before anything is changed.
        5. Change the slots as only shares allow: migrate, or give the slot for shares the newest root key.
        6. Confirm the initialisation and load the keyring: the vault is open.
        """
        reader = self._storage.reader()
        # 1. OpenBao looks for a migration before it asks whether there is a vault.
        config = await seal_store.read_config(reader)
        wanted = pending(config, self.slots) if config is not None else Migration.NOTHING
        if migrate and wanted is Migration.NOTHING:
            raise SealRefusal(_NO_MIGRATION)
        if config is None:
            raise SealRefusal(_NOT_INITIALIZED)
        if not self._barrier.sealed:
            return False
        if wanted is not Migration.NOTHING and not migrate:
            raise SealRefusal(_PENDING)
        check_length(share)
        scheme = await _share_scheme(reader, config)
        if config.shamir is None and not any(self.slots.get(name) for name in config.wrapped):
            kind = config.entry(config.slots[0]).kind
            raise SealRefusal(
                f'cannot seal migrate from "{kind}" to Shamir, no disabled seal in configuration: the vault\'s key slots '
                f"are {', '.join(config.wrapped)}, and no seal stanza has such a name"
            )
        if scheme.shares < 1:
            raise SealRefusal(_NO_SHARES)
        # 2. The shares are of one initialisation: after another one they begin anew.
        self._progress = self._progress.add(share, config.generation, self._random)
        if len(self._progress.shares) < scheme.threshold:
            return False
        # 3. Wrong shares are forgotten with the right ones, as OpenBao does: the next try starts from nothing.
        given, self._progress = self._progress, Progress()
        root_key, key = await self._by_shares(reader, config, given)
        await self._update_slots(root_key, key, config, wanted, scheme)
        await self._open(root_key, config, confirm=True)
        return wanted is not Migration.NOTHING

    async def _by_shares(self, reader: ReadTx, config: SealConfig, given: Progress) -> tuple[Key, Key]:
        """Return the newest root key, and the key that the shares combine to. Raises `SealRefusal` for wrong ones."""
        if config.shamir is not None:
            value = given.combined()
            if config.wrapped and len(value) != KEY_BYTES:
                raise SealRefusal(_INVALID_RECOVERY)
            key = given.key()
            slot = await seal_store.shamir_slot(reader, config, config.shamir)
            root_key = open_shamir_slot(slot, key, config.shamir)
            if root_key is None:
                raise SealRefusal(_INVALID_RECOVERY if config.wrapped else WRONG_KEY)
            return await seal_store.follow_links(reader, config, root_key, slot.root_version), key
        value = given.combined()
        expected = await seal_store.unwrap_recovery(reader, config, self.slots)
        if not hmac.compare_digest(value, expected.reveal()):
            raise SealRefusal(_INVALID_RECOVERY)
        root_key, _, _ = await seal_store.unwrap_any(reader, config, self.slots)
        return root_key, expected

    async def _update_slots(
        self, root_key: Key, key: Key, config: SealConfig, wanted: Migration, scheme: ShareScheme
    ) -> None:
        """Do to the slots what only an unseal with shares can do, before anything is open."""
        # 4. A damaged keyring must not cost the slots that still work.
        changes = self.slot_changes.with_root_key(root_key, config.root_version)
        with _damage_as_failure():
            await self._barrier.check(root_key)
        # 5. Only now are there shares to split a key for, or to wrap the newest root key under.
        if wanted is not Migration.NOTHING:
            await migrate(changes, wanted, key, scheme.shares, scheme.threshold)
        elif config.shamir in config.behind:
            await root_rotation.bring_shares_up(changes, key)

    async def _open(self, root_key: Key, config: SealConfig, *, confirm: bool) -> None:
        """Confirm the initialisation and unseal. Only a vault whose keyring opens is ever confirmed.

        Without effect when somebody else opened it meanwhile.
        """
        if not self._barrier.sealed:
            return
        # 6. The check comes first: a vault whose keyring does not open may still be initialised anew.
        with _damage_as_failure():
            await self._barrier.check(root_key)
            await (self._confirm if confirm else self._expect)(config.generation)
            await self._barrier.load(root_key)
        self._generation, self.slot_changes.root_version = config.generation, config.root_version
        self._kept_sealed = False
        self._opened_by_shares = confirm


async def _share_scheme(tx: ReadTx, config: SealConfig) -> ShareScheme:
    if config.recovery is not None:
        return ShareScheme(config.recovery.shares, config.recovery.threshold)
    if config.shamir is None:
        return ShareScheme(0, 0)
    slot = await seal_store.shamir_slot(tx, config, config.shamir)
    return ShareScheme(slot.shares, slot.threshold)


@contextmanager
def _damage_as_failure() -> Iterator[None]:
    try:
        yield
    except BarrierFailure:
        raise SealFailure(
            "the stored keyring is damaged, or the root key was replaced just now: its slot opens, the keyring does not"
        ) from None
