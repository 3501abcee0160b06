# SPDX-License-Identifier: EUPL-1.2
"""The bench of what the log costs runs, and tells the parts of what a request costs."""

import pytest

from tests.perf.log import cost


def test_it_tells_what_a_server_and_its_log_reader_use(capsys: pytest.CaptureFixture[str]) -> None:
    cost.main(["--rounds", "1"])
    rows = [row.split() for row in capsys.readouterr().out.splitlines()]
    named = [row[:2] for row in rows]
    each = [["without", "least"], ["without", "median"], ["with", "least"], ["with", "median"]]
    assert named == [["kv", "read"], *each, ["kv", "write"], *each]
    parts = {(at // 5, row[0]): [*map(float, row[2:5])] for at, row in enumerate(rows) if row[1] == "least"}
    assert parts[0, "without"][1:] == parts[1, "without"][1:] == [0, 0]
    assert min(parts[0, "with"][:2] + parts[1, "with"][:2]) > 0
