# SPDX-License-Identifier: EUPL-1.2
"""Nonces for what is stored: random, and drawn from the system for many at a time.

Asking the system costs as much as encrypting a short record does. A nonce is no secret, so it may wait in memory; keys
are never drawn here.
"""

from __future__ import annotations

import os
from typing import Final
from weakref import WeakSet

from vault.barrier.key import Random

_AT_ONCE: Final = 256
"""Nonces that are drawn together."""


class Nonces:
    """A `Random` for nonces. Each one leaves once, whichever thread asks, and none of them in two processes."""

    __slots__ = ("__weakref__", "_random", "_ready")

    def __init__(self, random: Random) -> None:
        self._random = random
        self._ready: list[bytes] = []
        _pools.add(self)

    def __call__(self, count: int) -> bytes:
        """Return a nonce; `count` is its length, and the same each time."""
        try:
            return self._ready.pop()  # one step of the interpreter: no two threads get the same
        except IndexError:
            drawn = self._random(count * _AT_ONCE)
            first, *others = (drawn[start : start + count] for start in range(0, len(drawn), count))
            self._ready.extend(others)
            return first

    def forget(self) -> None:
        """Draw anew from now on."""
        self._ready.clear()


def _forget_all() -> None:
    """Let a forked process draw its own: its parent has these too."""
    for pool in _pools:
        pool.forget()


_pools: Final[WeakSet[Nonces]] = WeakSet()
os.register_at_fork(after_in_child=_forget_all)
