# SPDX-License-Identifier: EUPL-1.2
"""What logins share, by the settings of their mounts, and what the first token that is accepted proves."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nhi.identity.mfa.second_factors import SecondFactors
from vault.barrier.barrier import Barrier
from vault.framework.call import Call, Identity
from vault.framework.clock import Clock
from vault.framework.errors import NotFound
from vault.mount.entry import LockoutConfig, MountConfig, MountEntry
from vault.mount.router import Router
from vault.seal.lifecycle import Lifecycle
from vault.server.config.settings import UserLockout
from vault.token.authenticator import ServiceTokens
from vault.token.batch import BatchTokens
from vault.token.issue import LoginIssuer
from vault.token.lifetime import LifetimeLimits
from vault.token.lockout import Lockout
from vault.token.store import TokenStore
from vault.values.times import Seconds


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


class Witness:
    """Service tokens; the first one that is accepted proves that what came with a new vault arrived."""

    def __init__(self, inner: ServiceTokens, lifecycle: Lifecycle) -> None:
        self._inner = inner
        self._lifecycle = lifecycle
        self.recognises = inner.recognises
        self.known = inner.known

    async def authenticate(self, call: Call) -> Identity:
        """See `Authenticator.authenticate`."""
        identity = await self._inner.authenticate(call)
        self._lifecycle.prove()
        return identity
