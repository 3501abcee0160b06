# SPDX-License-Identifier: EUPL-1.2
"""Two storages on one file, backups and restores in any order: no read ever answers what is not in the file."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop

from tests.storage.estate import Estate

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


def play(folder: Path, seed: int, steps: int, loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """Do so many things, and say which when an answer was wrong."""

    async def story() -> None:
        estate = Estate(folder, seed)
        try:
            await estate.begin()
            for _ in range(steps):
                await estate.step()
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, {estate.did}: {error}") from error
        finally:
            await estate.close()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(story())


@pytest.mark.parametrize(("seed", "loop"), [*zip(range(4), itertools.cycle(LOOPS))])
def test_both_always_answer_what_is_in_the_file(tmp_path: Path, seed: int, loop: str) -> None:
    play(tmp_path, seed, 40, LOOPS[loop])


@pytest.mark.soak
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("seed", range(100, 300))
def test_two_hundred_interleavings_of_two_storages(tmp_path: Path, seed: int, loop: str) -> None:
    play(tmp_path, seed, 60, LOOPS[loop])
