# SPDX-License-Identifier: EUPL-1.2
"""From sealed to open and back: which facts are loaded, who owns them, and the first steps of development mode."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from typing import Final

from hsm.errors import HsmError, IntegrityError
from vault.audit.broker import AUDIT_KIND
from vault.barrier import formats
from vault.barrier.barrier import KEYRING_KIND
from vault.barrier.failure import BarrierFailure, BarrierSealed
from vault.barrier.stored import NewerFormat
from vault.cache.follow import Drop
from vault.engines.system.operations.cors import CORS_KIND
from vault.engines.system.seal.genesis import CLUSTER, CLUSTER_PATH
from vault.engines.system.seal.seal import Cluster
from vault.framework.telemetry.log import Log
from vault.mount.entry import MOUNT_KIND, MountEntry
from vault.mount.table import accessor
from vault.namespace.entry import NAMESPACE_KIND
from vault.policy.store import POLICY_KIND
from vault.quota.model import QUOTA_KIND
from vault.seal.failure import RootKeyReplaced, SealFailure
from vault.seal.health import SlotHealth
from vault.seal.init import InitRequest
from vault.seal.lifecycle import SAVE_SECONDS, SEAL_KIND, Lifecycle
from vault.seal.records.sealwrap import SealWrap, ValuesLost
from vault.seal.records.slots import NoSlotAnswers, gist
from vault.server.application import DevResult
from vault.server.compose.parts import Parts
from vault.server.compose.token_metrics import show_state
from vault.storage.protocol import StorageFailure
from vault.token.model import TokenEntry

_CORE: Final = "ns/root/"
_SIGNING: Final = "a key that signs wrapping tokens"
_SAFE: Final = "a key of the safe"
_UNCOUNTED: Final = (
    "encryptions are not counted in storage, which does not take it or has another keyring: they count once this process "
    "has the keys again; where it ends before, have the keys replaced early: rotate"
)
_CLOSED: Final = "another process replaced the keys of a namespace, or they are damaged: it is sealed in this one; unseal it again"


def own_facts(parts: Parts, leave: Callable[[RootKeyReplaced | NewerFormat], None]) -> None:
    """Say who keeps which fact in memory, so that each is dropped when it becomes untrue.

    `leave` seals the vault soon: this process has a root key that is no longer the vault's, or a newer release writes.
    """

    async def refresh_root() -> None:
        try:
            await parts.barrier.refresh()
        except BarrierFailure:  # another process may have replaced the root key
            try:
                await parts.lifecycle.follow_root()
            except RootKeyReplaced as failure:
                leave(failure)
                raise BarrierSealed from failure
            except SealFailure as failure:
                raise BarrierFailure(str(failure)) from failure

    async def refresh_keyring(key: str | None) -> None:
        del key
        await refresh_root()
        for ring in parts.barrier.rings():
            if not await parts.sealing.follow(ring):
                parts.log.failure("seal", _CLOSED, namespace_id=ring.namespace_id)

    async def drop_namespace(key: str | None) -> None:
        if (
            key is None
        ):  # all may be of another vault: whether this process has its keys comes before anything is read
            await refresh_root()
        await parts.router.drop_namespace(key)

    async def drop_deleted(key: str | None) -> None:
        del key
        if not parts.barrier.sealed:
            await parts.signing.tidy()
            await parts.safe.keys.tidy()

    async def reload_audit(key: str | None) -> None:
        del key
        if not parts.barrier.sealed:
            await parts.audit.load(parts.barrier.reader("root", _CORE))

    parts.follower.own(formats.FORMATS_KIND, _refusing_newer(parts, leave))
    parts.follower.own(POLICY_KIND, parts.policies.drop)
    parts.follower.own(NAMESPACE_KIND, drop_namespace)
    parts.follower.own(MOUNT_KIND, parts.router.drop)
    parts.follower.own(KEYRING_KIND, refresh_keyring)
    parts.follower.own(AUDIT_KIND, reload_audit)
    parts.follower.own(SEAL_KIND, drop_deleted)
    parts.follower.own(QUOTA_KIND, parts.quotas.drop)
    parts.follower.own(CORS_KIND, parts.origins.drop)


def _refusing_newer(parts: Parts, leave: Callable[[NewerFormat], None]) -> Drop:
    async def refuse_newer(key: str | None) -> None:
        del key
        try:
            if not parts.barrier.sealed:
                await formats.check(parts.storage.reader())
        except NewerFormat as failure:
            leave(failure)
            raise BarrierSealed from failure

    return refuse_newer


async def load(parts: Parts) -> None:
    """Load everything that an open vault keeps in memory. Raises `NewerFormat` for what a newer release wrote."""
    await formats.note(parts.storage)
    await carry_wrapped(parts.lifecycle, parts.wraps, parts.health, parts.log)
    core = parts.barrier.reader("root", _CORE)
    await parts.audit.prepare(core, lambda: parts.barrier.write("root", _CORE))
    await parts.audit.load(core)
    await open_numbered(parts)
    await parts.tokens.load(core)  # nobody is known before the audit log is open
    cluster = await core.get(CLUSTER_PATH)
    if cluster is not None:
        entry = CLUSTER.decode(cluster)
        parts.presence.cluster = Cluster(entry.name, entry.id)
        show_state(parts.metrics, parts.barrier, entry.name)
    await parts.follower.catch_up()


async def open_numbered(parts: Parts) -> None:
    """Have the keys at hand that sign wrapping tokens, and those of the safe, and tell once of each that does not open.

    Nothing is signed by what no slot opens until one does.
    """
    for keys, what in ((parts.signing, _SIGNING), (parts.safe.keys, _SAFE)):
        try:
            await keys.prepare()
        except BarrierFailure as failure:
            parts.log.failure("seal", f"what is noted of {what} cannot be read", reason=str(failure))
        for number, reason in keys.news().items():
            if number:
                level = parts.log.failure if _damaged(reason) else parts.log.caution
                level("seal", f"{what} does not open", key_version=str(number), reason=str(reason))
            else:
                parts.log.caution("seal", f"no slot takes {what}, and none opens", reason=str(reason))


def _damaged(failure: SealFailure) -> bool:
    """Whether it is the value's fault that it does not open, whatever slot is there."""
    reasons = failure.reasons.values() if isinstance(failure, NoSlotAnswers) else (failure,)
    return any(isinstance(reason, IntegrityError | SealFailure) for reason in reasons)


