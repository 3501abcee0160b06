# SPDX-License-Identifier: EUPL-1.2
"""The watch over a key slot: how often it looks, and what it tells."""

import asyncio
import contextlib

from hsm.errors import IntegrityError
from hsm.health import ILL_SECONDS, WELL_SECONDS, SlotWatch
from hsm.wrapping import SlotState, Wrapped

WELL = SlotState(up=True, key_version="v0001")
ILL = SlotState(up=False, reason="slot a: no device")


class Device:
    """A key slot whose probes find what was planned, a second of work each."""

    name = "a"
    kind = "fake"

    def __init__(self, *found: SlotState) -> None:
        self.found = list(found)
        self.seconds = 100.0
        self.pauses: list[float] = []

    async def wrap(self, dek: bytes) -> Wrapped:
        raise NotImplementedError

    async def unwrap(self, wrapped: Wrapped) -> bytes:
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError

    async def probe(self) -> SlotState:
        self.seconds += 1.0
        return self.found.pop(0)

    def now(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        """Pass the time, until nothing more is planned."""
        self.pauses.append(seconds)
        self.seconds += seconds
        if not self.found:
            raise asyncio.CancelledError


def _run(watch: SlotWatch) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(watch.run())


def test_it_looks_every_minute_while_well_and_every_five_seconds_while_ill() -> None:
    device = Device(WELL, ILL, ILL, WELL)
    told: list[SlotState] = []
    watch = SlotWatch(device, now=device.now, sleep=device.sleep, changed=told.append)
    _run(watch)
    assert device.pauses == [WELL_SECONDS, ILL_SECONDS, ILL_SECONDS, WELL_SECONDS]
    assert told == [WELL, ILL, WELL]
    record = watch.record
    assert (record.probes, record.failures, record.changes, record.seconds) == (4, 2, 3, 1.0)
    assert (record.state, record.since) == (WELL, device.seconds - WELL_SECONDS)


def test_another_reason_is_told_and_is_no_change() -> None:
    worse = SlotState(up=False, reason="slot a: worse")
    device = Device(ILL, ILL, worse)
    told: list[SlotState] = []
    watch = SlotWatch(device, now=device.now, sleep=device.sleep, changed=told.append, interval_ill=1.0)
    _run(watch)
    assert told == [ILL, worse]
    assert watch.record.changes == 0
    assert device.pauses == [1.0, 1.0, 1.0]


def test_a_stored_record_that_does_not_open_makes_the_slot_ill() -> None:
    checks: list[bool] = []

    async def check() -> None:
        checks.append(True)
        if len(checks) == 2:
            raise IntegrityError("the key has the label but is another")

    device = Device(ILL, WELL, WELL)
    watch = SlotWatch(device, now=device.now, sleep=device.sleep, check=check)
    _run(watch)
    assert len(checks) == 2
    assert watch.record.state == SlotState(
        up=False, key_version="v0001", reason="the key has the label but is another"
    )


def test_before_the_first_look_it_is_not_up() -> None:
    assert not SlotWatch(Device()).record.state.up
