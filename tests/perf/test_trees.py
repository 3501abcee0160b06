# SPDX-License-Identifier: EUPL-1.2
"""Trees are checked out, and their servers start, for the figures of `tests.house.report`."""

from pathlib import Path

import pytest

from tests.perf.load import BenchError
from tests.perf.trees import checked_out, listening_after


def test_the_server_of_a_commit_is_started_from_its_own_files() -> None:
    with checked_out("HEAD") as tree:
        assert (tree / "vault" / "pipeline.py").exists() and not (tree / ".git").exists()
        (tree / "cli" / "vaultctl" / "__main__.py").write_text("raise SystemExit('started from here')\n")
        with pytest.raises(BenchError, match="started from here"):
            listening_after(tree)
    assert not tree.exists()


def test_a_folder_is_taken_as_it_is_and_its_server_listens() -> None:
    with checked_out(str(Path(__file__).parents[2])) as tree:
        assert tree == Path(__file__).parents[2]
        assert listening_after(tree) > 0


def test_what_is_neither_a_folder_nor_a_commit_is_refused() -> None:
    with pytest.raises(BenchError, match="no folder and no commit"), checked_out("no-such-commit"):
        raise AssertionError("was checked out")
