# SPDX-License-Identifier: EUPL-1.2
"""From sealed to open and back: which facts are loaded, who owns them, and the first steps of development mode."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from typing import Final

import msgspec

from hsm.errors import HsmError, IntegrityError
from vault.audit.broker import AUDIT_KIND, Broker
from vault.background.nodes import Nodes
from vault.barrier import formats
from vault.barrier.barrier import KEYRING_KIND, Barrier
from vault.barrier.failure import BarrierFailure, BarrierSealed
from vault.barrier.stored import NewerFormat
from vault.cache.follow import Drop, Follower
from vault.engines.system.operations.cors import CORS_KIND, CrossOrigins
from vault.engines.system.seal.genesis import CLUSTER, CLUSTER_PATH, Genesis
from vault.engines.system.seal.seal import Cluster
from vault.framework.clock import Clock, Entropy
from vault.framework.keys.safe import Safe
from vault.framework.telemetry.log import Log
from vault.framework.telemetry.metrics import Metrics
from vault.mount.entry import MOUNT_KIND, MountEntry
from vault.mount.router import Router
from vault.mount.table import accessor
from vault.namespace.entry import NAMESPACE_KIND
from vault.namespace.sealing import NamespaceSealing
from vault.policy.store import POLICY_KIND, PolicyStore
from vault.quota.book import Quotas
from vault.quota.model import QUOTA_KIND
from vault.seal.failure import RootKeyReplaced, SealFailure
from vault.seal.health import SlotHealth
from vault.seal.init import InitRequest
from vault.seal.lifecycle import SAVE_SECONDS, SEAL_KIND, Lifecycle
from vault.seal.records.sealwrap import SealWrap, ValuesLost
from vault.seal.records.slots import NoSlotAnswers, gist
from vault.server.application import DevResult
from vault.server.compose.token_metrics import show_state
from vault.storage.protocol import Storage, StorageFailure
from vault.token.model import TokenEntry
from vault.token.store import TokenStore
from vault.values.ids import ROOT_ID, MountId
from vault.wrap.signing_key import SigningKeys

_CORE: Final = "ns/root/"
_SIGNING: Final = "a key that signs wrapping tokens"
_SAFE: Final = "a key of the safe"
_UNCOUNTED: Final = (
    "encryptions are not counted in storage, which does not take it or has another keyring: they count once this process "
    "has the keys again; where it ends before, have the keys replaced early: rotate"
)
_CLOSED: Final = "another process replaced the keys of a namespace, or they are damaged: it is sealed in this one; unseal it again"


class Presence(msgspec.Struct):
    """What is known of this server only while it is unsealed."""

    cluster: Cluster | None = None


class OpenState(msgspec.Struct, frozen=True, kw_only=True):
    """All that a vault keeps in memory while it is open: loaded when it opens, forgotten when it seals."""

    storage: Storage
    barrier: Barrier
    lifecycle: Lifecycle
    health: SlotHealth
    wraps: SealWrap
    signing: SigningKeys
    safe: Safe
    sealing: NamespaceSealing
    follower: Follower
    router: Router
    tokens: TokenStore
    policies: PolicyStore
    audit: Broker
    quotas: Quotas
    origins: CrossOrigins
    presence: Presence
    nodes: Nodes
    metrics: Metrics
    log: Log

    def own_facts(self, leave: Callable[[RootKeyReplaced | NewerFormat], None]) -> None:
        """Say who keeps which fact in memory, so that each is dropped when it becomes untrue.

        `leave` seals the vault soon: this process has a root key that is no longer the vault's, or a newer release writes.
        """

        async def refresh_root() -> None:
            try:
                await self.barrier.refresh()
            except BarrierFailure:  # another process may have replaced the root key
                try:
                    await self.lifecycle.follow_root()
                except RootKeyReplaced as failure:
                    leave(failure)
                    raise BarrierSealed from failure
                except SealFailure as failure:
                    raise BarrierFailure(str(failure)) from failure

        async def refresh_keyring(key: str | None) -> None:
            del key
            await refresh_root()
            for ring in self.barrier.rings():
                if not await self.sealing.follow(ring):
                    self.log.failure("seal", _CLOSED, namespace_id=ring.namespace_id)

        async def drop_namespace(key: str | None) -> None:
            if (
                key is None
            ):  # all may be of another vault: whether this process has its keys comes before anything is read
                await refresh_root()
            await self.router.drop_namespace(key)

        async def drop_deleted(key: str | None) -> None:
            del key
            if not self.barrier.sealed:
                await self.signing.tidy()
                await self.safe.keys.tidy()

        async def reload_audit(key: str | None) -> None:
            del key
            if not self.barrier.sealed:
                await self.audit.load(self.barrier.reader(ROOT_ID, _CORE))

        self.follower.own(formats.FORMATS_KIND, self._refusing_newer(leave))
        self.follower.own(POLICY_KIND, self.policies.drop)
        self.follower.own(NAMESPACE_KIND, drop_namespace)
        self.follower.own(MOUNT_KIND, self.router.drop)
        self.follower.own(KEYRING_KIND, refresh_keyring)
        self.follower.own(AUDIT_KIND, reload_audit)
        self.follower.own(SEAL_KIND, drop_deleted)
        self.follower.own(QUOTA_KIND, self.quotas.drop)
        self.follower.own(CORS_KIND, self.origins.drop)

    def _refusing_newer(self, leave: Callable[[NewerFormat], None]) -> Drop:
        async def refuse_newer(key: str | None) -> None:
            del key
            try:
                if not self.barrier.sealed:
                    await formats.check(self.storage.reader())
            except NewerFormat as failure:
                leave(failure)
                raise BarrierSealed from failure

        return refuse_newer

    async def load(self) -> None:
        """Load everything that an open vault keeps in memory. Raises `NewerFormat` for what a newer release wrote."""
        await formats.note(self.storage)
        await carry_wrapped(self.lifecycle, self.wraps, self.health, self.log)
        core = self.barrier.reader(ROOT_ID, _CORE)
        await self.audit.prepare(core, lambda: self.barrier.write(ROOT_ID, _CORE))
        await self.audit.load(core)
        await open_numbered(self.signing, self.safe, self.log)
        await self.tokens.load(core)  # nobody is known before the audit log is open
        cluster = await core.get(CLUSTER_PATH)
        if cluster is not None:
            entry = CLUSTER.decode(cluster)
            self.presence.cluster = Cluster(entry.name, entry.id)
            show_state(self.metrics, self.barrier, entry.name)
        await self.follower.catch_up()
        self.nodes.opened()

    async def resume(self) -> None:
        """Do in an open vault what waits for a slot. Raises `BarrierSealed` once it is sealed."""
        await carry_wrapped(self.lifecycle, self.wraps, self.health, self.log)
        await open_numbered(self.signing, self.safe, self.log)

    async def close(self) -> None:
        """Seal, and forget everything that came from the open vault, whatever fails."""
        was_open = not self.barrier.sealed
        try:
            try:
                await self._save_counts()
            finally:
                await self.lifecycle.seal()
        finally:
            if was_open and self.barrier.uncounted:
                self.log.failure("seal", _UNCOUNTED, count=self.barrier.uncounted)
            self.sealing.forget()
            self.tokens.forget()
            self.router.seal()
            self.audit.forget()
            await self.follower.forget()
            self.quotas.seal()
            self.origins.seal()
            await self.policies.drop(None)
            self.presence.cluster = None
            self.nodes.closed()

    async def _save_counts(self) -> None:
        """Save how often the keys of namespaces were used; storage that does not answer keeps nobody from sealing."""
        with contextlib.suppress(TimeoutError, StorageFailure, BarrierFailure):
            async with asyncio.timeout(SAVE_SECONDS):
                await self.sealing.rest()


async def open_numbered(signing: SigningKeys, safe: Safe, log: Log) -> None:
    """Have the keys at hand that sign wrapping tokens, and those of the safe, and tell once of each that does not open.

    Nothing is signed by what no slot opens until one does.
    """
    for keys, what in ((signing, _SIGNING), (safe.keys, _SAFE)):
        try:
            await keys.prepare()
        except BarrierFailure as failure:
            log.failure("seal", f"what is noted of {what} cannot be read", reason=str(failure))
        for number, reason in keys.news().items():
            if number:
                level = log.failure if _damaged(reason) else log.caution
                level("seal", f"{what} does not open", key_version=str(number), reason=str(reason))
            else:
                log.caution("seal", f"no slot takes {what}, and none opens", reason=str(reason))


def _damaged(failure: SealFailure) -> bool:
    """Whether it is the value's fault that it does not open, whatever slot is there."""
    reasons = failure.reasons.values() if isinstance(failure, NoSlotAnswers) else (failure,)
    return any(isinstance(reason, IntegrityError | SealFailure) for reason in reasons)


