# SPDX-License-Identifier: EUPL-1.2
"""Points in time and how long things last: one type per unit, so that a checker tells when two are mixed up.

A point in time counts from the Unix epoch, and as an end 0 stands for never; whether a value is a point or a length
is in its name. At run time all are plain integers. How many of one are another is known here alone: a value changes
its unit, and a length is added to a point, by these functions.
"""

from __future__ import annotations

from typing import Final, NewType, TypeVar

Nanos = NewType("Nanos", int)
"""Nanoseconds: when tokens, leases and most of what is stored were made and end."""
Millis = NewType("Millis", int)
"""Milliseconds: when a request came, when a timer is due."""
Seconds = NewType("Seconds", int)
"""Whole seconds: TTLs, periods, and the points in time that JSON Web Tokens have."""

Unit = TypeVar("Unit", Nanos, Millis, Seconds)

_MILLI: Final = 1_000_000
_SECOND: Final = 1_000_000_000

HOUR: Final = Seconds(3600)
DAY: Final = Seconds(86_400)


def millis_to_nanos(millis: Millis) -> Nanos:
    """Return milliseconds in nanoseconds."""
    return Nanos(millis * _MILLI)


def seconds_to_nanos(seconds: Seconds) -> Nanos:
    """Return seconds in nanoseconds."""
    return Nanos(seconds * _SECOND)


def seconds_to_millis(seconds: Seconds) -> Millis:
    """Return seconds in milliseconds."""
    return Millis(seconds * 1000)


def nanos_to_millis(nanos: Nanos) -> Millis:
    """Return nanoseconds in milliseconds, rounded down."""
    return Millis(nanos // _MILLI)


def nanos_to_millis_up(nanos: Nanos) -> Millis:
    """Return nanoseconds in milliseconds, rounded up: a timer that is due then finds that they are over."""
    return Millis(-(-nanos // _MILLI))


def nanos_to_seconds(nanos: Nanos) -> Seconds:
    """Return nanoseconds in seconds, rounded down."""
    return Seconds(nanos // _SECOND)


def nanos_to_seconds_up(nanos: Nanos) -> Seconds:
    """Return nanoseconds in seconds, rounded up."""
    return Seconds(-(-nanos // _SECOND))


def millis_to_seconds(millis: Millis) -> Seconds:
    """Return milliseconds in seconds, rounded down."""
    return Seconds(millis // 1000)


def millis_to_seconds_up(millis: Millis) -> Seconds:
    """Return milliseconds in seconds, rounded up."""
    return Seconds(-(-millis // 1000))


def nanos_to_nearest_second(nanos: Nanos) -> Seconds:
    """Return nanoseconds in seconds, to the nearest one; half a second is rounded down."""
    return Seconds((nanos + _SECOND // 2 - 1) // _SECOND)


def nanos_to_seconds_cut(nanos: Nanos) -> Seconds:
    """Return nanoseconds in seconds, rounded towards 0, as Go turns a duration into an integer."""
    return Seconds(int(nanos / _SECOND))


def nanos_after(moment: Nanos, seconds: Seconds) -> Nanos:
    """Return the point in time `seconds` after `moment`."""
    return Nanos(moment + seconds * _SECOND)


def millis_after(moment: Millis, seconds: Seconds) -> Millis:
    """Return the point in time `seconds` after `moment`."""
    return Millis(moment + seconds * 1000)


def time_after(moment: Unit, by: Unit) -> Unit:
    """Return the point in time `by` after `moment`; both have the same unit."""
    return moment + by  # type: ignore[return-value]  # the sum is no other unit


def time_between(begin: Unit, end: Unit) -> Unit:
    """Return how long it is from `begin` to `end`; below 0 where that was before."""
    return end - begin  # type: ignore[return-value]  # nor is the difference


def second_of(nanos: Nanos) -> Nanos:
    """Return the beginning of the second that a point in time is in."""
    return Nanos(nanos - nanos % _SECOND)


def exact_seconds(nanos: Nanos) -> float:
    """Return nanoseconds in seconds with their fraction, as clocks that only grow and the configuration have them."""
    return nanos / _SECOND


def nanos_of(seconds: float) -> Nanos:
    """Return seconds with a fraction in nanoseconds."""
    return Nanos(round(seconds * _SECOND))
