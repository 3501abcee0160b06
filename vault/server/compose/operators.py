# SPDX-License-Identifier: EUPL-1.2
"""The engines of `sys/` by which operators keep the vault in order: passwords, leases, quotas, logs, browsers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from nhi.identity.records.store import count as count_entities
from vault.engines.system.clients.leases import LeaseEngine
from vault.engines.system.namespaces.quotas import QuotaEngine
from vault.engines.system.operations.cors import CorsEngine
from vault.engines.system.operations.counters import CounterEngine
from vault.engines.system.operations.loggers import LoggerEngine
from vault.engines.system.operations.monitor import MonitorEngine
from vault.engines.system.policies.password import PasswordPolicyEngine
from vault.framework.engine import Engine
from vault.install import Services
from vault.lease.revocation import Endings
from vault.lease.tidy import Tidy
from vault.server.compose.groups.controls import Controls
from vault.token.batch import BatchTokens
from vault.token.other_credentials import OtherCredentials
from vault.token.still_valid import StillValid


def operators(
    services: Services,
    controls: Controls,
    endings: Endings,
    batch: BatchTokens,
    biscuits: OtherCredentials,
    log_level: str,
    share_levels: Callable[[], Awaitable[None]],
) -> tuple[Engine, ...]:
    """Return them. `log_level` is the configured one, `share_levels` sets those of all workers."""
    tokens, barrier = services.tokens, services.barrier
    lasting = StillValid(tokens, batch, biscuits, barrier, services.clock)
    return (
        PasswordPolicyEngine(barrier, services.entropy, services.pool),
        _leases(services, endings),
        QuotaEngine(controls.quotas, services.router, services.namespaces, barrier),
        CorsEngine(controls.origins),
        MonitorEngine(services.log, lasting),
        LoggerEngine(services.log, log_level, share_levels),
        CounterEngine(tokens, barrier, services.namespaces, count_entities),
    )


def _leases(services: Services, endings: Endings) -> LeaseEngine:
    barrier, leases, tokens = services.barrier, services.leases, services.tokens
    tidy = Tidy(barrier, leases, tokens, services.clock, services.log)
    return LeaseEngine(barrier, leases, endings, tidy, tokens, services.clock, services.follower.follow)
