# SPDX-License-Identifier: EUPL-1.2
"""The switch-over is done once, is undone when it fails, and is taken back by the source alone."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.port_estate import SECRET, Api
from tests.integration.port_site import Site, equal, servers, small, two_namespaces, typed
from tests.ports import free_port
from vaultctl.port.ground.journal import Journal


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with servers(tmp_path_factory.mktemp("site")) as found:
        yield found


def _aside(source: Api) -> list[str]:
    return [path for path in source("GET", "sys/mounts")["data"] if path.startswith("moved-")]


def _kv_of(source: Api) -> str:
    """Where the mount kv/ is while it is set aside."""
    return next(path for path in _aside(source) if path.endswith("/kv/"))


def test_nothing_is_moved_again_over_what_clients_wrote_since_the_switch_over(
    site: Site, tmp_path: Path
) -> None:
    source, destination = two_namespaces(site)
    small(source)
    words = ("move", f"-journal={tmp_path / 'journal'}")
    assert typed(*words, "-switch", to=destination, source=source).code == 0
    source("POST", f"{_kv_of(source)}config", {"max_versions": 7})
    assert typed("verify", to=destination, source=source).code == 1
    said = typed("verify", words[1], to=destination, source=source)
    assert [row["path"] for row in said.report["differences"]] == ["kv/config"]
    source("POST", f"{_kv_of(source)}config", {"max_versions": 0})
    equal(source, destination, words[1])
    destination("POST", "kv/data/app/s1", {"data": {"v": f"{SECRET}newer"}})
    destination("POST", "old/s1", {"v": f"{SECRET}newer"})
    for more in ([], ["-switch"], ["-replace"]):
        again = typed(*words, *more, to=destination, source=source)
        assert again.code == 1
        assert "the switch-over is done" in again.err
        assert "port back" in again.err
    assert typed("back", words[1], to=destination, source=source).code == 0
    again = typed(*words, to=destination, source=source)
    assert again.code == 1
    assert "-replace" in again.err
    assert destination("GET", "kv/data/app/s1")["data"]["data"] == {"v": f"{SECRET}newer"}
    assert destination("GET", "old/s1")["data"] == {"v": f"{SECRET}newer"}
    assert typed(*words, "-replace", to=destination, source=source).code == 0
    equal(source, destination)
    assert typed(*words, to=destination, source=source).code == 0


def test_the_source_is_opened_again_when_the_destination_is_gone(site: Site, tmp_path: Path) -> None:
    source, destination = two_namespaces(site)
    small(source)
    journal = f"-journal={tmp_path / 'journal'}"
    assert typed("move", journal, "-switch", to=destination, source=source).code == 0
    gone = Api(f"http://127.0.0.1:{free_port()}", "none")
    said = typed("back", journal, to=gone, source=source, form="table")
    assert said.code == 0
    assert "Back at kv/" in said.out
    assert "there alone" in said.out
    assert source("GET", "kv/data/app/s1")["data"]["data"] == {"v": f"{SECRET}1"}
    assert source("GET", "old/s1")["data"] == {"v": f"{SECRET}1"}
    assert _aside(source) == []


def test_only_the_journal_of_a_move_from_there_opens_a_source_again(site: Site, tmp_path: Path) -> None:
    source, destination = two_namespaces(site)
    said = typed("back", f"-journal={tmp_path / 'none'}", to=destination, source=source)
    assert said.code == 1
    assert not (tmp_path / "none").exists()
    Journal(tmp_path / "other", {"kind": "move", "source": "another"}).close()
    said = typed("back", f"-journal={tmp_path / 'other'}", to=destination, source=source)
    assert (said.code, "another source" in said.err) == (1, True)


def test_a_mount_that_cannot_be_set_aside_leaves_all_in_their_places(site: Site, tmp_path: Path) -> None:
    source, destination = two_namespaces(site)
    small(source)
    rules = (
        'path "*" { capabilities = ["read", "list"] }\n'
        'path "sys/remount" { capabilities = ["update", "sudo"]\n denied_parameters = { "from" = ["old"] } }'
    )
    source("POST", "sys/policies/acl/some", {"policy": rules})
    answer = source("POST", "auth/token/create", {"policies": ["some"], "no_default_policy": True})
    few = Api(source.address, answer["auth"]["client_token"], source.namespace)
    words = ("move", f"-journal={tmp_path / 'journal'}", "-switch")
    moved = typed(*words, to=destination, source=few)
    assert moved.code == 2
    assert "status 403" in moved.err
    assert "all mounts of the source are in their places" in moved.err
    assert _aside(source) == []
    assert source("GET", "kv/data/app/s1")["data"]["data"] == {"v": f"{SECRET}1"}
    assert typed(*words[:2], to=destination, source=few).code == 0
    assert _aside(source) == []
    assert typed(*words, to=destination, source=source).code == 0
    assert len(_aside(source)) == 2


def test_a_move_without_switch_over_sets_nothing_aside_that_another_began_to(
    site: Site, tmp_path: Path
) -> None:
    source, destination = two_namespaces(site)
    small(source)
    words = ("move", f"-journal={tmp_path / 'journal'}")
    assert typed(*words, to=destination, source=source).code == 0
    _say(tmp_path / "journal", {"switch": "begun"}, {"aside": "kv/", "namespace": "", "at": "moved-1/kv/"})
    moved = typed(*words, to=destination, source=source)
    assert moved.code == 1
    assert "-switch" in moved.err
    assert _aside(source) == []
    said = typed("back", words[1], to=destination, source=source, form="table")
    assert (said.code, said.out) == (0, "Nothing is set aside.\n")
    assert typed(*words, to=destination, source=source).code == 0
    equal(source, destination)


def test_one_that_was_ended_is_finished_with_the_switch_over(site: Site, tmp_path: Path) -> None:
    source, destination = two_namespaces(site)
    small(source)
    words = ("move", f"-journal={tmp_path / 'journal'}")
    assert typed(*words, to=destination, source=source).code == 0
    _say(tmp_path / "journal", {"switch": "begun"}, {"aside": "kv/", "namespace": "", "at": "moved-1/kv/"})
    moved = typed(*words, "-switch", to=destination, source=source)
    assert moved.code == 0
    assert "moved-1/kv/" in _aside(source)
    assert destination("GET", "kv/data/app/s1")["data"]["data"] == {"v": f"{SECRET}1"}


def _say(file: Path, *lines: dict[str, str]) -> None:
    """Write what a run that is ended there has written."""
    journal = Journal(file, {}, begin=False)
    for line in lines:
        journal.add(line)
    journal.close()


def test_a_mount_that_is_not_at_the_destination_stays_where_its_clients_find_it(
    site: Site, tmp_path: Path
) -> None:
    source, destination = two_namespaces(site)
    small(source)
    destination("POST", "sys/mounts/kv", {"type": "kv", "options": {"version": "1"}})
    said = typed("move", f"-journal={tmp_path / 'journal'}", "-switch", to=destination, source=source)
    assert said.code == 1
    assert [path.partition("/")[2] for path in _aside(source)] == ["old/"]
    why = {row["path"]: row["why"] for row in said.report["not_moved"] if row["kind"] == "mount"}
    assert "it is not set aside" in why["kv/"]
    assert source("GET", "kv/data/app/s1")["data"]["data"]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (["move", "-journal=j", "-fillers=-1"], "-fillers is a number from 0 on"),
        (["verify", "-decisions=-1"], "-decisions is a number from 0 on"),
        (["verify", "-unsigned", "-decisions=10", "archive"], "an archive decides nothing"),
        (["verify", "-offline"], "name its folder"),
    ],
)
def test_flags_that_say_nothing_are_refused(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: list[str], why: str
) -> None:
    monkeypatch.chdir(tmp_path)
    said = typed(*line, to=site.coffre, source=site.bao)
    assert (said.code, said.out) == (1, "")
    assert why in said.err
