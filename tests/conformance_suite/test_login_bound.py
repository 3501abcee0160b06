# SPDX-License-Identifier: EUPL-1.2
"""By how much a refused log-in may differ in time: what is declared or, without that, a part of the time itself."""

from typing import Any

import pytest

from esa_conformance.areas.credentials import login_bound


@pytest.mark.parametrize(
    ("discovery", "longest", "bound"),
    [
        (None, 0.3, 0.1),
        (None, 0.003, 0.01),
        ({"limits": {"login_s": 0.02}}, 0.3, 0.02),
        ({"limits": {"login_s": 0}}, 0.3, 0.0),
        ({"limits": {"login_s": 3600}}, 0.3, 1.0),
        ({"limits": {"login_s": True}}, 0.3, 0.1),
        ({"limits": {"login_s": "1"}}, 0.3, 0.1),
        ({"limits": []}, 0.3, 0.1),
    ],
)
def test_the_bound_is_declared_or_a_part_of_the_time(
    discovery: dict[str, Any] | None, longest: float, bound: float
) -> None:
    assert login_bound(discovery, longest) == pytest.approx(bound)