async def carry_wrapped(lifecycle: Lifecycle, wraps: SealWrap, health: SlotHealth, log: Log) -> None:
    """Bring wrapped values along to the slots that there are now, and forget what others hold of them.

    The vault may have left those others while they were away. It is told once which values they alone hold still.
    """
    config = await lifecycle.config()
    if config is None:
        return
    try:
        left = await wraps.carry(config.wrapped)
        await wraps.forget()
        health.left_to = Counter(holder for one in left.values() for holder in one.holders)
        if left:
            raise ValuesLost(left)
    except (HsmError, SealFailure, StorageFailure) as failure:
        if health.left_why != gist(failure):
            log.caution("seal", "wrapped values are left to slots of before", reason=str(failure))
        health.left_why = gist(failure)
    else:
        health.left_why = ""


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


async def ensure_root(
    barrier: Barrier, tokens: TokenStore, follower: Follower, clock: Clock, token: str
) -> None:
    """Make `token` a root token unless there is such a token already; for development mode."""
    async with barrier.write(ROOT_ID, _CORE) as core:
        if await tokens.vacant(core, tokens.key(token)):
            entry = TokenEntry(
                accessor=tokens.new_accessor(),
                policies=("root",),
                path="auth/token/create",
                display_name="token",
                created=clock.nanos(),
                orphan=True,
                leased=True,
            )
            await tokens.create(core, token, entry)
    await follower.follow()


def _secret_mount(entropy: Entropy) -> MountEntry:
    return MountEntry(
        uuid=MountId(entropy.uuid()),
        path="secret/",
        kind="kv",
        accessor=accessor("kv", entropy),
        description="key/value secret storage",
        options={"version": "2"},
    )
