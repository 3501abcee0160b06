# SPDX-License-Identifier: EUPL-1.2
"""What the server offers to its engines, logins' share of it by the settings of their mounts."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nhi.identity.mfa.second_factors import SecondFactors
from vault.barrier.barrier import Barrier
from vault.framework.call import Call
from vault.framework.clock import Clock
from vault.framework.errors import NotFound
from vault.framework.keys.external import ExternalKeys
from vault.framework.keys.safe import Safe
from vault.install import Services
from vault.mount.entry import LockoutConfig, MountConfig, MountEntry
from vault.mount.router import Router
from vault.outbound.fetch import Fetcher
from vault.outbound.places import Places
from vault.policy.store import PolicyStore
from vault.server.compose.groups.credentials import Credentials
from vault.server.compose.groups.ground import Ground
from vault.server.compose.groups.leases import Leases
from vault.server.compose.groups.mounts import Mounts
from vault.server.config.settings import UserLockout
from vault.token.batch import BatchTokens
from vault.token.issue import LoginIssuer
from vault.token.lifetime import LifetimeLimits
from vault.token.lockout import Lockout
from vault.token.store import TokenStore
from vault.values.times import Seconds


def make_services(
    ground: Ground,
    mounts: Mounts,
    credentials: Credentials,
    policies: PolicyStore,
    leases: Leases,
    safe: Safe,
    external_keys: ExternalKeys,
) -> Services:
    """Make what engines take their pick of."""
    tokens, router, limits = credentials.tokens, mounts.router, leases.limits
    clock, barrier, config = ground.clock, ground.barrier, ground.config
    return Services(
        clock=clock,
        entropy=ground.entropy,
        log=ground.log,
        metrics=ground.metrics,
        pool=ground.pool,
        barrier=barrier,
        follower=ground.follower,
        limits=limits,
        tokens=tokens,
        issuer=login_issuer(tokens, credentials.batch, clock, limits, router, credentials.factors),
        lockout=login_lockout(config.user_lockout, barrier, clock, router),
        leases=leases.store,
        wrapper=credentials.wrapper,
        router=router,
        namespaces=mounts.namespaces,
        policies=policies,
        safe=safe,
        external_keys=external_keys,
        fetcher=Fetcher(Places(config.outbound_allow)),
        address=ground.address,
    )


def lockout_config(stanza: UserLockout) -> LockoutConfig:
    """Return what a stanza means for a mount, in whole seconds, of which 0 would be the default."""
    return LockoutConfig(
        threshold=stanza.lockout_threshold,
        duration=Seconds(max(1, math.ceil(stanza.lockout_duration))),
        counter_reset=Seconds(max(1, math.ceil(stanza.lockout_counter_reset))),
        disable=stanza.disable_lockout,
    )


def login_issuer(
    tokens: TokenStore,
    batch: BatchTokens,
    clock: Clock,
    limits: LifetimeLimits,
    router: Router,
    factors: SecondFactors,
) -> LoginIssuer:
    """Return what issues the tokens of logins, by the settings of the mount that is called."""

    def config(call: Call) -> MountConfig:
        return _entry(router, call).config

    return LoginIssuer(tokens, batch, clock, limits, config, factors)


def login_lockout(settings: Sequence[UserLockout], barrier: Barrier, clock: Clock, router: Router) -> Lockout:
    """Return what refuses names that fail too often, by the settings of the mount that is called."""
    stanzas = {stanza.kind: lockout_config(stanza) for stanza in settings}
    others = stanzas.get("all", LockoutConfig())
    return Lockout(barrier, clock, lambda call: _entry(router, call), lambda kind: stanzas.get(kind, others))


def _entry(router: Router, call: Call) -> MountEntry:
    """Return the mount of a call. Raises `NotFound` where it has just gone."""
    mount = router.of(call.namespace).get(call.mount.path)
    if mount is None:
        raise NotFound
    return mount.entry
