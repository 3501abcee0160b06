# SPDX-License-Identifier: EUPL-1.2
"""One vault, two tokens of different makers: each in turn is away, under load and at a start."""

from pathlib import Path

import pytest

from tests.integration.two_makers import MAKERS, Load, Makers


@pytest.fixture
def makers(tmp_path: Path) -> Makers:
    return Makers(tmp_path)


def test_from_one_token_to_the_other_and_back_no_request_fails(makers: Makers) -> None:
    with makers.serving() as server:
        makers.initialise()
        with Load(makers) as load:
            for maker in MAKERS:
                makers.wait_for(maker, up=True)
                makers.unplug(maker, server)
                makers.wait_for(maker, up=False)
                load.goes_on(50)
                makers.plug(maker)
                makers.wait_for(maker, up=True)
        assert load.failures == []
        assert load.count > 200
    for maker in MAKERS:
        makers.unplug(maker)
        with makers.serving():
            makers.wait(lambda status: not status["sealed"])
            assert makers.reads()
            makers.wait_for(maker, up=False)
        makers.plug(maker)
