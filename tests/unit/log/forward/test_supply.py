# SPDX-License-Identifier: EUPL-1.2
"""What a device is sent next: of every log, from where it is, and again where that was not accepted."""

from pathlib import Path

import pytest

from tests.log.written import LOG, WrittenLog, chained, record, written
from vault.log.format.segment import CLOSED, MANIFEST, SEGMENT, Segment
from vault.log.format.tree import encode_hash, leaf_hash
from vault.log.forward.batch import BatchLimits, Place
from vault.log.forward.cursor import Cursor
from vault.log.forward.supply import Supply

FIVE = BatchLimits(records=5)
OTHER = "0123abcd-1-1"


@pytest.fixture
def log(tmp_path: Path) -> WrittenLog:
    """23 records: a closed segment of 10, one of 7, and 6 in the open one."""
    return written(tmp_path, 23, starts=(0, 10, 17), signed=(3, 9, 17, 20))


class Now:
    """A clock that stands."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def supply_at(folder: Path, places: dict[str, Place] | None = None, now: Now | None = None) -> Supply:
    cursor = Cursor(folder, "siem")
    cursor.places = places or {}
    return Supply(folder, cursor, now or Now())


def taken(supply: Supply, log: str = LOG, *, accept: bool = True) -> list[int]:
    """The numbers of all records that come."""
    numbers: list[int] = []
    while (batch := supply.next(log, FIVE)) is not None:
        numbers += [each.head.seq for each in batch.records]
        supply.sent(batch)
        if accept:
            supply.accept(batch.log, batch.end)
    return numbers


def test_every_log_of_the_folder_comes(log: WrittenLog, tmp_path: Path) -> None:
    written(tmp_path, 3, log=OTHER)
    (tmp_path / "devices").mkdir()
    supply = supply_at(tmp_path)
    assert supply.logs() == [LOG, OTHER]
    assert taken(supply) == list(range(23))
    assert taken(supply, OTHER) == [0, 1, 2]


def test_a_folder_that_is_not_there_has_no_logs(tmp_path: Path) -> None:
    assert supply_at(tmp_path / "none").logs() == []


def test_it_goes_on_where_the_cursor_is(log: WrittenLog, tmp_path: Path) -> None:
    last = encode_hash(leaf_hash(log.lines[11]))
    supply = supply_at(tmp_path, {LOG: Place(0, 0, 12, last)})
    assert taken(supply) == list(range(12, 23))


def test_what_was_sent_and_not_accepted_comes_again(log: WrittenLog, tmp_path: Path) -> None:
    supply = supply_at(tmp_path)
    first = supply.next(LOG, FIVE)
    assert first is not None
    supply.sent(first)
    supply.accept(LOG, first.end)
    assert taken(supply, accept=False) == list(range(5, 23))
    supply.forget_sent()
    assert taken(supply) == list(range(5, 23))


def test_what_was_purged_is_counted_and_passed_over(log: WrittenLog, tmp_path: Path) -> None:
    supply = supply_at(tmp_path, {LOG: Place(0, 0, 4, "")})
    for kind in (MANIFEST, CLOSED):
        Segment(log.folder, 0).path(kind).unlink()
    assert supply.next(LOG, FIVE) is None
    assert taken(supply) == list(range(10, 23))
    assert supply.purged == 6


def test_after_the_machine_fell_records_come_again_from_the_last_checkpoint(
    log: WrittenLog, tmp_path: Path
) -> None:
    supply = supply_at(tmp_path, {LOG: Place(0, 0, 23, encode_hash(leaf_hash(log.lines[22])))})
    others = chained({**record(seq), "outcome": "denied" if seq > 20 else "success"} for seq in range(25))
    log.lines = [*log.lines[:21], *others[21:]]
    log.write()
    assert taken(supply) == list(range(20, 25))
    assert supply.rewound == 1


def test_a_log_that_is_shorter_than_the_cursor_comes_again_from_its_last_checkpoint(
    log: WrittenLog, tmp_path: Path
) -> None:
    supply = supply_at(tmp_path, {LOG: Place(0, 0, 40, "another hash")})
    assert taken(supply) == list(range(20, 23))
    assert taken(supply) == []
    assert supply.rewound == 1


def test_a_chain_that_is_broken_on_the_disk_is_sent_as_it_is(log: WrittenLog, tmp_path: Path) -> None:
    log.lines[14] = log.lines[14].replace(b"kv.read", b"kv.list")
    log.write()
    supply = supply_at(tmp_path)
    assert taken(supply) == [*range(15), *range(10, 23)]
    assert supply.rewound == 1


def test_a_log_that_is_damaged_keeps_no_other_one_back(log: WrittenLog, tmp_path: Path) -> None:
    written(tmp_path, 3, log=OTHER)
    path = Segment(log.folder, 17).path(SEGMENT)
    sound = path.read_bytes()
    path.write_bytes(b"no record\n")
    now = Now()
    supply = supply_at(tmp_path, now=now)
    assert taken(supply) == list(range(17))
    assert supply.damaged
    assert taken(supply, OTHER) == [0, 1, 2]
    path.write_bytes(sound)
    assert taken(supply) == []
    now.now += 6
    assert taken(supply) == list(range(17, 23))
    assert not supply.damaged
