# SPDX-License-Identifier: EUPL-1.2
"""What has to wait until a sealed namespace opens: timers that came due, tokens and leases that were revoked.

It is kept in the root namespace, by the namespace that owns the keys, and done before that one answers anybody.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final

from vault.barrier.stored import MARK
from vault.barrier.view import ReadView, View, core_prefix
from vault.framework.call import ROOT
from vault.storage.paging import pages
from vault.values.ids import NamespaceId

REVOKED_TOKEN: Final = "revoked-token"  # noqa: S105 -- the kind of what waits, not a token
"""A token whose parent was revoked; the key is the token's key."""
ORPHANED_TOKEN: Final = "orphaned-token"  # noqa: S105 -- as above
"""A token whose parent was revoked alone; the key is the token's key."""
ENDED_LEASE: Final = "ended-lease"
"""A lease whose token was revoked; the key is its identifier."""
TIMER: Final = "timer."
"""Begins the kind of what was a timer; the rest is the timer's own kind."""
_PREFIX: Final = "namespace-waiting/"


async def park(core: View, owner: NamespaceId, kind: str, key: str) -> None:
    """Have something wait for the namespace that owns keys; `core` is a view of any namespace that is open."""
    await core.space(ROOT.id).put(f"{_PREFIX}{owner}/{kind}/{key}", MARK)


async def waiting(core: ReadView, owner: NamespaceId) -> AsyncIterator[Sequence[tuple[str, str]]]:
    """Yield, page by page, kind and key of what waits for a namespace."""
    async for page in pages(core.space(ROOT.id).scan, f"{_PREFIX}{owner}/"):
        yield [(kind, key) for kind, _, key in (name.partition("/") for name in page)]


async def done(core: View, owner: NamespaceId, kind: str, key: str) -> None:
    """Say that something need not wait any more."""
    await core.space(ROOT.id).delete(f"{_PREFIX}{owner}/{kind}/{key}")


def place_of(owner: NamespaceId) -> str:
    """Return the prefix in storage of all that waits for a namespace."""
    return f"{core_prefix(ROOT.id)}{_PREFIX}{owner}/"
