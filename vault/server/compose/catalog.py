# SPDX-License-Identifier: EUPL-1.2
"""Every engine that this server has, put together from the server's parts."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial

from nhi.identity.engines import identity_store
from nhi.identity.mfa.validate_routes import ValidateEngine
from vault.engines.cubbyhole.engine import Cubbyhole
from vault.engines.cubbyhole.model import EntryPath
from vault.engines.kv.engine import VersionedKV
from vault.engines.kv.plain import PlainKV
from vault.engines.kv.upgrade import upgrade
from vault.engines.system.clients.cubbyhole_response import CubbyholeResponseEngine
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
from vault.engines.system.operations.status import Server, StatusEngine
from vault.engines.system.policies.acl import PolicyEngine
from vault.engines.system.policies.capabilities import CapabilityEngine
from vault.engines.system.seal.generate_root import RootTokenEngine
from vault.engines.system.seal.legacy_rekey import RekeyEngine, RootEngine
from vault.engines.system.seal.rotate_keyring import KeyringRotationEngine
from vault.engines.system.seal.rotate_root import RootRotationEngine
from vault.engines.system.seal.seal import SealEngine, SealHooks
from vault.engines.system.seal.slots import SealSlotEngine
from vault.engines.token.engine import TokenEngine
from vault.engines.totp.engine import Totp
from vault.framework.call import Call, Reply
from vault.framework.engine import Engine
from vault.framework.fields import Json
from vault.framework.route import RouteTable
from vault.mount.table import Backend, Catalog
from vault.namespace.consents import Consents, EveryConsent
from vault.seal.consent.share_holders import VaultHolders
from vault.server.compose.auth_methods import auth_methods, lockout, make_issuer, renewals
from vault.server.compose.external_keys import external_key_providers
from vault.server.compose.namespace_system import inner_system
from vault.server.compose.operators import operators
from vault.server.compose.parts import Parts, address
from vault.server.compose.safe_migration import Gathering
from vault.server.compose.workloads import workloads
from vault.server.config.sanitized import sanitized
from vault.token.other_credentials import Foreign


def catalog(parts: Parts, passage: SealHooks, running: Callable[[], Iterable[Call]]) -> Catalog:
    """Return every kind of mount. `running` tells the calls that are being answered."""
    plain = backend(PlainKV(parts.entropy, parts.limits.default))
    external = ExternalKeyEngine(
        parts.barrier, external_key_providers(parts.entropy, parts.config, os.environ)
    )
    lock = lockout(parts)
    nhi, signing_in, biscuits = workloads(parts, external, lock)
    token = TokenEngine(
        parts.tokens,
        parts.batch,
        parts.policies,
        parts.barrier,
        parts.clock,
        parts.limits,
        renewals(parts.router),
        biscuits,
    )
    system = backend(
        *_seal(parts, passage),
        *_mounts(parts),
        *_rights(parts, external, biscuits),
        *_status(parts, running),
        *operators(parts, biscuits),
        LockedUsersEngine(lock, parts.router, parts.barrier),
        ValidateEngine(parts.factors, parts.identities, make_issuer(parts), parts.router, parts.clock),
    )
    return Catalog(
        {
            ("system", ""): system,
            ("ns_system", ""): inner_system(system),
            ("cubbyhole", ""): backend(*_cubbyhole(parts)),
            ("identity", ""): backend(
                *identity_store(
                    parts.identities,
                    parts.router,
                    parts.namespaces.chain,
                    parts.pairs,
                    parts.batch,
                    address(parts.config),
                    parts.clock,
                    parts.entropy,
                    parts.pool,
                )
            ),
            ("nhi", ""): backend(*nhi),
            ("kv", ""): plain,
            ("totp", ""): backend(Totp(parts.clock, parts.entropy, parts.pool)),
            ("kv", "1"): plain,
            ("kv", "2"): backend(VersionedKV(parts.clock)),
        },
        {
            "token": backend(token),
            "nhi": backend(signing_in),
            **{kind: backend(*engines) for kind, engines in auth_methods(parts, lock).items()},
        },
    )


def _cubbyhole(parts: Parts) -> tuple[Engine, ...]:
    entries = Cubbyhole()

    def own_entry(call: Call) -> Awaitable[Reply[Mapping[str, Json]]]:
        return entries.read_entry(call, EntryPath(path="response"))

    return (CubbyholeResponseEngine(parts.wrapper, parts.barrier, own_entry), entries)


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
            Gathering(parts),
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


def _rights(parts: Parts, external: ExternalKeyEngine, biscuits: Foreign) -> tuple[Engine, ...]:
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
    server = Server(
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
