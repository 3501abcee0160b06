# SPDX-License-Identifier: EUPL-1.2
"""What a service token may be issued with that is no token of the store: a Biscuit.

A token that was issued with one ends with it, and the same checks restrict it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from vault.barrier.view import ReadView
from vault.framework.call import Call, Namespace, Restriction
from vault.framework.identity import IdentityFacts
from vault.values.times import Nanos


@dataclass(frozen=True, slots=True)
class Ancestor:
    """A credential that a token was issued with, and that is good now. `ends` is when it ends (nanoseconds)."""

    name: str
    """By which it is found again: with it every token that hangs on it says so."""
    ends: Nanos
    metadata: Mapping[str, str]
    narrowing: Restriction = field(repr=False)
    facts: IdentityFacts | None = field(default=None, repr=False)


class Ancestors(Protocol):
    """Keeps and finds credentials that tokens are issued with."""

    async def keep(self, call: Call) -> Ancestor | None:
        """Keep the credential that calls, in the open transaction, for what is made with it; None if it is not good."""
        ...

    async def find(self, core: ReadView, home: Namespace, name: str, now: Nanos) -> Ancestor | None:
        """Return what was kept in a namespace under a name, if it is good at `now` (ns) but for its checks; else None."""
        ...

    async def lives(self, core: ReadView, home: Namespace, chain: Sequence[str], now: Nanos) -> bool:
        """Whether a credential that leases were made for is good at `now` (ns) but for its checks.

        It is of the namespace `home`; `chain` names what it was made from, and itself: see `Identity.revocation_ids`.
        """
        ...


class NoAncestors:
    """A server without Biscuits: a token that names an ancestor is good for nothing."""

    async def keep(self, call: Call) -> Ancestor | None:
        """See `Ancestors.keep`."""
        del call
        return None

    async def find(self, core: ReadView, home: Namespace, name: str, now: Nanos) -> Ancestor | None:
        """See `Ancestors.find`."""
        del core, home, name, now
        return None

    async def lives(self, core: ReadView, home: Namespace, chain: Sequence[str], now: Nanos) -> bool:
        """See `Ancestors.lives`."""
        del core, home, chain, now
        return False
