# SPDX-License-Identifier: EUPL-1.2
"""Enabling, showing and disabling mounts. Refusals are OpenBao's as measured, without input values."""

from typing import Any

import pytest

from tests.unit.engines.system.estate import estate
from tests.unit.engines.system.house import CORE, play
from vault.mount.entry import MountEntry
from vault.values.ids import ROOT_ID, MountAccessor, MountId

MOUNT = "sys/mounts/one"
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({}, "backend type must be specified as a string"),
    ({"type": "plugin"}, "plugin_name must be provided for plugin backend"),
    ({"type": "nope"}, "type: plugin not found in the catalog"),
    ({"type": "system"}, 'mount type of "system" is not mountable'),
    ({"type": "token"}, 'mount type of "token" is not mountable'),
    (
        {"type": "other", "options": {"version": "2"}},
        'secrets engine "other" does not allow setting a version',
    ),
    ({"type": "kv", "options": {"version": "3"}}, 'nil backend of type "kv" returned from factory'),
    (
        {"type": "kv", "config": {"default_lease_ttl": "hunter2"}},
        "unable to parse default TTL: time: invalid duration",
    ),
    ({"type": "kv", "config": {"max_lease_ttl": 1.5}}, "unable to parse max TTL: time: invalid duration"),
    (
        {"type": "kv", "config": {"default_lease_ttl": "2h", "max_lease_ttl": "1h"}},
        "given default lease TTL greater than given max lease TTL",
    ),
    (
        {"type": "kv", "config": {"default_lease_ttl": "800h"}},
        "given default lease TTL greater than system max lease TTL of 2764800",
    ),
    (
        {"type": "kv", "config": {"listing_visibility": "hunter2"}},
        "invalid listing_visibility: it must be hidden, unauth or empty",
    ),
    (
        {"type": "kv", "config": {"force_no_cache": "true"}},
        "unable to convert given mount config information",
    ),
    (
        {"type": "kv", "config": {"default_lease_ttl": True}},
        "unable to convert given mount config information",
    ),
    (
        {"type": "kv", "config": {"audit_non_hmac_request_keys": 5}},
        "unable to convert given mount config information",
    ),
    (
        {"type": "kv", "config": {"user_lockout_config": {}}},
        "unable to convert given mount config information",
    ),
    (
        {"type": "kv", "config": {"plugin_version": "v9"}},
        "plugin_version: cannot select non-builtin version of secrets plugin",
    ),
]


def test_a_new_mount_is_shown_with_everything_that_was_said_about_it() -> None:
    async def scenario() -> None:
        house = await estate()
        body = {
            "type": "kv-v2",
            "description": "all",
            "local": True,
            "seal_wrap": "1",
            "external_entropy_access": True,
            "config": {
                "default_lease_ttl": "1h",
                "max_lease_ttl": 7200,
                "force_no_cache": True,
                "listing_visibility": "unauth",
                "audit_non_hmac_request_keys": ["a", "b"],
                "audit_non_hmac_response_keys": "c,d",
                "passthrough_request_headers": ["X-A"],
                "allowed_response_headers": None,
                "token_type": "batch",
                "unknown": 1,
            },
            "options": {"x": "y"},
        }
        assert (await house("POST", "sys/mounts/deep/one", body)).status == 204
        answer = await house("GET", "sys/mounts/deep/one/")
        row = answer.data
        assert row.pop("uuid") and row.pop("accessor").startswith("kv_")
        assert row == {
            "config": {
                "audit_non_hmac_request_keys": ["a", "b"],
                "audit_non_hmac_response_keys": ["c", "d"],
                "default_lease_ttl": 3600,
                "force_no_cache": True,
                "listing_visibility": "unauth",
                "max_lease_ttl": 7200,
                "passthrough_request_headers": ["X-A"],
            },
            "deprecation_status": "supported",
            "description": "all",
            "external_entropy_access": True,
            "local": True,
            "options": {"version": "2", "x": "y"},
            "plugin_version": "",
            "running_plugin_version": "v2.7.2+builtin.bao",
            "running_sha256": "",
            "seal_wrap": True,
            "type": "kv",
        }
        assert answer.body["type"] == "kv"

    play(scenario)


def test_all_mounts_are_shown_by_path_secrets_and_auth_apart() -> None:
    async def scenario() -> None:
        house = await estate()
        await house("PUT", MOUNT, {"type": "kv"})
        answer = await house("GET", "sys/mounts")
        assert list(answer.data) == ["cubbyhole/", "identity/", "one/", "sys/"]
        assert answer.body["one/"] == answer.data["one/"]
        assert answer.data["one/"]["options"] == {}
        assert answer.data["sys/"]["options"] is None
        assert "deprecation_status" not in answer.data["sys/"]
        assert answer.data["sys/"]["config"]["passthrough_request_headers"] == ["Accept"]
        token = (await house("GET", "sys/auth")).data
        assert list(token) == ["token/"]
        assert token["token/"]["config"]["token_type"] == "default-service"

    play(scenario)


def test_a_mount_is_served_from_the_next_request_on_and_gone_with_its_data_when_disabled() -> None:
    async def scenario() -> None:
        house = await estate()
        before = set(await house.storage.reader().scan(""))
        assert (await house("GET", "one/a")).error.startswith("no handler for route")
        await house("POST", MOUNT, {"type": "kv"})
        assert house.mounts.get("one/") is not None
        await house("POST", "one/a", {"x": "y"})
        assert (await house("GET", "one/a")).data == {"x": "y"}
        assert (await house("DELETE", MOUNT)).status == 204
        assert house.mounts.get("one/") is None
        assert (await house("GET", "one/a")).error.startswith("no handler for route")
        assert set(await house.storage.reader().scan("")) == before
        await house("POST", MOUNT, {"type": "kv"})
        assert (await house("GET", "one/a")).body == {"errors": []}

    play(scenario)


