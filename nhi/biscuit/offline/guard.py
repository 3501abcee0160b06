# SPDX-License-Identifier: EUPL-1.2
"""Calls into the library, whose panics are no `Exception`, and the limits of every evaluation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from time import monotonic, thread_time
from typing import Final, TypeVar

from biscuit_auth import AuthorizerBuilder, Biscuit, Fact

from vault.values.times import Millis, millis_to_seconds

T = TypeVar("T")
MAX_TIME: Final = timedelta(milliseconds=50)
"""Limit of an evaluation: far over what the linter lets through."""
MAX_FACTS: Final = 1000
MAX_ITERATIONS: Final = 100
Term = str | int | bytes | datetime | frozenset[str] | frozenset[int]
"""What the server says of a request: never a list, which the library takes for bytes."""
StatedFact = Fact
"""That, as the library has it."""


def guarded(ask: Callable[[], T]) -> T | None:
    """Return what the library answers, or None where it refuses or panics.

    A panic is a `BaseException`; what ends this process or this request passes through.
    """
    try:
        return ask()
    except (asyncio.CancelledError, GeneratorExit, KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException:  # noqa: BLE001 -- pyo3's PanicException derives from it; either way the token is refused
        return None


def _limits(max_time: timedelta) -> object:
    limits = AuthorizerBuilder("").limits()  # type: ignore[attr-defined]  # its stub is older than itself
    limits.max_time = max_time
    limits.max_facts = MAX_FACTS
    limits.max_iterations = MAX_ITERATIONS
    return limits


Patience = Sequence[tuple[timedelta, object]]
_PATIENCE: Final[Patience] = tuple(
    (time, _limits(time)) for time in (MAX_TIME, 10 * MAX_TIME, 200 * MAX_TIME)
)
"""Limits of one evaluation after the other, where another one had the processor meanwhile."""


_ALLOW: Final = AuthorizerBuilder("allow if true")
"""The token's own rights are no matter where its checks are asked: what it may do was decided before."""


def stated_fact(name: str, *terms: Term) -> StatedFact | None:
    """Return what the server states of a request, as the library has it; None for what it does not take."""
    places = ", ".join(f"{{t{place}}}" for place in range(len(terms)))
    by_place = {f"t{place}": term for place, term in enumerate(terms)}
    return guarded(lambda: Fact(f"{name}({places})", by_place))


def checks_hold(token: Biscuit, facts: Sequence[StatedFact], *, patience: Patience = _PATIENCE) -> bool:
    """Whether every check of a linted token holds for a request of which the server states `facts`.

    The library's limit is one of time that passes, also while other threads run: what was cut short without having
    used its time is asked again.
    """
    for longest, limits in patience:

        def authorised(limits: object = limits) -> bool:
            builder = AuthorizerBuilder("")
            builder.merge(_ALLOW)  # type: ignore[arg-type]  # as `set_limits`
            for fact in facts:
                builder.add_fact(fact)
            builder.set_limits(limits)  # type: ignore[attr-defined]  # its stub is older than itself
            builder.build(token).authorize()
            return True

        began, used = monotonic(), thread_time()
        if guarded(authorised) is True:
            return True
        if monotonic() - began < longest.total_seconds() or thread_time() - used >= MAX_TIME.total_seconds():
            return False
    return False


def utc(moment: Millis) -> datetime:
    """Return a time as the library takes it: whole seconds, UTC."""
    return datetime.fromtimestamp(millis_to_seconds(moment), UTC)
