# SPDX-License-Identifier: EUPL-1.2
"""What the inventory asks of devices: seldom, not for long, and never so that a token locks itself."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Self, TypeVar

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.devices import SoftAes
from tests.unit.engines.system.house import House
from vault.barrier.view import core_prefix
from vault.engines.system.external_keys import inventory, store
from vault.engines.system.external_keys.engine import Options
from vault.engines.system.external_keys.inventory import ANSWERED, REFUSED, ExternalKeyInventory
from vault.engines.system.external_keys.store import ExternalKeyConfig, ExternalKeyEntry
from vault.framework.call import Call
from vault.framework.errors import Malformed, Unavailable, VaultError
from vault.framework.keys.external import PrivateKey, SecretKey
from vault.framework.keys.inventory import KeyUse
from vault.values.ids import ROOT_ID

T = TypeVar("T")
PIN = "hunter2hunter2"


class Device:
    """A provider and its one key; `failure` is raised while it is set, and `hangs` has it answer never."""

    secrets = frozenset({"pin"})
    ref = "c:k"
    oaep = ""

    def __init__(self) -> None:
        self.key: PrivateKey | SecretKey = ec.generate_private_key(ec.SECP384R1())
        self.failure: VaultError | None = None
        self.hangs = False
        self.asked = 0

    async def check_config(self, config: Options) -> None:
        raise AssertionError

    async def check_key(self, config: Options, key: Options) -> None:
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.failure is not None:
            raise self.failure

    async def open(self, ref: str, config: Options, key: Options) -> "Device":
        return self

    def describe(self) -> Mapping[str, str]:
        raise AssertionError

    async def use(self, call: Call | None, work: Callable[[PrivateKey], T]) -> T:
        raise AssertionError

    async def use_any(self, call: Call | None, work: Callable[[PrivateKey | SecretKey], T]) -> T:
        assert call is None
        return work(self.key)


class Bench:
    """A namespace with external keys, whose inventory is read again and again."""

    def __init__(self, *keys: str) -> None:
        self.device = Device()
        self.now = 0.0
        self.house = House()
        self.inventory = ExternalKeyInventory({"pkcs11": self.device}, lambda: self.now)
        self.keys = keys

    async def __aenter__(self) -> Self:
        await self.house.open()
        async with self.house.barrier.write(ROOT_ID, core_prefix(ROOT_ID)) as core:
            options: dict[str, Any] = {"token_label": "a", "pin": PIN}
            await store.put_config(core, "c", ExternalKeyConfig("pkcs11", options))
            for key in self.keys:
                await store.put_key(core, "c", key, ExternalKeyEntry({"label": key}))
        return self

    async def __aexit__(self, *problem: object) -> None:
        return None

    async def read(self) -> list[KeyUse]:
        core = self.house.barrier.reader(ROOT_ID, core_prefix(ROOT_ID))
        return list(await self.inventory.keys_of(core))


def play(work: Callable[[Bench], Any], *keys: str) -> None:
    async def run() -> None:
        async with Bench(*keys) as bench:
            await work(bench)

    asyncio.run(run())


def test_a_device_says_which_kind_of_key_it_is_and_no_pin_is_told() -> None:
    async def work(bench: Bench) -> None:
        (use,) = await bench.read()
        assert (use.name, use.algorithm, use.bits, use.in_hsm) == ("c:k", "ecdsa-p384-sha384", 384, True)
        assert use.location == "pkcs11: token_label a, label k"
        assert PIN not in repr(use)

    play(work, "k")


@pytest.mark.parametrize(("size", "suite"), [(16, "aes-128-gcm"), (24, ""), (32, "aes-256-gcm")])
def test_an_aes_key_of_a_device_is_told_by_its_size(size: int, suite: str) -> None:
    async def work(bench: Bench) -> None:
        bench.device.key = SoftAes(bytes(size))
        (use,) = await bench.read()
        assert (use.algorithm, use.bits, use.state) == (suite, 8 * size, "active")

    play(work, "k")


def test_an_answer_counts_for_a_minute() -> None:
    async def work(bench: Bench) -> None:
        for _ in range(5):
            await bench.read()
        assert bench.device.asked == 1
        bench.now += ANSWERED + 1
        await bench.read()
        assert bench.device.asked == 2

    play(work, "k")


@pytest.mark.parametrize(
    ("failure", "lasts"), [(Unavailable("away"), ANSWERED), (Malformed("wrong PIN"), REFUSED)]
)
def test_a_device_that_does_not_answer_is_asked_again_later_and_one_that_refuses_much_later(
    failure: VaultError, lasts: float
) -> None:
    async def work(bench: Bench) -> None:
        (use,) = await bench.read()
        assert use.state == "active"
        bench.device.failure = failure
        bench.now += ANSWERED + 1
        (use,) = await bench.read()
        assert (use.state, use.algorithm) == ("unreachable", "ecdsa-p384-sha384")
        bench.now += lasts - 1
        await bench.read()
        assert bench.device.asked == 2
        bench.device.failure = None
        bench.now += 2
        (use,) = await bench.read()
        assert (use.state, bench.device.asked) == ("active", 3)

    play(work, "k")


def test_nobody_waits_for_a_device_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inventory, "ASKING", 0.01)

    async def work(bench: Bench) -> None:
        bench.device.hangs = True
        async with asyncio.timeout(5):
            found = await bench.read()
        assert {use.algorithm for use in found} == {""}
        assert found[0].state == "unreachable"

    play(work, *(f"k{number}" for number in range(50)))


def test_a_plugin_that_is_not_there_leaves_its_rows() -> None:
    async def work(bench: Bench) -> None:
        bench.inventory = ExternalKeyInventory({}, lambda: bench.now)
        (use,) = await bench.read()
        assert (use.state, use.algorithm, bench.device.asked) == ("unreachable", "", 0)

    play(work, "k")
