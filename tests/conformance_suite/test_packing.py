# SPDX-License-Identifier: EUPL-1.2
"""The suite as one zip: the same bytes each time, and it runs with nothing beside it."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from esa_conformance.packing import main, pack
from esa_conformance.report.document import suite_sha256


def test_two_zips_are_equal_byte_for_byte(tmp_path: Path) -> None:
    pack(tmp_path / "one.zip")
    assert main([str(tmp_path / "two.zip")]) == 0
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert "esa_conformance/requirements.json" in archive.namelist()


def test_without_a_file_nothing_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "usage" in capsys.readouterr().err


def test_the_zip_runs_alone_and_is_the_same_suite(tmp_path: Path) -> None:
    pack(tmp_path / "esa-conformance.zip")
    listed = _python(tmp_path, "esa-conformance.zip", "list", "--only", "ESA-KV-005")
    assert listed.split() == ["ESA-KV-005", "one_winner", "core", "mutating"]
    code = (
        "import sys; sys.path.insert(0, 'esa-conformance.zip')\n"
        "from esa_conformance.report.document import suite_sha256; print(suite_sha256())"
    )
    assert _python(tmp_path, "-c", code).strip() == suite_sha256()


def _python(folder: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-I", "-S", *words], cwd=folder, env={}, capture_output=True, text=True, check=True
    )
    return done.stdout
