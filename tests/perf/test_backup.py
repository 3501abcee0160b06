# SPDX-License-Identifier: EUPL-1.2
"""The measurement of backups compares what it says it compares."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.perf.backup import differences, fill, head, measure, write

_SLOTS = 7


def test_a_copy_is_compared_entry_by_entry(tmp_path: Path) -> None:
    file = tmp_path / "vault.db"
    asyncio.run(fill(file, _SLOTS))
    assert (head(file), differences(file, _SLOTS)) == (0, 0)
    asyncio.run(write(file, _SLOTS, 1000.0, 0.02))
    assert (head(file), differences(file, _SLOTS)) == (20, 0)
    for tampering, count in (
        ("UPDATE entry SET value=x'00' WHERE path='slot/3'", 1),
        ("DELETE FROM entry WHERE path='slot/4'", 2),
        ("INSERT INTO entry VALUES ('other', x'00')", 3),
        ("UPDATE entry SET value=CAST('19' AS BLOB) WHERE path='head'", 4),
    ):
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute(tampering)
        assert differences(file, _SLOTS) == count


def test_a_small_one_is_measured_to_its_end(tmp_path: Path) -> None:
    lines = list(measure(tmp_path, 2, 50.0, 1.0))
    assert sum("verified" in line for line in lines) == 3
    assert all(line.endswith(" 0 entries differ") for line in lines if "operator" in line)
