# SPDX-License-Identifier: EUPL-1.2
"""Whose span a request belongs to, which are traced, and what is kept of one."""

from collections import Counter

import pytest

from vault.framework.clock import Entropy
from vault.framework.telemetry.trace import (
    MOST_BEGUN,
    MOST_PARTS,
    MOST_WISHES,
    Parent,
    Sampler,
    Trace,
    parent_of,
)
from vault.values.times import Nanos

_TRACE, _SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def test_a_callers_span_is_read_and_its_flag_says_whether_it_is_traced() -> None:
    parent = Parent(int(_TRACE, 16), int(_SPAN, 16), sampled=True)
    assert parent_of(f"00-{_TRACE}-{_SPAN}-01".encode()) == parent
    assert parent_of(f"00-{_TRACE}-{_SPAN}-00".encode()) == parent._replace(sampled=False)
    assert parent_of(f"01-{_TRACE}-{_SPAN}-03-more".encode()) == parent


@pytest.mark.parametrize(
    "came",
    [
        b"",
        b"hunter2",
        f"ff-{_TRACE}-{_SPAN}-01".encode(),
        f"00-{'0' * 32}-{_SPAN}-01".encode(),
        f"00-{_TRACE}-{'0' * 16}-01".encode(),
        f"00-{_TRACE.upper()}-{_SPAN}-01".encode(),
        f"00-{_TRACE}-{_SPAN}-01-{'x' * 256}".encode(),
    ],
)
def test_what_is_no_traceparent_is_as_none(came: bytes) -> None:
    assert parent_of(came) is None


@pytest.mark.parametrize(("ratio", "least", "most"), [(0.0, 0, 0), (0.25, 800, 1200), (1.0, 4000, 4000)])
def test_a_part_is_taken_by_chance(ratio: float, least: int, most: int) -> None:
    sampler = Sampler(ratio, Entropy().bytes)
    assert least <= Counter(sampler.takes() for _ in range(4000))[True] <= most


def test_what_callers_wish_is_granted_so_often_a_second() -> None:
    seconds = [7.0]
    sampler = Sampler(0, Entropy().bytes, lambda: seconds[0])
    wishes = Parent(1, 1, sampled=True)
    for _ in range(2):
        assert Counter(sampler.begins(wishes) for _ in range(2 * MOST_BEGUN))[True] == MOST_BEGUN
        assert Counter(sampler.keeps() for _ in range(2 * MOST_WISHES))[True] == MOST_WISHES
        seconds[0] += 1
    assert not sampler.begins(Parent(1, 1, sampled=False))
    assert not sampler.begins(None)


def test_so_many_parts_are_kept_and_none_that_ends_after_the_request() -> None:
    trace = Trace(Nanos(1), None)
    for _ in range(MOST_PARTS + 2):
        trace.add("storage get", trace.since)
    assert (len(trace.parts), trace.left_out) == (MOST_PARTS, 2)
    late = Trace(Nanos(1), None)
    late.ended = late.since + 1
    late.add("storage get", late.since)
    assert (late.parts, late.left_out) == ([], 1)
