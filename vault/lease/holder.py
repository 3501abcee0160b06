# SPDX-License-Identifier: EUPL-1.2
"""Who a lease was made for: what is left of it is worth nothing once that credential is, before any timer has run."""

from __future__ import annotations

from vault.barrier.view import ReadView
from vault.lease.model import Lease
from vault.token.store import TokenStore
from vault.values.times import Nanos


async def is_held(core: ReadView, tokens: TokenStore, lease: Lease, now: Nanos) -> bool:
    """Whether the credential that a lease was made for is good at `now` (nanoseconds), and all that this hangs on.

    A lease for nobody's token is held. Raises `NamespaceSealed` where the credential is of a namespace that is sealed, and
    `Unavailable` where it is of one whose mount table is damaged.
    """
    if lease.chain:
        home = tokens.namespace(lease.token)
        return home is not None and await tokens.ancestors.lives(core, home, lease.chain, now)
    return not lease.token or await tokens.living(core, lease.token, now) is not None
