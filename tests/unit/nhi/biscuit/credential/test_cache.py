# SPDX-License-Identifier: EUPL-1.2
"""Verified tokens in memory: never more than may be, and gone with whatever they stood on."""

import gc

from nhi.biscuit.credential.cache import BiscuitCache
from nhi.biscuit.offline.verify import VerifiedToken
from tests.routes.driver import Application
from tests.routes.issuer import DB, READS, Issuer


def test_what_was_used_longest_ago_leaves_when_there_is_no_room() -> None:
    kept: BiscuitCache[int] = BiscuitCache(40_000)
    for place in range(4):
        kept.put(bytes([place]), place, ("all",), 100)
    assert len(kept) == 4
    assert kept.get(b"\0") == 0
    kept.put(b"\4", 4, ("all",), 100)
    assert [kept.get(bytes([place])) for place in range(5)] == [0, None, 2, 3, 4]
    assert kept.bytes == 4 * 9400


def test_what_takes_more_leaves_sooner() -> None:
    kept: BiscuitCache[int] = BiscuitCache(40_000, each=19_600)
    for place in range(4):
        kept.put(bytes([place]), place, (), 100)
    assert (len(kept), kept.bytes) == (2, 40_000)


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


def _verified() -> list[VerifiedToken]:
    gc.collect()
    return [one for one in gc.get_objects() if isinstance(one, VerifiedToken)]


def test_what_was_read_of_a_token_goes_with_its_request() -> None:
    others = _verified()
    with Application() as application:
        issuer = Issuer(application)
        issuer.root(DB, {"data": {"a": "1"}})
        token = issuer.narrow(issuer.issue(), READS)
        assert [issuer.status(token, DB) for _ in range(2)] == [200, 200]
        assert len(application.vault.credentials.biscuits._cache) == 1
        assert all(any(one is other for other in others) for one in _verified())
