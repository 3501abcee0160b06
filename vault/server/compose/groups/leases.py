# SPDX-License-Identifier: EUPL-1.2
"""How long anything lasts, and what is done at its end."""

from __future__ import annotations

import msgspec

from vault.lease.revocation import Endings
from vault.lease.store import LeaseStore
from vault.mount.entry import SYSTEM_MAX_TTL
from vault.server.compose.groups.ground import Ground
from vault.server.compose.groups.timed_stores import TimedLeases
from vault.server.config.settings import Config
from vault.token.lifetime import LifetimeLimits
from vault.values.times import Seconds


class Leases(msgspec.Struct, frozen=True, kw_only=True):
    """Leases as stored, what takes back what they are for, and the bounds of every lifetime."""

    store: LeaseStore
    endings: Endings
    limits: LifetimeLimits


def make_leases(ground: Ground) -> Leases:
    """Make them; no engine takes anything back yet."""
    store = TimedLeases(ground.clock, ground.entropy, ground.metrics)
    endings = Endings(
        ground.barrier,
        store,
        clock=ground.clock,
        chance=ground.chance,
        log=ground.log,
        metrics=ground.metrics,
    )
    return Leases(store=store, endings=endings, limits=lifetime_limits(ground.config))


def lifetime_limits(config: Config) -> LifetimeLimits:
    """Return how long tokens and leases last by default, and at most, where no mount says otherwise."""
    longest = Seconds(int(config.max_lease_ttl)) or SYSTEM_MAX_TTL
    return LifetimeLimits(
        default=min(Seconds(int(config.default_lease_ttl)) or SYSTEM_MAX_TTL, longest), longest=longest
    )
