# SPDX-License-Identifier: EUPL-1.2
"""`sys/init`, `sys/unseal`, `sys/seal` and the states that go with them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec

from vault.engines.system.genesis import Genesis
from vault.framework.call import Call, Reply
from vault.framework.engine import Engine
from vault.framework.errors import Failed, Malformed
from vault.framework.fields import Doc, Kind, Mismatch, to_bool, to_int
from vault.framework.log import Log
from vault.framework.route import Params, read, write
from vault.seal.failure import SealFailure, SealRefusal
from vault.seal.init import InitRequest
from vault.seal.lifecycle import Lifecycle, Status

VERSION: Final = "2.7.2"
"""The OpenBao version whose API this is; clients switch features on it (`docs/adr/0004-version.md`)."""
_CODES: Final = (
    "activecode",
    "sealedcode",
    "uninitcode",
    "standbycode",
    "drsecondarycode",
    "perfstandbycode",
)
COMMIT_DATE: Final = "2026-10-26T20:32:27Z"


@dataclass(frozen=True, slots=True)
class Cluster:
    """The name and id that clients see once the vault is unsealed."""

    name: str
    id: str


@dataclass(frozen=True, slots=True)
class Passage:
    """What follows an unseal and precedes a seal in the rest of the server."""

    opened: Callable[[], Awaitable[None]]
    closing: Callable[[], Awaitable[None]]
    cluster: Callable[[], Cluster | None]
    storage_kind: str
    log: Log
    turn: asyncio.Lock
    """Held by whoever opens or closes the vault: one at a time."""


_Count = Annotated[int, Kind("int", struct="InitRequest")]
_Keys = Annotated[tuple[str, ...], Kind("strings", struct="InitRequest")]


class InitParams(Params, frozen=True):
    """Parameters of an initialisation."""

    secret_shares: Annotated[_Count, Doc("Number of shares to split the unseal key into.")] = 0
    secret_threshold: Annotated[_Count, Doc("Number of shares that unseal.")] = 0
    pgp_keys: Annotated[_Keys, Doc("PGP public keys, one per share, to encrypt the shares to.")] = ()
    root_token_pgp_key: Annotated[
        str, Kind("string", struct="InitRequest"), Doc("PGP public key to encrypt the root token to.")
    ] = ""
    recovery_shares: Annotated[_Count, Doc("Not for a Shamir seal.")] = 0
    recovery_threshold: Annotated[_Count, Doc("Not for a Shamir seal.")] = 0
    recovery_pgp_keys: Annotated[_Keys, Doc("Not for a Shamir seal.")] = ()
    replace_unconfirmed: Annotated[
        bool,
        Kind("bool", struct="InitRequest"),
        Doc("Replace a vault that was initialised and never unsealed, when its keys did not arrive."),
    ] = False


class UnsealParams(Params, frozen=True):
    """Parameters of an unseal step."""

    key: Annotated[
        str, Kind("string", struct="UnsealRequest"), Doc("One share, in hexadecimal or base64.")
    ] = ""
    reset: Annotated[bool, Kind("bool", struct="UnsealRequest"), Doc("Forget the shares given so far.")] = (
        False
    )
    migrate: Annotated[bool, Kind("bool", struct="UnsealRequest"), Doc("Take part in a seal migration.")] = (
        False
    )


class HealthParams(Params, frozen=True):
    """Which status to answer in which state."""

    activecode: Annotated[str | None, Doc("Status while active.")] = None
    standbycode: Annotated[str | None, Doc("Status while standby.")] = None
    standbyok: Annotated[str | None, Doc("Answer a standby as if it were active.")] = None
    perfstandbycode: Annotated[str | None, Doc("Status while a performance standby.")] = None
    perfstandbyok: Annotated[str | None, Doc("Answer a performance standby as if it were active.")] = None
    drsecondarycode: Annotated[str | None, Doc("Status while a disaster recovery secondary.")] = None
    sealedcode: Annotated[str | None, Doc("Status while sealed.")] = None
    uninitcode: Annotated[str | None, Doc("Status while not initialised.")] = None


class Initialized(msgspec.Struct, frozen=True):
    """Whether there is a vault."""

    initialized: bool


class InitResult(msgspec.Struct, frozen=True):
    """The new vault's shares and first token: shown once."""

    keys: list[str]
    keys_base64: list[str]
    root_token: str


