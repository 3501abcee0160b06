# SPDX-License-Identifier: EUPL-1.2
"""Tokens as leases: the field shows every service token as a lease of the path that made it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from vault.barrier.view import ReadView
from vault.token.model import TokenEntry
from vault.token.store import TokenStore

_AT_ONCE: Final = 64
"""Tokens that are looked at before others get their turn."""


async def token_of(
    core: ReadView, tokens: TokenStore, lease_id: str, now: int
) -> tuple[str, TokenEntry] | None:
    """Return key and entry of the token that `lease_id` names, if it is alive at `now` (nanoseconds)."""
    path, _, key = lease_id.rpartition("/")
    if not key or not path:
        return None
    entry = await tokens.get(core, key)
    if entry is None or not entry.leased or entry.path != path or not entry.alive(now):
        return None
    return key, entry


async def token_leases(
    core: ReadView, tokens: TokenStore, prefix: str, now: int
) -> AsyncIterator[tuple[str, str]]:
    """Yield key and lease identifier of every living token whose identifier begins with `prefix`.

    There is no index by path: this reads every token, which only operators may ask for.
    """
    for count, accessor in enumerate(await tokens.accessors(core)):
        if count % _AT_ONCE == _AT_ONCE - 1:
            await asyncio.sleep(0)
        found = await tokens.by_accessor(core, accessor)
        if found is None:
            continue
        key, entry = found
        lease_id = f"{entry.path}/{key}"
        if lease_id.startswith(prefix) and entry.leased and entry.alive(now):
            yield key, lease_id
