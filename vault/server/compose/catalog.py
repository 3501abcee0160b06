# SPDX-License-Identifier: EUPL-1.2
"""Every engine that this server has, put together from the server's parts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final

from nhi.auth.approle.install import install as install_approle
from nhi.auth.cert.install import install as install_cert
from nhi.auth.jwt.install import install as install_jwt
from nhi.auth.kubernetes.install import install as install_kubernetes
from nhi.auth.userpass.install import install as install_userpass
from nhi.biscuit.install import install as install_nhi
from nhi.identity.install import install as install_identity
from nhi.identity.mfa.validate_routes import ValidateEngine
from vault.audit.broker import Broker
from vault.cache.follow import Follower
from vault.engines.cubbyhole.install import install as install_cubbyhole
from vault.engines.kv.install import install as install_kv
from vault.engines.kv.upgrade import upgrade
from vault.engines.ssh.install import install as install_ssh
from vault.engines.system.clients.tools import ToolEngine
from vault.engines.system.clients.wrapping import WrappingEngine
from vault.engines.system.crypto.engine import CryptoEngine
from vault.engines.system.crypto.sources import KeySources
from vault.engines.system.external_keys.engine import ExternalKeyEngine
from vault.engines.system.external_keys.inventory import ExternalKeyInventory
from vault.engines.system.log.hashing import HashEngine
from vault.engines.system.log.proofs import ProofEngine
from vault.engines.system.log.readers import LogReading
from vault.engines.system.log.records import RecordEngine
from vault.engines.system.log.retention import RetentionEngine
from vault.engines.system.log.status import LogStatusEngine
from vault.engines.system.mounts.internal import InternalEngine, SpecsEngine
from vault.engines.system.mounts.mounts import MountsEngine
from vault.engines.system.mounts.plugins import PluginEngine, ProgramEngine
from vault.engines.system.mounts.remount import RemountEngine
from vault.engines.system.mounts.tune import TuningEngine
from vault.engines.system.namespaces.locked_users import LockedUsersEngine
from vault.engines.system.namespaces.namespaces import NamespaceEngine
from vault.engines.system.operations.audit import AuditEngine
from vault.engines.system.operations.host import machine
from vault.engines.system.operations.nodes import NodesEngine
from vault.engines.system.operations.status import ServerFacts, StatusEngine
from vault.engines.system.policies.acl import PolicyEngine
from vault.engines.system.policies.capabilities import CapabilityEngine
from vault.engines.system.seal.generate_root import RootTokenEngine
from vault.engines.system.seal.genesis import Genesis
from vault.engines.system.seal.legacy_rekey import RekeyEngine, RootEngine
from vault.engines.system.seal.rotate_keyring import KeyringRotationEngine
from vault.engines.system.seal.rotate_root import RootRotationEngine
from vault.engines.system.seal.seal import AuditState, SealEngine, SealHooks
from vault.engines.system.seal.slots import SealSlotEngine
from vault.engines.token.engine import TokenEngine
from vault.engines.totp.install import install as install_totp
from vault.engines.transit.install import install as install_transit
from vault.framework.call import Call, Namespace
from vault.framework.engine import Engine
from vault.framework.route_table import RouteTable
from vault.framework.telemetry.metrics import WholeMetrics
from vault.install import Install, Installation, Kind, Services
from vault.lease.revocation import Endings
from vault.log.purger import Purger
from vault.log.reader.client import LogReader
from vault.mount.entry import MountEntry
from vault.mount.router import Router
from vault.mount.table import Backend, Catalog
from vault.namespace.consents import Consents, EveryConsent
from vault.namespace.seal import NamespaceSealing
from vault.policy.gate import Gate
from vault.policy.store import POLICY_KIND
from vault.seal.consent.share_holders import VaultHolders
from vault.seal.lifecycle import Lifecycle
from vault.server.compose.groups.capacities import Capacities
from vault.server.compose.groups.controls import Controls
from vault.server.compose.groups.credentials import Credentials
from vault.server.compose.groups.ground import Ground
from vault.server.compose.groups.key_slots import KeySlots
from vault.server.compose.groups.schedules import bring, snapshot_engines
from vault.server.compose.namespace_system import inner_system
from vault.server.compose.operators import operators
from vault.server.config.sanitized import sanitized
from vault.server.config.settings import Config
from vault.server.http.certificates import listener_keys
from vault.server.snapshots.schedules import Schedules
from vault.storage.protocol import ReadTx
from vault.token.batch import BatchTokens
from vault.token.issue import Renewals
from vault.token.other_credentials import OtherCredentials
from vault.token.store import TokenStore

ENGINES: Final[tuple[Install, ...]] = (
    install_kv,
    install_totp,
    install_transit,
    install_ssh,
    install_cubbyhole,
    install_approle,
    install_cert,
    install_jwt,
    install_kubernetes,
    install_userpass,
)
"""Every engine that needs nothing but what `Services` offers. A new one is put here."""


def catalog(
    ground: Ground,
    services: Services,
    external: ExternalKeyEngine,
    credentials: Credentials,
    key_slots: KeySlots,
    controls: Controls,
    endings: Endings,
    capacities: Capacities,
    *,
    genesis: Genesis,
    passage: SealHooks,
    migrate: Callable[[], Awaitable[None]],
    reader: LogReader | None,
    purger: Purger | None,
    running: Callable[[], Iterable[Call]],
    whole_metrics: WholeMetrics,
    share_levels: Callable[[], Awaitable[None]],
    schedules: Schedules,
    engines: Iterable[Install] = ENGINES,
) -> tuple[Catalog, Sequence[Installation]]:
    """Return every kind of mount, and all that was installed.

    `migrate` puts signing keys into the safe; `reader` is asked what the log has, and `purger` cuts it, both None where none is kept; `running` tells the calls that are being answered, `whole_metrics`
    what all workers have measured; `share_levels` has all of them log as this one; `schedules` are those of backups.
    """
    factors, identities, batch = credentials.factors, credentials.identities, credentials.batch
    nhi, biscuits = install_nhi(
        services,
        biscuits=credentials.biscuits,
        failures=credentials.failures,
        factors=factors,
        blocks=capacities.blocks,
        names=capacities.names,
    )
    identity = install_identity(services, identities=identities, pairs=credentials.pairs, batch=batch)
    installed = [install(services) for install in engines]
    installed += [identity, nhi, bring(schedules, ground.config.storage)]
    token = _tokens(services, batch, renewals(services.router, installed), biscuits)
    system = (
        *_seal(services, key_slots, controls.audit, genesis, passage, ground.storage.reader, migrate),
        *_mounts(services, key_slots.sealing, controls.gate),
        *_rights(services, controls, external, batch, biscuits, ground.config),
        *_status(services, ground.config, running, whole_metrics),
        NodesEngine(passage.nodes),
        *snapshot_engines(ground, schedules),
        *_log(services, controls, reader, purger, ground.config),
        *operators(services, controls, endings, batch, biscuits, ground.config.log_level, share_levels),
        LockedUsersEngine(services.lockout, services.router, services.barrier),
        ValidateEngine(factors, identities, services.issuer, services.router, services.clock),
        _crypto(ground, services, external, key_slots, controls, installed),
    )
    own = Kind(("system",), system), Kind(("token",), (token,), auth=True)
    policies = PolicyEngine(services.policies, services.barrier, services.clock)
    installed.append(Installation(kinds=own, timers={POLICY_KIND: policies.expire}))
    return _catalog(installed), installed


def _catalog(installed: Iterable[Installation]) -> Catalog:
    """Return the kinds of all that was installed. Raises `ValueError` for two of one name."""
    secrets: dict[tuple[str, str], Backend] = {}
    auth: dict[str, Backend] = {}
    for kind in (kind for each in installed for kind in each.kinds):
        served = backend(*kind.engines)
        for name in kind.names:
            keys = [name] if kind.auth else [(name, version) for version in kind.versions]
            into: dict[Any, Backend] = auth if kind.auth else secrets
            for key in keys:
                if key in into:
                    raise ValueError(f"two engines for mounts of kind {name}")
                into[key] = served
    secrets["ns_system", ""] = inner_system(secrets["system", ""])
    return Catalog(secrets, auth)


def renewals(router: Router, installed: Iterable[Installation]) -> Renewals:
    """Return what renews the tokens of logins."""
    rules = {
        name: kind.renewal
        for each in installed
        for kind in each.kinds
        if kind.renewal is not None
        for name in kind.names
    }

    def find(namespace: Namespace, logins: str) -> MountEntry | None:
        return next((mount.entry for mount in router.of(namespace) if mount.entry.logins == logins), None)

    return Renewals(find, rules)


def _tokens(
    services: Services, batch: BatchTokens, renewed: Renewals, biscuits: OtherCredentials
) -> TokenEngine:
    return TokenEngine(
        services.tokens,
        batch,
        services.policies,
        services.barrier,
        services.clock,
        services.limits,
        renewed,
        biscuits,
    )


def _seal(
    services: Services,
    slots: KeySlots,
    audit: Broker,
    genesis: Genesis,
    passage: SealHooks,
    reader: Callable[[], ReadTx],
    migrate: Callable[[], Awaitable[None]],
) -> tuple[Engine, ...]:
    barrier, clock, entropy, log = services.barrier, services.clock, services.entropy, services.log
    vault = Consents.of(VaultHolders(slots.lifecycle, entropy.bytes), entropy.bytes)
    consents = EveryConsent(vault, services.namespaces, slots.sealing, entropy.bytes)
    shares = RootRotationEngine(slots.lifecycle, barrier, consents, slots.sealing, clock, log)
    root_tokens = RootTokenEngine(consents, services.tokens, barrier, clock, entropy, log)
    return (
        SealEngine(
            slots.lifecycle,
            slots.health,
            genesis,
            passage,
            partial(_audit_state, audit),
        ),
        KeyringRotationEngine(barrier),
        shares,
        SealSlotEngine(slots.lifecycle, slots.health, slots.wraps, log, reader, migrate),
        root_tokens,
        RekeyEngine(shares),
        RootEngine(root_tokens),
    )


def _audit_state(audit: Broker) -> AuditState:
    log = audit.watch
    failing = 0 if log is None else sum(device.failing for device in log.devices)
    return AuditState(audit.blocked, audit.failing, log is not None and bool(log.refusal), failing)


def _mounts(services: Services, sealing: NamespaceSealing, gate: Gate) -> tuple[Engine, ...]:
    router, namespaces, limits = services.router, services.namespaces, services.limits
    clock, entropy, tokens = services.clock, services.entropy, services.tokens
    return (
        NamespaceEngine(namespaces, sealing, router, services.policies, clock, entropy),
        MountsEngine(router, entropy, tokens, max_ttl=limits.longest),
        TuningEngine(router, clock, upgrade, default_ttl=limits.default, max_ttl=limits.longest),
        RemountEngine(router, namespaces, services.barrier, entropy, tokens),
        InternalEngine(router, namespaces, gate),
        SpecsEngine(router, gate),
        PluginEngine(router),
        ProgramEngine(router),
    )


def _rights(
    services: Services,
    controls: Controls,
    external: ExternalKeyEngine,
    batch: BatchTokens,
    biscuits: OtherCredentials,
    config: Config,
) -> tuple[Engine, ...]:
    barrier = services.barrier
    return (
        PolicyEngine(services.policies, barrier, services.clock),
        CapabilityEngine(services.tokens, controls.gate, barrier, services.pool, batch, biscuits),
        WrappingEngine(services.wrapper, barrier),
        external,
        AuditEngine(
            controls.audit,
            services.pool,
            allow_creation=config.unsafe_allow_api_audit_creation,
            allow_prefix=config.allow_audit_log_prefixing,
        ),
    )


def _status(
    services: Services, config: Config, running: Callable[[], Iterable[Call]], whole_metrics: WholeMetrics
) -> tuple[Engine, ...]:
    server = ServerFacts(
        machine=machine,
        settings=partial(sanitized, config),
        in_flight=running,
        prefix=config.telemetry.metrics_prefix,
        prometheus=config.telemetry.prometheus_retention_time > 0,
    )
    return (
        StatusEngine(server, services.barrier, whole_metrics, services.pool),
        ToolEngine(services.entropy, services.pool),
    )


def _log(
    services: Services, controls: Controls, reader: LogReader | None, purger: Purger | None, config: Config
) -> tuple[Engine, ...]:
    common = controls.audit.common
    reading = LogReading(reader, services.namespaces, root_reads=config.log.root_reads)
    return (
        RecordEngine(reading, common, services.clock),
        ProofEngine(reading),
        LogStatusEngine(reading, common, purger),
        HashEngine(reading, common, services.pool, services.entropy, services.clock),
        RetentionEngine(reading, purger, services.clock),
    )


def _crypto(
    ground: Ground,
    services: Services,
    external: ExternalKeyEngine,
    slots: KeySlots,
    controls: Controls,
    installed: Iterable[Installation],
) -> CryptoEngine:
    owners = {
        (name, kind.auth): kind.keys
        for each in installed
        for kind in each.kinds
        if kind.keys is not None
        for name in kind.names
    }
    sources = KeySources(
        barrier=ground.barrier,
        storage=ground.storage,
        lifecycle=slots.lifecycle,
        health=slots.health,
        safe=slots.safe,
        signing=slots.signing,
        audit=controls.audit,
        external=ExternalKeyInventory(external.providers, services.clock.monotonic),
        hsm_key=ground.config.log.signing_key,
        listeners=partial(listener_keys, ground.config.listeners),
        pool=ground.pool,
        router=services.router,
        namespaces=services.namespaces,
        owners=owners,
    )
    return CryptoEngine(sources.sections)


def hook(
    installed: Iterable[Installation],
    follower: Follower,
    lifecycle: Lifecycle,
    tokens: TokenStore,
    endings: Endings,
) -> None:
    """Have the vault call what engines brought, but for their timers."""
    for each in installed:
        for fact, drop in each.caches.items():
            follower.own(fact, drop)
        for forget in each.on_seal:
            lifecycle.on_seal(forget)
        for purge in each.on_revoke:
            tokens.on_revoke(purge)
        for kind in each.kinds:
            if kind.leases is not None:
                for name in kind.names:
                    endings.serve(name, kind.leases)


def backend(*engines: Engine) -> Backend:
    """Return the backend that these engines make together."""
    return Backend(engines, RouteTable(engines))
