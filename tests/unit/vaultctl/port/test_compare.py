# SPDX-License-Identifier: EUPL-1.2
"""Two sides are compared as far as both could be read; what could not is said."""

import pytest

from vaultctl.errors import ApiError
from vaultctl.port import compare
from vaultctl.port.ground.entry import Entry, Item, Name
from vaultctl.port.ground.report import KIND, Report

_KEY = bytes(32)


def _item(path: str, value: str = "{}") -> Item:
    entry = Entry(Name("kv1", "", path), {"mount": "old/", "value": value})
    return Item(entry.name, "", lambda: entry)


def _refused(status: int) -> Item:
    def load() -> Entry:
        raise ApiError("GET", "", "old/closed", status=status, errors=["permission denied"], raw="")

    return Item(Name("kv1", "", "old/closed"), "", load)


def _gather(*items: Item) -> tuple[compare.Side, Report]:
    report = Report()
    return compare.gather(items, _KEY, report, threads=1), report


def test_what_cannot_be_read_is_in_the_report_and_the_rest_is_compared() -> None:
    side, report = _gather(_item("old/x"), _refused(403), _item("old/y"))
    assert report.document()["not_moved"] == [
        {"kind": "kv1", "path": "old/closed", "why": "status 403: permission denied"}
    ]
    assert [name.path for name in side.entries] == ["old/x", "old/y"]
    with pytest.raises(ApiError):
        _gather(_refused(503))


def test_what_an_export_did_not_read_is_in_the_report_of_whoever_compares_its_archive() -> None:
    said = Report()
    said.leave(Name("kv1", "", "old/closed"), "status 403")
    entry = Entry(Name(KIND, "", ""), said.document())
    side, report = _gather(Item(entry.name, "", lambda: entry))
    assert side.entries == {}
    assert not report.complete


def test_what_a_delta_says_is_gone_is_a_difference_where_it_stays() -> None:
    whole, _ = _gather(_item("old/x"), _item("old/y"), _item("other/z"))
    names = Entry(Name("kv-names", "", "old/"), {"mount": "old/", "version": "1", "names": ["x"]})
    delta, _ = _gather(Item(names.name, "", lambda: names))
    found = compare.differences(delta, compare.within(whole, delta))
    assert [(row["path"], row["what"]) for row in found] == [("old/y", "only at the destination")]


def test_of_a_delta_only_what_is_in_it_is_compared() -> None:
    whole, _ = _gather(_item("old/x", '{"v":1}'), _item("old/y"))
    delta, _ = _gather(_item("old/x", '{"v":2}'))
    found = compare.differences(delta, compare.within(whole, delta))
    assert [row["path"] for row in found] == ["old/x"]
