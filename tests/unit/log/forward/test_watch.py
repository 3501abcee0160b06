# SPDX-License-Identifier: EUPL-1.2
"""The server reads what is told of its devices: requests are refused, and events recorded, by whoever is to."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests.unit.log.forward.test_gate import LATE, SIEM, WELL
from vault.framework.clock import Clock
from vault.log.forward.report import Report, write_report
from vault.log.forward.watch import DeviceWatch


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 -- what is waited for sets no event
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("tells", [True, False])
def test_a_report_refuses_requests_and_is_told_by_one_process(tmp_path: Path, tells: bool) -> None:
    clock, told = Clock(), list[tuple[str, object]]()

    async def play() -> None:
        watch = DeviceWatch(
            tmp_path, [SIEM], clock, lambda event, said: told.append((event, said["device"])), defect=list[Exception]().append,
            tells=lambda: tells, every=0.01,
        )  # fmt: skip
        assert (watch.refusal, watch.devices, watch.problem) == ("", (), "")
        watch.start()
        for device, refused in ((WELL, False), (LATE, True), (WELL, False)):
            write_report(tmp_path, Report(at=clock.monotonic(), devices=(device,), problem="none"))
            await until(lambda device=device: [*watch.devices] == [device])  # type: ignore[misc]  # bound at once
            assert bool(watch.refusal) is refused
        assert watch.problem == "none"
        (tmp_path / "devices.state").write_bytes(b"{")
        await until(lambda: not watch.devices)
        await watch.stop()
        write_report(tmp_path, Report(at=clock.monotonic(), devices=(LATE,)))
        await asyncio.sleep(0.05)
        assert watch.refusal == ""
        await watch.stop()

    asyncio.run(play())
    expected = [("esa.log.device.failed", "siem"), ("esa.log.device.recovered", "siem")]
    assert told == (expected if tells else [])


def test_a_device_of_which_nothing_is_told_refuses_when_its_deadline_has_passed(tmp_path: Path) -> None:
    hasty = msgspec.structs.replace(SIEM, deadline=0.05)

    async def play() -> None:
        watch = DeviceWatch(
            tmp_path, [hasty], Clock(), lambda *_: None, defect=list[Exception]().append, every=0.01
        )
        watch.start()
        await until(lambda: "log reader" in watch.refusal)
        await watch.stop()

    asyncio.run(play())
