# SPDX-License-Identifier: EUPL-1.2
"""`sys/init`, `sys/unseal`, `sys/seal` and the states that go with them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from msgspec.structs import replace

from hsm.errors import HsmError
from vault import __version__
from vault.background.nodes import Nodes
from vault.background.skew import Skew
from vault.engines.system.release import COMMIT_DATE, VERSION
from vault.engines.system.seal.genesis import Genesis
from vault.engines.system.seal.last_answer import LastAnswer
from vault.engines.system.seal.params import (
    Health,
    HealthParams,
    InitParams,
    InitResult,
    InitStatus,
    SealStatus,
    SlotStatus,
    UnsealParams,
)
from vault.framework.call import Call
from vault.framework.engine import Engine
from vault.framework.errors import Failed, Malformed
from vault.framework.fields import Mismatch, to_bool, to_int
from vault.framework.reply import Reply
from vault.framework.route import read, write
from vault.framework.telemetry.log import Log
from vault.seal.failure import SealFailure, SealRefusal
from vault.seal.health import SlotHealth
from vault.seal.init import InitPlan, InitRequest
from vault.seal.lifecycle import Lifecycle, Status
from vault.seal.records.record import SHAMIR_SLOT
from vault.values.times import Millis, millis_to_seconds

_CODES: Final = (
    "activecode",
    "sealedcode",
    "uninitcode",
    "standbycode",
    "drsecondarycode",
    "perfstandbycode",
    "readonlycode",
)
_TURNS_AWAY: Final = 15.0
"""Seconds without storage after which whoever balances load is to send requests elsewhere."""
SOFTWARE: Final = "software token: no hardware protection"
LEFT: Final = (
    "wrapped values that are held by slot {0} only, which is no part of the vault: {1}; keep it and its stanza until it "
    "has given them, or have them deleted for good: vaultctl operator seal-slots remove -abandon {0}"
)
REMARKED: Final = (
    "slot {0} works, and somebody should look at its token: vaultctl operator seal-slots list says why"
)


class Cluster(msgspec.Struct, frozen=True):
    """The name and id that clients see once the vault is unsealed."""

    name: str
    id: str


class SealHooks(msgspec.Struct, frozen=True):
    """What the rest of the server does after an unseal and before a seal."""

    opened: Callable[[], Awaitable[None]]
    closing: Callable[[], Awaitable[None]]
    sealing: Callable[[], Awaitable[None]]
    """As `closing`, and the vault stays sealed until shares are given."""
    open_by_slots: Callable[[], Awaitable[bool]]
    """Unseals through a key slot, and returns whether the vault is open; raises `SealFailure` when no slot answers."""
    cluster: Callable[[], Cluster | None]
    nodes: Nodes
    storage_kind: str
    log: Log
    skew: Skew
    turn: asyncio.Lock
    """Held while the vault is opened or closed, so that this happens one at a time."""
    share: Callable[[], Awaitable[None]]
    """Has the server's other workers open too; not to be called within `turn`."""
    failing_snapshots: Callable[[], int]
    """Returns how many schedules of backups failed last."""


class AuditState(msgspec.Struct, frozen=True):
    """Whether what happens can be recorded, as health tells it."""

    audit_blocked: bool
    audit_failing: int
    log_blocked: bool
    log_failing: int


