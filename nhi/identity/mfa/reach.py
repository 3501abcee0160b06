# SPDX-License-Identifier: EUPL-1.2
"""Where second factors come from: methods of a namespace serve it and all below it; no other namespace sees them (SL-09)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nhi.identity.records import mfa as model
from nhi.identity.records.mfa import Method
from vault.barrier.view import ReadView
from vault.framework.call import Namespace

Chain = Callable[[Namespace], Sequence[Namespace]]
"""Returns a namespace and all above it."""


async def method(
    core: ReadView, chain: Sequence[Namespace], method_id: str
) -> tuple[Namespace, Method] | None:
    """Return a method that serves the last namespace of a chain, and where it is from."""
    for place in reversed(chain):
        found = await model.method(core.space(place.id), method_id)
        if found is not None:
            return place, found
    return None


async def methods(core: ReadView, chain: Sequence[Namespace]) -> Sequence[tuple[Namespace, Method]]:
    """Return all methods that serve the last namespace of a chain, and where each is from."""
    return [(place, one) for place in chain for one in await model.methods(core.space(place.id))]
