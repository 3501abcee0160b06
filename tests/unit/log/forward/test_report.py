# SPDX-License-Identifier: EUPL-1.2
"""Reports go from who forwards to the server by a file, which is whole whenever it is read."""

import stat
from pathlib import Path

import pytest

from tests.unit.log.forward.test_gate import LATE, WELL
from vault.log.forward.report import Report, read_report, write_report


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    made = Report(at=17.5, devices=(WELL, LATE), problem="the settings of the devices cannot be read")
    write_report(tmp_path, made)
    assert read_report(tmp_path) == made
    assert stat.S_IMODE((tmp_path / "devices.state").stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [None, b"", b'{"at":1', b'{"at":1,"devices":[{"name":"siem"}]}'])
def test_what_cannot_be_read_is_no_report(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "devices.state").write_bytes(content)
    assert read_report(tmp_path) is None