class SealEngine(Engine):
    """Initialise, unseal and seal the vault, and show its state."""

    def __init__(
        self,
        lifecycle: Lifecycle,
        health: SlotHealth,
        genesis: Genesis,
        hooks: SealHooks,
        recording: Callable[[], AuditState],
    ) -> None:
        self._recording = recording
        self._lifecycle = lifecycle
        self._health = health
        self._genesis = genesis
        self._hooks = hooks
        self._state = LastAnswer(lifecycle.status)
        self._slots = LastAnswer(health.shown)

    @read("init", public=True, when_sealed=True, unaudited=True, event="seal.status")
    async def read_init(self, call: Call) -> Reply[InitStatus]:
        """Tell whether this vault is initialised."""
        del call
        return Reply(data=InitStatus((await self._public_status()).initialized), plain=True)

    @write("init", public=True, when_sealed=True, writes=False, body="http.InitRequest", event="seal.init")
    async def initialise(self, call: Call, params: InitParams) -> Reply[InitResult]:
        """Initialise a new vault: make its keys, and show the shares and the first token once.

        Before the first unseal the vault holds nothing else, so `replace_unconfirmed` may replace it: when an answer
        never arrived, nothing is lost (SL-96).
        """
        del call
        request = InitRequest(
            secret_shares=params.secret_shares,
            secret_threshold=params.secret_threshold,
            pgp_keys=params.pgp_keys,
            root_token_pgp_key=params.root_token_pgp_key,
            recovery_shares=params.recovery_shares,
            recovery_threshold=params.recovery_threshold,
            recovery_pgp_keys=params.recovery_pgp_keys,
        )
        # 1. Close the vault that is replaced, if one was initialised and its answer was lost.
        if params.replace_unconfirmed and await self._lifecycle.replaceable():
            await self._hooks.closing()
        # 2. Make all keys, and store the vault with its root token in one transaction.
        try:
            plan, token = await self._genesis.create(request, replace=params.replace_unconfirmed)
        except SealRefusal as refusal:
            raise Malformed(str(refusal)) from refusal
        except (SealFailure, HsmError) as failure:
            raise Failed(str(failure), chained=False) from failure
        # 3. Open it if a key slot can; a failure of this must not lose the keys, so it is only logged.
        self._hooks.log.note("core", "vault is initialized")
        await self._open(plan)
        # 4. Show shares and token: they are stored nowhere in this form.
        return Reply(
            data=InitResult(
                keys=list(plan.keys),
                keys_base64=list(plan.keys_base64),
                recovery_keys=list(plan.recovery.keys),
                recovery_keys_base64=list(plan.recovery.keys_base64),
                root_token=token,
            ),
            plain=True,
        )

    async def _open(self, plan: InitPlan) -> None:
        """Open a new vault that has key slots. It may fail: the answer is the same, and unsealing is tried again."""
        log = self._hooks.log
        for name, failure in plan.absent.items():
            log.caution(
                "seal", "a slot did not answer, and is not part of the vault", slot=name, reason=str(failure)
            )
        if not plan.config.wrapped:
            return
        await self._hooks.closing()  # the vault that was replaced may be open
        if plan.slot is not None:
            log.caution(
                "seal", "recovery shares can unseal this vault without any key slot; see recovery_can_unseal"
            )
        try:
            await self._hooks.open_by_slots()
            await self._hooks.share()
        except SealFailure as failure:
            log.caution("seal", "not unsealed; it will be tried again", reason=str(failure))

    @write(
        "unseal", public=True, when_sealed=True, writes=False, body="http.UnsealRequest", event="seal.unseal"
    )
    async def unseal(self, call: Call, params: UnsealParams) -> Reply[SealStatus]:
        """Give one share of the unseal key; with enough of them the vault opens."""
        del call
        async with self._hooks.turn:
            reply = await self._unseal(params)
        await self._hooks.share()
        return reply

    async def _unseal(self, params: UnsealParams) -> Reply[SealStatus]:
        before = await self._lifecycle.status()
        # 1. Take the share; the last one opens the barrier.
        try:
            status = await self._lifecycle.unseal(params.key, reset=params.reset, migrate=params.migrate)
        except SealRefusal as refusal:
            self._hooks.log.caution("core", "an unseal request was refused", reason=str(refusal))
            raise Malformed(str(refusal)) from refusal
        except SealFailure as failure:
            raise Failed(str(failure), chained=False) from failure
        self._state.note(status)
        # 2. Load what an open vault needs. The health shows "sealed" until that is done.
        if before.sealed and not status.sealed:
            await self._hooks.opened()
        return Reply(data=await self._status(status), plain=True)

    @write("seal", when_sealed=True, writes=False, sudo=True, event="seal.seal")
    async def seal(self, call: Call) -> None:
        """Forget the keys. Needs update and sudo."""
        call.after = self._hooks.sealing

    @read("seal-status", public=True, when_sealed=True, unaudited=True, event="seal.status")
    async def read_seal_status(self, call: Call) -> Reply[SealStatus]:
        """Show the state of the seal."""
        del call
        return Reply(data=await self._status(await self._public_status()), plain=True)

    @read("health", public=True, when_sealed=True, unaudited=True)
    async def read_health(self, call: Call, params: HealthParams) -> Reply[Health]:
        """Show the health of this node, with a status that a load balancer understands."""
        status = await self._public_status()
        aside = not status.sealed and self._hooks.nodes.aside
        silent = self._state.silent
        read_only = not self._hooks.nodes.writable and not silent
        code = _code(status, params, aside=aside, read_only=read_only)
        cluster = self._hooks.cluster()
        recording = self._recording()
        state = "unknown" if status.sealed else "disabled"
        primary = self._hooks.nodes.shared and not status.sealed
        health = Health(
            initialized=status.initialized,
            sealed=status.sealed,
            standby=status.sealed or aside,
            replication_performance_mode="primary" if primary else state,
            replication_dr_mode=state,
            server_time_utc=millis_to_seconds(call.now),
            version=VERSION,
            cluster_name=cluster.name if cluster else "",
            cluster_id=cluster.id if cluster else "",
            coffre_version=__version__,
            audit_blocked=recording.audit_blocked,
            audit_failing=recording.audit_failing,
            log_blocked=recording.log_blocked,
            log_failing=recording.log_failing,
            snapshots_failing=self._hooks.failing_snapshots(),
            storage_unreachable=silent > 0,
            storage_read_only=read_only,
            clock_skew_ms=self._hooks.skew.ahead if self._hooks.skew.told else Millis(0),
        )
        turns_away = silent > _TURNS_AWAY or self._hooks.skew.too_far
        return Reply(data=health, plain=True, status=503 if turns_away else code)

    async def _public_status(self) -> Status:
        """Return the state for clients.

        It is sealed until everything that an open vault needs is loaded, and from when the vault has to be sealed.
        """
        status, sealed = await self._state.get(), self._lifecycle.sealed
        status = replace(status, sealed=sealed, initialized=status.initialized or not sealed)
        between = not status.sealed and self._hooks.turn.locked() and self._hooks.cluster() is None
        return replace(status, sealed=True) if between else status

    async def _status(self, status: Status) -> SealStatus:
        cluster = self._hooks.cluster()
        slots = await self._slots.get()
        return SealStatus(
            type=status.type,
            initialized=status.initialized,
            sealed=status.sealed,
            t=status.t,
            n=status.n,
            progress=status.progress,
            nonce=status.nonce,
            recovery_seal=status.recovery,
            recovery_seal_type=SHAMIR_SLOT if status.recovery else "",
            version=VERSION,
            commit_date=COMMIT_DATE,
            migration=status.migration,
            cluster_name=cluster.name if cluster else "",
            cluster_id=cluster.id if cluster else "",
            storage_type=self._hooks.storage_kind,
            coffre_version=__version__,
            slots=[
                SlotStatus(
                    view.name,
                    view.kind,
                    view.up,
                    view.key_version,
                    view.behind,
                    view.software,
                    view.stored,
                )
                for view in slots
            ],
            warnings=[
                *([SOFTWARE] if any(view.software and view.kind == "pkcs11" for view in slots) else []),
                *(REMARKED.format(view.name) for view in slots if view.remark),
                *(LEFT.format(*left) for left in sorted(self._health.left_to.items())),
            ],
        )


def _code(status: Status, params: HealthParams, *, aside: bool, read_only: bool) -> int:
    """Choose the HTTP status. Raises `Malformed` without text for a code that is no number.

    A server that stands `aside` answers as OpenBao's standby. One whose storage is `read_only` serves reads, so it is another
    one for those alone who ask for that.
    """
    codes = {}
    try:
        to_bool(params.perfstandbyok or "true")
        liked = params.standbyok is not None and to_bool(params.standbyok or "true")
        for name in _CODES:
            text = getattr(params, name)
            if text is not None:
                codes[name] = to_int(text or "none")
    except Mismatch:
        raise Malformed from None
    # OpenBao's defaults: 501 not initialised, 503 sealed, 429 standby, 200 active.
    if not status.initialized:
        code = codes.get("uninitcode", 501)
    elif status.sealed:
        code = codes.get("sealedcode", 503)
    elif aside and not liked:
        code = codes.get("standbycode", 429)
    else:
        active = codes.get("activecode", 200)
        code = codes.get("readonlycode", active) if read_only else active
    if not 200 <= code <= 999:
        raise Malformed  # no final answer can have such a status
    return code
