# SPDX-License-Identifier: EUPL-1.2
"""The serial numbers of a revocation list in their mount's data, where one is found without reading all.

A short list keeps them in its own record. A long one has them in parts, and in its record where each part begins: a
login reads the one part in which a serial number would be.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from nhi.auth.cert.model import CRLS, PARTS, RevocationList
from vault.barrier.view import ReadView, View
from vault.framework.errors import Malformed

_EACH: Final = 1000
"""Serial numbers in one record."""


async def keep(
    view: View, name: str, new: RevocationList, serials: Sequence[str], generation: str
) -> RevocationList:
    """Keep a list with these serial numbers, sorted as text, instead of the one with this name; return its record.

    `generation` is no other list's: who reads a part of the list before learns that it is gone.
    """
    old = await CRLS.find(view, name)
    if old is not None:
        await _remove_parts(view, name, old)
    if len(serials) <= _EACH:
        new = replace(new, serials=tuple(serials))
    else:
        begins = range(0, len(serials), _EACH)
        new = replace(new, parts=tuple(serials[begin] for begin in begins), generation=generation)
        for number, begin in enumerate(begins):
            await PARTS.keep(view, _place(name, new, number), tuple(serials[begin : begin + _EACH]))
    await CRLS.keep(view, name, new)
    return new


async def remove(view: View, name: str, old: RevocationList) -> None:
    """Remove a list."""
    await _remove_parts(view, name, old)
    await CRLS.remove(view, name)


async def every(view: ReadView, name: str, listed: RevocationList) -> Sequence[str]:
    """Return all serial numbers of a list. Raises `Malformed` where another has just taken its place."""
    found = list(listed.serials)
    for number in range(len(listed.parts)):
        found += await _part(view, name, listed, number)
    return found


async def holds(view: ReadView, name: str, listed: RevocationList, serial: str) -> bool:
    """Whether a serial number is on a list. Raises `Malformed` where another has just taken its place."""
    if not listed.parts:
        return serial in listed.serials
    number = bisect_right(listed.parts, serial) - 1
    return number >= 0 and serial in await _part(view, name, listed, number)


async def _part(view: ReadView, name: str, listed: RevocationList, number: int) -> Sequence[str]:
    found = await PARTS.find(view, _place(name, listed, number))
    if found is None:
        raise Malformed("the revocation list has just changed; try again")
    return found


async def _remove_parts(view: View, name: str, old: RevocationList) -> None:
    for number in range(len(old.parts)):
        await PARTS.remove(view, _place(name, old, number))


def _place(name: str, listed: RevocationList, number: int) -> str:
    return f"{name}/{listed.generation}/{number}"
