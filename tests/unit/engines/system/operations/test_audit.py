# SPDX-License-Identifier: EUPL-1.2
"""Audit devices and recorded request headers, through the API."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from tests.unit.engines.system.house import House, play
from vault.audit.device import DeviceConfig
from vault.engines.system.operations.audit import AuditEngine
from vault.framework.concurrency.offload import Client, Pool
from vault.framework.limits import AT_ONCE

T = TypeVar("T")
HEADERS = "sys/config/auditing/request-headers"


def _declared(folder: Path) -> DeviceConfig:
    return DeviceConfig(
        path="file/", kind="file", description="first", options={"file_path": str(folder / "audit.log")}
    )


async def _house(folder: Path, *, creation: bool = False) -> House:
    house = House(devices=[_declared(folder)])
    return await house.open(AuditEngine(house.audit, Pool(), allow_creation=creation, allow_prefix=False))


def test_devices_are_shown_with_a_slash_after_their_names(tmp_path: Path) -> None:
    async def scenario() -> None:
        house = await _house(tmp_path)
        answer = await house("GET", "sys/audit")
        expected = {
            "description": "first",
            "local": False,
            "options": {"file_path": f"{tmp_path}/audit.log"},
            "path": "file/",
            "type": "file",
        }
        assert answer.data == {"file/": expected}
        assert answer.body["file/"] == expected

    play(scenario)


def test_devices_are_for_those_with_sudo(tmp_path: Path) -> None:
    async def scenario() -> None:
        house = await _house(tmp_path)
        await house.policy("weak", 'path "sys/*" { capabilities = ["read", "update", "delete", "create"] }')
        await house.policy("strong", 'path "sys/audit" { capabilities = ["read", "sudo"] }')
        weak, strong = await house.token("weak"), await house.token("strong")
        for method, path in (
            ("GET", "sys/audit"),
            ("POST", "sys/audit/x"),
            ("DELETE", "sys/audit/x"),
            ("GET", HEADERS),
        ):
            assert (await house(method, path, token=weak)).status == 403
        assert (await house("GET", "sys/audit", token=strong)).status == 200
        assert (await house("POST", "sys/audit-hash/file", {"input": "x"}, token=weak)).status == 200

    play(scenario)


def test_a_hash_is_the_one_in_the_records(tmp_path: Path) -> None:
    async def scenario() -> None:
        house = await _house(tmp_path)
        answer = await house("POST", "sys/audit-hash/file", {"input": "needle"})
        assert answer.body["hash"] == answer.data["hash"]
        records = [json.loads(line) for line in (tmp_path / "audit.log").read_text().splitlines()]
        assert records[0]["request"]["data"]["input"] == answer.data["hash"]

    play(scenario)


def test_a_long_value_is_hashed_apart_for_a_device(tmp_path: Path) -> None:
    class Watched(Pool):
        times = 0

        async def run(self, client: Client, work: Callable[[], T], *, owed: bool = False) -> T:
            self.times += 1
            return await super().run(client, work, owed=owed)

    async def scenario() -> None:
        house, pool = House(devices=[_declared(tmp_path)]), Watched()
        await house.open(AuditEngine(house.audit, pool, allow_creation=False, allow_prefix=False))
        for value, times in (("needle", 0), ("a" * (AT_ONCE + 1), 1)):
            answer = await house("POST", "sys/audit-hash/file", {"input": value})
            assert (answer.status, pool.times) == (200, times)

    play(scenario)


@pytest.mark.parametrize(
    ("method", "path", "body", "error"),
    [
        ("POST", "sys/audit-hash/file", {}, 'the "input" parameter is empty'),
        ("POST", "sys/audit-hash/nope", {"input": ""}, 'the "input" parameter is empty'),
        ("POST", "sys/audit-hash/nope", {"input": "x"}, 'unknown audit backend "nope/"'),
        ("DELETE", "sys/audit/file", None, "cannot disable configuration-managed audit device"),
        ("GET", f"{HEADERS}/X-Nope", None, "Could not find header in config"),
        *(
            ("POST", f"{HEADERS}/{name}", {}, "this header carries credentials: set hmac to true")
            for name in ("X-Vault-Token", "X-Vault-MFA", "X-Vault-Inline-Auth-Parameter-Password", "DPoP")
        ),
        (
            "PUT",
            "sys/audit/second",
            {"type": "file", "options": {"file_path": "discard"}},
            "cannot enable audit device via API; use declarative, config-based audit device management instead",
        ),
    ],
)
def test_what_is_wrong_is_refused_in_the_words_of_the_field(
    tmp_path: Path, method: str, path: str, body: object, error: str
) -> None:
    async def scenario() -> None:
        house = await _house(tmp_path)
        answer = await house(method, path, body)
        assert (answer.status, answer.error) == (400, error)

    play(scenario)


@pytest.mark.parametrize(
    ("path", "kind", "options", "error"),
    [
        ("a", "nope", {}, "unknown backend type: it is file"),
        ("a", "file", {}, "file_path is required"),
        ("a", "file", {"file_path": "discard", "prefix": "x"}, "audit log prefixing is not allowed"),
        ("a", "file", {"file_path": "discard", "format": "jsonx"}, "jsonx formatting has been removed"),
        ("a", "file", {"file_path": "discard", "log_raw": "maybe"}, "log_raw must be true or false"),
        ("file", "file", {"file_path": "discard"}, "path already in use"),
        ("file/below", "file", {"file_path": "discard"}, "path already in use"),
    ],
)
def test_a_device_that_could_not_be_opened_again_is_refused(
    tmp_path: Path, path: str, kind: str, options: dict[str, str], error: str
) -> None:
    async def scenario() -> None:
        house = await _house(tmp_path, creation=True)
        answer = await house("POST", f"sys/audit/{path}", {"type": kind, "options": options})
        assert answer.status == 400
        assert error in answer.error
        assert set((await house("GET", "sys/audit")).data) == {"file/"}

    play(scenario)


def test_where_it_is_allowed_a_device_is_added_records_and_is_removed(tmp_path: Path) -> None:
    async def scenario() -> None:
        house = await _house(tmp_path, creation=True)
        body = {"type": "file", "local": True, "options": {"file_path": f"{tmp_path}/b.log"}}
        assert (await house("POST", "sys/audit/a/b", body)).status == 204
        shown = (await house("GET", "sys/audit")).data
        assert shown["a/b/"]["local"] is True
        assert len((tmp_path / "b.log").read_text().splitlines()) >= 3
        assert (await house("DELETE", "sys/audit/a/b")).status == 204
        assert (await house("DELETE", "sys/audit/nope")).status == 204
        assert (await house("POST", "sys/audit/second", body)).status == 204
        assert (await house("DELETE", "sys/audit/second/")).status == 204
        assert set((await house("GET", "sys/audit")).data) == {"file/"}

    play(scenario)


def test_headers_are_recorded_under_their_lower_case_names(tmp_path: Path) -> None:
    async def scenario() -> None:
        house = await _house(tmp_path)
        assert (await house("GET", HEADERS)).data == {"headers": {}}
        assert (await house("POST", f"{HEADERS}/X-One", {"hmac": True})).status == 204
        assert (await house("POST", f"{HEADERS}/X-Two", {})).status == 204
        answer = await house("GET", f"{HEADERS}/X-ONE")
        assert answer.data == {"X-ONE": {"hmac": True}} and answer.body["X-ONE"] == {"hmac": True}
        answer = await house("GET", HEADERS)
        assert answer.body["headers"] == {"x-one": {"hmac": True}, "x-two": {"hmac": False}}
        assert (await house("DELETE", f"{HEADERS}/x-ONE")).status == 204
        assert (await house("DELETE", f"{HEADERS}/x-ONE")).status == 204
        assert (await house("GET", HEADERS)).data == {"headers": {"x-two": {"hmac": False}}}
        assert (await house("POST", HEADERS, {})).status == 405

    play(scenario)
