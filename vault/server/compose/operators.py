# SPDX-License-Identifier: EUPL-1.2
"""The engines of `sys/` by which operators keep the vault in order: passwords, leases, quotas, logs, browsers."""

from __future__ import annotations

from nhi.identity.records.store import count as count_entities
from vault.engines.system.clients.leases import LeaseEngine
from vault.engines.system.namespaces.quotas import QuotaEngine
from vault.engines.system.operations.cors import CorsEngine
from vault.engines.system.operations.counters import CounterEngine
from vault.engines.system.operations.loggers import LoggerEngine
from vault.engines.system.operations.monitor import MonitorEngine
from vault.engines.system.policies.password import PasswordPolicyEngine
from vault.framework.engine import Engine
from vault.lease.tidy import Tidy
from vault.server.compose.parts import Parts
from vault.token.other_credentials import OtherCredentials
from vault.token.still_valid import StillValid


def operators(parts: Parts, biscuits: OtherCredentials) -> tuple[Engine, ...]:
    """Return them, put together from the server's parts."""
    lasting = StillValid(parts.tokens, parts.batch, biscuits, parts.barrier, parts.clock)
    return (
        PasswordPolicyEngine(parts.barrier, parts.entropy, parts.pool),
        _leases(parts),
        QuotaEngine(parts.quotas, parts.router, parts.namespaces, parts.barrier),
        CorsEngine(parts.origins),
        MonitorEngine(parts.log, lasting),
        LoggerEngine(parts.log, parts.config.log_level),
        CounterEngine(parts.tokens, parts.barrier, parts.namespaces, count_entities),
    )


def _leases(parts: Parts) -> LeaseEngine:
    return LeaseEngine(
        parts.barrier,
        parts.leases,
        parts.endings,
        Tidy(parts.barrier, parts.leases, parts.tokens, parts.log),
        parts.tokens,
        parts.clock,
        parts.follower.follow,
    )
