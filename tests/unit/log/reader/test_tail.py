# SPDX-License-Identifier: EUPL-1.2
"""Who follows a log gets every record once and in order, or is told why not."""

import asyncio
from typing import Any

import pytest

from tests.unit.log.reader.reading import Reading
from tests.unit.log.reader.written import LOG, WrittenLog, record
from vault.log.reader.messages import Follow, Refused, TailPage
from vault.log.reader.tail import follow, wakes


def _page(reading: Reading, **asked: Any) -> TailPage:
    ask = Follow(log=LOG, **asked)
    return asyncio.run(follow(reading.logs[LOG], reading.lines, ask))


def _all(reading: Reading, limit: int, **asked: object) -> list[bytes]:
    found: list[bytes] = []
    after = -1
    while True:
        page = _page(reading, after=after, limit=limit, **asked)
        found += page.lines
        assert page.after == after + len(page.lines)
        if not page.lines:
            return found
        after = page.after


def _mixed(written: WrittenLog) -> dict[str, list[bytes]]:
    """Write records of several tenants in several segments; return those of each."""
    found: dict[str, list[bytes]] = {}
    for number in range(240):
        tenant = "rare" if number in {7, 100, 201} else f"t-{number % 3}"
        written.write(record(tenant=tenant))
        found.setdefault(tenant, []).append(written.lines[-1])
        if number % 40 == 39:
            written.next_segment()
    return found


@pytest.mark.parametrize("limit", [1, 7, 1000])
def test_every_record_comes_once_and_in_order(written: WrittenLog, reading: Reading, limit: int) -> None:
    _mixed(written)
    reading.catch_up()
    assert _all(reading, limit) == written.lines


@pytest.mark.parametrize("limit", [1, 7, 1000])
def test_a_tenant_gets_its_own_by_its_own_numbers(written: WrittenLog, reading: Reading, limit: int) -> None:
    tenants = _mixed(written)
    reading.catch_up()
    for tenant, lines in tenants.items():
        assert _all(reading, limit, tenant=tenant) == lines
    assert _all(reading, limit, tenant="nobody") == []
    assert _page(reading, tenant="rare", after=1).lines == [tenants["rare"][2]]


def test_an_empty_page_has_the_same_number(written: WrittenLog, reading: Reading) -> None:
    written.write(record())
    reading.catch_up()
    for after in (0, 5):
        assert _page(reading, after=after) == TailPage(after=after)
    assert _page(reading, after=3, tenant="root") == TailPage(after=3)


def test_a_page_ends_with_so_many_bytes(written: WrittenLog, reading: Reading) -> None:
    written.write(*[record(fields={"x": "y" * 60_000})] * 150)
    reading.catch_up()
    for tenant in (None, "root"):
        page = _page(reading, limit=1000, tenant=tenant)
        assert 2 << 20 <= sum(len(line) for line in page.lines) < 9 << 20
        assert _all(reading, 1000, tenant=tenant) == written.lines


def test_what_was_purged_is_told(written: WrittenLog, reading: Reading) -> None:
    _mixed(written)
    reading.catch_up()
    for first in (0, 40):
        for path in written.folder.glob(f"{first:020}.*"):
            path.unlink()
    reading.catch_up()
    with pytest.raises(Refused) as refused:
        _page(reading, after=78)
    assert (refused.value.refusal.kind, refused.value.refusal.first) == ("purged", 80)
    assert _page(reading, after=79).lines[0] == written.lines[80]
    with pytest.raises(Refused) as refused:
        _page(reading, tenant="rare", after=-1)
    assert (refused.value.refusal.kind, refused.value.refusal.first) == ("purged", 1)
    assert len(_page(reading, tenant="rare", after=0).lines) == 2


def test_a_segment_that_cannot_be_read_is_told(written: WrittenLog, reading: Reading) -> None:
    _mixed(written)
    reading.catch_up()
    path = written.folder / f"{0:020}.jsonl.gz"
    path.write_bytes(b"x" * 100)
    reading.lines.forget(LOG, 0)
    for tenant in (None, "t-1"):
        with pytest.raises(Refused) as refused:
            _page(reading, tenant=tenant)
        assert refused.value.refusal.kind == "missing"


def test_the_end_before_damage_is_told(written: WrittenLog, reading: Reading) -> None:
    written.write(record(), record())
    written.append(b"nothing\n")
    reading.catch_up()
    assert len(_page(reading).lines) == 2
    with pytest.raises(Refused) as refused:
        _page(reading, after=1)
    assert refused.value.refusal.kind == "damaged"
    assert wakes(reading.logs[LOG], Follow(log=LOG, after=1))


def test_a_record_of_reading_wakes_nobody_and_is_not_lost(written: WrittenLog, reading: Reading) -> None:
    written.write(record(tenant="a"), record(tenant="a", event_name="esa.log.query"))
    reading.catch_up()
    log = reading.logs[LOG]
    assert wakes(log, Follow(log=LOG, after=-1))
    assert not wakes(log, Follow(log=LOG, after=0))
    assert not wakes(log, Follow(log=LOG, after=0, tenant="a"))
    written.write(record(tenant="b"))
    reading.catch_up()
    assert wakes(log, Follow(log=LOG, after=0))
    assert not wakes(log, Follow(log=LOG, after=0, tenant="a"))
    assert wakes(log, Follow(log=LOG, after=-1, tenant="b"))
    assert _page(reading, after=0).lines == written.lines[1:]
