# SPDX-License-Identifier: EUPL-1.2
"""The bench must not flatter: a refused request or a missed promise is said."""

import argparse
import copy
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.perf import bench, engines, programs
from tests.perf.load import BenchError, Operation, Request, Round, Target, median_of, round_of
from tests.perf.report import footer, header, rows, verdicts
from tests.perf.server import Program

_OPERATION = "kv read c=16"


def _server(rate: float, p99: float, *, resident: float = 100.0, start: float = 0.1) -> dict[str, Any]:
    figures = {"rate": rate, "p50": p99 / 2, "p99": p99, "processor": 250.0}
    return {"answering_after": start, "resident": resident, "rounds": {_OPERATION: figures}}


_GOOD = {
    "openbao": _server(100, 9000),
    "coffre": _server(900, 800, resident=50),
    "bare ASGI": _server(1000, 1),
}
_CLI = {"bao": 0.080, "vaultctl": 0.060}


def _line(*, requests: int = 1000, bad_status: int = 0, broken: int = 0) -> str:
    counts = f'"requests":{requests},"microseconds":500000,"bad_status":{bad_status},"broken":{broken}'
    return f'Running 1s test\n{{{counts},"p50":10,"p99":20}}\n'


def test_a_round_is_read_from_the_last_line_of_wrk() -> None:
    assert round_of(_line(), "kv read") == Round(rate=2000.0, p50=10, p99=20, requests=1000)


@pytest.mark.parametrize("counts", [{"bad_status": 1}, {"broken": 1}, {"requests": 0}])
def test_a_round_with_a_refused_lost_or_no_request_stops_the_bench(counts: dict[str, int]) -> None:
    with pytest.raises(BenchError, match="kv read"):
        round_of(_line(**counts), "kv read")


def test_one_bad_round_does_not_move_the_median() -> None:
    rounds = [Round(10, 1, 2, 30, 7.0), Round(11, 2, 3, 33, 9.0), Round(1, 90, 99, 3, 70.0)]
    assert median_of(rounds) == Round(10, 2, 3, 66, 7.0)


def test_a_run_that_keeps_every_promise_has_no_verdict_against_it() -> None:
    assert verdicts(_GOOD, _CLI) == []


def test_the_longest_of_reads_beside_a_signing_client_is_promised_in_milliseconds() -> None:
    name = f"{engines.BESIDE} c=16"
    figures = copy.deepcopy(_GOOD)
    for server, rate, p99 in (("openbao", 900.0, 1_000.0), ("coffre", 100.0, 9_900.0)):
        figures[server]["rounds"][name] = {"rate": rate, "p50": 1.0, "p99": p99, "processor": 1.0}
    assert verdicts(figures, _CLI) == []
    figures["coffre"]["rounds"][name]["p99"] = 10_100.0
    assert verdicts(figures, _CLI) == [f"{name}: p99 is 10.1 ms, wanted 10.0 ms"]


@pytest.mark.parametrize(
    ("server", "change", "said"),
    [
        ("coffre", {"rounds": {_OPERATION: {"rate": 499, "p50": 1, "p99": 2}}}, "4.99 x, wanted 5.0 x"),
        ("coffre", {"rounds": {_OPERATION: {"rate": 900, "p50": 1, "p99": 9000}}}, "p99 is not lower"),
        ("bare ASGI", {"rounds": {_OPERATION: {"rate": 2300, "p50": 1, "p99": 1}}}, "39% of a bare ASGI"),
        ("coffre", {"answering_after": 0.8}, "start to the first answer took 0.80 s"),
        ("coffre", {"resident": 100.0}, "resident memory is not under"),
    ],
)
def test_each_missed_promise_is_said(server: str, change: dict[str, Any], said: str) -> None:
    figures = copy.deepcopy(_GOOD)
    figures[server].update(change)
    (verdict,) = verdicts(figures, _CLI)
    assert said in verdict


def test_a_slow_command_line_is_said() -> None:
    (verdict,) = verdicts(_GOOD, {"bao": 0.080, "vaultctl": 0.121})
    assert "1.51 x bao kv get" in verdict


def test_a_row_shows_milliseconds_and_the_ratio_to_openbao() -> None:
    lines = rows(_OPERATION, _GOOD).splitlines()
    (ours,) = [line.split() for line in lines if " coffre " in line]
    assert ours[-5:] == ["900", "0.40", "0.80", "250", "9.00"]
    assert "/before" not in header(_GOOD)
    assert rows("kv write c=16", _GOOD) == ""


