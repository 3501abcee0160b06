# SPDX-License-Identifier: EUPL-1.2
"""Composition root: the only place that knows every concrete class."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import msgspec

from vault.audit.broker import AUDIT_KIND, Broker
from vault.audit.device import DeviceConfig, DeviceFailure
from vault.background.loop import Background
from vault.barrier.barrier import KEYRING_KIND, Barrier
from vault.barrier.view import View
from vault.cache.follow import Follower
from vault.engines.cubbyhole.store import purge as purge_cubbyhole
from vault.engines.system.genesis import CLUSTER_PATH, ClusterEntry, Genesis
from vault.engines.system.seal import Cluster, Passage
from vault.engines.token.lifetime import Limits
from vault.framework.call import ROOT, Operation
from vault.framework.clock import Clock, Entropy
from vault.framework.log import Log
from vault.framework.metrics import Metrics
from vault.mount.entry import MOUNT_KIND, SYSTEM_MAX_TTL, MountEntry
from vault.mount.table import Catalog, MountTable, accessor
from vault.pipeline import Pipeline
from vault.policy.gate import Gate
from vault.policy.store import POLICY_KIND, PolicyStore
from vault.seal.init import InitRequest
from vault.seal.lifecycle import SEAL_KIND, Lifecycle
from vault.server.application import DevResult, Message
from vault.server.catalog import Parts, catalog
from vault.server.failure import StartFailure
from vault.server.settings import Config
from vault.storage.protocol import Storage
from vault.token.authenticator import ServiceTokens
from vault.token.batch import BatchTokens
from vault.token.model import TOKEN_KIND
from vault.token.store import TokenStore
from vault.wire.http import Front
from vault.wire.v1 import reply_body
from vault.wrap.wrapper import Wrapper

_CORE: Final = "ns/root/"


class Vault:
    """The application: an ASGI callable with a life of its own."""

    def __init__(
        self, config: Config, storage: Storage, *, clock: Clock, entropy: Entropy, metrics: Metrics, log: Log
    ) -> None:
        """Put everything together, sealed. Raises `StartFailure` for an audit device that cannot be opened."""
        self._config = config
        self._clock = clock
        self._entropy = entropy
        self._log = log
        self._metrics = metrics
        self._barrier = Barrier(storage, now=clock.millis, random=entropy.bytes)
        self._lifecycle = Lifecycle(storage, self._barrier, now=clock.millis, random=entropy.bytes)
        self._follower = Follower(storage)
        self._tokens = TokenStore(entropy)
        self._batch = BatchTokens(self._tokens, self._barrier, entropy)
        self._policies = PolicyStore(lambda: self._follower.epoch)
        self._gate = Gate(self._policies, self._barrier)
        self._wrapper = Wrapper(self._tokens, clock, reply_body)
        self._cluster: Cluster | None = None
        try:
            self._audit = Broker(_devices(config), clock, entropy)
        except DeviceFailure as failure:
            raise StartFailure(str(failure)) from failure
        self._limits = Limits(
            default=int(config.default_lease_ttl) or SYSTEM_MAX_TTL,
            longest=int(config.max_lease_ttl) or SYSTEM_MAX_TTL,
        )
        self._mounts = MountTable(self._barrier, Catalog({}, {}), ROOT)
        self._genesis = Genesis(
            storage,
            self._lifecycle,
            self._policies,
            self._mounts,
            self._audit,
            clock,
            entropy,
            config.cluster_name,
        )
        self._mounts.catalog = catalog(
            Parts(
                config=config,
                barrier=self._barrier,
                lifecycle=self._lifecycle,
                genesis=self._genesis,
                passage=Passage(self._opened, self._closing, lambda: self._cluster, config.storage.kind),
                tokens=self._tokens,
                batch=self._batch,
                policies=self._policies,
                gate=self._gate,
                mounts=self._mounts,
                audit=self._audit,
                follower=self._follower,
                wrapper=self._wrapper,
                clock=clock,
                entropy=entropy,
                limits=self._limits,
            )
        )
        self._mounts.seal()
        self._background = Background(
            storage, self._barrier, {TOKEN_KIND: self._expire_token}, {}, clock=clock, log=log
        )
        self._own_facts()
        self._tokens.on_revoke(self._purge_cubbyhole)
        pipeline = Pipeline(
            barrier=self._barrier,
            mounts=self._mounts,
            authenticators=(self._batch, ServiceTokens(self._tokens, self._barrier, self._follower)),
            gate=self._gate,
            audit=self._audit,
            follower=self._follower,
            wrapper=self._wrapper,
            log=log,
        )
        self._front = Front(
            pipeline.handle, clock, entropy, fixed=_fixed(self._mounts), sealed=lambda: self._barrier.sealed
        )

    def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> Awaitable[None]:
        """Answer one request."""
        if scope["type"] == "http" and scope["raw_path"][:4] == b"/v1/":
            return self._front(scope, receive, send)
        return _elsewhere(send)

    async def start(self) -> None:
        """Begin background work: there is none while sealed."""

    async def stop(self) -> None:
        """End background work and forget keys."""
        await self._closing()
        self._audit.close()

    async def reload(self, config: Config) -> None:
        """Open audit files anew."""
        self._config = config
        try:
            self._audit.reopen()
        except DeviceFailure as failure:
            raise StartFailure(str(failure)) from failure

    async def bootstrap_dev(
        self, *, root_token_id: str | None, mount_kv: bool, unseal_key: str | None
    ) -> DevResult:
        """Initialise if needed, unseal with `unseal_key` otherwise, mount KV v2 at `secret/`, make the token."""
        token = root_token_id or ""
        if not await self._lifecycle.is_initialized():
            extra = [self._dev_mount()] if mount_kv else []
            request = InitRequest(secret_shares=1, secret_threshold=1)
            plan, token = await self._genesis.create(
                request, root_token=token or self._tokens.new_token(), extra=extra
            )
            unseal_key = plan.keys[0]
        await self._lifecycle.unseal(unseal_key or "")
        await self._opened()
        return DevResult(unseal_key=unseal_key or "", root_token=token)

    def _dev_mount(self) -> MountEntry:
        return MountEntry(
            uuid=self._entropy.uuid(),
            path="secret/",
            kind="kv",
            accessor=accessor("kv", self._entropy),
            description="key/value secret storage",
            options={"version": "2"},
        )

    def _own_facts(self) -> None:
        follower = self._follower
        follower.own(POLICY_KIND, self._policies.drop)
        follower.own(MOUNT_KIND, self._mounts.drop)
        follower.own(KEYRING_KIND, self._refresh_keyring)
        follower.own(AUDIT_KIND, self._reload_audit)
        follower.own(SEAL_KIND, _nothing)

    async def _refresh_keyring(self, key: str | None) -> None:
        del key
        await self._barrier.refresh()

    async def _reload_audit(self, key: str | None) -> None:
        del key
        if not self._barrier.sealed:
            await self._audit.load(self._barrier.reader("root", _CORE))

    async def _opened(self) -> None:
        """Load what the open vault needs. On any failure the vault is sealed again."""
        try:
            core = self._barrier.reader("root", _CORE)
            await self._tokens.load(core)
            async with self._barrier.write("root", _CORE) as tx:
                await self._audit.prepare(tx)
            cluster = await core.get(CLUSTER_PATH)
            if cluster is not None:
                entry = msgspec.msgpack.decode(cluster, type=ClusterEntry)
                self._cluster = Cluster(entry.name, entry.id)
            await self._follower.catch_up()
        except BaseException:
            await self._closing()
            raise
        self._background.start()
        self._log.note("core", "vault is unsealed")

    async def _closing(self) -> None:
        """Forget everything that came from the open vault."""
        await self._background.stop()
        try:
            await self._lifecycle.seal()
        finally:
            self._tokens.forget()
            self._mounts.seal()
            self._audit.forget()
            self._follower.forget()
            await self._policies.drop(None)
            self._cluster = None

    async def _expire_token(self, core: View, key: str) -> None:
        entry = await self._tokens.get(core, key)
        if entry is not None and not entry.alive(self._clock.nanos()):
            await self._tokens.revoke_tree(core, key)

    async def _purge_cubbyhole(self, core: View, key: str) -> None:
        mount = self._mounts.get("cubbyhole/")
        if mount is not None:
            await purge_cubbyhole(core.sub(mount.entry.prefix), key)


async def build(
    config: Config, storage: Storage, *, clock: Clock, entropy: Entropy, metrics: Metrics, log: Log
) -> Vault:
    """Make the application, sealed and not started yet."""
    return Vault(config, storage, clock=clock, entropy=entropy, metrics=metrics, log=log)


def _devices(config: Config) -> Sequence[DeviceConfig]:
    return [
        DeviceConfig(
            path=device.path,
            kind=device.kind,
            description=device.description,
            local=device.local,
            options=device.options,
        )
        for device in config.audit
    ]


def _fixed(mounts: MountTable) -> Mapping[str, set[Operation]]:
    """Return the paths that answer while sealed too, with the operations that they take."""
    found: dict[str, set[Operation]] = {}
    for mount in mounts:
        for bound in mount.backend.routes.all:
            if bound.route.access.when_sealed:
                found.setdefault(mount.entry.path + bound.route.template, set()).add(bound.route.operation)
    return found


async def _nothing(key: str | None) -> None:
    """Own a fact that is read from storage at every use."""


async def _elsewhere(send: Callable[[Message], Awaitable[None]]) -> None:
    body = b'{"errors":[]}\n'
    headers = [
        (b"content-type", b"application/json"),
        (b"cache-control", b"no-store"),
        (b"strict-transport-security", b"max-age=31536000; includeSubDomains"),
        (b"content-length", b"%d" % len(body)),
    ]
    await send({"type": "http.response.start", "status": 404, "headers": headers})
    await send({"type": "http.response.body", "body": body})
