# SPDX-License-Identifier: EUPL-1.2
"""What every request passes, as operators set it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import msgspec

from vault.audit.broker import Broker
from vault.audit.device import DeviceConfig, DeviceFailure
from vault.audit.salts import Salts
from vault.background.skew import Skew
from vault.engines.system.operations.cors import CrossOrigins
from vault.log.common_log import CommonLog
from vault.namespace.book import Namespaces
from vault.policy.gate import Gate
from vault.policy.store import PolicyStore
from vault.quota.book import Quotas
from vault.seal.records.sealwrap import SealWrap
from vault.server.application import Colleagues
from vault.server.compose.groups.ground import Ground
from vault.server.compose.groups.log_metrics import show_log
from vault.server.compose.groups.timed_stores import TimedPolicies
from vault.server.config.collisions import claims
from vault.server.config.settings import Config
from vault.server.failure import StartFailure


class Controls(msgspec.Struct, frozen=True, kw_only=True):
    """What allows, limits and records: policies, as stored and as compiled, rates, origins, audit devices, the clock's honesty."""

    policies: PolicyStore
    gate: Gate
    quotas: Quotas
    origins: CrossOrigins
    audit: Broker
    skew: Skew


def make_controls(
    ground: Ground,
    namespaces: Namespaces,
    wraps: SealWrap,
    colleagues: Colleagues | None = None,
    common: CommonLog | None = None,
) -> Controls:
    """Make them; `common` is the log, if one is kept. Raises `StartFailure` for an audit device that cannot be opened."""
    barrier, follower, clock = ground.barrier, ground.follower, ground.clock
    audit = _audit(ground, Salts(wraps), common)
    if common is not None:
        show_log(ground.metrics, common)
    policies = TimedPolicies(lambda: follower.epoch, ground.pool, ground.metrics)
    return Controls(
        policies=policies,
        gate=Gate(policies, barrier),
        quotas=Quotas(
            barrier,
            namespaces,
            clock,
            colleagues.tally if colleagues is not None else None,
            violated=partial(_count_violation, ground),
        ),
        origins=CrossOrigins(barrier, follower.catch_up),
        audit=audit,
        skew=Skew(ground.storage, clock, ground.log),
    )


def _count_violation(ground: Ground, quota: str) -> None:
    ground.metrics.counter(
        "quota.rate_limit.violation", cluster=ground.config.cluster_name, name=quota
    ).count += 1


def _audit(ground: Ground, salts: Salts, common: CommonLog | None) -> Broker:
    config = ground.config
    try:
        return _broker_of(ground)(
            _devices(config),
            salts,
            ground.clock,
            ground.entropy,
            ground.log,
            ground.metrics,
            claims(config),
            common,
            config.log.devices,
        )
    except DeviceFailure as failure:
        raise StartFailure(str(failure)) from failure


def _broker_of(ground: Ground) -> type[Broker]:
    """Return what records: what traces that, too, where requests are traced."""
    if ground.feed is None or not ground.feed.traces:
        return Broker
    from vault.server.otlp.parts import TracedBroker

    return TracedBroker


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