def test_a_tree_of_before_is_compared_in_a_column_of_its_own_and_a_loss_is_said() -> None:
    figures = {**copy.deepcopy(_GOOD), "before": _server(1000, 700)}
    assert header(figures).split()[-2:] == ["ratio", "/before"]
    lines = [line.split() for line in rows(_OPERATION, figures).splitlines()]
    assert {line[3]: line[-1] for line in lines} == {
        "openbao": "1.00", "coffre": "0.90", "bare": "10.00", "before": "10.00",
    }  # fmt: skip
    assert verdicts(figures, _CLI) == []
    figures["coffre"]["rounds"][_OPERATION]["rate"] = 899
    assert verdicts(figures, _CLI) == [f"{_OPERATION}: 0.90 x of what it was before, wanted 0.9 x"]


def test_the_foot_says_only_what_was_measured() -> None:
    whole = footer(_GOOD, _CLI)
    assert "resident after the run 50.0 MiB" in whole
    assert "kv get, whole process 60.0 ms" in whole
    part = footer({"coffre": _server(900, 800, resident=0.0)}, {})
    assert part.split() == ["coffre", "answering", "after", "0.100", "s"]


def _programs() -> list[Program]:
    return [Program(name, ("true",), {}, 1) for name in ("openbao", "before", "coffre")]


class _Load:
    """Stands in for wrk: rates that grow by ten, and a signal in the place of a given round."""

    def __init__(self, stop_at: int = -1, kind: int = signal.SIGTERM) -> None:
        self.asked: list[str] = []
        self._stop_at, self._kind = stop_at, kind

    def __call__(self, target: Target, *_: object, **__: object) -> Round:
        if len(self.asked) == self._stop_at:
            os.kill(os.getpid(), self._kind)
        self.asked.append(target.address)
        return Round(10.0 * len(self.asked), 1, 2)


def _measuring(run: bench.Run) -> None:
    """As `bench.measure` does it, of servers that are not there."""
    for program in _programs():
        run.figures[program.name] = bench.Figures(answering_after=0.5)
    aims = [(one, "", Operation("kv read", [Request("GET", "/")])) for one in _programs()]
    bench.alternate(run, aims, 16)
    for of_server in run.figures.values():
        of_server.resident = 1.0
    run.seconds |= _CLI


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_stopped_says_what_it_has_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, kind: signal.Signals
) -> None:
    monkeypatch.setattr(bench, "measure", _measuring)
    monkeypatch.setattr(programs, "compile_sources", lambda _: None)
    monkeypatch.setattr(
        bench, "run_round", _Load(3 + 2 * 3 + 1, kind)
    )  # the warm-up, two rounds, one of three
    assert bench.main(["--json", str(tmp_path / "figures.json")]) == 128 + kind
    out, err = capsys.readouterr()
    assert [line.split()[:5] for line in out.splitlines() if line.startswith("kv read")] == [
        ["kv", "read", "c=16", "openbao", "65"],  # 60 and 70, after the warm-up's 10: the other way each time
        ["kv", "read", "c=16", "before", "65"],
        ["kv", "read", "c=16", "coffre", "65"],  # 40 and 90; the third round did not end
    ]
    assert "stopped: " in out
    assert "resident" not in out
    assert "round 2 of 5" in err
    assert set(json.loads((tmp_path / "figures.json").read_text())["servers"]) == {
        "openbao",
        "before",
        "coffre",
    }


def test_rounds_go_forth_and_back_and_their_rows_are_printed_at_their_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    load = _Load()
    monkeypatch.setattr(bench, "run_round", load)
    run = bench.Run(argparse.Namespace(rounds=2, seconds=3.0, load_core=1), tmp_path)
    _measuring(run)
    assert capsys.readouterr().out.count("kv read c=16") == 3


def test_what_is_to_be_new_to_the_server_is_sent_in_one_round_and_once() -> None:
    requests = [Request("GET", "/", token=str(number)) for number in range(7)]
    operation = Operation("new", requests, once=True)
    rounds = [operation.part(number, 3).requests for number in range(3)]
    assert [[request.token for request in part] for part in rounds] == [["0", "1"], ["2", "3"], ["4", "5"]]
    assert Operation("same", requests).part(2, 3).requests is requests
    assert round_of(_line(requests=2), "new", most=2).rate == 4.0
    with pytest.raises(BenchError, match="came twice"):
        round_of(_line(requests=3), "new", most=2)


@pytest.mark.parametrize(
    ("operation", "enough", "p99"), [("kv read, biscuit", 400, 800), ("kv read, new biscuit", 1, 90_000)]
)
def test_what_openbao_does_by_other_means_is_held_against_it_as_was_promised(
    operation: str, enough: int, p99: float
) -> None:
    figures = copy.deepcopy(_GOOD)
    for server in ("openbao", "coffre"):
        figures[server]["rounds"][f"{operation} c=16"] = dict(figures[server]["rounds"][_OPERATION])
    measured = figures["coffre"]["rounds"][f"{operation} c=16"]
    measured |= {"rate": enough, "p99": p99}
    assert verdicts(figures, _CLI) == []
    if enough > 1:
        measured["rate"] = enough - 1
        assert verdicts(figures, _CLI) == [f"{operation} c=16: 3.99 x, wanted 4.0 x"]
