# SPDX-License-Identifier: EUPL-1.2
"""A power cut under a server: secrets that it acknowledged are there, and its audit file as the operations guide says."""

from __future__ import annotations

import json
import random
import shutil
from bisect import bisect_left
from pathlib import Path

import pytest

from tests.fuzz.process import VaultProcess
from tests.storage.disk import Change, Disk, compiled, promise, variables
from tests.storage.test_power import put
from vault.audit.device import DeviceConfig, FileDevice

AUDIT = "audit.log"
WRITES = 40


def recorded(folder: Path, patch: pytest.MonkeyPatch) -> tuple[VaultProcess, Disk]:
    """Let a server take secrets, each acknowledged before the next, and return what it did to the disk."""
    disk, log = folder / "disk", folder / "log"
    disk.mkdir()
    vault = VaultProcess(folder, database=disk / "vault.db", audit=disk / AUDIT)
    try:
        with patch.context() as inside:
            for name, value in variables(compiled(folder), disk, log).items():
                inside.setenv(name, value)
            vault.start()
        vault.initialise()
        promise(log, "wrote -1")
        with vault.client() as client:
            for number in range(WRITES):
                answer = client.request("POST", f"/v1/secret/data/n{number}", {"data": {"n": number}})
                assert answer.status == 200, answer.body
                promise(log, f"wrote {number}")
    finally:
        vault.stop()
    return vault, Disk(disk, log)


def promised(disk: Disk) -> list[tuple[int, int]]:
    """Return the acknowledged numbers, and where in the log; -1 is the vault itself."""
    return [(at, int(line[6:])) for at, line in disk.promises if line.startswith("wrote ")]


def answered(disk: Disk, moment: int) -> set[str]:
    """Return the paths of the answers that the operating system had been given as audit records by then."""
    text = b"".join(change.data or b"" for change in before(disk, moment))
    return {
        record["request"]["path"]
        for record in map(json.loads, text.splitlines())
        if record["type"] == "response"
    }


def before(disk: Disk, moment: int) -> list[Change]:
    """Return what was written to the audit file by then."""
    changes = disk.written(AUDIT)
    return list(changes[: bisect_left(changes, moment, key=lambda change: change.at)])


def check_audit(disk: Disk, moment: int, file: Path) -> bool:
    """Open the audit file as a server does: it has whole lines then, from the first one on. Tell whether it had not."""
    found = file.read_bytes()
    FileDevice(DeviceConfig(path="file", kind="file", options={"file_path": str(file)})).close()
    mended = file.read_bytes()
    assert found.startswith(mended) and b"\n" not in found[len(mended) :]
    given = b"".join(change.data or b"" for change in before(disk, moment))
    assert given.startswith(mended) and mended[-1:] in {b"", b"\n"}
    assert all(json.loads(line)["type"] in {"request", "response"} for line in mended.splitlines())
    return found != mended


def check_server(vault: VaultProcess, folder: Path, last: int) -> None:
    """Start a server on what is left, and read all that was acknowledged; then it works on."""
    left = VaultProcess(folder, database=folder / "disk" / "vault.db", audit=folder / "disk" / AUDIT)
    left.root, left.key = vault.root, vault.key
    try:
        left.start()
        left.unseal()
        with left.client() as client:
            for number in range(last + 1):
                answer = client.request("GET", f"/v1/secret/data/n{number}")
                assert answer.status == 200 and answer.json()["data"]["data"] == {"n": number}, (
                    number,
                    answer,
                )
            assert client.request("POST", "/v1/secret/data/more", {"data": {"n": 0}}).status == 200
    finally:
        left.stop()
    lines = (folder / "disk" / AUDIT).read_bytes().splitlines()
    assert lines and all(json.loads(line)["type"] in {"request", "response"} for line in lines)


def cut(vault: VaultProcess, disk: Disk, folder: Path, images: int, servers: int) -> tuple[int, int]:
    """Cut the power so often, and start a server on so many of the images.

    Returns how many images lacked audit records of what was acknowledged, and how many ended within a line.
    """
    lacking = torn = 0
    for seed in range(images):
        chance = random.Random(seed)
        promises = promised(disk)
        at = chance.choice(
            (chance.randrange(promises[0][0] + 1, disk.length + 1), chance.choice(promises)[0] + 1)
        )
        last = max(number for done, number in promises if done < at)
        paths = {f"secret/data/n{number}" for number in range(last + 1)}
        assert paths <= answered(disk, at)
        place = folder / f"image-{seed}"
        place.mkdir()
        put(disk.image(at, chance, appended=(AUDIT,)), place / "disk")
        audit = place / "disk" / AUDIT
        left = audit.read_bytes() if audit.exists() else b""  # its name may not have been flushed either
        lacking += any(f'"{path}"'.encode() not in left for path in paths)
        if seed < servers:
            audit.write_bytes(left.rstrip(b"\n") or b'{"time":"')  # in each case within a line
            check_server(vault, place, last)
        elif left:
            torn += check_audit(disk, at, audit)
        shutil.rmtree(place)
    return lacking, torn


def test_power_cuts_under_a_server_leave_every_secret_and_whole_audit_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault, disk = recorded(tmp_path, monkeypatch)
    lacking, _ = cut(vault, disk, tmp_path, 30, 1)
    assert 0 < lacking < 30  # the documented bound is met with, and not all is within it


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_a_thousand_power_cuts_under_a_server_leave_every_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault, disk = recorded(tmp_path, monkeypatch)
    lacking, torn = cut(vault, disk, tmp_path, 1000, 100)
    print(f"{lacking} of 1,000 images lack audit records, {torn} ended within one")  # noqa: T201 -- the figure is the result
    assert 0 < lacking < 1000
