# SPDX-License-Identifier: EUPL-1.2
"""Bodies whose senders are not known yet: each has its limit, and all together have one (SL-70)."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from vault.framework.errors import Busy, Malformed, TooLarge
from vault.wire.bodies import CUT, Bodies

MOST, UNKNOWN = 1000, 100


class Sender:
    """Sends what it is told to, and then waits."""

    def __init__(self) -> None:
        self.pieces: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()

    def send(self, size: int, *, more: bool = True) -> "Sender":
        self.pieces.put_nowait({"type": "http.request", "body": b"x" * size, "more_body": more})
        return self

    def leave(self) -> "Sender":
        self.pieces.put_nowait({"type": "http.disconnect"})
        return self


async def _begun(bodies: Bodies, address: str, size: int) -> tuple[Sender, asyncio.Task[bytes]]:
    """Begin a body, of which `size` bytes have come."""
    sender = Sender().send(1).send(size - 1)
    reading = asyncio.create_task(bodies.read(sender.pieces.get, address, shown=True))
    await asyncio.sleep(0.01)
    return sender, reading


def end(way: int, sender: Sender, reading: asyncio.Task[bytes]) -> None:
    """End a body: whole, too long, cut off, or because its request took too long."""
    if way == 0:
        sender.send(0, more=False)
    elif way == 1:
        sender.send(1)
    elif way == 2:
        sender.leave()
    else:
        reading.cancel()


def test_a_body_is_read_under_the_limit_of_what_its_request_shows() -> None:
    async def scenario() -> None:
        bodies = Bodies(MOST, unknown=UNKNOWN)
        for shown, limit in ((True, MOST), (False, UNKNOWN)):
            whole = Sender().send(limit, more=False)
            assert len(await bodies.read(whole.pieces.get, "a", shown=shown)) == limit
            pieces = Sender().send(1).send(limit - 1, more=False)
            assert len(await bodies.read(pieces.pieces.get, "a", shown=shown)) == limit
            for sender in (Sender().send(limit + 1, more=False), Sender().send(limit).send(1)):
                with pytest.raises(TooLarge):
                    await bodies.read(sender.pieces.get, "a", shown=shown)
        for sender in (Sender().leave(), Sender().send(1).leave()):
            with pytest.raises(Malformed, match=CUT):
                await bodies.read(sender.pieces.get, "a", shown=True)

    asyncio.run(scenario())


def test_large_bodies_have_room_together_and_one_address_half_of_it() -> None:
    async def scenario() -> None:
        bodies = Bodies(MOST, unknown=UNKNOWN)
        begun = [await _begun(bodies, "2001:db8::1", MOST) for _ in range(4)]
        other = Sender().send(1).send(UNKNOWN)
        with pytest.raises(Busy):
            await bodies.read(other.pieces.get, "2001:db8::2", shown=True)  # of the same network
        begun += [await _begun(bodies, f"192.0.2.{number}", MOST) for number in range(4)]
        assert not any(reading.done() for _, reading in begun)
        other = Sender().send(1).send(UNKNOWN)
        with pytest.raises(Busy):
            await bodies.read(other.pieces.get, "198.51.100.1", shown=True)
        small = Sender().send(1).send(UNKNOWN - 1, more=False)
        assert len(await bodies.read(small.pieces.get, "198.51.100.1", shown=True)) == UNKNOWN
        for number, (sender, reading) in enumerate(begun):  # however one ends, its room is another's
            end(number % 4, sender, reading)
        await asyncio.gather(*(reading for _, reading in begun), return_exceptions=True)
        for _ in range(4):
            await _begun(bodies, "198.51.100.1", MOST)

    asyncio.run(scenario())
