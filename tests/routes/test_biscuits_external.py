# SPDX-License-Identifier: EUPL-1.2
"""Biscuits whose issuer key is in a device: it is asked before the transaction, about what is then stored."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.routes.driver import Answer, Application
from tests.routes.issuer import Issuer
from vault.engines.system.external_keys.engine import ExternalKeyEngine
from vault.framework.call import Call
from vault.framework.errors import Unavailable, VaultError
from vault.framework.keys.external import PrivateKey

T = TypeVar("T")


class FakeDevice:
    """A device with one key; something may happen while it is asked, and it may fail."""

    ref = "c:k"

    def __init__(self) -> None:
        self.key = Ed25519PrivateKey.generate()
        self.asked = 0
        self.meanwhile: Callable[[], Any] | None = None
        self.failure: VaultError | None = None

    async def find(self, *_: object) -> "FakeDevice":
        return self

    def describe(self) -> Mapping[str, str]:
        return {"ref": self.ref}

    async def use(self, call: Call | None, work: Callable[[PrivateKey], T]) -> T:
        assert call is not None
        call.record.external_keys = [*call.record.external_keys, self.describe()]
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await meanwhile()
        return work(self.key)


class SlowDevice(FakeDevice):
    """A device that lets others ask before it answers."""

    async def use(self, call: Call | None, work: Callable[[PrivateKey], T]) -> T:
        await asyncio.sleep(0)
        return await super().use(call, work)


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> FakeDevice:
    made = FakeDevice()
    monkeypatch.setattr(ExternalKeyEngine, "find", made.find)
    return made


@pytest.fixture
def issuer(device: FakeDevice) -> Iterator[Issuer]:
    application = Application()
    made = Issuer(application)
    made.root("nhi/keys", {"external": "c:k"})
    assert device.asked == 1
    yield made
    application.close()


def test_a_device_is_asked_once_for_each_token(issuer: Issuer, device: FakeDevice) -> None:
    for count in (2, 3):
        assert issuer.root("nhi/introspect", {"token": issuer.issue()})["data"]["active"]
        assert device.asked == count


def test_a_token_says_what_is_true_when_it_is_stored(issuer: Issuer, device: FakeDevice) -> None:
    async def change() -> None:
        body = {"workload": "w1", "policies": "default"}
        answer = await issuer.application.ask("POST", "/v1/nhi/registrations/r1", body, token="root")
        assert answer.status == 204, answer.body

    device.meanwhile = change
    token = issuer.issue()
    assert device.asked == 3
    assert issuer.root("nhi/introspect", {"token": token})["data"]["policies"] == ["default"]


def test_a_device_that_fails_is_told_to_whoever_asked_and_nothing_is_stored(
    issuer: Issuer, device: FakeDevice
) -> None:
    device.failure = Unavailable("it is gone")
    answer = issuer.application.request("POST", "/v1/nhi/issue/r1", {}, token="root")
    assert (answer.status, answer.json()["errors"]) == (500, ["it is gone"])
    device.failure = None
    assert issuer.issue()


def test_a_list_of_revocations_is_recorded_before_a_device_signs_it(
    issuer: Issuer, device: FakeDevice
) -> None:
    seen: list[list[str]] = []

    async def look() -> None:
        seen.append([record["type"] for record in issuer.application.records()])

    issuer.application.records()
    device.meanwhile = look
    assert issuer.application.request("GET", "/v1/nhi/revocations").status == 200
    assert seen == [["request"]]
    (told,) = issuer.application.records()
    assert told["type"] == "response" and device.asked == 2


@pytest.mark.asked_alone("counts what one process asks of a device")
def test_a_list_of_revocations_is_signed_once_however_many_ask_for_it_at_once(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = SlowDevice()
    monkeypatch.setattr(ExternalKeyEngine, "find", slow.find)
    issuer.root("nhi/keys", {"external": "c:k"})
    before = slow.asked

    async def together() -> list[Answer]:
        return await asyncio.gather(
            *(issuer.application.ask("GET", "/v1/nhi/revocations") for _ in range(20))
        )

    assert {answer.status for answer in issuer.application.run(together())} == {200}
    assert slow.asked == before + 1
