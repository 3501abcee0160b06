# SPDX-License-Identifier: EUPL-1.2
"""The bench of the log reader runs, and its records are what a server writes."""

from pathlib import Path

import pytest

from tests.perf.log import reader
from tests.perf.log.records import Population, write_logs
from tests.unit.log.reader.reading import Reading
from vault.log.writer import LogLimits

_LIMITS = LogLimits(segment_bytes=500_000)


def test_the_same_seed_makes_the_same_records_and_they_follow_each_other(tmp_path: Path) -> None:
    texts = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        write_logs(folder, Population(3), 2000, _LIMITS)
        texts.append([path.read_bytes() for path in sorted(folder.rglob("*.jsonl"))])
        assert len(texts[-1]) > 2
    assert texts[0] == texts[1]
    reading = Reading(tmp_path / "one")
    reading.catch_up()
    assert [(log.next, log.damage) for log in reading.logs.values()] == [(1000, "")] * 2
    reading.close()


def test_the_bench_tells_every_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["reader", "--records", "3000", "--folder", str(tmp_path)])
    reader.main()
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 22
    assert rows[0].startswith("3000 records of 1")
    assert not [*tmp_path.iterdir()]
