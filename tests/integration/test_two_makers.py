# SPDX-License-Identifier: EUPL-1.2
"""One vault, two tokens of different makers: each in turn is away, under load and at a start."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hsm.tokens_opencryptoki import opencryptoki_token
from tests.integration.two_makers import Load, Makers, OpenCryptoki


@pytest.fixture
def makers(tmp_path: Path) -> Makers:
    return Makers(tmp_path)


@pytest.fixture
def with_opencryptoki(tmp_path: Path) -> Iterator[Makers]:
    with opencryptoki_token(tmp_path / "ock") as token:
        yield Makers(tmp_path, OpenCryptoki(token))


def test_from_one_token_to_the_other_and_back_no_request_fails(makers: Makers) -> None:
    each_in_turn_is_away(makers)


def test_from_softhsm_to_opencryptoki_and_back_no_request_fails(with_opencryptoki: Makers) -> None:
    each_in_turn_is_away(with_opencryptoki)


def test_opencryptoki_alone_seals_a_server(with_opencryptoki: Makers) -> None:
    makers = with_opencryptoki
    makers.unplug("softhsm")
    with makers.serving():
        makers.initialise()
        assert makers.ask("POST", "sys/rotate/root", {})[0] == 204
        slots = makers.ask("GET", "sys/seal-slots")[1]["data"]["key_info"]
        assert [name for name, slot in slots.items() if slot["stored"]] == ["opencryptoki", "shamir"]
    for _ in range(2):
        with makers.serving():
            makers.wait(lambda status: not status["sealed"])
            assert makers.reads()
    makers.plug("softhsm")
    with makers.serving():
        makers.wait(lambda status: not status["sealed"])
        assert makers.ask("POST", "sys/seal-slots/softhsm", {})[0] == 200
    makers.unplug("opencryptoki")
    with makers.serving():
        makers.wait(lambda status: not status["sealed"])
        assert makers.reads()
    makers.plug("opencryptoki")


def each_in_turn_is_away(makers: Makers) -> None:
    """Under load, and at a start."""
    with makers.serving() as server:
        makers.initialise()
        with Load(makers) as load:
            for maker in makers.names:
                makers.wait_for(maker, up=True)
                makers.unplug(maker, server)
                makers.wait_for(maker, up=False)
                load.goes_on(50)
                makers.plug(maker)
                makers.wait_for(maker, up=True)
        assert load.failures == []
        assert load.count > 100
    for maker in makers.names:
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
        for maker in makers.names:
            makers.wait_for(maker, up=True)
            makers.unplug(maker, server)
        for maker in makers.names:
            makers.wait_for(maker, up=False)
        if seals:
            makers.wait(lambda status: status["sealed"])
            assert makers.ask("GET", "kv/a")[0] == 503
            server.wait_for("no key slot answers: the vault is sealed, as on_loss says")
        else:
            server.wait_for("a key slot does not work", times=2)
            assert makers.reads()
        for maker in makers.names:
            makers.plug(maker)
            makers.wait_for(maker, up=True)
        makers.wait(lambda status: not status["sealed"])
        assert makers.reads()
