# SPDX-License-Identifier: EUPL-1.2
"""What this server offers to its engines, made from its parts."""

from __future__ import annotations

import math
import os

from vault.engines.system.external_keys.engine import ExternalKeyEngine
from vault.framework.call import Call
from vault.framework.errors import NotFound
from vault.install import Services
from vault.mount.entry import LockoutConfig, MountConfig, MountEntry
from vault.mount.router import Router
from vault.server.compose.external_keys import external_key_providers
from vault.server.compose.parts import Parts, address
from vault.server.config.settings import UserLockout
from vault.token.issue import LoginIssuer
from vault.token.lockout import Lockout


def offer(parts: Parts) -> tuple[Services, ExternalKeyEngine]:
    """Return the services, and the engine of `sys/` that is one of them. Raises `StartFailure`."""
    external = ExternalKeyEngine(
        parts.barrier, external_key_providers(parts.entropy, parts.config, os.environ)
    )
    services = Services(
        clock=parts.clock,
        entropy=parts.entropy,
        log=parts.log,
        metrics=parts.metrics,
        pool=parts.pool,
        barrier=parts.barrier,
        follower=parts.follower,
        limits=parts.limits,
        tokens=parts.tokens,
        issuer=_issuer(parts),
        lockout=_lockout(parts),
        leases=parts.leases,
        wrapper=parts.wrapper,
        router=parts.router,
        namespaces=parts.namespaces,
        policies=parts.policies,
        safe=parts.safe,
        external_keys=external,
        fetcher=parts.fetcher,
        address=address(parts.config),
    )
    return services, external


def lockout_config(stanza: UserLockout) -> LockoutConfig:
    """Return what a stanza means for a mount, in whole seconds, of which 0 would be the default."""
    return LockoutConfig(
        threshold=stanza.lockout_threshold,
        duration=max(1, math.ceil(stanza.lockout_duration)),
        counter_reset=max(1, math.ceil(stanza.lockout_counter_reset)),
        disable=stanza.disable_lockout,
    )


def _issuer(parts: Parts) -> LoginIssuer:
    def config(call: Call) -> MountConfig:
        return _entry(parts.router, call).config

    return LoginIssuer(parts.tokens, parts.batch, parts.clock, parts.limits, config, parts.factors)


def _lockout(parts: Parts) -> Lockout:
    stanzas = {stanza.kind: lockout_config(stanza) for stanza in parts.config.user_lockout}
    others = stanzas.get("all", LockoutConfig())
    return Lockout(
        parts.barrier,
        parts.clock,
        lambda call: _entry(parts.router, call),
        lambda kind: stanzas.get(kind, others),
    )


def _entry(router: Router, call: Call) -> MountEntry:
    """Return the mount of a call. Raises `NotFound` where it has just gone."""
    mount = router.of(call.namespace).get(call.mount.path)
    if mount is None:
        raise NotFound
    return mount.entry
