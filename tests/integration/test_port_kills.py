# SPDX-License-Identifier: EUPL-1.2
"""A move that is killed at any point goes on by the same command, and loses nothing; the whole of a large one."""

import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.integration.port_estate import SECRET, Api, versions
from tests.integration.port_site import Site, equal, servers, small, start, two_namespaces, typed

pytestmark = pytest.mark.loopback


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with servers(tmp_path_factory.mktemp("site")) as found:
        yield found


def _killed(process: subprocess.Popen[str], grown: Callable[[], bool], chance: random.Random) -> bool:
    """Kill it once something has `grown`, or after a moment; whether it was still there."""
    until = time.monotonic() + chance.uniform(0, 1.5)
    while time.monotonic() < until and not grown() and process.poll() is None:
        time.sleep(0.002)
    process.kill()
    out, err = process.communicate()
    assert SECRET not in out + err
    return process.returncode == -signal.SIGKILL


def _lines(file: Path) -> int:
    return file.read_bytes().count(b"\n") if file.exists() else 0


def _beyond(file: Path, end: int) -> bool:
    return _lines(file) > end


def _stage(journal: Path) -> str:
    """How far the journal says that the switch-over is."""
    said = re.findall(r'{"switch":"(\w+)"}', journal.read_text())
    return said[-1] if said else "open"


def _leave(journal: Path) -> list[str]:
    """What a move needs after one whose switch-over was done and taken back."""
    return ["-replace"] if journal.exists() and _stage(journal) == "undone" else []


def _some(api: Api, number: int, chance: random.Random) -> None:
    for one in range(number):
        versions(api, "kv/", f"more{one % 5}/s{one}", chance)


@pytest.mark.parametrize("kills", [6, pytest.param(100, marks=[pytest.mark.soak, pytest.mark.timeout(1500)])])
def test_a_move_that_is_killed_goes_on(site: Site, tmp_path: Path, kills: int) -> None:
    chance = random.Random(kills)
    source, destination = two_namespaces(site)
    small(source)
    _some(source, kills * 3, chance)
    source("POST", "kv/delete/app/s1", {"versions": [1]})
    journal = tmp_path / "journal"
    words = ["move", f"-journal={journal}", "-switch", "-undelete"]
    hit = 0
    for number in range(kills * 5):
        end = _lines(journal) + chance.randrange(12)
        run = start([*words, *_leave(journal)], to=destination, source=source)
        hit += _killed(run, partial(_beyond, journal, end), chance)
        if _stage(journal) == "done" or number % 10 == 9:
            assert typed("back", words[1], to=destination, source=source).code == 0
            _some(source, 30, chance)  # more to do
        if hit == kills:
            break
    assert hit == kills
    moved = typed(*words, *_leave(journal), to=destination, source=source)
    assert moved.report["not_moved"] == []
    assert typed("back", words[1], to=destination, source=source).code == 0
    equal(source, destination)
    assert source("GET", "kv/metadata/app/s1")["data"]["versions"]["1"]["deletion_time"]
    assert not [path for path in source("GET", "sys/mounts")["data"] if path.startswith("moved-")]


def test_a_move_that_is_asked_to_end_leaves_nothing_undeleted(site: Site, tmp_path: Path) -> None:
    source, destination = two_namespaces(site)
    small(source)
    for number in range(12):
        source("POST", f"kv/delete/app/s{number}", {"versions": [1]})
    for number in range(20):
        journal = tmp_path / str(number)
        process = start(["move", f"-journal={journal}", "-undelete"], to=destination, source=source)
        while process.poll() is None and not (journal.exists() and b'"undeleted"' in journal.read_bytes()):
            time.sleep(0.002)
        process.terminate()
        out, err = process.communicate()
        assert SECRET not in out + err
        for one in range(12):
            assert source("GET", f"kv/metadata/app/s{one}")["data"]["versions"]["1"]["deletion_time"]
        if process.returncode == 128 + signal.SIGTERM:
            return
    raise AssertionError("it was always done before it could be asked to end")


@pytest.mark.parametrize("kills", [4, pytest.param(100, marks=[pytest.mark.soak, pytest.mark.timeout(1500)])])
def test_an_export_and_an_import_that_are_killed_go_on(site: Site, tmp_path: Path, kills: int) -> None:
    chance = random.Random(kills)
    source, destination = two_namespaces(site)
    small(source)
    _some(source, kills * 3, chance)
    archive = tmp_path / "archive"
    words = ["export", *site.sealing, str(archive)]
    hit = 0
    while hit < kills // 2:
        hit += _killed(
            start(words, to=source), archive.exists if chance.random() < 0.3 else lambda: False, chance
        )
        if (archive / "manifest.json").exists():
            shutil.rmtree(archive)
    assert typed(*words, to=source).code == 0
    assert typed("verify", "-offline", *site.opening, archive, to=source).code == 0
    journal = tmp_path / "journal"
    words = ["import", *site.opening, f"-journal={journal}", str(archive)]
    while hit < kills:
        end = _lines(journal) + chance.randrange(12)
        hit += _killed(start(words, to=destination), partial(_beyond, journal, end), chance)
    assert typed(*words, to=destination).code == 0
    equal(source, destination)


@pytest.mark.soak
@pytest.mark.alone
def test_clients_are_without_secrets_for_less_than_two_seconds(site: Site, tmp_path: Path) -> None:
    """The best of three: what else the machine does makes it longer, and nothing makes it shorter."""
    spans = []
    for number in range(3):
        source, destination = two_namespaces(site)
        small(source)
        _some(source, 1000, random.Random(number))
        words = ("move", f"-journal={tmp_path / str(number)}")
        assert typed(*words, to=destination, source=source).code == 0
        spans.append(typed(*words, "-switch", to=destination, source=source).report["switch-over"]["seconds"])
    assert min(spans) < 2, spans