class SealStatus(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The state of the seal, on the wire's names."""

    type: str
    initialized: bool
    sealed: bool
    t: int
    n: int
    progress: int
    nonce: str
    recovery_seal: bool
    version: str
    commit_date: str
    migration: bool
    cluster_name: str = ""
    cluster_id: str = ""
    storage_type: str


class Health(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What load balancers look at."""

    initialized: bool
    sealed: bool
    standby: bool
    replication_performance_mode: str
    replication_dr_mode: str
    server_time_utc: int
    version: str
    cluster_name: str = ""
    cluster_id: str = ""


class Leader(msgspec.Struct, frozen=True):
    """Who leads; every node of ours is equal."""

    ha_enabled: bool


class SealEngine(Engine):
    """Initialising, unsealing and sealing, and how to see the state of it."""

    def __init__(self, lifecycle: Lifecycle, genesis: Genesis, passage: Passage) -> None:
        self._lifecycle = lifecycle
        self._genesis = genesis
        self._passage = passage

    @read("init", public=True, when_sealed=True, unaudited=True)
    async def read_init(self, call: Call) -> Reply[Initialized]:
        """Tell whether this vault is initialised."""
        del call
        return Reply(data=Initialized(await self._lifecycle.is_initialized()), plain=True)

    @write("init", public=True, when_sealed=True, writes=False, body="http.InitRequest")
    async def initialise(self, call: Call, params: InitParams) -> Reply[InitResult]:
        """Initialise a new vault: make its keys, and show the shares and the first token once.

        Until the first unseal nothing but this can lie in the vault, so `replace_unconfirmed` may replace it:
        an answer that never arrived loses nothing (SL-96).
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
        try:
            plan, token = await self._genesis.create(request, replace=params.replace_unconfirmed)
        except SealRefusal as refusal:
            raise Malformed(str(refusal)) from refusal
        self._passage.log.note("core", "vault is initialized")
        return Reply(data=InitResult(list(plan.keys), list(plan.keys_base64), token), plain=True)

    @write("unseal", public=True, when_sealed=True, writes=False, body="http.UnsealRequest")
    async def unseal(self, call: Call, params: UnsealParams) -> Reply[SealStatus]:
        """Give one share of the unseal key; with enough of them the vault opens."""
        del call
        async with self._passage.turn:
            return await self._unseal(params)

    async def _unseal(self, params: UnsealParams) -> Reply[SealStatus]:
        before = await self._lifecycle.status()
        try:
            status = await self._lifecycle.unseal(params.key, reset=params.reset, migrate=params.migrate)
        except SealRefusal as refusal:
            self._passage.log.caution("core", "an unseal request was refused")
            raise Malformed(str(refusal)) from refusal
        except SealFailure as failure:
            raise Failed(str(failure), chained=False) from failure
        if before.sealed and not status.sealed:
            await self._passage.opened()
        return Reply(data=self._status(status), plain=True)

    @write("seal", when_sealed=True, writes=False, sudo=True)
    async def seal(self, call: Call) -> None:
        """Forget the keys. Needs update and sudo."""
        call.after = self._passage.closing

    @read("seal-status", public=True, when_sealed=True, unaudited=True)
    async def read_seal_status(self, call: Call) -> Reply[SealStatus]:
        """Show the state of the seal."""
        del call
        return Reply(data=self._status(await self._lifecycle.status()), plain=True)

    @read("leader", public=True, when_sealed=True, unaudited=True)
    async def read_leader(self, call: Call) -> Reply[Leader]:
        """Show who leads."""
        del call
        return Reply(data=Leader(ha_enabled=False), plain=True)

    @read("health", public=True, when_sealed=True, unaudited=True)
    async def read_health(self, call: Call, params: HealthParams) -> Reply[Health]:
        """Show the health of this node, with a status that a load balancer understands."""
        status = await self._lifecycle.status()
        code = _code(status, params)
        cluster = self._passage.cluster()
        state = "unknown" if status.sealed else "disabled"
        health = Health(
            initialized=status.initialized,
            sealed=status.sealed,
            standby=status.sealed,
            replication_performance_mode=state,
            replication_dr_mode=state,
            server_time_utc=call.now // 1000,
            version=VERSION,
            cluster_name=cluster.name if cluster else "",
            cluster_id=cluster.id if cluster else "",
        )
        return Reply(data=health, plain=True, status=code)

    def _status(self, status: Status) -> SealStatus:
        cluster = self._passage.cluster()
        return SealStatus(
            type=status.type,
            initialized=status.initialized,
            sealed=status.sealed,
            t=status.t,
            n=status.n,
            progress=status.progress,
            nonce=status.nonce,
            recovery_seal=False,
            version=VERSION,
            commit_date=COMMIT_DATE,
            migration=False,
            cluster_name=cluster.name if cluster else "",
            cluster_id=cluster.id if cluster else "",
            storage_type=self._passage.storage_kind,
        )


def _code(status: Status, params: HealthParams) -> int:
    """Choose the status. Raises `Malformed` without text for a code that is no number."""
    codes = {}
    try:
        for name in ("standbyok", "perfstandbyok"):
            to_bool(getattr(params, name) or "true")
        for name in _CODES:
            text = getattr(params, name)
            if text is not None:
                codes[name] = to_int(text or "none")
    except Mismatch:
        raise Malformed from None
    if not status.initialized:
        code = codes.get("uninitcode", 501)
    else:
        code = codes.get("sealedcode", 503) if status.sealed else codes.get("activecode", 200)
    if not 200 <= code <= 999:
        raise Malformed  # no answer can carry it, or it would not be the last one
    return code
