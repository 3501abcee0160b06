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
