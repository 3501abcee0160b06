# SPDX-License-Identifier: EUPL-1.2
"""How slow this machine is at present: limits in processor seconds are those of a usual one that does nothing else.

Threads of one core, a neighbour on the same host, caches and pages that are slower to come: all make the same work take
more processor time, and a limit that does not know of it fails a test that nothing is wrong with.
"""

from collections.abc import Callable
from hashlib import sha256
from time import thread_time
from typing import Final

import msgspec

_TEXT: Final = b"[" + b"[]," * (1 << 17) + b"[]]"
"""A text whose reading asks for memory as the costliest do that are tried."""
_READ: Final = 0.012
"""Processor seconds that reading it takes on a usual machine."""
_COUNTED: Final = 0.0025
"""The same for counting."""
_SLOWEST: Final = 4.0
"""What is as slow as this is no machine to judge on, and no more is allowed."""


def slower() -> float:
    """Return how many times as long known work takes here, now, as on a usual machine; 1 at least. It takes 40 ms."""
    known = max(_least(lambda: msgspec.json.decode(_TEXT)) / _READ, _least(_count) / _COUNTED)
    return min(max(1.0, known), _SLOWEST)


def copying(value: bytes) -> float:
    """Return the processor seconds that a copy of a value takes, here and now."""
    return _least(lambda: bytearray(value))


def hashing(value: bytes) -> float:
    """Return the processor seconds that hashing a value takes, here and now."""
    return _least(lambda: sha256(value))


def _count() -> None:
    total = 0
    for number in range(50_000):
        total += number * number % 7


def _least(work: Callable[[], object]) -> float:
    found = float("inf")
    for _ in range(3):
        began = thread_time()
        work()
        found = min(found, thread_time() - began)
    return found
