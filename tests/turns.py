# SPDX-License-Identifier: EUPL-1.2
"""How often others were served while something went on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """Turns of the event loop that others had."""

    count = 0


@asynccontextmanager
async def of_others() -> AsyncIterator[Turns]:
    """Count the turns of others while the block goes on."""
    turns = Turns()

    async def other() -> None:
        while True:
            turns.count += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(other())
    try:
        yield turns
    finally:
        beside.cancel()
