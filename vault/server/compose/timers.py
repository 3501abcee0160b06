# SPDX-License-Identifier: EUPL-1.2
"""What is done in the background, by the kind of its timer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from vault.background.loop import Background
from vault.barrier.view import View
from vault.engines.system.seal.rotate_keyring import keep_count
from vault.install import Installation
from vault.lease.model import LEASE_KIND
from vault.lease.namespace_sweep import Sweeper
from vault.namespace.entry import NAMESPACE_KIND
from vault.server.compose.parts import Parts
from vault.token.model import TOKEN_KIND
from vault.token.store import GONE_KIND
from vault.values.ids import TokenKey

_AT_ONCE: Final = {"postgresql": 16}
"""Timers that are run side by side, by the kind of storage; one elsewhere."""


def background(
    parts: Parts, installed: Iterable[Installation], migrate: Callable[[], Awaitable[None]]
) -> Background:
    """Return the loop over all timers of a vault, and those that engines brought; `migrate` is run now and then."""

    async def expire_token(core: View, key: str) -> None:
        token = TokenKey(key)
        entry = await parts.tokens.get(core, token)
        if entry is not None and not entry.alive(parts.clock.nanos()):
            await parts.tokens.revoke_tree(core, token)

    async def sweep_tokens(core: View, key: str) -> None:
        await parts.tokens.due(core, TokenKey(key), parts.clock.millis())

    async def count_encryptions() -> None:
        await parts.follower.follow()
        await keep_count(parts.barrier)

    return Background(
        parts.storage,
        parts.barrier,
        {
            TOKEN_KIND: expire_token,
            GONE_KIND: sweep_tokens,
            NAMESPACE_KIND: Sweeper(parts.namespaces, parts.leases, parts.clock, parts.log).due,
            LEASE_KIND: parts.endings.due,
            **{kind: due for each in installed for kind, due in each.timers.items()},
        },
        {"keyring": count_encryptions, "safe": migrate},
        skew=parts.skew,
        log=parts.log,
        at_once=_AT_ONCE.get(parts.config.storage.kind, 1),
    )
