# SPDX-License-Identifier: EUPL-1.2
"""Which tokens were never presented, and when the others were used last.

The last use of a token is kept to the hour: a request writes it only where the recorded one is older than that. So a cached
request stays as fast as it was, and a client that asks all the time causes one write in an hour. Times in milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from nhi.biscuit.records.lineage import Tree, since
from nhi.biscuit.records.model import IssuedToken
from vault.barrier.stored import MARK, RecordKind
from vault.barrier.view import ReadView, View
from vault.values.ids import TokenId
from vault.values.times import HOUR, Millis, seconds_to_millis

UNSEEN: Final = "unseen/"
"""Tokens that live and were never presented, by when they were issued, the newest first; named as in `nhi.biscuit.records.lineage`."""
LAST: Final = "last/"
USES: Final = "uses/"
"""By registration, with which it goes."""
COARSE: Final = seconds_to_millis(HOUR)
"""How old what is known of the last use of a token may become while it is used."""


class Uses(msgspec.Struct, frozen=True):
    """How many tokens of a registration were presented, and when the last of them came."""

    presented: int = 0
    last: Millis = Millis(0)


_LAST: Final = RecordKind("Biscuit last use", int)
_USES: Final = RecordKind("Biscuit uses", Uses)


async def await_first(view: View, new: IssuedToken) -> None:
    """Keep that a token was issued and not presented yet."""
    await view.put(_name(new), MARK)


async def overdue(view: View, old: IssuedToken) -> None:
    """Forget that a token was not presented: it has ended."""
    await view.delete(_name(old))


async def first(view: View, issued: IssuedToken, now: Millis) -> None:
    """Keep that a token was presented for the first time."""
    await view.delete(_name(issued))
    old = await of(view, issued.registration)
    await _put(view, issued.registration, Uses(old.presented + 1, max(old.last, now)))


async def again(view: View, issued: IssuedToken, now: Millis) -> None:
    """Keep that a token was used."""
    await view.put(LAST + issued.token_id, _LAST.encode(now))
    old = await of(view, issued.registration)
    await _put(view, issued.registration, Uses(old.presented, max(old.last, now)))


async def last(view: ReadView, tree: Tree) -> Millis:
    """Return when a token was last presented, to the hour; 0 for never."""
    newest = max(node.first_seen for node in tree.nodes)
    value = await view.get(LAST + tree.issued.token_id) if newest else None
    return newest if value is None else max(newest, Millis(_LAST.decode(value)))


async def of(view: ReadView, registration: str) -> Uses:
    """Return how the tokens of a registration were used."""
    value = await view.get(USES + registration)
    return Uses() if value is None else _USES.decode(value)


async def forget(view: View, token_id: TokenId) -> None:
    """Forget when a token was last used: its tree goes."""
    await view.delete(LAST + token_id)


async def unseen(view: ReadView, after: str, limit: int) -> Sequence[str]:
    """Return names of tokens that were never presented, the newest first."""
    return await view.list(UNSEEN, after=after, limit=limit)


async def _put(view: View, registration: str, new: Uses) -> None:
    await view.put(USES + registration, _USES.encode(new))


def _name(issued: IssuedToken) -> str:
    return f"{UNSEEN}{since(issued.created)}-{issued.token_id}"
