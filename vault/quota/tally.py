# SPDX-License-Identifier: EUPL-1.2
"""What the workers of one server have counted of a client, in memory that they share.

Each writes into a region of its own and reads those of all: so none waits for another, whatever becomes of that one, and who takes the
place of a dead one goes on with what it has counted. Who reads what another one is writing misses that one request.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from struct import Struct
from typing import Final, NamedTuple

from vault.values.times import Millis

_WAYS: Final = 8
_KEY: Final = Struct("=q")
_KEYS: Final = Struct(f"={_WAYS}q")
_COUNTED: Final = Struct("=qqq")
"""Requests, begin of the window, end of the block: what is written last says that the rest is new."""
_BUCKET: Final = _KEYS.size + _WAYS * _COUNTED.size
"""Keys of clients, and then what was counted of each; in a full one the client whose window began first is forgotten."""
_BUCKETS: Final = 4096
_NAMES: Final = 1024
_CHANGES: Final = _BUCKETS * _BUCKET
"""Where in a region it is noted how often its worker changed each quota."""
_REGION: Final = _CHANGES + _NAMES * _KEY.size


class ClientCount(NamedTuple):
    """What one worker has counted of a client: since when, how often, and until when it is blocked."""

    begin: Millis
    used: int
    blocked_until: Millis


def shared_memory(workers: int) -> mmap.mmap:
    """Return the memory for the counts of so many workers, which processes share that are made by `fork`."""
    return mmap.mmap(-1, workers * _REGION)


class Tally:
    """The counts of all workers, for the one that has the region `seat`."""

    def __init__(self, memory: mmap.mmap, seat: int) -> None:
        self._memory = memory
        self._own = seat * _REGION
        self._others = [at for at in range(0, len(memory), _REGION) if at != self._own]

    def others(self, quota: int, client: str) -> Iterator[ClientCount]:
        """Return what others have counted of a client."""
        key = _key(quota, client)
        for region in self._others:
            found = self._at(region, key)
            if found is not None:
                yield found

    def own(self, quota: int, client: str) -> ClientCount | None:
        """Return what this one has counted, or the worker whose place it has taken."""
        return self._at(self._own, _key(quota, client))

    def note(self, quota: int, client: str, counted: ClientCount) -> None:
        """Let others know what this one has counted."""
        key = _key(quota, client)
        bucket = self._own + key % _BUCKETS * _BUCKET
        keys = _KEYS.unpack_from(self._memory, bucket)
        way = keys.index(key) if key in keys else self._free(bucket, keys)
        if keys[way] != key:
            _KEY.pack_into(self._memory, bucket + way * _KEY.size, 0)
        _COUNTED.pack_into(
            self._memory, _counted(bucket, way), counted.used, counted.begin, counted.blocked_until
        )
        if keys[way] != key:
            _KEY.pack_into(self._memory, bucket + way * _KEY.size, key)

    def clear(self) -> None:
        """Forget what this one has counted."""
        self._memory[self._own : self._own + _CHANGES] = bytes(_CHANGES)

    def change(self, name: str) -> None:
        """Have all begin to count anew for a quota, once they read it again."""
        place = self._own + _changes(name)
        (times,) = _KEY.unpack_from(self._memory, place)
        _KEY.pack_into(self._memory, place, times + 1)

    def changes(self, name: str) -> int:
        """Return how often a quota was changed, as all workers have it."""
        return sum(
            int(_KEY.unpack_from(self._memory, region + _changes(name))[0])
            for region in (self._own, *self._others)
        )

    def _at(self, region: int, key: int) -> ClientCount | None:
        bucket = region + key % _BUCKETS * _BUCKET
        keys = _KEYS.unpack_from(self._memory, bucket)
        if key not in keys:
            return None
        used, begin, blocked_until = _COUNTED.unpack_from(self._memory, _counted(bucket, keys.index(key)))
        return ClientCount(Millis(begin), used, Millis(blocked_until))

    def _free(self, bucket: int, keys: Sequence[int]) -> int:
        """Return which way of a bucket a new client takes."""
        if 0 in keys:
            return keys.index(0)
        begins = [_COUNTED.unpack_from(self._memory, _counted(bucket, way))[1] for way in range(_WAYS)]
        return begins.index(min(begins))


def _key(quota: int, client: str) -> int:
    """Return what a client of a quota is known by: workers are made by `fork`, so their hashes are the same."""
    return hash((quota, client)) or 1


def _counted(bucket: int, way: int) -> int:
    return bucket + _KEYS.size + way * _COUNTED.size


def _changes(name: str) -> int:
    return _CHANGES + hash(name) % _NAMES * _KEY.size
