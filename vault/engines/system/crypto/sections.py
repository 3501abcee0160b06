# SPDX-License-Identifier: EUPL-1.2
"""The inventory in sections, each asked only for a page that has something of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from vault.framework.concurrency.time_slice import TimeSlice
from vault.framework.keys.inventory import KeyUse


class Section(NamedTuple):
    """Keys with one owner. `prefix` ends in `/`, and no section's begins with another's."""

    prefix: str
    keys: Callable[[], Awaitable[Sequence[KeyUse]]]
    mount: str = ""
    """The path of the mount that owns them; empty for the server's own."""


class ListedKey(NamedTuple):
    """One key, under the id that it has in its namespace."""

    id: str
    use: KeyUse
    mount: str


async def page(sections: Sequence[Section], *, after: str, limit: int) -> tuple[Sequence[ListedKey], bool]:
    """Return the first `limit` keys whose ids come after `after`, in order, and whether there are more."""
    found: list[ListedKey] = []
    turn = TimeSlice()
    for section in sorted(sections):
        if section.prefix < after and not after.startswith(section.prefix):
            continue
        keys = [ListedKey(section.prefix + use.name, use, section.mount) for use in await section.keys()]
        found += sorted((key for key in keys if key.id > after), key=lambda key: key.id)
        if len(found) > limit:
            return found[:limit], True
        await turn.step()
    return found, False
