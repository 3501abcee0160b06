# SPDX-License-Identifier: EUPL-1.2
"""Audit records that are written together, as seen by what waits for the write; `vault.audit.batch` makes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from vault.framework.errors import VaultError

Leave = Callable[[VaultError | None], object]
"""Lets an answer go, or a refusal in its place."""


class RecordBatch(Protocol):
    """Records that no audit device has taken yet, and the answers that wait for them."""

    def then(self, leave: Leave) -> None:
        """Call `leave` once everything that is in the batch by now is written."""
        ...

    def flush(self) -> VaultError | None:
        """Write now, and let go what waited. Returns the refusal where no device took the records."""
        ...
