# SPDX-License-Identifier: EUPL-1.2
"""Long listings, a page at a time: whoever else has something to do gets a turn between two pages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Final, Protocol

PAGE: Final = 256
"""Names of one page."""


class Listing(Protocol):
    """`ReadTx.list` or `ReadTx.scan`."""

    def __call__(self, prefix: str, *, after: str = "", limit: int = 0) -> Awaitable[Sequence[str]]:
        """Return the names below `prefix` that come after `after`, `limit` of them at most."""
        ...


async def pages(listing: Listing, prefix: str, *, size: int = PAGE) -> AsyncIterator[Sequence[str]]:
    """Yield what lies below `prefix`, in pages of at most `size` names.

    What is removed behind the last page that was yielded is not missed; what is added there is not seen.
    """
    after = ""
    while page := await listing(prefix, after=after, limit=size):
        yield page
        if len(page) < size:
            return
        after = page[-1]
        await asyncio.sleep(0)


async def opened(
    scanning: Listing, prefix: str, depth: int, *, after: str = "", limit: int = 0
) -> Sequence[str]:
    """Return what lies below `prefix`, in order, folders opened `depth` levels deep; 0 or less for all.

    A folder that stays closed is there once and ends in `/`. `after` is exclusive, a closed folder with all that
    is in it; `limit` 0 or less means all.
    """
    found: list[str] = []
    start = _beyond(after)
    while page := await scanning(prefix, after=start, limit=PAGE):
        for path in page:
            parts = path.split("/", max(depth, 0))
            name = path if depth <= 0 or len(parts) <= depth else "/".join(parts[:depth]) + "/"
            if not found or found[-1] != name:
                if len(found) == limit > 0:
                    return found
                found.append(name)
        if len(page) < PAGE:
            break
        start = _beyond(found[-1]) if found[-1].endswith("/") else page[-1]
        await asyncio.sleep(0)
    return found


def _beyond(name: str) -> str:
    """Return what comes after a name and, of a folder, after all that is in it."""
    return name + "\U0010ffff" if name.endswith("/") else name
