# SPDX-License-Identifier: EUPL-1.2
"""From sealed to open and back: which facts are loaded, who owns them, and the first steps of development mode."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

import msgspec

from vault.audit.broker import AUDIT_KIND
from vault.background.loop import Job
from vault.background.nodes import Nodes
from vault.barrier import formats
from vault.barrier.barrier import KEYRING_KIND
from vault.barrier.failure import BarrierFailure, BarrierSealed
from vault.barrier.ring import Ring
from vault.barrier.stored import NewerFormat
from vault.cache.follow import Drop
from vault.engines.system.operations.cors import CORS_KIND
from vault.engines.system.seal.genesis import CLUSTER, CLUSTER_PATH, Genesis
from vault.engines.system.seal.seal import Cluster
from vault.framework.clock import Entropy
from vault.mount.entry import MOUNT_KIND, MountEntry
from vault.mount.router import Router
from vault.mount.table import MountTable, accessor
from vault.namespace.entry import NAMESPACE_KIND
from vault.namespace.seal import KEYS_KIND
from vault.policy.store import POLICY_KIND, PolicyStore
from vault.quota.model import QUOTA_KIND
from vault.seal.failure import RootKeyReplaced, SealFailure
from vault.seal.init import InitRequest
from vault.seal.lifecycle import SAVE_SECONDS, SEAL_KIND, Lifecycle
from vault.server.application import DevResult
from vault.server.compose.groups.controls import Controls
from vault.server.compose.groups.ground import Ground
from vault.server.compose.groups.key_slots import KeySlots, carry_wrapped, open_numbered
from vault.storage.protocol import StorageFailure
from vault.token.model import TokenEntry
from vault.token.store import TokenStore
from vault.values.ids import ROOT_ID, MountId

_CORE: Final = "ns/root/"
_UNCOUNTED: Final = (
    "encryptions are not counted in storage, which does not take it or has another keyring: they count once this process "
    "has the keys again; where it ends before, have the keys replaced early: rotate"
)
_BESIDE_OLDER: Final = (
    "a server of another release lives on this database: this one writes what that knows, and nothing else, until every server "
    "has this release"
)
_UPGRADED: Final = "every server has this release: it writes all that it can"
_CLOSED: Final = "another process replaced the keys of a namespace, or they are damaged: it is sealed in this one; unseal it again"


class Presence(msgspec.Struct):
    """What is known of this server only while it is unsealed."""

    cluster: Cluster | None = None


class OpenState(msgspec.Struct, frozen=True, kw_only=True):
    """All that a vault keeps in memory while it is open: loaded when it opens, forgotten when it seals."""

    ground: Ground
    key_slots: KeySlots
    router: Router
    tokens: TokenStore
    controls: Controls
    presence: Presence
    nodes: Nodes
    before_seal: list[Job] = msgspec.field(default_factory=list)
    """What engines save before their keys are forgotten."""

    def own_facts(self, leave: Callable[[RootKeyReplaced | NewerFormat], None]) -> None:
        """Say who keeps which fact in memory, so that each is dropped when it becomes untrue.

        `leave` seals the vault soon: this process has a root key that is no longer the vault's, or a newer release writes.
        """

        async def refresh_root() -> None:
            try:
                await self.ground.barrier.refresh()
            except BarrierFailure:  # another process may have replaced the root key
                try:
                    await self.key_slots.lifecycle.follow_root()
                except RootKeyReplaced as failure:
                    leave(failure)
                    raise BarrierSealed from failure
                except SealFailure as failure:
                    raise BarrierFailure(str(failure)) from failure

        async def refresh_keyring(key: str | None) -> None:
            await refresh_root()
            for ring in self.ground.barrier.rings():
                await self._follow_ring(ring)
            if key is not None:  # else all tables are read anew
                await self.router.read_damaged()

        async def drop_deleted(key: str | None) -> None:
            del key
            if not self.ground.barrier.sealed:
                await self.key_slots.signing.tidy()
                await self.key_slots.safe.keys.tidy()

        async def reload_audit(key: str | None) -> None:
            del key
            if not self.ground.barrier.sealed:
                await self.controls.audit.load(self.ground.barrier.reader(ROOT_ID, _CORE))

        self.ground.follower.own(formats.FORMATS_KIND, self._refusing_newer(leave), first=True)
        self.ground.follower.own(POLICY_KIND, self.controls.policies.drop)
        self.ground.follower.own(NAMESPACE_KIND, self.router.drop_namespace)
        self.ground.follower.own(MOUNT_KIND, self.router.drop)
        self.ground.follower.own(KEYRING_KIND, refresh_keyring, first=True)
        self.ground.follower.own(AUDIT_KIND, reload_audit)
        self.ground.follower.own(SEAL_KIND, drop_deleted)
        self.ground.follower.own(QUOTA_KIND, self.controls.quotas.drop)
        self.ground.follower.own(CORS_KIND, self.controls.origins.drop)
        self._own_keys()

    def _own_keys(self) -> None:
        """Say what becomes untrue where a namespace is sealed or opened by itself.

        Any tenant may do that to one of its own again and again, and nobody else is to pay: mount tables are each of one
        namespace, and what the others here keep lies in the root namespace. Workers beside the one that was asked read all
        the same: keys come to them by themselves, and no change in storage tells when (see `Together.take`).
        """

        async def refresh_ring(key: str | None) -> None:
            for ring in self.ground.barrier.rings():
                if ring.namespace_id == key:
                    await self._follow_ring(ring)

        async def keep(key: str | None) -> None:
            del key

        self.ground.follower.own_widely(
            KEYS_KIND,
            {
                KEYRING_KIND: refresh_ring,
                NAMESPACE_KIND: self.router.drop_namespace,
                MOUNT_KIND: self.router.drop_below,
                QUOTA_KIND: keep,
                CORS_KIND: keep,
                AUDIT_KIND: keep,
            },
        )

    async def _follow_ring(self, ring: Ring) -> None:
        if not await self.key_slots.sealing.follow(ring):
            self.ground.log.failure("seal", _CLOSED, namespace_id=ring.namespace_id)

    def _refusing_newer(self, leave: Callable[[NewerFormat], None]) -> Drop:
        async def refuse_newer(key: str | None) -> None:
            del key
            try:
                if not self.ground.barrier.sealed:
                    said = await formats.check(self.ground.storage.reader())
                    if not formats.ahead(said):
                        formats.hold(None)
            except NewerFormat as failure:
                leave(failure)
                raise BarrierSealed from failure

        return refuse_newer

    async def load(self) -> None:
        """Load everything that an open vault keeps in memory.

        Raises `NewerFormat` for what a newer release wrote, and `TooNew` where an older one serves that this one cannot join.
        """
        await self._note_formats()
        await carry_wrapped(
            self.key_slots.lifecycle, self.key_slots.wraps, self.key_slots.health, self.ground.log
        )
        core = self.ground.barrier.reader(ROOT_ID, _CORE)
        await self.controls.audit.prepare(core, lambda: self.ground.barrier.write(ROOT_ID, _CORE))
        await self.controls.audit.load(core)
        self.controls.audit.notice("esa.seal.opened", {})
        await open_numbered(self.key_slots.signing, self.key_slots.safe, self.ground.log)
        await self.tokens.load(core)  # nobody is known before the audit log is open
        cluster = await core.get(CLUSTER_PATH)
        if cluster is not None:
            entry = CLUSTER.decode(cluster)
            self.presence.cluster = Cluster(entry.name, entry.id)
        await self.ground.follower.catch_up()
        self.nodes.opened()

    async def _note_formats(self) -> None:
        """Say in the database what this release writes; beside an older one that serves, write as that does (ADR 0043)."""
        said = await formats.check(self.ground.storage.reader())
        ahead = formats.ahead(said)
        if ahead and self.nodes.shared and not await self._alone():
            formats.hold(said)
            self.ground.log.caution("core", _BESIDE_OLDER, reason=", ".join(sorted(ahead)))
        else:
            await formats.note(self.ground.storage)

    async def _alone(self) -> bool:
        await self.nodes.all()
        return self.nodes.alike

    async def end_upgrade(self) -> None:
        """Write all that this release can, once none lives beside it that does not know it. Raises `StorageFailure`."""
        if formats.holds() and self.nodes.alike and not self.ground.barrier.sealed:
            with contextlib.suppress(NewerFormat):  # whoever follows the database seals this one
                await formats.note(self.ground.storage)
                self.ground.log.note("core", _UPGRADED)

    async def resume(self) -> None:
        """Do in an open vault what waits for a slot. Raises `BarrierSealed` once it is sealed."""
        await carry_wrapped(
            self.key_slots.lifecycle, self.key_slots.wraps, self.key_slots.health, self.ground.log
        )
        await open_numbered(self.key_slots.signing, self.key_slots.safe, self.ground.log)

    async def close(self) -> None:
        """Seal, and forget everything that came from the open vault, whatever fails."""
        was_open = not self.ground.barrier.sealed
        try:
            try:
                await self._save_counts()
            finally:
                await self.key_slots.lifecycle.seal()
        finally:
            if was_open and self.ground.barrier.uncounted:
                self.ground.log.failure("seal", _UNCOUNTED, count=self.ground.barrier.uncounted)
            self.key_slots.sealing.forget()
            self.tokens.forget()
            self.router.seal()
            if was_open:
                self.controls.audit.notice("esa.seal.closed", {})
            try:
                await self.controls.audit.sign_last()
            finally:
                self.controls.audit.forget()
            await self.ground.follower.forget()
            self.controls.quotas.seal()
            self.controls.origins.seal()
            await self.controls.policies.drop(None)
            self.presence.cluster = None
            self.nodes.closed()

    async def _save_counts(self) -> None:
        """Save how often keys were used, of namespaces and of engines; storage that does not answer keeps nobody from sealing."""
        with contextlib.suppress(TimeoutError, StorageFailure, BarrierFailure, BarrierSealed):
            async with asyncio.timeout(SAVE_SECONDS):
                await self.key_slots.sealing.rest()
                if not self.ground.barrier.sealed:
                    for save in self.before_seal:
                        await save()


def make_genesis(ground: Ground, lifecycle: Lifecycle, policies: PolicyStore, mounts: MountTable) -> Genesis:
    """Make what creates the vault."""
    name = ground.config.cluster_name
    return Genesis(ground.storage, lifecycle, policies, mounts, ground.clock, ground.entropy, name)


async def first_start(
    lifecycle: Lifecycle,
    genesis: Genesis,
    tokens: TokenStore,
    entropy: Entropy,
    *,
    root_token: str,
    mount_kv: bool,
) -> DevResult | None:
    """Initialise a development vault; None when it is initialised already."""
    if await lifecycle.is_initialized():
        return None
    by_slots = bool(lifecycle.slots.enabled)
    plan, token = await genesis.create(
        InitRequest(recovery_shares=1, recovery_threshold=1)
        if by_slots
        else InitRequest(secret_shares=1, secret_threshold=1),
        root_token=root_token or tokens.new_token(),
        extra=[_secret_mount(entropy)] if mount_kv else [],
    )
    shares = plan.recovery if by_slots else plan.shares
    return DevResult(unseal_key=shares.keys[0], root_token=token)


async def ensure_root(ground: Ground, tokens: TokenStore, token: str) -> None:
    """Make `token` a root token unless there is such a token already; for development mode."""
    async with ground.barrier.write(ROOT_ID, _CORE) as core:
        if await tokens.vacant(core, tokens.key(token)):
            entry = TokenEntry(
                accessor=tokens.new_accessor(),
                policies=("root",),
                path="auth/token/create",
                display_name="token",
                created=ground.clock.nanos(),
                orphan=True,
                leased=True,
            )
            await tokens.create(core, token, entry)
    await ground.follower.follow()


def _secret_mount(entropy: Entropy) -> MountEntry:
    return MountEntry(
        uuid=MountId(entropy.uuid()),
        path="secret/",
        kind="kv",
        accessor=accessor("kv", entropy),
        description="key/value secret storage",
        options={"version": "2"},
    )
