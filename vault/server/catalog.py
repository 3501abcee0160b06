# SPDX-License-Identifier: EUPL-1.2
"""Every engine that this server has, put together from the server's parts."""

from __future__ import annotations

from dataclasses import dataclass

from vault.audit.broker import Broker
from vault.barrier.barrier import Barrier
from vault.cache.follow import Follower
from vault.engines.cubbyhole.engine import Cubbyhole
from vault.engines.kv.engine import VersionedKV
from vault.engines.kv.plain import PlainKV
from vault.engines.kv.upgrade import upgrade
from vault.engines.system.auditing import AuditEngine
from vault.engines.system.capabilities import CapabilityEngine
from vault.engines.system.genesis import Genesis
from vault.engines.system.mounts import MountsEngine
from vault.engines.system.policies import PolicyEngine
from vault.engines.system.remounting import RemountEngine
from vault.engines.system.seal import Passage, SealEngine
from vault.engines.system.tools import ToolEngine
from vault.engines.system.tuning import TuningEngine
from vault.engines.token.engine import TokenEngine
from vault.engines.token.lifetime import Limits
from vault.framework.clock import Clock, Entropy
from vault.framework.engine import Engine
from vault.framework.route import RouteTable
from vault.mount.table import Backend, Catalog, MountTable
from vault.policy.gate import Gate
from vault.policy.store import PolicyStore
from vault.seal.lifecycle import Lifecycle
from vault.server.settings import Config
from vault.token.batch import BatchTokens
from vault.token.store import TokenStore
from vault.wrap.wrapper import Wrapper


@dataclass(frozen=True, slots=True)
class Parts:
    """What engines are made of; each takes what it needs."""

    config: Config
    barrier: Barrier
    lifecycle: Lifecycle
    genesis: Genesis
    passage: Passage
    tokens: TokenStore
    batch: BatchTokens
    policies: PolicyStore
    gate: Gate
    mounts: MountTable
    audit: Broker
    follower: Follower
    wrapper: Wrapper
    clock: Clock
    entropy: Entropy
    limits: Limits


class Identities(Engine):
    """The identity mount; its routes come with identities themselves."""


def catalog(parts: Parts) -> Catalog:
    """Return every kind of mount."""
    plain = backend(PlainKV(parts.limits.default))
    token = TokenEngine(parts.tokens, parts.batch, parts.policies, parts.barrier, parts.clock, parts.limits)
    return Catalog(
        {
            ("system", ""): backend(*_system(parts)),
            ("cubbyhole", ""): backend(Cubbyhole()),
            ("identity", ""): backend(Identities()),
            ("kv", ""): plain,
            ("kv", "1"): plain,
            ("kv", "2"): backend(VersionedKV(parts.clock)),
        },
        {"token": backend(token)},
    )


def _system(parts: Parts) -> tuple[Engine, ...]:
    config, limits = parts.config, parts.limits
    settle = parts.follower.catch_up
    return (
        SealEngine(parts.lifecycle, parts.genesis, parts.passage),
        MountsEngine(parts.mounts, parts.entropy, settle, max_ttl=limits.longest),
        TuningEngine(
            parts.mounts, parts.clock, settle, upgrade, default_ttl=limits.default, max_ttl=limits.longest
        ),
        RemountEngine(parts.mounts, parts.barrier, parts.entropy, settle),
        PolicyEngine(parts.policies, parts.barrier, parts.clock),
        CapabilityEngine(parts.tokens, parts.gate, parts.barrier),
        AuditEngine(
            parts.audit,
            allow_creation=config.unsafe_allow_api_audit_creation,
            allow_prefix=config.allow_audit_log_prefixing,
        ),
        ToolEngine(parts.entropy),
    )


def backend(*engines: Engine) -> Backend:
    """Return the backend that these engines make together."""
    return Backend(engines, RouteTable(engines))
