# SPDX-License-Identifier: EUPL-1.2
"""vaultctl audit -names: entities are called by name where the reader may know it, and asked for once."""

import json
from collections.abc import Generator
from pathlib import Path

import pytest
from pytest_socket import enable_socket

from tests.cli.canned import Answer, Case, Shown, Theatre, theatre

_SEARCH = "GET /v1/sys/log/records?limit=100&order=desc&phase=outcome%2Cnotice"
_ADA = {"data": {"id": "e1", "name": "ada"}}
_MADE = {
    "data": {"id": "e1", "name": "entity_0a1b", "aliases": [{"name": "ada", "mount_path": "auth/userpass/"}]}
}


@pytest.fixture(scope="module")
def stage() -> Generator[Theatre]:
    enable_socket()
    with theatre() as running:
        yield running


def _named(stage: Theatre, home: Path, *flags: str, **names: Answer) -> Shown:
    """What a search shows of two records of e1 and one of e2, and what the server says of them."""
    records = [
        {"actor": {"id": one, "type": "entity"}, "log": "a-0-0", "seq": at}
        for at, one in enumerate(("e1", "e1", "e2"))
    ]
    lines = [json.dumps(one).encode() for one in [*records, {"$page": {"complete": True}}]]
    answers: dict[str, Answer] = {_SEARCH: (200, b"\n".join([*lines, b""]))}
    answers |= {f"GET /v1/identity/entity/id/{name}": answer for name, answer in names.items()}
    return stage.by_vaultctl(Case(" ".join(["audit query -names", *flags]), answers), home)


def _actors(found: Shown) -> list[str]:
    at = found.stdout.splitlines()[0].index("Actor")
    return [line[at:].split("    ")[0] for line in found.stdout.splitlines()[2:5]]


def _asked(found: Shown) -> list[str]:
    return [path.rpartition("/")[2] for _, path, *_ in found.asked if "entity" in path]


def test_an_entity_is_called_by_its_name_and_asked_for_once(stage: Theatre, tmp_path: Path) -> None:
    found = _named(stage, tmp_path, e1=(200, _ADA))
    assert (_actors(found), _asked(found)) == (["ada", "ada", "e2"], ["e1", "e2"])


def test_one_that_nobody_has_named_is_called_by_its_login(stage: Theatre, tmp_path: Path) -> None:
    assert _actors(_named(stage, tmp_path, e1=(200, _MADE)))[0] == "ada at userpass/"
    nameless = {"data": {"name": "entity_0a1b", "aliases": []}}
    assert _actors(_named(stage, tmp_path, e1=(200, nameless)))[0] == "entity_0a1b"


def test_after_a_refusal_nobody_is_asked_for_and_nothing_is_said(stage: Theatre, tmp_path: Path) -> None:
    found = _named(stage, tmp_path, e1=(403, {"errors": ["permission denied"]}), e2=(200, _ADA))
    assert (_actors(found), _asked(found), found.stderr) == (["e1", "e1", "e2"], ["e1"], "")


def test_programs_get_names_beside_records(stage: Theatre, tmp_path: Path) -> None:
    found = _named(stage, tmp_path, "-format=json", e1=(200, _ADA))
    assert json.loads(found.stdout)["names"] == {"e1": "ada"}
    assert json.loads(found.stdout)["records"][0]["actor"] == {"id": "e1", "type": "entity"}
