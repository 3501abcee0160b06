# SPDX-License-Identifier: EUPL-1.2
"""A backup ends with a digest of itself: what its disk loses is told before anything is restored."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tests.storage.copies import make, words
from tests.storage.copying import DIGEST, not_backed_up, not_restored, restored


def test_a_backup_in_which_anything_is_changed_or_cut_off_is_refused(
    database: Path, backup: Path, tmp_path: Path
) -> None:
    """SQLite has no sums of its pages: it takes whatever a value is read as, and the vault does not open."""
    whole = backup.read_bytes()
    wrong = tmp_path / "wrong.db"
    wrong.touch(0o600)
    for place in (
        *range(0, 100, 3),
        *range(100, len(whole), 40_001),
        *range(len(whole) - DIGEST, len(whole), 5),
    ):
        content = bytearray(whole)
        content[place] ^= 1
        wrong.write_bytes(content)
        assert "damaged" in not_restored(wrong, database)
    for cut in (1, DIGEST - 1, DIGEST + 1, 4096, 100_000):
        wrong.write_bytes(whole[:-cut])
        assert "damaged" in not_restored(wrong, database)
    wrong.write_bytes(whole + b"more")
    assert "damaged" in not_restored(wrong, database)
    wrong.write_bytes(whole)
    assert words(wrong) == {"new"}, "a server may open it in the place of a database"
    make(wrong, "later")
    restored(wrong, database)
    assert words(database) == {"new", "later"}, "it is no backup any more, and what it ends with is not asked"


def test_a_disk_that_is_full_at_the_last_bytes_leaves_no_backup(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for written in (OSError(errno.ENOSPC, "full"), 5):

        def write(*_: object, written: OSError | int = written) -> int:
            if isinstance(written, OSError):
                raise written
            return written

        monkeypatch.setattr(os, "pwrite", write)
        assert "b.db.partial: the disk is full" in not_backed_up(database, tmp_path / "b.db")
