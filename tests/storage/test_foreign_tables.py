# SPDX-License-Identifier: EUPL-1.2
"""Backups that consist of other tables than a vault's: somebody who can write to one made them."""

from pathlib import Path

import pytest

from tests.storage.copies import words
from tests.storage.copying import DIGEST, not_restored, query, restored


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE sqlite_schema SET sql = replace(sql, 'NOT NULL', 'NOT NULL ON CONFLICT IGNORE')",
        "UPDATE sqlite_schema SET sql = replace(sql, 'BLOB NOT NULL', 'BLOB NOT NULL CHECK (path < ''b'')')",
        "CREATE INDEX one ON entry (length(path))",
        "CREATE TABLE more (x)",
        "CREATE VIEW more AS SELECT * FROM entry",
        "DROP INDEX timer_ready",
        "DELETE FROM head",
        "INSERT INTO head SELECT epoch, stamp FROM head",
    ],
)
def test_a_backup_with_other_tables_than_a_vaults_is_refused(
    tmp_path: Path, database: Path, backup: Path, change: str
) -> None:
    """What is stored later would be refused, or lost in silence."""
    wrong = tmp_path / "wrong.db"
    wrong.write_bytes(backup.read_bytes()[:-DIGEST])
    query(wrong, "PRAGMA writable_schema=ON", change)
    assert "damaged" in not_restored(wrong, database)


def test_what_analyze_keeps_is_no_change(tmp_path: Path, backup: Path) -> None:
    analyzed = tmp_path / "analyzed.db"
    analyzed.write_bytes(backup.read_bytes()[:-DIGEST])
    query(analyzed, "ANALYZE")
    restored(analyzed, tmp_path / "fresh.db")
    assert words(tmp_path / "fresh.db") == {"new"}
