# SPDX-License-Identifier: EUPL-1.2
"""Places that clients share for as long as something of theirs goes on: nobody can take the last ones from all others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

from vault.framework.errors import Busy


class Places:
    """So many places. A client gets one while it has fewer than are free: alone half of them, so others find some."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._taken: Counter[Hashable] = Counter()

    @contextmanager
    def place(self, client: Hashable) -> Iterator[None]:
        """Have a place for as long as the block goes on. Raises `Busy`."""
        if self._taken.get(client, 0) >= self._free:
            raise Busy("too many of your requests go on at one time; wait for one of them")
        self._free -= 1
        self._taken[client] += 1
        try:
            yield
        finally:
            self._free += 1
            self._taken[client] -= 1
            if not self._taken[client]:
                del self._taken[client]
