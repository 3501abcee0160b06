# SPDX-License-Identifier: EUPL-1.2
"""Entity tags of versions, and what conditions on them let through."""

from typing import Any

import pytest

from vault.engines.kv.conditions import check_change, check_write, etag, unchanged
from vault.engines.kv.model import Row, Version
from vault.framework.errors import Malformed, PreconditionFailed
from vault.framework.request.conditions import Conditions
from vault.values.times import Nanos

NOW = Nanos(1_700_000_000_000_000_000)
CHANGED = "the secret is not as If-Match says"
THERE = "the secret is as If-None-Match says, or there already"


def _row(number: int = 3, **changes: Any) -> Row:
    of_version = {name: changes.pop(name) for name in ("created", "deleted", "destroyed") if name in changes}
    newest = Version(number, of_version.pop("created", NOW), **of_version)
    return Row(NOW, NOW, current=number, newest=newest, data=changes.pop("data", b"{}"), **changes)


def _tag(row: Row, now: Nanos = NOW) -> bytes:
    assert row.newest is not None
    return etag(row, row.newest, gone=row.newest.gone(now))


LATER = Nanos(NOW + 10)
STATES = {
    "usual": _row(),
    "another number": _row(4),
    "made again": _row(created=Nanos(NOW + 1)),
    "deleted": _row(deleted=Nanos(NOW - 1)),
    "deleted later": _row(deleted=NOW),
    "deletes itself": _row(deleted=LATER),
    "destroyed": _row(destroyed=True),
    "deleted and destroyed": _row(deleted=Nanos(NOW - 1), destroyed=True),
    "no custom metadata left": _row(custom={}, metadata_version=2),
    "custom metadata": _row(custom={"a": "1"}, metadata_version=1),
    "deleted, with custom metadata": _row(custom={"a": "1"}, metadata_version=1, deleted=NOW),
}


def test_each_state_has_a_tag_of_its_own() -> None:
    tags = {name: _tag(row) for name, row in STATES.items()}
    assert len({*tags.values()}) == len(tags), tags
    assert tags["usual"] == b'"v3.%x.a"' % NOW
    assert all(tag[:1] == tag[-1:] == b'"' and tag[1:-1].isascii() for tag in tags.values())
    assert _tag(STATES["deletes itself"], LATER) != tags["deletes itself"]


def test_what_is_not_shown_and_what_is_secret_is_in_no_tag() -> None:
    usual = _tag(_row())
    assert _tag(_row(data=b'{"a":1}')) == usual
    assert _tag(_row(metadata_version=5, max_versions=3, cas_required=True)) == usual


def _let(asked: Conditions | None, row: Row | None, options: Any = None) -> bool | str:
    try:
        return check_write(asked, row, NOW, options)
    except (PreconditionFailed, Malformed) as refused:
        return f"{type(refused).__name__}: {refused.message}"


FAILED, TAKEN = f"PreconditionFailed: {CHANGED}", f"PreconditionFailed: {THERE}"
EMPTY = Row(NOW, NOW)
GONE = STATES["deleted"]
ROW = STATES["usual"]
TAG, OTHER, OLDER = _tag(ROW), b'"other"', b'"v2.0.a"'


@pytest.mark.parametrize(
    ("wanted", "there", "deleted", "nothing"),
    [
        (TAG, True, FAILED, FAILED),
        (OTHER + b", " + TAG, True, FAILED, FAILED),
        (OTHER, FAILED, FAILED, FAILED),
        (b"W/" + TAG, FAILED, FAILED, FAILED),
        (_tag(GONE), FAILED, True, FAILED),
        (b'""', FAILED, FAILED, FAILED),
        (b"*", False, FAILED, FAILED),
    ],
)
def test_if_match_wants_what_is_there(
    wanted: bytes, there: bool | str, deleted: bool | str, nothing: bool | str
) -> None:
    asked = Conditions(if_match=wanted)
    assert [_let(asked, ROW), _let(asked, GONE)] == [there, deleted]
    assert [_let(asked, None), _let(asked, EMPTY)] == [nothing, nothing]


