# SPDX-License-Identifier: EUPL-1.2
"""Memory that was given back is written over, so that no key, share or secret stays behind in it (SL-58).

Python erases nothing: an object that ends leaves its bytes where they were until something else is put there, which may be
never. So everything that lies free in this process is taken once, filled with zeros and given back: first from Python's own
allocator, whose blocks have up to 512 bytes, by objects of each of its sizes, and then from the system's. What is in use is
not touched, even where it does not fill its block, and neither is what the system's allocator keeps for other threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import socket
from bisect import bisect_right
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from vault.framework.concurrency.offload import Pool
from vault.framework.concurrency.time_slice import TimeSlice

_SECONDS: Final = 50.0
"""Between two times that it is cleared, whatever happened."""
_LOOKS: Final = 4
"""Looks from the one that sees that keys came or went to the one that clears. A connection lets go of its last request in its
watch's second look after the answer, which may come after our second one."""
_HEADER: Final = b"".__sizeof__()
"""Bytes that an object of type `bytes` is longer than what is in it."""
_SIZES: Final = (480, *range(48, 513, 16))
"""Sizes of blocks of Python's allocator that hold 16 bytes of anybody's and more; first one that leaves nothing of a pool."""
_MANY: Final = 64
"""Blocks that are taken at once."""
_LARGE: Final = (65536, 16384, 4096, 1024)
"""Sizes of chunks of the system's allocator, below the one from which it asks for pages of their own."""
_SMALL: Final = range(1032, 23, -16)
"""Those of which it keeps some for each thread, down to the smallest."""
_READ: Final = 256_000
"""Bytes that uvloop reads at once."""
_MAPS: Final = Path("/proc/self/maps")


class Remains:
    """What may have been left behind: cleared soon after keys came or went, and every now and then, for tokens and secrets."""

    def __init__(self, moves: Callable[[], int], now: Callable[[], float]) -> None:
        """`moves` is another number once keys came or went, `now` the seconds of a clock that nobody sets."""
        self._moves = moves
        self._now = now
        self._seen = moves()
        self._left = 0
        self._next = now() + _SECONDS

    async def look(self) -> None:
        """Clear if it is time. Keys and tokens of this moment are still on their way out, so theirs is a look to come."""
        moves = self._moves()
        if moves != self._seen:
            self._seen, self._left = moves, _LOOKS
        if self._left:
            self._left -= 1
            due = not self._left
        else:
            due = self._now() >= self._next
        if due:
            with contextlib.suppress(MemoryError, OSError, RuntimeError):
                await clear()  # there may be too little of it, or of threads, or nothing says where it is
            self._next = self._now() + _SECONDS


async def clear() -> None:
    """Write over what lies free, giving way to others in between, and what the loop read last."""
    pace = TimeSlice()
    mapped = _WritableMemory()
    for part in (_python(mapped), _system(mapped)):
        for _ in part:
            await pace.step()
    await Pool(threads=1, name="trim").run(("", ""), _trim)  # a quarter of a second for a gigabyte
    await _read_zeros()


class _Sink(asyncio.Protocol):
    """Takes what is read, and says when that is over."""

    def __init__(self) -> None:
        self.over = asyncio.get_running_loop().create_future()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self.over.set_result(exc)


async def _read_zeros() -> None:
    """Have the loop read as much as a socket holds: uvloop reads whatever comes into one buffer, where the last requests stay."""
    near, far = socket.socketpair()
    with far:
        far.setblocking(False)
        far.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _READ)
        far.send(bytes(_READ))
    _, sink = await asyncio.get_running_loop().create_unix_connection(_Sink, sock=near)
    await sink.over


class _WritableMemory:
    """Where this process has memory that it writes. Whoever gets some elsewhere has had all that lay free."""

    def __init__(self) -> None:
        lines = _MAPS.read_text(encoding="utf-8", errors="replace").splitlines()
        places = [line.partition(" ")[0].split("-") for line in lines if " rw" in line]
        # Tuples, as there is no room in them that nothing is written to.
        self._begins = tuple([int(begin, 16) for begin, _ in places])
        self._ends = tuple([int(end, 16) for _, end in places])

    def __contains__(self, address: int) -> bool:
        place = bisect_right(self._begins, address) - 1
        return place >= 0 and address < self._ends[place]


def _python(mapped: _WritableMemory) -> Iterator[None]:
    """Take all free blocks of each size, and with the first one what belongs to no size."""
    held: list[list[bytes]] = []
    for size in _SIZES:
        taken = True
        while taken:
            held.append([bytes(size - _HEADER) for _ in range(_MANY)])
            taken = id(held[-1][-1]) in mapped
            yield
    while held:
        held.pop()
        yield


def _system(mapped: _WritableMemory) -> Iterator[None]:
    """Take all free chunks, the large ones first, and give them back, one with each step: there may be a million."""
    library = ctypes.CDLL(None)
    if not hasattr(library, "malloc_trim"):
        return
    library.malloc.restype = ctypes.c_void_p
    library.malloc.argtypes = [ctypes.c_size_t]
    library.free.argtypes = [ctypes.c_void_p]
    last = 0
    try:
        for size in (*_LARGE, *_SMALL):
            last = _zeros(library, size, last)
            while last in mapped:
                last = _zeros(library, size, last)
                yield
        while last:
            last = _free(library, last)
            yield
    finally:
        while last:
            last = _free(library, last)


def _trim() -> None:
    """Give whole pages that lie free back to the system."""
    library = ctypes.CDLL(None)
    if hasattr(library, "malloc_trim"):
        library.malloc_trim.argtypes = [ctypes.c_size_t]
        library.malloc_trim(0)


def _zeros(library: ctypes.CDLL, size: int, last: int) -> int:
    """Take a chunk and note in it which was the last: a list of them would take from what is to be written over."""
    chunk = library.malloc(size)
    if not chunk:
        raise MemoryError
    ctypes.memset(chunk, 0, size)
    _before(chunk).value = last
    return int(chunk)


def _free(library: ctypes.CDLL, last: int) -> int:
    """Give back the chunk that was taken last, and return the one before."""
    before = _before(last).value or 0
    library.free(last)
    return before


def _before(chunk: int) -> ctypes.c_void_p:
    return ctypes.c_void_p.from_address(chunk)
