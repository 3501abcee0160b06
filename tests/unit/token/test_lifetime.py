# SPDX-License-Identifier: EUPL-1.2
"""How long tokens live: the arithmetic alone, and never beyond issue time plus the longest lifetime."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.token.lifetime import (
    Lifetime,
    LifetimeLimits,
    capped,
    first_lifetime,
    go_duration,
    renewed_lifetime,
)
from vault.values.times import Seconds

LIMITS = LifetimeLimits(default=Seconds(100), longest=Seconds(1000))
_SECONDS = st.integers(0, 5000)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (1, "1s"),
        (60, "1m"),
        (61, "1m1s"),
        (3600, "1h"),
        (3601, "1h1s"),
        (5400, "1h30m"),
        (2_764_800, "768h"),
    ],
)
def test_a_duration_is_written_as_the_field_writes_it(seconds: Seconds, text: str) -> None:
    assert go_duration(seconds) == text


@pytest.mark.parametrize(
    ("requested", "period", "explicit_max", "ttl", "warned"),
    [
        (0, 0, 0, 100, False),
        (50, 0, 0, 50, False),
        (1000, 0, 0, 1000, False),
        (1001, 0, 0, 1000, True),
        (0, 0, 30, 30, True),
        (20, 0, 30, 20, False),
        (40, 0, 30, 30, True),
        (40, 0, 5000, 40, False),
        (7, 60, 0, 60, False),
        (7, 6000, 0, 1000, True),
        (7, 60, 30, 30, True),
    ],
)
def test_a_new_token_gets_what_was_asked_for_within_the_limits(
    requested: Seconds, period: Seconds, explicit_max: Seconds, ttl: int, warned: bool
) -> None:
    life = first_lifetime(LIMITS, requested=requested, period=period, explicit_max=explicit_max)
    assert (life.ttl, bool(life.warnings)) == (ttl, warned)


@pytest.mark.parametrize(
    ("increment", "current", "period", "explicit_max", "age", "ttl"),
    [
        (0, 50, 0, 0, 10, 50),
        (0, 0, 0, 0, 10, 100),
        (70, 50, 0, 0, 10, 70),
        (5000, 50, 0, 0, 10, 990),
        (50, 50, 0, 0, 1200, 0),
        (50, 50, 0, 60, 20, 40),
        (5, 50, 60, 0, 100_000, 60),
        (5, 50, 60, 100, 80, 20),
        (5, 50, 60, 100, 130, 0),
    ],
)
def test_a_renewal_counts_from_the_moment_of_issue(
    increment: Seconds, current: Seconds, period: Seconds, explicit_max: Seconds, age: Seconds, ttl: int
) -> None:
    assert (
        renewed_lifetime(
            LIMITS, increment=increment, current=current, period=period, explicit_max=explicit_max, age=age
        ).ttl
        == ttl
    )


def test_what_is_cut_is_said() -> None:
    assert capped("TTL", Seconds(10), longest=Seconds(10)) == Lifetime(Seconds(10))
    assert capped("period", Seconds(7200), longest=Seconds(3600)).warnings == (
        'period of "2h" exceeded the effective max_ttl of "1h"; period value is capped accordingly',
    )


@given(requested=_SECONDS, period=_SECONDS, explicit_max=_SECONDS)
def test_no_first_lifetime_exceeds_a_limit(
    requested: Seconds, period: Seconds, explicit_max: Seconds
) -> None:
    life = first_lifetime(LIMITS, requested=requested, period=period, explicit_max=explicit_max)
    assert 0 < life.ttl <= LIMITS.longest
    assert not explicit_max or life.ttl <= explicit_max


@given(increment=_SECONDS, current=_SECONDS, explicit_max=_SECONDS, age=_SECONDS)
def test_no_renewal_reaches_beyond_the_end_that_was_set_at_issue(
    increment: Seconds, current: Seconds, explicit_max: Seconds, age: Seconds
) -> None:
    life = renewed_lifetime(
        LIMITS, increment=increment, current=current, period=Seconds(0), explicit_max=explicit_max, age=age
    )
    assert life.ttl >= 0
    assert life.ttl == 0 or age + life.ttl <= min(explicit_max or LIMITS.longest, LIMITS.longest)


@given(increment=_SECONDS, period=st.integers(1, 5000), explicit_max=_SECONDS, age=_SECONDS)
def test_a_periodic_renewal_gives_the_period_up_to_the_explicit_end(
    increment: Seconds, period: Seconds, explicit_max: Seconds, age: Seconds
) -> None:
    life = renewed_lifetime(
        LIMITS, increment=increment, current=Seconds(1), period=period, explicit_max=explicit_max, age=age
    )
    granted = min(period, LIMITS.longest)
    assert life.ttl == (max(0, min(granted, explicit_max - age)) if explicit_max else granted)
    assert bool(life.warnings) is (life.ttl < period)
