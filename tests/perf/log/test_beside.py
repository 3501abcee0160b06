# SPDX-License-Identifier: EUPL-1.2
"""The bench of requests beside searches runs, and its searches are answered."""

import re

import pytest

from tests.perf.log import beside


@pytest.mark.parametrize("more", [[], ["--writes"]])
def test_it_tells_a_row_for_each_kind_of_company(capsys: pytest.CaptureFixture[str], more: list[str]) -> None:
    beside.main(["--fill", "1", "--rounds", "1", "--seconds", "0.5", "--searchers", "1", *more])
    filled, *rows = capsys.readouterr().out.splitlines()
    assert filled.endswith(" reads are in the log")
    assert [row[:28].strip() for row in rows] == ["nobody searches", "1 search", "1 do something else"]
    times = [int(re.findall(r"(\d+) times beside", row)[0]) for row in rows]
    assert times[0] == 0
    assert min(times[1:]) > 0
