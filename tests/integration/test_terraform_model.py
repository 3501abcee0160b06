# SPDX-License-Identifier: EUPL-1.2
"""The model of the provider: what a plan shows, how answers are judged, how values are spelled."""

import json
from typing import cast

import pytest

from tests.conformance.scenario import Step
from tests.conformance.servers import Server
from tests.conformance.wire import Answer
from tests.integration.terraform.calls import Call, Client, Where
from tests.integration.terraform.entries import Entry
from tests.integration.terraform.model import MAP, SET, TEXT, Attr, Held
from tests.integration.terraform.mounts import duration
from tests.integration.terraform.roles import SecretId
from tests.integration.terraform.secrets import seconds
from tests.integration.terraform.sides import Sides
from tests.integration.terraform.stories import Played

_THING = Entry(
    name="vault_thing",
    path="things/{name}",
    schema={
        "name": TEXT,
        "names": SET,
        "notes": MAP,
        "size": Attr("number", default=3),
        "made": Attr(computed=True),
    },
    creates=lambda data: data.given("names", "notes", "size"),
)
_CONFIG = {"name": "a", "names": ["x", "y"]}
_STATE = {"name": "a", "names": ["x", "y"], "notes": {}, "size": 3, "made": "theirs"}


class _Place:
    """A server for which only its place is asked."""

    kind = "one"
    port = 1
    root = ""
    directories = ()


def _answered(status: int, body: object, path: str = "things/a") -> Call:
    return Call(Step("GET", path), Answer(status, {}, json.dumps(body).encode() + b"\n"))


def _judged(one: list[Call], other: list[Call], divergences: dict[str, str] | None = None) -> list[str]:
    places = (_Place(), _Place())
    sides = Sides(cast(Server, places[0]), cast(Server, places[1]))
    answers = {id(places[0]): one, id(places[1]): other}
    return sides.play(lambda where: Played(answers[id(where)]), divergences).problems


@pytest.mark.parametrize(
    ("changed", "shown"),
    [
        ({}, set()),
        ({"names": ["y", "x"]}, {"names"}),  # a state holds its sets in order
        ({"names": ["x"]}, {"names"}),
        ({"notes": {"a": "b"}}, {"notes"}),
        ({"size": 4}, {"size"}),
        ({"made": "ours"}, set()),  # nobody configured it
    ],
)
def test_a_plan_shows_what_is_otherwise_than_configured(changed: dict[str, object], shown: set[str]) -> None:
    assert _THING.differs(_CONFIG, Held("things/a", _STATE | changed)) == shown


def test_a_plan_refuses_attributes_that_there_are_not() -> None:
    with pytest.raises(AssertionError, match="no such attributes: \\['nmae'\\]"):
        _THING.differs({"nmae": "a"}, Held("things/a", _STATE))


def test_the_attributes_in_a_path_are_read_from_its_id() -> None:
    assert _THING.parts("things/a/b") == {"name": "a/b"}
    with pytest.raises(AssertionError, match="is no id of the form"):
        _THING.parts("other/a")


def test_answers_that_differ_are_told_and_those_that_do_not_are_not() -> None:
    good = _answered(200, {"data": {"size": 3, "client_id": "A" * 32}})
    alike = _answered(200, {"data": {"client_id": "B" * 32, "size": 3}})
    assert _judged([good], [alike]) == []
    for other in (
        _answered(200, {"data": {"size": 4, "client_id": "B" * 32}}),
        _answered(200, {"data": {"size": 3, "client_id": "short"}}),
        _answered(404, {"errors": []}),
    ):
        assert len(_judged([good], [other])) == 1
    assert _judged([good], []) == ["1 calls at one, 0 at the other"]
    assert len(_judged([good], [_answered(200, {"data": {"size": 3}}, "things/b")])) == 1


def test_a_divergence_lets_differ_what_it_says_and_at_its_path_alone() -> None:
    refused, otherwise = _answered(500, {"errors": ["gone"]}), _answered(404, {"errors": ["gone"]})
    assert _judged([refused], [otherwise], {"things/a": "DV-07"}) == []
    assert len(_judged([refused], [otherwise], {"things/b": "DV-07"})) == 1
    assert len(_judged([refused], [_answered(200, {"data": {}})], {"things/a": "DV-07"})) == 1


def test_a_secret_id_is_gone_only_where_the_provider_takes_it_for_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = {"errors": ['1 error occurred:\n\t* role "app" does not exist\n\n']}
    id = "backend=approle::role=app::accessor=1"
    for status, gone in ((404, True), (500, True), (400, False), (403, False)):
        answer = Answer(status, {}, json.dumps(said).encode())
        monkeypatch.setattr("tests.integration.terraform.calls.send", lambda *_, answer=answer: answer)
        client = Client(cast(Where, _Place()), "")
        if gone:
            assert SecretId().read(client, id, {}) is None
        else:
            with pytest.raises(Exception, match=f"^{status}: "):
                SecretId().read(client, id, {})


def test_durations_are_spelled_and_read_as_the_provider_does() -> None:
    assert [duration(number) for number in (0, 5, 60, 90, 3600, 5400, 3661)] == [
        "0s", "5s", "1m", "1m30s", "1h", "1h30m", "1h1m1s",
    ]  # fmt: skip
    assert [seconds(text) for text in ("0s", "90s", "1m30s", "1h0m0s", "768h0m0s")] == [
        0,
        90,
        90,
        3600,
        2764800,
    ]
