# SPDX-License-Identifier: EUPL-1.2
"""What a device may write to: never a file that the server needs, by whatever name it is called."""

import errno
import os
import stat
from pathlib import Path

import pytest

from tests.unit.engines.system.house import House, play
from vault.audit import target
from vault.audit.device import DeviceConfig, DeviceFailure, FileDevice, open_device
from vault.audit.target import Claim, beside
from vault.engines.system.operations.audit import AuditEngine
from vault.framework.concurrency.offload import Pool

CLAIMED = r"file_path is a file that this server needs, path of storage; give the device one of its own$"


def _open(path: object, *claims: Claim, **options: str) -> FileDevice:
    config = DeviceConfig(path="file", kind="file", options={"file_path": str(path), **options})
    return open_device(config, claims)


def _names(database: Path, folder: Path) -> list[str]:
    """Return other names of one file."""
    (folder / "link").symlink_to(database)
    os.link(database, folder / "hard")
    (folder / "below").symlink_to(database.parent)
    fd = os.open(database, os.O_RDONLY)
    return [
        str(database),
        f"{database.parent}/../{database.parent.name}/{database.name}",
        str(folder / "link"),
        str(folder / "hard"),
        str(folder / "below" / database.name),
        f"/proc/self/fd/{fd}",
        f"/dev/fd/{fd}",
        f"/proc/self/root{database}",
    ]


def test_a_file_that_the_server_needs_is_refused_by_every_name_and_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    database = tmp_path / "data" / "coffre.db"
    database.write_bytes(b"SQLite format 3\0 without a line end")
    database.chmod(0o640)
    claim = Claim("path of storage", str(database))
    for name in _names(database, tmp_path):
        with pytest.raises(DeviceFailure, match=CLAIMED):
            _open(name, claim)
    assert database.read_bytes() == b"SQLite format 3\0 without a line end"
    assert stat.S_IMODE(database.stat().st_mode) == 0o640


def test_what_lies_beside_a_database_is_refused_before_it_is_there(tmp_path: Path) -> None:
    claims = [Claim("path of storage", path) for path in beside(str(tmp_path / "coffre.db"))]
    for end in ("", "-wal", "-shm", "-journal", "-turn"):
        with pytest.raises(DeviceFailure, match=CLAIMED):
            _open(tmp_path / f"coffre.db{end}", *claims)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "way.db").symlink_to(tmp_path / "coffre.db")
    claims = [Claim("path of storage", path) for path in beside(str(tmp_path / "way.db"))]
    for end in ("-wal", "-shm", "-journal", "-turn"):
        with pytest.raises(DeviceFailure, match=CLAIMED):
            _open(tmp_path / f"coffre.db{end}", *claims)


@pytest.mark.parametrize("path", ["/dev/full", "/dev/zero", "/proc/self/oom_score_adj", "/proc/self/comm"])
def test_what_is_no_file_of_a_disk_is_refused_unopened(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "open", lambda *_: pytest.fail("it was opened"))
    with pytest.raises(DeviceFailure, match="is not a regular file or a pipe"):
        _open(path)


@pytest.mark.parametrize("name", ["discard", "Discard", "DISCARD", "/dev/null"])
def test_nowhere_has_the_names_that_openbao_gives_it(name: str) -> None:
    before = os.stat(os.devnull).st_mode
    device = _open(name)
    device.write(b"gone\n", 0)
    assert device.prompt and os.stat(os.devnull).st_mode == before


@pytest.mark.parametrize("name", ["stdout", "STDOUT", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_standard_output_has_the_names_that_openbao_gives_it(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    device = _open(name)
    device.write(b"line\n", 0)
    device.reopen()
    device.write(b"more\n", 0)
    assert "line\nmore\n" in capfd.readouterr().out


def test_a_process_without_standard_error_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", None)
    with pytest.raises(DeviceFailure, match="this process has no stderr"):
        _open("stderr")


def test_by_the_api_a_device_gets_no_file_that_holds_something_else(tmp_path: Path) -> None:
    other, records, empty = tmp_path / "key.pem", tmp_path / "audit.log", tmp_path / "empty"
    other.write_text("-----BEGIN PRIVATE KEY-----\n")
    records.write_text('@cee: {"time":"2026-01-01T00:00:00Z"}\n')
    empty.touch()

    async def scenario() -> None:
        house = House()
        await house.open(AuditEngine(house.audit, Pool(), allow_creation=True, allow_prefix=True))

        async def enable(path: Path) -> int:
            body = {"type": "file", "options": {"file_path": str(path)}}
            return (await house("POST", f"sys/audit/{path.stem}", body)).status

        assert await enable(other) == 400
        assert other.read_text() == "-----BEGIN PRIVATE KEY-----\n"
        assert [await enable(path) for path in (records, empty, tmp_path / "new")] == [204] * 3

    play(scenario)


def test_a_file_whose_file_system_is_not_known_is_not_taken_for_a_local_one(
    tmp_path: Path,
) -> None:
    file = tmp_path / "audit.log"
    fd = os.open(file, os.O_WRONLY | os.O_CREAT)
    mounts = tmp_path / "mountinfo"

    def seen(*lines: str) -> bool:
        mounts.write_text("".join(f"{line}\n" for line in lines))
        return target.is_local(fd, str(file), str(mounts))

    root = "21 1 250:99 / / rw - ext4 /dev/vda rw"
    remote = f"33 21 0:77 / {tmp_path} rw shared:1 - nfs4 server:/x rw"
    device = os.fstat(fd).st_dev
    exact = f"34 21 {os.major(device)}:{os.minor(device)} / /elsewhere rw - xfs /dev/vdb rw"
    assert [seen(root), seen(root, remote), seen(remote, exact), seen()] == [True, False, True, False]
    mounts.unlink()
    assert not target.is_local(fd, str(file), str(mounts))
    os.close(fd)


def test_a_device_that_refuses_the_test_line_is_released(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "audit.log"

    def opened() -> int:
        places = [Path("/proc/self/fd") / one for one in os.listdir("/proc/self/fd")]
        return sum(1 for one in places if one.is_symlink() and os.readlink(one) == str(path))

    def full(fd: int, data: bytes) -> int:
        assert opened() == 1
        raise OSError(errno.ENOSPC, "no space")

    async def scenario() -> None:
        house = House()
        await house.open(AuditEngine(house.audit, Pool(), allow_creation=True, allow_prefix=True))
        body = {"type": "file", "options": {"file_path": str(path)}}
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", full)
            answer = await house("POST", "sys/audit/a", body)
        assert (answer.status, opened()) == (400, 0)

    play(scenario)
