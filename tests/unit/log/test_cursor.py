# SPDX-License-Identifier: EUPL-1.2
"""A cursor goes on in the search that it was made in, on every node, and in no other."""

import pytest

from vault.framework.clock import Entropy
from vault.log.cursor import Cursors, Place
from vault.values.times import Nanos

_KEY = b"k" * 32
_PLACE = Place(time=Nanos(5), log="0123abcd-0-1", seq=7, begins=Nanos(0), ends=Nanos(9))
_QUERY = b"tenant=ns1&event=esa.kv.*"


def test_a_node_that_has_the_same_key_reads_it() -> None:
    cursor = Cursors(_KEY, Entropy()).write(_PLACE, _QUERY)
    assert Cursors(_KEY, Entropy()).read(cursor, _QUERY) == _PLACE


def test_nothing_can_be_read_from_it() -> None:
    cursor = Cursors(_KEY, Entropy()).write(_PLACE, _QUERY)
    assert _PLACE.log not in cursor and cursor.isascii() and len(cursor) < 200
    assert cursor != Cursors(_KEY, Entropy()).write(_PLACE, _QUERY)


@pytest.mark.parametrize(
    ("key", "query"),
    [
        (b"l" * 32, _QUERY),
        (_KEY, b"tenant=ns2&event=esa.kv.*"),
        (_KEY, b"tenant=ns1&event=esa.*"),
        (_KEY, b""),
    ],
    ids=["another server's", "another tenant's", "another search", "no search"],
)
def test_it_is_none_of_another(key: bytes, query: bytes) -> None:
    cursor = Cursors(_KEY, Entropy()).write(_PLACE, _QUERY)
    assert Cursors(key, Entropy()).read(cursor, query) is None


def test_no_character_of_it_can_be_changed() -> None:
    cursors = Cursors(_KEY, Entropy())
    cursor = cursors.write(_PLACE, _QUERY)
    for place in range(len(cursor) - 1):  # the last one has bits that base64 does not use
        other = "A" if cursor[place] != "A" else "B"
        assert cursors.read(cursor[:place] + other + cursor[place + 1 :], _QUERY) is None, place


@pytest.mark.parametrize(
    "text", ["", "c1.", "c1.AAAA", "c2." + "A" * 40, "c1.é", "c1." + "A" * 600, "c1.====", "\0"]
)
def test_what_is_no_cursor_is_none(text: str) -> None:
    assert Cursors(_KEY, Entropy()).read(text, _QUERY) is None
