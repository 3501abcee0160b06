# SPDX-License-Identifier: EUPL-1.2
"""No request costs more than in proportion to its size, wherever in it something hostile is put (SL-70, SL-74)."""

import pytest

from tests.routes.complexity import Trial, furnished, places, tried
from tests.routes.driver import Target
from tests.stalls import STALLS

every_route = pytest.mark.parametrize("target", tried(), ids=str)


@every_route
def test_sl_70_nothing_in_a_request_costs_more_than_in_proportion(target: Target) -> None:
    account = Trial(target, whole=False).run()
    STALLS.take()  # what a request may cost is judged here, and of whoever has a token it is more than a stall
    assert account.faults == []
    assert sum(worst.places for worst in account.worst.values()) == len(list(places(target)))


@pytest.mark.soak
@pytest.mark.timeout(3600)
@every_route
def test_sl_70_nothing_costs_more_of_any_pattern_at_a_mebibyte(target: Target) -> None:
    account = Trial(target, whole=True).run()
    STALLS.take()  # as above
    assert account.faults == []


def test_what_is_tried_reaches_what_it_is_meant_for() -> None:
    """The furniture fits: roles, policies and keys called `x` are there to be found."""
    application = furnished()
    assert application.key
    assert len(list(tried())) > 500
