# SPDX-License-Identifier: EUPL-1.2
"""The devices of a folder are written by the server, and read by who forwards."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from vault.log.forward.settings import BadSettings, DeviceSettings, read_settings, write_settings

DEVICES = (
    DeviceSettings(kind="syslog", name="siem", address="tls://siem.example", policy="required", deadline=7),
    DeviceSettings(kind="http", name="lake", address="https://lake.example/", token_file="/run/token"),
)

_OTHER = """
import sys
from pathlib import Path
from vault.log.forward.settings import write_settings
write_settings(Path(sys.argv[1]), ())
"""


def test_devices_are_read_as_they_were_written(tmp_path: Path) -> None:
    write_settings(tmp_path, DEVICES)
    assert read_settings(tmp_path) == DEVICES
    assert stat.S_IMODE((tmp_path / "devices.json").stat().st_mode) == 0o600
    write_settings(tmp_path, ())
    assert read_settings(tmp_path) == ()


def test_a_folder_without_the_file_has_no_devices(tmp_path: Path) -> None:
    assert read_settings(tmp_path) == ()


@pytest.mark.parametrize("content", [b"", b"{", b'{"devices":[{"kind":"carrier pigeon"}]}', b"\xff"])
def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "devices.json").write_bytes(content)
    with pytest.raises(BadSettings):
        read_settings(tmp_path)


def test_several_worker_processes_write_them_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[tuple[DeviceSettings, ...]] = []

    def sync(_fd: int) -> None:
        if not written:
            subprocess.run([sys.executable, "-c", _OTHER, tmp_path], check=True)
            written.append(read_settings(tmp_path))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", sync)
        write_settings(tmp_path, DEVICES)
    assert written == [()]
    assert read_settings(tmp_path) == DEVICES
    assert os.listdir(tmp_path) == ["devices.json"]