@pytest.mark.parametrize(
    ("unwanted", "there", "deleted", "nothing"),
    [
        (b"*", TAKEN, TAKEN, True),
        (TAG, TAKEN, False, False),
        (b"W/" + TAG, TAKEN, False, False),
        (OTHER, False, False, False),
        (_tag(GONE), False, TAKEN, False),
        (b'""', False, False, False),
    ],
)
def test_if_none_match_wants_anything_else(
    unwanted: bytes, there: bool | str, deleted: bool | str, nothing: bool | str
) -> None:
    asked = Conditions(if_none_match=unwanted)
    assert [_let(asked, ROW), _let(asked, GONE)] == [there, deleted]
    assert [_let(asked, None), _let(asked, EMPTY)] == [nothing, nothing]


def test_both_have_to_hold() -> None:
    assert _let(Conditions(TAG, OTHER), ROW) is True
    assert _let(Conditions(TAG, TAG), ROW) == TAKEN
    assert _let(Conditions(OTHER, OTHER), ROW) == FAILED
    assert _let(Conditions(b"*", b"*"), None) == FAILED
    assert _let(None, ROW) is False


MEANT = "Malformed: options.cas and If-Match mean different versions"
NONE_MEANT = "Malformed: options.cas and If-None-Match mean different versions"


@pytest.mark.parametrize(
    ("asked", "cas", "expected"),
    [
        (Conditions(TAG), 3, True),
        (Conditions(TAG), "3", True),
        (Conditions(TAG), 2, MEANT),
        (Conditions(TAG), 0, MEANT),
        (Conditions(TAG), None, MEANT),
        (Conditions(OLDER), 3, MEANT),
        (Conditions(OLDER + b"," + TAG), 3, True),
        (Conditions(b'"v3.0.a"'), 3, FAILED),
        (Conditions(OTHER), 3, FAILED),
        (Conditions(OTHER), 0, MEANT),
        (Conditions(b"W/" + TAG), 3, FAILED),
        (Conditions(b"*"), 3, False),
        (Conditions(b"*"), 0, MEANT),
        (Conditions(None, b"*"), 3, NONE_MEANT),
        (Conditions(None, b"*"), 0, TAKEN),
        (Conditions(None, TAG), 3, TAKEN),
        (Conditions(None, OTHER), 3, False),
        (Conditions(TAG), "junk", "Malformed: error parsing check-and-set parameter"),
    ],
)
def test_check_and_set_beside_a_condition_means_the_same_version_or_is_malformed(
    asked: Conditions, cas: Any, expected: bool | str
) -> None:
    assert _let(asked, ROW, {"cas": cas}) == expected


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (Conditions(None, TAG), True),
        (Conditions(None, b"W/" + TAG), True),
        (Conditions(None, b"*"), True),
        (Conditions(None, OTHER), False),
        (Conditions(TAG), False),
        (Conditions(b"*"), False),
        (Conditions(TAG, TAG), True),
        (Conditions(OTHER, TAG), CHANGED),
        (Conditions(b"W/" + TAG), CHANGED),
        (Conditions(None, b"x"), "If-None-Match is no list of entity tags"),
        (Conditions(b"x"), "If-Match is no list of entity tags"),
    ],
)
def test_a_reader_is_told_whether_he_has_it(asked: Conditions, expected: bool | str) -> None:
    try:
        found: bool | str = unchanged(asked, TAG)
    except (PreconditionFailed, Malformed) as refused:
        found = refused.message
    assert found == expected


def test_a_change_is_held_against_the_newest_version_and_anything_is_a_secret() -> None:
    row, deleted, settings = _row(), _row(deleted=Nanos(NOW - 1)), Row(NOW, NOW)
    check_change(None, None, NOW)
    for there in (row, deleted, settings):
        check_change(Conditions(b"*"), there, NOW)
        with pytest.raises(PreconditionFailed):
            check_change(Conditions(None, b"*"), there, NOW)
        with pytest.raises(PreconditionFailed):
            check_change(Conditions(b'"x"'), there, NOW)
    check_change(Conditions(_tag(deleted), _tag(row)), deleted, NOW)
    check_change(Conditions(None, b"*"), None, NOW)
    for asked in (Conditions(b"*"), Conditions(_tag(row))):
        with pytest.raises(PreconditionFailed):
            check_change(asked, None, NOW)
    with pytest.raises(Malformed):
        check_change(Conditions(b"x"), row, NOW)
