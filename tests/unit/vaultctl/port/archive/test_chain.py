# SPDX-License-Identifier: EUPL-1.2
"""An archive is written where its base was, or once more where it was itself, and nowhere else."""

from pathlib import Path

import pytest

from vaultctl.errors import CommandError
from vaultctl.port.archive.chain import Chain
from vaultctl.port.archive.manifest import Manifest
from vaultctl.port.ground.entry import Item, Name
from vaultctl.port.ground.journal import Journal


def _archive(number: int, base: Manifest | None = None) -> Manifest:
    return Manifest(
        {"identity": "one"}, f"2026-11-30T12:00:0{number}Z", "age", base.digest if base else "", ()
    )


_WHOLE = _archive(1)
_DELTA = _archive(2, _WHOLE)
_LATER = _archive(3, _DELTA)
_ANOTHER = _archive(4)


def _import(folder: Path, *archives: Manifest, finished: bool = True) -> None:
    for archive in archives:
        journal = Journal(folder / "journal", {})
        try:
            chain = Chain(journal, archive)
            if finished:
                chain.finish()
        finally:
            journal.close()


def test_a_delta_goes_on_from_its_base_and_again_from_itself(tmp_path: Path) -> None:
    _import(tmp_path, _WHOLE, _WHOLE, _DELTA, _DELTA, _LATER)
    for other in (_WHOLE, _DELTA, _ANOTHER):
        with pytest.raises(CommandError, match="-since that"):
            _import(tmp_path, other)


def test_a_delta_without_its_base_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="import that first"):
        _import(tmp_path, _DELTA)
    _import(tmp_path, _WHOLE)
    with pytest.raises(CommandError, match="-since that"):
        _import(tmp_path, _LATER)


def test_an_import_that_was_ended_is_finished_before_another_begins(tmp_path: Path) -> None:
    _import(tmp_path, _WHOLE)
    _import(tmp_path, _DELTA, finished=False)
    for other in (_WHOLE, _LATER):
        with pytest.raises(CommandError, match="finish that first"):
            _import(tmp_path, other)
    _import(tmp_path, _DELTA, _LATER)


def test_an_import_that_goes_on_writes_nothing_over_what_came_later(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", {})
    chain, name = Chain(journal, _WHOLE), Name("kv1", "", "old/x")

    def at(place: int, archive: Manifest = _WHOLE) -> Item:
        return Item(name, str(place), lambda: None, versions=f"{archive.digest[:16]}:00000000:0000000{place}")

    items = [at(1), at(2)]
    assert list(chain.ahead(iter(items))) == items
    journal.note(name, "2", items[1].versions)
    assert list(chain.ahead(iter(items))) == []
    chain.finish()
    later = at(0, _DELTA)
    assert list(Chain(journal, _DELTA).ahead(iter([later]))) == [later]


def test_what_was_removed_again_does_not_come_back_by_the_same_archive(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", {})
    name = Name("kv1", "", "old/x")

    def of(archive: Manifest) -> Item:
        return Item(name, "1", lambda: None, versions=f"{archive.digest[:16]}:00000000:00000001")

    journal.own(name)
    journal.note(name, "1", of(_WHOLE).versions)
    journal.forget(name)  # a list behind it says that it is gone
    journal.close()
    journal = Journal(tmp_path / "journal", {})
    assert not journal.holds(name)
    assert not journal.is_done(name, "1")
    chain = Chain(journal, _WHOLE)
    assert list(chain.ahead(iter([of(_WHOLE)]))) == []
    chain.finish()
    later = of(_DELTA)
    assert list(Chain(journal, _DELTA).ahead(iter([later]))) == [later]
