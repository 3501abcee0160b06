# SPDX-License-Identifier: EUPL-1.2
"""Removing what is stored below a prefix, however much that is, of which nobody can reach anything any more.

One transaction removes so much as others can wait for; the rest goes by timers, which outlive the process and lie in every
backup beside what they are for.
"""

from __future__ import annotations

from typing import Final

from vault.barrier.view import View
from vault.storage.protocol import Timer
from vault.values.times import Millis

REMOVAL_KIND: Final = "removal"
"""Kind of the timer by which the rows of a mount or namespace that is gone are removed; the key is the prefix of these."""
_ROUND: Final = 4096
"""Rows that one transaction removes: some 20 milliseconds in which no other transaction writes."""
_AT_ONCE: Final = Millis(1)


async def remove_below(
    core: View, place: str, *first: str, now: Millis = _AT_ONCE, after: str = ""
) -> str | None:
    """Remove a round of what is stored below `first`, then of what is below `place`; return None if that was all.

    Otherwise the timer of `place` is set to `now` (milliseconds), and what is returned is `after` of the next round, which
    spares a database the rows that it has removed and not tidied away. One that begins anew, and finds none, is the last.
    `core` is any view of the transaction.
    """
    if not any([await core.transaction.delete_some(prefix, _ROUND) for prefix in first]):
        last = await core.transaction.delete_some(place, _ROUND, after=after)
        if not last and not after:
            return None
        after = last
    await core.at(Timer(REMOVAL_KIND, place, now))
    return after
