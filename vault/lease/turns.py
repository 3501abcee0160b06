# SPDX-License-Identifier: EUPL-1.2
"""Which lease is next: mounts take turns, so that one whose system hangs does not hold up the others (SL-79)."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque

from vault.values.ids import LeaseId


class Turns:
    """Leases that wait, at most `size` of them; of one mount, at most `abreast` are worked on at once."""

    def __init__(self, size: int, *, abreast: int) -> None:
        self._size = size
        self._abreast = abreast
        self._known: set[LeaseId] = set()
        self._waiting: OrderedDict[str, deque[LeaseId]] = OrderedDict()
        self._running: Counter[str] = Counter()

    def __len__(self) -> int:
        """Return how many leases wait or are being worked on."""
        return len(self._known)

    def put(self, mount: str, lease_id: LeaseId) -> bool:
        """Let a lease wait; False when it does already or when there is no room: its timer brings it back."""
        if lease_id in self._known or len(self._known) >= self._size:
            return False
        self._known.add(lease_id)
        self._waiting.setdefault(mount, deque()).append(lease_id)
        return True

    def take(self) -> tuple[str, LeaseId] | None:
        """Return mount and identifier of the next lease, or None while every mount has its hands full."""
        for mount, queue in self._waiting.items():
            if self._running[mount] < self._abreast:
                lease_id = queue.popleft()
                if queue:
                    self._waiting.move_to_end(mount)
                else:
                    del self._waiting[mount]
                self._running[mount] += 1
                return mount, lease_id
        return None

    def done(self, mount: str, lease_id: LeaseId) -> None:
        """Say that a lease that was taken is dealt with."""
        self._known.discard(lease_id)
        self._running[mount] -= 1
        if not self._running[mount]:
            del self._running[mount]
