# SPDX-License-Identifier: EUPL-1.2
"""A move whose switch-over fails leaves the source as it was: clients are told of no other."""

import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

import pytest

from vaultctl.errors import ApiError, CommandError, RequestError
from vaultctl.port import moving
from vaultctl.port.aside import Aside, Stage
from vaultctl.port.copying import Copier
from vaultctl.port.ground.entry import WRITTEN, Entry, Item, Outcome
from vaultctl.port.ground.journal import Journal
from vaultctl.port.ground.report import Report
from vaultctl.port.ground.server import Server
from vaultctl.port.kv.undeletion import Undeletion

_GONE = RequestError("connection refused")


class Source:
    """A server with mounts of secrets that can be moved, as `sys/remount` does it."""

    namespace = ""

    def __init__(self, *mounts: str) -> None:
        self.mounts = set(mounts)
        self.stays: set[str] = set()
        """Mounts that are moved no more."""

    def read(self, path: str, query: object = None) -> Mapping[str, object] | None:
        if path == "sys/mounts":
            return {mount: {"type": "kv", "accessor": "one"} for mount in self.mounts}
        if path.startswith("sys/remount/status/"):
            return {"migration_info": {"status": "success"}}
        return {"value": "x"} if path.endswith("/secret") else None

    def require(self, path: str) -> Mapping[str, object]:
        return self.read(path) or {}

    def write(self, path: str, body: Mapping[str, str], method: str = "POST") -> dict[str, object]:
        begin, end = f"{body['from']}/", f"{body['to']}/"
        if begin in self.stays or begin not in self.mounts:
            raise ApiError(method, "", path, status=400, errors=["it is in use"], raw="")
        self.mounts = (self.mounts - {begin}) | {end}
        return {"migration_id": str(uuid.UUID(int=1))}

    def listing(self, path: str) -> Iterator[tuple[str, object]]:
        if path in self.mounts:
            yield "secret", None

    def names(self, path: str) -> Iterator[str]:
        return iter(())


class Destination:
    """Takes entries until the source's mounts are set aside, and is gone then."""

    parallel = True

    def __init__(self, source: Source, end: BaseException) -> None:
        self._source, self._end = source, end

    def put(self, item: Item, entry: Entry) -> Outcome:
        if any(mount.startswith("moved-") for mount in self._source.mounts):
            raise self._end
        return WRITTEN


def _move(source: Source, folder: Path, end: BaseException = _GONE) -> Aside:
    journal, report = Journal(folder / "journal", {}), Report()
    aside = Aside(cast("Server", source), journal)
    copier = Copier(Destination(source, end), journal, report, threads=1)
    try:
        aside.enter(switch=True, replace=False)
        moving.move(
            cast("Server", source),
            report,
            copier,
            aside,
            undeletion=Undeletion(journal),
            undelete=False,
            switch=True,
        )
    finally:
        journal.close()
    return aside


def test_a_destination_that_goes_away_during_the_switch_over_leaves_the_source_open(tmp_path: Path) -> None:
    source = Source("a/", "b/")
    with pytest.raises(CommandError, match=r"connection refused\n.*all mounts of the source are in their"):
        _move(source, tmp_path)
    assert source.mounts == {"a/", "b/"}
    journal = Journal(tmp_path / "journal", {})
    assert Aside(cast("Server", source), journal).stage is Stage.OPEN
    assert Aside(cast("Server", source), journal).places == {}


def test_one_that_is_interrupted_during_the_switch_over_leaves_the_source_open(tmp_path: Path) -> None:
    source = Source("a/", "b/")
    with pytest.raises(KeyboardInterrupt):
        _move(source, tmp_path, KeyboardInterrupt())
    assert source.mounts == {"a/", "b/"}
    assert Aside(cast("Server", source), Journal(tmp_path / "journal", {})).stage is Stage.OPEN


def test_a_mount_that_cannot_be_put_back_is_named_and_the_others_are_put_back(tmp_path: Path) -> None:
    source = Source("a/", "b/", "c/")
    with pytest.raises(CommandError):
        _move(source, tmp_path)
    journal = Journal(tmp_path / "journal", {})
    journal.add({"switch": "done"})
    for mount in ("a/", "b/", "c/"):
        journal.add({"aside": mount, "namespace": "", "at": f"moved-1/{mount}"})
    source.mounts, source.stays = {"moved-1/a/", "moved-1/b/", "moved-1/c/"}, {"moved-1/b/"}
    aside = Aside(cast("Server", source), journal)
    with pytest.raises(CommandError, match=r"^b/ is still at moved-1/b/: status 400: it is in use\nRun"):
        aside.take_back()
    assert source.mounts == {"a/", "moved-1/b/", "c/"}
    assert Aside(cast("Server", source), journal).stage is Stage.DONE
    source.stays = set()
    assert [name.path for name in aside.take_back()] == ["b/"]
    assert source.mounts == {"a/", "b/", "c/"}
    assert Aside(cast("Server", source), journal).stage is Stage.UNDONE
