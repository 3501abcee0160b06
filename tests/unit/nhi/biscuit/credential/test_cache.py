# SPDX-License-Identifier: EUPL-1.2
"""Verified tokens in memory: never more than may be, and gone with whatever they stood on."""

from nhi.biscuit.credential.cache import BiscuitCache


def test_what_was_used_longest_ago_leaves_when_there_is_no_room() -> None:
    kept: BiscuitCache[int] = BiscuitCache(40_000)
    for place in range(4):
        kept.put(bytes([place]), place, ("all",), 100)
    assert len(kept) == 4
    assert kept.get(b"\0") == 0
    kept.put(b"\4", 4, ("all",), 100)
    assert [kept.get(bytes([place])) for place in range(5)] == [0, None, 2, 3, 4]
    assert kept.bytes == 4 * 9400


def test_a_tag_takes_away_what_has_it_and_nothing_else() -> None:
    kept: BiscuitCache[int] = BiscuitCache()
    kept.put(b"a", 1, ("key/1", "block/x"), 10)
    kept.put(b"b", 2, ("key/1", "block/y"), 10)
    kept.put(b"b", 3, ("key/2", "block/y"), 10)
    kept.drop("block/x")
    kept.drop("block/none")
    assert (kept.get(b"a"), kept.get(b"b"), len(kept)) == (None, 3, 1)
    kept.drop("key/1")
    assert kept.get(b"b") == 3
    kept.drop(None)
    assert (len(kept), kept.bytes, kept.get(b"b")) == (0, 0, None)