@pytest.mark.parametrize(("body", "expected"), REFUSED)
def test_what_cannot_be_mounted_is_refused_and_leaves_nothing(body: dict[str, Any], expected: str) -> None:
    async def scenario() -> None:
        house = await estate()
        before = set(await house.storage.reader().scan(""))
        answer = await house("POST", MOUNT, body)
        assert (answer.status, answer.error) == (400, expected)
        assert set(await house.storage.reader().scan("")) == before

    play(scenario)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("one", "path is already in use at one/"),
        ("one/below", "path is already in use at one/"),
        ("two", "path is already in use at two/deep/"),
        ("sys/x", 'cannot mount "sys/x/"'),
        ("auth", 'cannot mount "auth/"'),
        ("identity", 'cannot mount "identity/"'),
    ],
)
def test_a_place_that_is_taken_is_refused(path: str, expected: str) -> None:
    async def scenario() -> None:
        house = await estate()
        await house("POST", MOUNT, {"type": "kv"})
        await house("POST", "sys/mounts/two/deep", {"type": "kv-v1"})
        assert (await house("POST", f"sys/mounts/{path}", {"type": "kv"})).error == expected
        assert (await house("POST", "sys/mounts/onefold", {"type": "kv"})).status == 204

    play(scenario)


def test_a_mount_of_a_kind_that_is_unknown_here_keeps_its_place() -> None:
    async def scenario() -> None:
        house = await estate()
        async with house.barrier.write(ROOT_ID, CORE) as core:
            entry = MountEntry(
                uuid=MountId("1"), path="one/", kind="of-a-later-version", accessor=MountAccessor("a")
            )
            await house.mounts.put(core, entry)
        await house.follower.catch_up()
        assert house.mounts.get("one/") is None
        assert (await house("POST", MOUNT, {"type": "kv"})).error == "path is already in use at one/"

    play(scenario)


@pytest.mark.parametrize("path", ["sys", "cubbyhole", "identity", "auth/token"])
def test_the_servers_own_mounts_stay(path: str) -> None:
    async def scenario() -> None:
        house = await estate()
        assert (await house("DELETE", f"sys/mounts/{path}")).error == f'cannot unmount "{path}/"'

    play(scenario)


def test_disabling_what_is_not_there_does_nothing() -> None:
    async def scenario() -> None:
        house = await estate()
        await house("POST", MOUNT, {"type": "kv"})
        for path in ("mounts/never", "mounts/one/below", "auth/never"):
            assert (await house("DELETE", f"sys/{path}")).status == 204
        assert (await house("GET", "sys/mounts/never")).error == "No secret engine mount at never/"
        assert (await house("GET", "sys/auth/never")).error == "No auth engine at never/"
        assert (await house("GET", "sys/mounts/one/below")).data["type"] == "kv"

    play(scenario)


def test_auth_methods_are_enabled_shown_and_disabled() -> None:
    async def scenario() -> None:
        house = await estate()
        body = {"type": "userpass", "config": {"token_type": "batch"}, "description": "d"}
        assert (await house("POST", "sys/auth/people", body)).status == 204
        row = (await house("GET", "sys/auth/people")).data
        assert row["accessor"].startswith("auth_userpass_")
        assert row["config"]["token_type"] == "batch"
        assert row["deprecation_status"] == "supported"
        assert (await house("POST", "sys/auth/people/x", body)).error == "path is already in use at people/"
        assert (await house("DELETE", "sys/mounts/auth/people")).error == 'cannot unmount "auth/people/"'
        assert (await house("DELETE", "sys/auth/people")).status == 204
        assert house.mounts.get("auth/people/") is None
        assert list((await house("GET", "sys/auth")).data) == ["token/"]

    play(scenario)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, "backend type must be specified as a string"),
        ({"type": "kv"}, "type: plugin not found in the catalog"),
        ({"type": "ns_token"}, "token credential backend cannot be instantiated"),
        ({"type": "userpass", "config": {"token_type": "hunter2"}}, "invalid value for 'token_type'"),
        (
            {"type": "userpass", "options": {"version": "1"}},
            'auth method "userpass" does not allow setting a version',
        ),
        (
            {"type": "userpass", "config": {"plugin_version": "v9"}},
            "plugin_version: cannot select non-builtin version of auth plugin",
        ),
    ],
)
def test_what_is_no_auth_method_is_refused(body: dict[str, Any], expected: str) -> None:
    async def scenario() -> None:
        house = await estate()
        assert (await house("POST", "sys/auth/people", body)).error == expected
        assert (
            await house("DELETE", "sys/auth/token")
        ).error == "token credential backend cannot be disabled"

    play(scenario)


def test_auth_methods_need_sudo_and_mounts_do_not() -> None:
    async def scenario() -> None:
        house = await estate()
        await house.policy("all", 'path "sys/*" { capabilities = ["create", "read", "update", "delete"] }')
        token = await house.token("all")
        assert (await house("GET", "sys/auth", token=token)).status == 200
        for method, path in (("GET", "token"), ("GET", "token/tune"), ("POST", "x"), ("DELETE", "x")):
            assert (await house(method, f"sys/auth/{path}", token=token)).status == 403
        assert (await house("POST", MOUNT, {"type": "kv"}, token=token)).status == 204
        assert (await house("POST", "sys/remount", {"from": "one", "to": "two"}, token=token)).status == 403

    play(scenario)
