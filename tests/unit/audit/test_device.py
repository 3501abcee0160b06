# SPDX-License-Identifier: EUPL-1.2
"""The file device: whole lines or a refusal, also around a full disk and a file that went away."""

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from vault.audit.device import DeviceConfig, DeviceFailure, FileDevice, open_device

SECOND = 1.0


def _device(path: Path | str, **options: str) -> FileDevice:
    device = open_device(DeviceConfig(path="file", kind="file", options={"file_path": str(path), **options}))
    assert isinstance(device, FileDevice)
    return device


@contextmanager
def _full_at(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond `size` bytes, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_line_that_the_disk_cut_is_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    device = _device(path)
    with _full_at(6):
        device.write(b"one\n", 0)
        with pytest.raises(DeviceFailure, match='"file": File too large'):
            device.write(b"second\n", 0)
    device.write(b"third\n", 0)
    assert path.read_bytes() == b"one\nthird\n"


def test_while_another_process_has_the_file_the_next_line_begins_on_a_line_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    device, other = _device(path), _device(path)
    with _full_at(6):
        device.write(b"one\n", 0)
        with pytest.raises(DeviceFailure):
            device.write(b"second\n", 0)
    device.write(b"third\n", 0)
    other.write(b"fourth\n", 0)
    assert path.read_bytes() == b"one\nse\nthird\nfourth\n"
    path.write_bytes(b"whole\nhal")
    _device(path).write(b"next\n", 0)
    assert path.read_bytes() == b"whole\nhal\nnext\n"


@pytest.mark.parametrize("torn", [b"hal", b"h" * 200_000])
@pytest.mark.parametrize("whole", [b"", b"whole\n", b"whole\n" + b"w" * 70_000 + b"\n"])
def test_a_line_that_its_writer_did_not_live_to_finish_is_cut_off_at_the_start(
    tmp_path: Path, whole: bytes, torn: bytes
) -> None:
    path = tmp_path / "audit.log"
    path.write_bytes(whole + torn)
    device = _device(path)
    device.write(b"next\n", 0)
    assert path.read_bytes() == whole + b"next\n"


def test_a_rotated_file_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    device = _device(path)
    device.write(b"one\n", 0)
    path.rename(tmp_path / "old.log")
    device.write(b"two\n", 0)
    device.reopen()
    device.write(b"three\n", 0)
    assert (tmp_path / "old.log").read_bytes() == b"one\ntwo\n"
    assert path.read_bytes() == b"three\n"


def test_a_file_whose_lines_are_whole_is_continued_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    for line in (b"one\n", b"two\n"):
        device = _device(path)
        device.write(line, 0)
        device.close()
    assert path.read_bytes() == b"one\ntwo\n"
    assert path.stat().st_mode & 0o777 == 0o600


def test_sl_56_a_file_that_was_removed_is_made_again_within_a_second(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    device = _device(path)
    device.write(b"one\n", 2 * SECOND)
    path.unlink()
    device.write(b"two\n", 4 * SECOND)
    assert path.read_bytes() == b"two\n"


def test_a_file_that_cannot_be_made_again_refuses_every_line(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    device = _device(folder / "audit.log")
    (folder / "audit.log").unlink()
    folder.rmdir()
    folder.write_text("in the way")
    for moment in (4 * SECOND, 4 * SECOND + 0.1):
        with pytest.raises(DeviceFailure, match="make it writable"):
            device.write(b"lost\n", moment)


def test_sl_76_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises(
        DeviceFailure, match=r"cannot open .*: it is a link, and none is followed; name the file itself$"
    ):
        _device(tmp_path / "link")


@pytest.mark.parametrize("mode", ["x", "0755", "999"])
def test_a_mode_that_is_none_or_makes_executable_is_refused(tmp_path: Path, mode: str) -> None:
    with pytest.raises(DeviceFailure, match="mode must"):
        _device(tmp_path / "audit.log", mode=mode)


def test_a_device_without_a_file_or_of_another_kind_is_refused() -> None:
    with pytest.raises(DeviceFailure, match="file_path is required"):
        _device("")
    with pytest.raises(DeviceFailure, match="this server has: file"):
        open_device(DeviceConfig(path="x", kind="syslog"))


def test_discard_and_mode_zero_are_what_they_say(tmp_path: Path) -> None:
    _device("discard").write(b"gone\n", 0)
    path = tmp_path / "audit.log"
    path.touch(0o640)
    _device(path, mode="0000").write(b"line\n", 0)
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_device_that_was_closed_refuses_every_line_until_it_is_opened_again(tmp_path: Path) -> None:
    device = _device(tmp_path / "audit.log")
    device.close()
    for moment in (4 * SECOND, 4 * SECOND + 0.1):
        with pytest.raises(DeviceFailure, match='"file": Bad file descriptor'):
            device.write(b"lost\n", moment)
    device.reopen()
    device.write(b"kept\n", 8 * SECOND)
    assert (tmp_path / "audit.log").read_bytes() == b"kept\n"
