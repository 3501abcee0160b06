# SPDX-License-Identifier: EUPL-1.2
"""How much a server keeps in memory, and looks at for one request."""

from __future__ import annotations

from typing import Final

import msgspec

from vault.token.authenticator import MOST_CACHED


class Capacities(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds that no operator sets. A test that wants to see what happens beyond one sets it smaller."""

    tokens: int = MOST_CACHED
    """Service tokens that are known without a look into the storage."""
    failed_logins: int = 256
    """Kinds of failed logins of workloads that one mount remembers; the one that failed longest ago leaves first."""
    proofs: int = 100_000
    """Proofs of one key that are remembered; while there are as many that still count, no other one of that key is taken."""
    blocks: int = 5000
    """Blocks of credentials that one request looks at, and service tokens; what does not fit is on the next page."""
    names: int = 256
    """Names of credentials that are read from the storage at once."""


USUAL: Final = Capacities()