async def resume(parts: Parts) -> None:
    """Do in an open vault what waits for a slot. Raises `BarrierSealed` once it is sealed."""
    await carry_wrapped(parts.lifecycle, parts.wraps, parts.health, parts.log)
    await open_numbered(parts)


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


async def close(parts: Parts) -> None:
    """Seal, and forget everything that came from the open vault, whatever fails."""
    was_open = not parts.barrier.sealed
    try:
        try:
            await _save_counts(parts)
        finally:
            await parts.lifecycle.seal()
    finally:
        if was_open and parts.barrier.uncounted:
            parts.log.failure("seal", _UNCOUNTED, count=parts.barrier.uncounted)
        parts.sealing.forget()
        parts.tokens.forget()
        parts.router.seal()
        parts.audit.forget()
        await parts.follower.forget()
        parts.quotas.seal()
        parts.origins.seal()
        await parts.policies.drop(None)
        parts.presence.cluster = None


async def _save_counts(parts: Parts) -> None:
    """Save how often the keys of namespaces were used; storage that does not answer keeps nobody from sealing."""
    with contextlib.suppress(TimeoutError, StorageFailure, BarrierFailure):
        async with asyncio.timeout(SAVE_SECONDS):
            await parts.sealing.rest()


async def first_start(parts: Parts, root_token: str, *, mount_kv: bool) -> DevResult | None:
    """Initialise a development vault; None when it is initialised already."""
    if await parts.lifecycle.is_initialized():
        return None
    by_slots = bool(parts.lifecycle.slots.enabled)
    plan, token = await parts.genesis.create(
        InitRequest(recovery_shares=1, recovery_threshold=1)
        if by_slots
        else InitRequest(secret_shares=1, secret_threshold=1),
        root_token=root_token or parts.tokens.new_token(),
        extra=[_secret_mount(parts)] if mount_kv else [],
    )
    shares = plan.recovery if by_slots else plan.shares
    return DevResult(unseal_key=shares.keys[0], root_token=token)


async def ensure_root(parts: Parts, token: str) -> None:
    """Make `token` a root token unless there is such a token already; for development mode."""
    async with parts.barrier.write("root", _CORE) as core:
        if await parts.tokens.vacant(core, parts.tokens.key(token)):
            entry = TokenEntry(
                accessor=parts.tokens.new_accessor(),
                policies=("root",),
                path="auth/token/create",
                display_name="token",
                created=parts.clock.nanos(),
                orphan=True,
                leased=True,
            )
            await parts.tokens.create(core, token, entry)
    await parts.follower.follow()


def _secret_mount(parts: Parts) -> MountEntry:
    return MountEntry(
        uuid=parts.entropy.uuid(),
        path="secret/",
        kind="kv",
        accessor=accessor("kv", parts.entropy),
        description="key/value secret storage",
        options={"version": "2"},
    )
