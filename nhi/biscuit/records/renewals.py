# SPDX-License-Identifier: EUPL-1.2
"""Which token was renewed from which: so that whatever ends a token ends all that came of it, however often renewed.

All that came of one login, or of one issue, is a line. It is one row; so a revocation knows at once what else it ends,
and a client that renews without end makes it no larger than `MOST`. Times in milliseconds.
"""

from __future__ import annotations

from typing import Final

import msgspec

from nhi.biscuit.records.model import BISCUIT_KIND, LONGEST_TTL, IssuedToken, MountRef
from vault.barrier.stored import RecordKind, text
from vault.barrier.view import ReadView, View
from vault.framework.errors import Malformed
from vault.storage.protocol import Timer
from vault.values.ids import TokenId
from vault.values.times import Millis, millis_after

LINES: Final = "line/"
"""By the block of the first token."""
RENEWED: Final = "renewed/"
"""By the block of a token that was renewed: the first of its line."""
MOST: Final = 2048
_KEPT: Final = LONGEST_TTL
"""For how long a token that has ended stays in its line: so long a revocation of it counts for those that came of it."""


class Renewal(msgspec.Struct, frozen=True, array_like=True):
    """A token that was made in place of another one, by the first block of each."""

    block: bytes
    parent: bytes
    token_id: TokenId
    expires: Millis


class Line(msgspec.Struct, frozen=True):
    """What came of a token, each after what it was renewed from. `until` is when the last of it must have ended."""

    renewals: tuple[Renewal, ...]
    until: Millis


_LINE: Final = RecordKind("Biscuit line", Line)


async def add(view: View, owner: MountRef, renewed: IssuedToken, new: IssuedToken) -> None:
    """Keep that `new` was made in place of `renewed`. Raises `Malformed` where too much came of the same login."""
    first = renewed.line or renewed.ids
    old = await _read(view, first)
    renewals = list(old.renewals) if old is not None else []
    for gone in [one for one in renewals if millis_after(one.expires, _KEPT) < new.created]:
        renewals = _without(renewals, gone)
        await view.delete(RENEWED + gone.block.hex())
    if len(renewals) >= MOST:
        raise Malformed("this login was renewed too often of late: log in again")
    added = Renewal(bytes.fromhex(new.ids), bytes.fromhex(renewed.ids), new.token_id, new.expires)
    await view.put(RENEWED + new.ids, text(first))
    await view.put(LINES + first, _LINE.encode(Line((*renewals, added), new.latest)))
    if old is None:
        await view.at(Timer(BISCUIT_KIND, f"{owner.namespace}/{owner.mount}/{LINES}{first}", new.latest))


async def heirs(view: ReadView, block_id: str) -> list[Renewal]:
    """Return all that came of the token with this first block, each after what it was renewed from."""
    of = await view.get(RENEWED + block_id)
    line = await _read(view, block_id if of is None else of.decode())
    reached = {bytes.fromhex(block_id)}
    found = []
    for one in line.renewals if line is not None else ():
        if one.parent in reached:
            reached.add(one.block)
            found.append(one)
    return found


async def forget(view: View, first: str, now: Millis) -> None:
    """Remove a line of which nothing can be alive any more."""
    line = await _read(view, first)
    if line is None or now < line.until:
        return
    for one in line.renewals:
        await view.delete(RENEWED + one.block.hex())
    await view.delete(LINES + first)


async def _read(view: ReadView, first: str) -> Line | None:
    value = await view.get(LINES + first)
    return None if value is None else _LINE.decode(value)


def _without(renewals: list[Renewal], gone: Renewal) -> list[Renewal]:
    """Return a line without one of it: what came of that now comes of what it had come of."""
    return [
        msgspec.structs.replace(one, parent=gone.parent) if one.parent == gone.block else one
        for one in renewals
        if one is not gone
    ]
