# SPDX-License-Identifier: EUPL-1.2
"""An entry is done when it was taken, and is named when it was not."""

from pathlib import Path

import pytest

from vaultctl.port.copying import Copier
from vaultctl.port.ground.entry import AGAIN, WRITTEN, Entry, Item, Name, Outcome
from vaultctl.port.ground.journal import Journal
from vaultctl.port.ground.report import Report

_NAME = Name("kv2", "", "secret/x")
_ENTRY = Entry(_NAME, {})


class Taker:
    """Says what it is told to, one after the other."""

    parallel = True

    def __init__(self, *outcomes: Outcome) -> None:
        self._outcomes = list(outcomes)

    def put(self, item: Item, entry: Entry) -> Outcome:
        return self._outcomes.pop(0)


@pytest.mark.parametrize(
    ("outcomes", "whole", "done"),
    [
        ([WRITTEN], True, True),
        ([AGAIN, WRITTEN], True, True),
        ([AGAIN, AGAIN], True, False),
        ([AGAIN], False, False),
    ],
)
def test_what_is_needed_again_and_again_is_not_done(
    tmp_path: Path, outcomes: list[Outcome], whole: bool, done: bool
) -> None:
    journal, report = Journal(tmp_path / "journal", {}), Report()
    item = Item(_NAME, "mark", lambda: _ENTRY, whole=(lambda: _ENTRY) if whole else None)
    Copier(Taker(*outcomes), journal, report, threads=1).run([item])
    assert journal.is_done(_NAME, "mark") is done
    assert report.complete is done
    journal.close()


@pytest.mark.parametrize("journals", [1, 2])
def test_what_is_not_as_it_was_is_said_by_every_pass(tmp_path: Path, journals: int) -> None:
    noted = Outcome("written", notes=("it is rounded",))
    item = Item(_NAME, "mark", lambda: _ENTRY, versions="1@x", whole=lambda: _ENTRY)
    journal, report = Journal(tmp_path / "journal", {}), Report()
    Copier(Taker(noted), journal, report, threads=1).run([item])
    if journals == 2:  # another run
        journal.close()
        journal, report = Journal(tmp_path / "journal", {}), Report()
    report.begin_pass()
    assert journal.versions(_NAME) == ""  # what is left out cannot be looked at
    Copier(Taker(noted), journal, report, threads=1).run([item])
    assert report.document()["not_kept"] == [{"kind": "kv2", "path": "secret/x", "what": "it is rounded"}]
    assert journal.knows(_NAME)
    journal.close()
