# SPDX-License-Identifier: EUPL-1.2
"""Replacing the keys that encrypt storage, by hand and by itself."""

from typing import Any

import pytest

from tests.unit.barrier.open import ROOT
from tests.unit.engines.system.estate import estate
from tests.unit.engines.system.house import CORE, House, play
from vault.barrier.barrier import Barrier
from vault.engines.system.seal.rotate_keyring import keep_count
from vault.values.ids import ROOT_ID

DAY = 24 * 3600


async def worker(house: House) -> Barrier:
    """Return the barrier of another worker on the same storage."""
    other = Barrier(house.storage, now=house.clock.millis, random=house.entropy.bytes)
    await other.load(ROOT)
    return other


@pytest.mark.parametrize("path", ["sys/rotate", "sys/rotate/keyring"])
def test_a_rotation_adds_a_key_and_what_was_written_before_stays_readable(path: str) -> None:
    async def scenario() -> None:
        house = await estate()
        before = (await house("GET", "sys/key-status")).data
        house.clock.sleep(60)
        assert (await house("POST", path)).status == 204
        assert house.barrier.keyring.active.number == 2
        answer = await house("GET", "sys/key-status")
        assert (before["term"], answer.data["term"], answer.body["term"]) == (1, 2, 2)
        assert answer.data["install_time"] > before["install_time"]
        assert answer.data["encryptions"] < before["encryptions"]
        assert "sys/" in (await house("GET", "sys/mounts")).data

    play(scenario)


def test_a_rotation_needs_sudo_and_its_settings_do_not() -> None:
    async def scenario() -> None:
        house = await estate()
        await house.policy("p", 'path "sys/*" { capabilities = ["read", "update"] }')
        token = await house.token("p")
        for path in ("rotate", "rotate/keyring"):
            assert (await house("POST", f"sys/{path}", token=token)).status == 403
        assert (await house("POST", "sys/rotate/config", {}, token=token)).status == 204
        assert (await house("GET", "sys/key-status", token=token)).data["term"] == 1

    play(scenario)


def test_the_settings_change_where_they_are_given_and_outlive_the_process() -> None:
    async def scenario() -> None:
        house = await estate()
        first = {"enabled": True, "interval": 0, "max_operations": 3865470566}
        assert (await house("GET", "sys/rotate/config")).data == first
        assert (await house("POST", "sys/rotate/config", {"interval": "48h"})).status == 204
        assert house.barrier.keyring.rotation.interval == 48 * 3600
        assert (await house("GET", "sys/rotate/keyring/config")).data == {**first, "interval": "48h0m0s"}
        body = {"enabled": False, "max_operations": 2_000_000, "interval": 90_061}
        assert (await house("POST", "sys/rotate/keyring/config", body)).status == 204
        expected = {"enabled": False, "interval": "25h1m1s", "max_operations": 2_000_000}
        assert (await house("GET", "sys/rotate/config")).data == expected
        assert not (await worker(house)).keyring.rotation.enabled

    play(scenario)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"max_operations": 5}, "max_operations must be in the range [1000000,3865470566]"),
        ({"interval": "1h"}, "interval must be greater or equal to 24h0m0s"),
    ],
)
def test_settings_out_of_bounds_are_refused(body: dict[str, Any], expected: str) -> None:
    async def scenario() -> None:
        house = await estate()
        answer = await house("POST", "sys/rotate/config", {"enabled": False, **body})
        assert (answer.status, answer.error) == (400, expected)
        assert (await house("GET", "sys/rotate/config")).data["enabled"] is True

    play(scenario)


def test_the_key_is_replaced_by_itself_when_its_time_is_over_by_one_worker_only() -> None:
    async def scenario() -> None:
        house = await estate()
        await house("POST", "sys/rotate/config", {"interval": "24h"})
        other = await worker(house)
        await keep_count(house.barrier)
        assert house.barrier.keyring.active.number == 1
        house.clock.sleep(DAY + 1)
        assert house.barrier.due() and other.due()
        await keep_count(house.barrier)
        assert other.due()
        await keep_count(other)
        assert house.barrier.keyring.active.number == other.keyring.active.number == 2
        assert not other.due()

    play(scenario)


def test_counts_are_kept_across_workers_and_lead_to_a_rotation() -> None:
    async def scenario() -> None:
        house = await estate()
        await house("POST", "sys/rotate/config", {"max_operations": 1_000_000})
        other = await worker(house)
        house.barrier.keyring.active.unsaved += 600_000
        other.keyring.active.unsaved += 400_000
        await keep_count(house.barrier)
        assert house.barrier.keyring.active.number == 1
        await keep_count(other)
        assert other.keyring.active.number == 2
        reader = other.reader(ROOT_ID, CORE)
        assert await reader.list("mount/")

    play(scenario)
