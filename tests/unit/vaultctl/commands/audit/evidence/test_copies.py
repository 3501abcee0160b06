# SPDX-License-Identifier: EUPL-1.2
"""Whatever was copied of a log is read as a log folder."""

import shutil
from pathlib import Path

import pytest

from tests.log.written import LOG, written
from vault.log.format.trust import Trust
from vault.log.format.verify import verify_folder
from vaultctl.commands.audit.evidence.copies import log_folder
from vaultctl.errors import CommandError, UsageError


def _verified(*paths: Path) -> tuple[list[tuple[str, int, int]], list[str]]:
    """By log what is there, and what is wrong."""
    with log_folder([str(path) for path in paths]) as folder:
        report = verify_folder(folder, Trust())
    return [(log.log, log.first, log.size) for log in report.logs], [
        str(finding) for finding in report.faults
    ]


def test_a_log_folder_is_read_where_it_is(tmp_path: Path) -> None:
    written(tmp_path, 23, starts=(0, 10, 17))
    with log_folder([str(tmp_path)]) as folder:
        assert folder == tmp_path


def test_the_folder_of_one_log_is_read_without_its_neighbours(tmp_path: Path) -> None:
    written(tmp_path, 23, starts=(0, 10, 17))
    written(tmp_path, 5, log="0123abcd-0-2")
    assert _verified(tmp_path / LOG) == ([(LOG, 0, 23)], [])
    assert _verified(tmp_path / LOG, tmp_path / "0123abcd-0-2")[0] == [(LOG, 0, 23), ("0123abcd-0-2", 0, 5)]


def test_segments_are_read_by_any_of_their_files(tmp_path: Path) -> None:
    log = written(tmp_path, 23, starts=(0, 10, 17)).folder
    for kind in (".jsonl.gz", ".manifest"):
        assert _verified(log / f"{0:020}{kind}", log / f"{10:020}{kind}") == ([(LOG, 0, 17)], [])


def test_segments_that_were_copied_elsewhere_say_which_log_they_are_of(tmp_path: Path) -> None:
    log = written(tmp_path / "log", 23, starts=(0, 10, 17)).folder
    copy = tmp_path / "evidence"
    shutil.copytree(log, copy)
    assert _verified(copy) == ([(LOG, 0, 23)], [])
    assert _verified(copy / f"{0:020}.jsonl.gz") == ([(LOG, 0, 10)], [])


def test_a_compressed_segment_without_its_manifest_is_unpacked(tmp_path: Path) -> None:
    log = written(tmp_path / "log", 23, starts=(0, 10, 17)).folder
    copy = tmp_path / "evidence"
    copy.mkdir()
    for first in (0, 10):
        shutil.copy(log / f"{first:020}.jsonl.gz", copy)
    assert _verified(copy) == ([(LOG, 0, 17)], [])
    (copy / f"{0:020}.jsonl.gz").write_bytes(b"junk")
    with pytest.raises(CommandError, match=r"cannot read .*evidence: it is no gzip file"):
        _verified(copy)


def test_a_segment_that_says_no_log_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"junk\n", b'{"log":7}\n', b'{"log":"../x"}\n'):
        (tmp_path / f"{0:020}.jsonl").write_bytes(content)
        with pytest.raises(UsageError, match="does not say which log it is of"):
            _verified(tmp_path)
