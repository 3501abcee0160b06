# SPDX-License-Identifier: EUPL-1.2
"""How the cost of some work grows with its input: by processor time of this thread, so that a busy machine fails nothing."""

import gc
from collections.abc import Callable
from time import thread_time
from typing import Final

from tests.pace import slower

STEP: Final = 4
"""How much longer the longer input is."""
_LINEAR: Final = 8.0
"""How much more the longer input may cost: a linear cost grows by 4, one of n^1.5 by 8, a square by 16."""
_NOTHING: Final = 0.02
"""Seconds below which a cost is no harm and too small to be compared: what it asks of memory, which comes in leaps, is
much of it. A square of a quarter of a million steps takes a minute, n^1.5 of as many a tenth of a second."""
_TRIES: Final = 8
"""How often a cost is measured before its least counts."""


def seconds(work: Callable[[], object]) -> float:
    """Return the processor seconds that `work` takes; what it raises is its answer."""
    began = thread_time()
    try:
        work()
    except Exception:  # noqa: BLE001, S110 -- a refusal is an outcome: what counts here is its cost
        pass
    return thread_time() - began


def excess(work: Callable[[int], Callable[[], object]], size: int, most: float) -> str:
    """Say what is wrong with the cost of `work(size)` and `work(4 * size)`: "" if it is linear and at most `most` seconds.

    `work` prepares an input of a size and returns what is to be measured. Whatever disturbs a measurement makes it
    longer, so the least of several counts, and the first that is in order ends it. What disturbs all of them makes
    known work longer too, and by that much more is allowed.
    """
    short, long = work(size), work(STEP * size)
    low = high = float("inf")
    gc.freeze()  # as the server does: what the tests keep in memory is not looked through while it is measured
    try:
        for _ in range(_TRIES):
            low, high = min(low, seconds(short)), min(high, seconds(long))
            linear = high <= _LINEAR * max(low, _NOTHING / STEP)
            if high <= _NOTHING or (linear and high <= most):
                return ""
            if high > 20 * most:
                break  # no disturbance is so long
    finally:
        gc.unfreeze()
    if linear and high <= most * slower():
        return ""
    return f"{size} characters cost {low * 1000:.1f} ms, {STEP * size} cost {high * 1000:.1f} ms"
