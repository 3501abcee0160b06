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


@pytest.mark.parametrize(
    ("policy", "seals"),
    [("", False), ('on_loss = "seal"\n', True), ('on_loss = "seal_after"\nseal_after = "3s"\n', True)],
    ids=["keep", "seal", "seal_after"],
)
def test_when_every_token_is_lost_the_policy_decides(makers: Makers, policy: str, *, seals: bool) -> None:
    with makers.serving(policy) as server:
        makers.initialise()
        for maker in MAKERS:
            makers.wait_for(maker, up=True)
            makers.unplug(maker, server)
        for maker in MAKERS:
            makers.wait_for(maker, up=False)
        if seals:
            makers.wait(lambda status: status["sealed"])
            assert makers.ask("GET", "kv/a")[0] == 503
            server.wait_for("no key slot answers: the vault is sealed, as on_loss says")
        else:
            server.wait_for("a key slot does not work", times=2)
            assert makers.reads()
        for maker in MAKERS:
            makers.plug(maker)
            makers.wait_for(maker, up=True)
        makers.wait(lambda status: not status["sealed"])
        assert makers.reads()
