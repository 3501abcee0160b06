# SPDX-License-Identifier: EUPL-1.2
"""What workers add is judged by processor time, and their memory counts what they share once."""

import argparse
import os
from pathlib import Path

import pytest

from tests.perf.bench import Figures, Run
from tests.perf.load import Round
from tests.perf.server import Program
from tests.perf.workers import judged, program, share_mebibytes, times_as_much


def test_a_worker_that_costs_a_tenth_more_adds_as_much_less() -> None:
    assert times_as_much(2, 40.0, 40.0) == 2.0
    assert times_as_much(2, 40.0, 44.0) == pytest.approx(1.82, abs=0.005)


@pytest.mark.parametrize(("several", "status"), [(44.0, 0), (45.0, 1)])
def test_a_second_worker_that_adds_too_little_fails(tmp_path: Path, several: float, status: int) -> None:
    servers = {each: Program(str(each), [], {}, 1) for each in (1, 2)}
    rounds = {1: 40.0, 2: several}
    figures = {
        str(each): Figures(rounds={"kv read c=16": Round(1.0, 1.0, 1.0, 1, cost)})
        for each, cost in rounds.items()
    }
    run = Run(argparse.Namespace(), tmp_path, figures)
    assert judged(run, servers) == status


def test_memory_is_that_of_the_process() -> None:
    assert 5 < share_mebibytes(os.getpid()) < 10_000


def test_a_server_has_as_many_workers_as_it_is_told(tmp_path: Path) -> None:
    made = program(tmp_path, 3, "0,1")
    assert (made.name, made.command[:3]) == ("3 workers", ("taskset", "-c", "0,1"))
    assert "workers = 3" in (tmp_path / "3" / "config.hcl").read_text()
