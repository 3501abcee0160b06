# SPDX-License-Identifier: EUPL-1.2
"""A witness and a log that are not ours: our log is cosigned by Go's, and Go's log by ours, with the same statuses."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.house.tree import ROOT
from tests.log.go_program import compiled
from tests.log.witness.running import Running, ask, asking, other_witness, our_witness
from tests.unit.log.format.trees import LEAVES
from tests.unit.log.witness.answering import Reader
from tests.unit.log.witness.grown import ORIGIN, OTHERS, GrownLog
from vault.log.format.tree import encode_hash
from vault.log.witness.server.key_file import WitnessKey

pytestmark = [pytest.mark.xdist_group("go"), pytest.mark.loopback]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program that is not ours, compiled."""
    source = ROOT / "tests" / "log" / "witness" / "go" / "witness.go"
    return compiled(source, tmp_path_factory.mktemp("go") / "witness")


def test_it_cosigns_our_log_as_it_grows(program: Path) -> None:
    log = GrownLog()
    with other_witness(program, log) as running:
        one = asking(running.settings)
        for size in (1, 2, 7, 8, 9, 33, 33, 40):
            line = ask(one, log, size)
            assert line is not None, one.trouble
            running.settings.key.verify(log.checkpoint(size).text().encode(), line.value)
        another = asking(running.settings)
        assert (ask(another, log, 40) is not None, another.trouble) == (True, "")


def test_it_refuses_a_second_view_of_our_log(program: Path) -> None:
    with other_witness(program, GrownLog()) as running:
        assert ask(asking(running.settings), GrownLog(), 12) is not None
        for size in (12, 20):
            one = asking(running.settings, Reader(leaves=OTHERS))
            assert ask(one, GrownLog(OTHERS), size) is None
            assert (one.trouble, one.conflict) == (
                "it does not believe that the log only grew since it saw it last",
                True,
            )


def test_it_knows_no_other_log_and_no_other_key(program: Path) -> None:
    with other_witness(program, GrownLog()) as running:
        for log, words in (
            (GrownLog(origin="another.example/log"), "it does not know the log"),
            (GrownLog(number=2), "it does not know the key that signs the log"),
        ):
            one = asking(running.settings)
            assert (ask(one, log, 5), one.trouble) == (None, words)


def _log_of_go(
    program: Path,
    running: Running,
    steps: Sequence[tuple[int, int]],
    *,
    leaves: Sequence[bytes] = LEAVES,
    number: int = 1,
    origin: str = ORIGIN,
) -> list[str]:
    """What our witness answers to a log that Go makes."""
    asked = {
        "url": running.settings.url,
        "skey": WitnessKey(origin, bytes([number]) * 32).written().decode().strip(),
        "witness": running.settings.key.vkey,
        "leaves": [encode_hash(leaf) for leaf in leaves],
        "steps": steps,
    }
    done = subprocess.run(
        [program, "ask"], input=json.dumps(asked).encode(), capture_output=True, check=True, timeout=60
    )
    found: list[str] = json.loads(done.stdout)
    return found


def test_our_witness_cosigns_a_log_that_is_not_ours(program: Path, tmp_path: Path) -> None:
    with our_witness(tmp_path) as running:
        steps = [(0, 1), (1, 2), (2, 7), (7, 7), (7, 8), (8, 600), (600, 600)]
        assert _log_of_go(program, running, steps) == ["200 cosigned"] * len(steps)
        conflict = "409 text/x.tlog.size 600"
        assert _log_of_go(program, running, [(0, 600), (599, 600), (9, 8)]) == [conflict, conflict, "400"]
        assert _log_of_go(program, running, [(600, 600)], leaves=LEAVES[::-1]) == ["422"]
        assert _log_of_go(program, running, [(0, 9)], number=2) == ["403"]
        assert _log_of_go(program, running, [(0, 9)], origin="another.example/log") == ["404"]
