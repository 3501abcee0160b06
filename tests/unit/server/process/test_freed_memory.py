# SPDX-License-Identifier: EUPL-1.2
"""What was given back is written over, soon after keys came or went."""

import asyncio
import ctypes
import os
import threading
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.seal.auto import named
from tests.unit.seal.changes.test_slot_changes import opened
from vault.seal.changes import root_rotation
from vault.seal.records.slots import Slots
from vault.server.process import freed_memory
from vault.server.process.freed_memory import Remains


def _at(addresses: list[int], size: int) -> list[bytes]:
    """Read this process's memory, where there is still some."""
    found = []
    with Path("/proc/self/mem").open("rb", buffering=0) as memory:
        for address in addresses:
            try:
                memory.seek(address)
                found.append(memory.read(size))
            except OSError:
                found.append(b"")
    return found


@pytest.mark.parametrize("size", [32, 100, 400, 600, 5000, 50_000])
def test_what_ended_is_written_over(size: int) -> None:
    marker = os.urandom(16)
    ended = [marker * (size // 16) for _ in range(200)]
    places = [id(each) for each in ended]
    assert all(marker in found for found in _at(places, size + 40))
    del ended
    asyncio.run(freed_memory.clear())
    left = sum(marker in found for found in _at(places, size + 40))
    assert left < 3  # whoever lives there by now has not filled it yet, as a list that may grow


def test_what_is_in_use_stays() -> None:
    kept = [os.urandom(16) * size for size in range(200)]
    copies = [bytearray(each) for each in kept]
    asyncio.run(freed_memory.clear())
    assert kept == copies


class Looks:
    """Counts how often memory is cleared, for looks at a clock and a counter."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, failure: BaseException | None = None) -> None:
        self.now = 0.0
        self.moves = 0
        self.cleared = 0
        self._failure = failure
        self._remains = Remains(lambda: self.moves, lambda: self.now)
        monkeypatch.setattr(freed_memory, "clear", self._clear)

    async def _clear(self) -> None:
        self.cleared += 1
        if self._failure is not None:
            raise self._failure

    def look(self) -> int:
        asyncio.run(self._remains.look())
        return self.cleared


def test_it_is_cleared_once_keys_are_out_and_every_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = Looks(monkeypatch)
    assert [looks.look() for _ in range(3)] == [0, 0, 0]
    looks.moves += 1
    assert [looks.look() for _ in range(5)] == [0, 0, 0, 1, 1]
    looks.now += 49
    assert looks.look() == 1
    looks.now += 1
    assert [looks.look() for _ in range(3)] == [2, 2, 2]


@pytest.mark.parametrize("failure", [MemoryError(), OSError(), RuntimeError("can't start new thread")])
def test_where_memory_is_short_it_is_tried_again_later(
    monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    looks = Looks(monkeypatch, failure)
    looks.now = 50.0
    assert [looks.look() for _ in range(2)] == [1, 1]
    looks.now = 100.0
    assert looks.look() == 2


def test_another_systems_allocator_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    asyncio.run(freed_memory.clear())


def test_an_allocator_that_has_no_more_gets_back_what_it_gave(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[int] = []

    def malloc(size: int) -> int | None:
        if given:
            return None
        assert size <= len(room)
        given.append(ctypes.addressof(room))
        return given[-1]

    def free(chunk: int) -> None:
        given.remove(chunk)

    room = (ctypes.c_char * 65536)()
    empty = SimpleNamespace(malloc=malloc, free=free, malloc_trim=lambda _: 0)
    monkeypatch.setattr(ctypes, "CDLL", lambda _: empty)
    with pytest.raises(MemoryError):
        asyncio.run(freed_memory.clear())
    assert given == []


def test_what_was_taken_is_given_back_in_steps_and_the_system_gets_its_pages_in_a_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A million chunks may lie free: all that is done at once holds up everybody (SL-74)."""
    room = (ctypes.c_char * (1 << 20))()
    begin, many = ctypes.addressof(room), 1000
    calls: list[str] = []

    def malloc(size: int) -> int:
        del size
        calls.append("malloc")
        return begin + 16 * calls.count("malloc")

    def free(chunk: int) -> None:
        del chunk
        calls.append("free")

    def trim(pad: int) -> None:
        del pad
        calls.append(threading.current_thread().name)

    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace(malloc=malloc, free=free, malloc_trim=trim))
    monkeypatch.setattr(ctypes, "memset", lambda *_: None)
    mapped: Any = range(begin, begin + 16 * many)
    steps = [len(calls) for _ in freed_memory._system(mapped)]
    assert calls.count("free") == calls.count("malloc") > many
    assert max(later - before for before, later in pairwise(steps)) < 100
    monkeypatch.setattr(freed_memory, "_system", lambda _: iter(()))
    asyncio.run(freed_memory.clear())
    assert calls[-1] != threading.main_thread().name


def test_root_keys_that_come_or_go_are_moves() -> None:
    async def scenario() -> None:
        machine, _ = await opened(Slots(enabled=named("a")))
        seen = {machine.barrier.moves}
        await root_rotation.rotate_root(machine.changes)
        seen.add(machine.barrier.moves)
        await machine.life.seal()
        seen.add(machine.barrier.moves)
        await machine.life.auto_unseal()
        seen.add(machine.barrier.moves)
        assert len(seen) == 4

    asyncio.run(scenario())
