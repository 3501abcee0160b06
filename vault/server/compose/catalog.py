# SPDX-License-Identifier: EUPL-1.2
"""Every engine that this server has, put together from the server's parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
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
from vault.engines.cubbyhole.install import install as install_cubbyhole
from vault.engines.kv.install import install as install_kv
from vault.engines.kv.upgrade import upgrade
from vault.engines.system.clients.tools import ToolEngine
from vault.engines.system.clients.wrapping import WrappingEngine
from vault.engines.system.external_keys.engine import ExternalKeyEngine
from vault.engines.system.mounts.internal import InternalEngine, SpecsEngine
from vault.engines.system.mounts.mounts import MountsEngine
from vault.engines.system.mounts.plugins import PluginEngine, ProgramEngine
from vault.engines.system.mounts.remount import RemountEngine
from vault.engines.system.mounts.tune import TuningEngine
from vault.engines.system.namespaces.locked_users import LockedUsersEngine
from vault.engines.system.namespaces.namespaces import NamespaceEngine
from vault.engines.system.operations.audit import AuditEngine
from vault.engines.system.operations.host import machine
from vault.engines.system.operations.status import ServerFacts, StatusEngine
from vault.engines.system.policies.acl import PolicyEngine
from vault.engines.system.policies.capabilities import CapabilityEngine
from vault.engines.system.seal.generate_root import RootTokenEngine
from vault.engines.system.seal.legacy_rekey import RekeyEngine, RootEngine
from vault.engines.system.seal.rotate_keyring import KeyringRotationEngine
from vault.engines.system.seal.rotate_root import RootRotationEngine
from vault.engines.system.seal.seal import SealEngine, SealHooks
from vault.engines.system.seal.slots import SealSlotEngine
from vault.engines.token.engine import TokenEngine
from vault.engines.totp.install import install as install_totp
from vault.framework.call import Call, Namespace
from vault.framework.engine import Engine
from vault.framework.route import RouteTable
from vault.install import Install, Installation, Kind
from vault.mount.entry import MountEntry
from vault.mount.router import Router
from vault.mount.table import Backend, Catalog
from vault.namespace.consents import Consents, EveryConsent
from vault.policy.store import POLICY_KIND
from vault.seal.consent.share_holders import VaultHolders
from vault.server.compose.namespace_system import inner_system
from vault.server.compose.operators import operators
from vault.server.compose.parts import Parts, address
from vault.server.compose.safe_migration import SafeMigration
from vault.server.compose.services import offer
from vault.server.config.sanitized import sanitized
from vault.token.issue import Renewals
from vault.token.other_credentials import OtherCredentials

ENGINES: Final[tuple[Install, ...]] = (
    install_kv,
    install_totp,
    install_cubbyhole,
    install_approle,
    install_cert,
    install_jwt,
    install_kubernetes,
    install_userpass,
)
"""Every engine that needs nothing but what `Services` offers. A new one is put here."""


def catalog(
    parts: Parts,
    passage: SealHooks,
    running: Callable[[], Iterable[Call]],
    engines: Iterable[Install] = ENGINES,
) -> tuple[Catalog, Sequence[Installation]]:
    """Return every kind of mount, and all that was installed. `running` tells the calls that are being answered."""
    services, external = offer(parts)
    nhi, biscuits = install_nhi(
        services, biscuits=parts.biscuits, failures=parts.failures, factors=parts.factors
    )
    identity = install_identity(services, identities=parts.identities, pairs=parts.pairs, batch=parts.batch)
    installed = [install(services) for install in engines]
    installed += [identity, nhi]
    token = _tokens(parts, renewals(parts.router, installed), biscuits)
    system = (
        *_seal(parts, passage),
        *_mounts(parts),
        *_rights(parts, external, biscuits),
        *_status(parts, running),
        *operators(parts, biscuits),
        LockedUsersEngine(services.lockout, parts.router, parts.barrier),
        ValidateEngine(parts.factors, parts.identities, services.issuer, parts.router, parts.clock),
    )
    own = Kind(("system",), system), Kind(("token",), (token,), auth=True)
    policies = PolicyEngine(parts.policies, parts.barrier, parts.clock)
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


def _tokens(parts: Parts, renewed: Renewals, biscuits: OtherCredentials) -> TokenEngine:
    return TokenEngine(
        parts.tokens,
        parts.batch,
        parts.policies,
        parts.barrier,
        parts.clock,
        parts.limits,
        renewed,
        biscuits,
    )


def _seal(parts: Parts, passage: SealHooks) -> tuple[Engine, ...]:
    consents = _consents(parts)
    shares, root_tokens = _resharing(parts, consents), _root_tokens(parts, consents)
    return (
        SealEngine(
            parts.lifecycle,
            parts.health,
            parts.genesis,
            passage,
            lambda: (parts.audit.blocked, parts.audit.failing),
        ),
        KeyringRotationEngine(parts.barrier),
        shares,
        SealSlotEngine(
            parts.lifecycle,
            parts.health,
            parts.wraps,
            parts.log,
            parts.storage.reader,
            SafeMigration(parts),
        ),
        root_tokens,
        RekeyEngine(shares),
        RootEngine(root_tokens),
    )


def _consents(parts: Parts) -> EveryConsent:
    random = parts.entropy.bytes
    vault = Consents.of(VaultHolders(parts.lifecycle, random), random)
    return EveryConsent(vault, parts.namespaces, parts.sealing, random)


def _root_tokens(parts: Parts, consents: EveryConsent) -> RootTokenEngine:
    return RootTokenEngine(consents, parts.tokens, parts.barrier, parts.clock, parts.entropy, parts.log)


def _resharing(parts: Parts, consents: EveryConsent) -> RootRotationEngine:
    return RootRotationEngine(parts.lifecycle, parts.barrier, consents, parts.sealing, parts.clock, parts.log)


def _mounts(parts: Parts) -> tuple[Engine, ...]:
    router, namespaces, limits = parts.router, parts.namespaces, parts.limits
    return (
        NamespaceEngine(namespaces, parts.sealing, router, parts.policies, parts.clock, parts.entropy),
        MountsEngine(router, parts.entropy, parts.tokens, max_ttl=limits.longest),
        TuningEngine(router, parts.clock, upgrade, default_ttl=limits.default, max_ttl=limits.longest),
        RemountEngine(router, namespaces, parts.barrier, parts.entropy, parts.tokens),
        InternalEngine(router, namespaces, parts.gate),
        SpecsEngine(router, parts.gate),
        PluginEngine(router),
        ProgramEngine(router),
    )


def _rights(parts: Parts, external: ExternalKeyEngine, biscuits: OtherCredentials) -> tuple[Engine, ...]:
    config = parts.config
    return (
        PolicyEngine(parts.policies, parts.barrier, parts.clock),
        CapabilityEngine(parts.tokens, parts.gate, parts.barrier, parts.pool, biscuits),
        WrappingEngine(parts.wrapper, parts.barrier),
        external,
        AuditEngine(
            parts.audit,
            allow_creation=config.unsafe_allow_api_audit_creation,
            allow_prefix=config.allow_audit_log_prefixing,
        ),
    )


def _status(parts: Parts, running: Callable[[], Iterable[Call]]) -> tuple[Engine, ...]:
    config = parts.config
    server = ServerFacts(
        api_addr=address(config),
        machine=machine,
        settings=partial(sanitized, config),
        in_flight=running,
        prefix=config.telemetry.metrics_prefix,
        prometheus=config.telemetry.prometheus_retention_time > 0,
    )
    return (
        StatusEngine(server, parts.barrier, parts.metrics, parts.pool),
        ToolEngine(parts.entropy, parts.pool),
    )


def backend(*engines: Engine) -> Backend:
    """Return the backend that these engines make together."""
    return Backend(engines, RouteTable(engines))
