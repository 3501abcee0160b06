# SPDX-License-Identifier: EUPL-1.2
"""What logins need of second factors: nothing here knows which there are."""

from __future__ import annotations

from typing import Protocol

import msgspec

from vault.framework.call import Call
from vault.framework.identity import EntityState
from vault.framework.reply import Reply
from vault.token.model import TokenEntry


class Candidate(msgspec.Struct, frozen=True):
    """A login of which everything but a second factor was right: the token that it would get."""

    entry: TokenEntry
    kind: str
    standing: EntityState | None
    warnings: tuple[str, ...]


class Factors(Protocol):
    """The second factors of all namespaces."""

    async def demand(self, call: Call, candidate: Candidate) -> Reply[None] | None:
        """Return the answer to a login that needs a second factor; None where it needs none."""
        ...

    async def demanded(self, call: Call) -> bool:
        """Whether every login on the mount of `call` needs a second factor; in the open transaction."""
        ...


class NoFactors:
    """A server without second factors."""

    async def demand(self, call: Call, candidate: Candidate) -> Reply[None] | None:
        """Return None."""
        del call, candidate
        return None

    async def demanded(self, call: Call) -> bool:
        """Return False."""
        del call
        return False
