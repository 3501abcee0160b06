# SPDX-License-Identifier: EUPL-1.2
"""A goal that is missed is said, beside what processor time says."""

import pytest

from tests.perf.postgres.bench import work
from tests.perf.postgres.goals import missed, wanted


def _servers(row: str, ratio: float) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
    theirs = {"rate": 100.0, "processor": 1200.0}
    ours = {"rate": 100.0 * ratio, "processor": 200.0}
    return {"openbao": {"rounds": {row: theirs}}, "coffre": {"rounds": {row: ours}}}


@pytest.mark.parametrize("connections", [16, 64])
def test_every_operation_has_a_goal_and_what_is_below_it_is_said(connections: int) -> None:
    for operation in work({}):
        row = f"{operation.name} c={connections}"
        goal = wanted(row)
        assert goal >= 5
        assert missed(_servers(row, goal)) == []
        (said,) = missed(_servers(row, goal - 0.01))
        assert said == f"{row}: {goal - 0.01:.2f} x, wanted {goal:g} x; by processor time 6.00 x"


def test_other_connections_have_no_goal() -> None:
    assert missed(_servers("kv read c=1", 0.5)) == []
