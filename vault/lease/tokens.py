# SPDX-License-Identifier: EUPL-1.2
"""Tokens as leases: OpenBao shows every service token as a lease of the path that made it."""

from __future__ import annotations

from vault.barrier.view import ReadView
from vault.token.model import TokenEntry
from vault.token.store import TokenStore
from vault.values.ids import LeaseId, TokenKey
from vault.values.times import Nanos


async def token_of(
    core: ReadView, tokens: TokenStore, lease_id: LeaseId, now: Nanos
) -> tuple[TokenKey, TokenEntry] | None:
    """Return key and entry of the token that `lease_id` names, if it is alive at `now` (nanoseconds)."""
    path, _, key = lease_id.rpartition("/")
    if not key or not path:
        return None
    named = TokenKey(key)
    entry = await tokens.living(core, named, now)
    if entry is None or not entry.leased or entry.path != path:
        return None
    return named, entry
