# SPDX-License-Identifier: EUPL-1.2
"""What is done in the background, by the kind of its timer, and what waited for a namespace to open."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Final

from vault.background.loop import Background
from vault.barrier.failure import BarrierFailure
from vault.barrier.view import View
from vault.engines.system.seal.rotate_keyring import keep_count
from vault.framework.clock import Clock
from vault.idempotency.kept_answers import KEPT_KIND, expiry
from vault.install import Installation
from vault.lease.model import LEASE_KIND
from vault.lease.namespace_sweep import Sweeper
from vault.lease.store import LeaseStore
from vault.log.purger import Purger
from vault.mount.removal import Removals
from vault.namespace.book import Namespaces
from vault.namespace.entry import NAMESPACE_KIND
from vault.namespace.parked import ENDED_LEASE, ORPHANED_TOKEN, REVOKED_TOKEN, TIMER
from vault.namespace.removal import REMOVAL_KIND
from vault.server.compose.groups.controls import Controls
from vault.server.compose.groups.ground import Ground
from vault.server.compose.groups.leases import Leases
from vault.storage.protocol import Timer
from vault.token.model import TOKEN_KIND
from vault.token.store import GONE_KIND, TokenStore
from vault.values.ids import LeaseId, TokenKey

_AT_ONCE: Final = 16
"""Timers that are run side by side where the storage is shared; elsewhere one at a time."""


def background(
    ground: Ground,
    namespaces: Namespaces,
    tokens: TokenStore,
    leases: Leases,
    controls: Controls,
    installed: Iterable[Installation],
    migrate: Callable[[], Awaitable[None]],
    purger: Purger | None,
) -> Background:
    """Return the loop over all timers of a vault, and those that engines brought.

    `migrate` is run now and then, and so does `purger` its work where a log is kept.
    """
    clock, barrier, follower = ground.clock, ground.barrier, ground.follower

    async def expire_token(core: View, key: str) -> None:
        token = TokenKey(key)
        entry = await tokens.get(core, token)
        if entry is not None and not entry.alive(clock.nanos()):
            await tokens.revoke_tree(core, token)

    async def sweep_tokens(core: View, key: str) -> None:
        await tokens.due(core, TokenKey(key), clock.millis())

    async def follow() -> None:
        """Learn what other servers changed, which who is asked nothing or only writes does not.

        So the next request finds little that is new, and a commit little that it might not rest on.
        """
        with contextlib.suppress(BarrierFailure):  # it is told to whoever asks
            await follower.follow()

    return Background(
        ground.storage,
        barrier,
        {
            TOKEN_KIND: expire_token,
            GONE_KIND: sweep_tokens,
            NAMESPACE_KIND: Sweeper(namespaces, leases.store, clock, ground.log).due,
            REMOVAL_KIND: Removals(namespaces, controls.skew.due).due,
            LEASE_KIND: leases.endings.due,
            KEPT_KIND: expiry(clock),
            **{kind: due for each in installed for kind, due in each.timers.items()},
        },
        {
            "keyring": partial(keep_count, barrier),
            "safe": migrate,
            **({} if purger is None else {"log": purger.work}),
            **{name: job for each in installed for name, job in each.jobs.items()},
        },
        skew=controls.skew,
        each_round=follow,
        log=ground.log,
        at_once=_AT_ONCE if ground.config.storage.is_shared else 1,
    )


async def do_waiting(
    tokens: TokenStore, leases: LeaseStore, clock: Clock, core: View, kind: str, key: str
) -> None:
    """Do what waited for a namespace to open."""
    if kind == REVOKED_TOKEN:
        await tokens.revoke_tree(core, TokenKey(key))
    elif kind == ORPHANED_TOKEN:
        await tokens.adopt(core, TokenKey(key))
    elif kind == ENDED_LEASE:
        await leases.end(core, LeaseId(key))
    else:
        await core.at(Timer(kind.removeprefix(TIMER), key, clock.millis()))
