# SPDX-License-Identifier: EUPL-1.2
"""No request costs more than in proportion to its size, wherever in it something hostile is put (SL-70, SL-74)."""

import pytest

from tests.routes.complexity import Trial, furnished, places, tried, usual_of
from tests.routes.driver import Application, Target
from tests.routes.furniture import BASES, log_in
from tests.stalls import STALLS
from vault.server.compose.catalog import ENGINES

pytestmark = pytest.mark.in_memory("measures what requests cost a processor")
every_route = pytest.mark.parametrize("target", tried(), ids=str)


@every_route
def test_sl_70_nothing_in_a_request_costs_more_than_in_proportion(target: Target) -> None:
    account = Trial(target, whole=False).run()
    assert account.faults == []
    assert sum(worst.places for worst in account.worst.values()) == len(list(places(target)))


@pytest.mark.soak
@pytest.mark.timeout(3600)
@every_route
def test_sl_70_nothing_costs_more_of_any_pattern_at_a_mebibyte(target: Target) -> None:
    account = Trial(target, whole=True).run()
    STALLS.take()  # what a MiB of a holder's may take is judged above, and it is more than a stall
    assert account.faults == []


def test_what_is_tried_reaches_what_it_is_meant_for() -> None:
    """The furniture fits: roles, policies and keys called `x` are there to be found."""
    application = furnished()
    assert application.key
    assert len(list(tried())) > 500


def test_whoever_has_a_token_is_let_in_wherever_only_root_need_not_ask() -> None:
    """Else what is measured of a holder would be refusals: the policy reaches every route that needs no sudo."""
    refused, token = [], ""
    with Application(like=furnished(), engines=ENGINES) as application:
        for target in tried():
            if usual_of(target) == "holder":
                body = dict(BASES.get(target.route.template, {})) if target.bodied else None
                answer = application.request(target.method, target.path(), body, token=token)
                if answer.status == 403:  # an earlier route may have ended the token
                    token = log_in(application)
                    answer = application.request(target.method, target.path(), body, token=token)
                application.reopen()
                if answer.status == 403:
                    refused.append(str(target))
    assert refused == []
