# SPDX-License-Identifier: EUPL-1.2
"""Tuning and moving mounts. Refusals are OpenBao's as measured, without input values."""

from typing import Any

import pytest

from tests.unit.engines.system.estate import estate
from tests.unit.engines.system.house import House, play

TUNE = "sys/mounts/one/tune"
SYSTEM = {"default_lease_ttl": 2764800, "description": "", "force_no_cache": False, "max_lease_ttl": 2764800}


async def mounted(kind: str = "kv", **more: object) -> House:
    house = await estate()
    await house("POST", "sys/mounts/one", {"type": kind, **more})
    return house


def test_only_what_is_given_changes() -> None:
    async def scenario() -> None:
        house = await mounted()
        answer = await house("GET", TUNE)
        assert answer.data == SYSTEM
        assert answer.body["max_lease_ttl"] == 2764800
        assert (
            await house("POST", TUNE, {"default_lease_ttl": "1h30m", "max_lease_ttl": 7200})
        ).status == 204
        changes = {"description": "d", "listing_visibility": "unauth", "allowed_response_headers": "X-A,X-B"}
        assert (await house("POST", TUNE, changes)).status == 204
        assert (await house("GET", TUNE)).data == {
            **SYSTEM,
            "default_lease_ttl": 5400,
            "max_lease_ttl": 7200,
            "description": "d",
            "listing_visibility": "unauth",
            "allowed_response_headers": ["X-A", "X-B"],
        }
        await house("POST", TUNE, {"description": "", "default_lease_ttl": "system", "max_lease_ttl": "0"})
        await house("POST", TUNE, {"allowed_response_headers": [], "listing_visibility": "", "unknown": 1})
        assert (await house("GET", TUNE)).data == SYSTEM

    play(scenario)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"default_lease_ttl": "hunter2"}, "default_lease_ttl: time: invalid duration"),
        ({"max_lease_ttl": "1.5"}, "max_lease_ttl: time: invalid duration"),
        (
            {"default_lease_ttl": "4h", "max_lease_ttl": "2h"},
            "backend max lease TTL of 7200 would be less than backend default lease TTL of 14400",
        ),
        ({"listing_visibility": "hunter2"}, "invalid listing_visibility: it must be hidden, unauth or empty"),
        ({"token_type": "batch"}, "'token_type' can only be modified on auth mounts"),
        (
            {"user_lockout_config": {"lockout_threshold": "3"}},
            'tuning of user lockout configuration for auth type "kv" not allowed',
        ),
        ({"plugin_version": "v9"}, "plugin_version: plugin not found in the catalog: kv"),
        ({"options": {"version": "3"}}, "invalid version provided: it is 1 or 2"),
        ({"options": {"version": "123456789"}}, "invalid version provided: it is 1 or 2"),
        ({"options": {"version": ""}}, "invalid version provided: it is 1 or 2"),
        ({"options": {"version": "hunter2"}}, "unable to parse options: strconv.ParseInt: invalid syntax"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_changes(body: dict[str, Any], expected: str) -> None:
    async def scenario() -> None:
        house = await mounted()
        answer = await house("POST", TUNE, {"description": "other", **body})
        assert (answer.status, answer.error) == (400, expected)
        assert (await house("GET", TUNE)).data == SYSTEM

    play(scenario)


def test_a_negative_default_and_a_longer_maximum_than_the_servers_are_taken() -> None:
    async def scenario() -> None:
        house = await mounted()
        await house("POST", TUNE, {"default_lease_ttl": "-1h", "max_lease_ttl": "90000h"})
        found = (await house("GET", TUNE)).data
        assert (found["default_lease_ttl"], found["max_lease_ttl"]) == (-3600, 324000000)

    play(scenario)


def test_the_upgrade_keeps_every_secret_and_there_is_no_way_back() -> None:
    async def scenario() -> None:
        house = await mounted()
        await house("POST", "one/a", {"x": "1"})
        await house("POST", "one/dir/b", {"y": "2"})
        answer = await house("POST", TUNE, {"options": {"version": "2"}})
        assert answer.status == 200
        (warning,) = answer.body["warnings"]
        assert warning.startswith(
            "Upgrading mount from version 0 to version 0. This mount will be unavailable"
        )
        assert (await house("GET", "one/data/a")).data["data"] == {"x": "1"}
        assert (await house("GET", "one/data/dir/b")).data["metadata"]["version"] == 1
        assert (await house("GET", TUNE)).data == {**SYSTEM, "options": {"version": "2"}}
        assert (await house("POST", TUNE, {"options": {"version": "2"}})).status == 204
        refused = await house("POST", TUNE, {"options": {"version": "1"}})
        assert refused.error == "cannot downgrade mount from version 2"

    play(scenario)


def test_options_are_merged_and_an_empty_one_is_removed() -> None:
    async def scenario() -> None:
        house = await mounted(options={"version": "1", "a": "b"})
        assert (await house("POST", TUNE, {"options": {"a": "", "c": "d"}})).status == 204
        assert (await house("GET", TUNE)).data["options"] == {"c": "d", "version": "1"}
        house = await mounted("other")
        refused = await house("POST", TUNE, {"options": {"version": "2"}})
        assert refused.error == 'secrets engine "other" does not allow setting a version'

    play(scenario)


def test_of_the_servers_own_mounts_only_the_audit_keys_are_tuned() -> None:
    async def scenario() -> None:
        house = await estate()
        for name in ("description", "default_lease_ttl", "options", "token_type"):
            answer = await house("POST", "sys/mounts/sys/tune", {name: {} if name == "options" else "1"})
            assert answer.error == f"cannot tune parameter {name} of sys/"
        assert (
            await house("POST", "sys/mounts/sys/tune", {"audit_non_hmac_request_keys": ["a"]})
        ).status == 204
        assert (await house("GET", "sys/mounts/sys/tune")).data["audit_non_hmac_request_keys"] == ["a"]

    play(scenario)


def test_auth_methods_are_tuned_on_either_path() -> None:
    async def scenario() -> None:
        house = await estate()
        await house("POST", "sys/auth/people", {"type": "userpass"})
        assert (await house("POST", "sys/auth/people/tune", {"token_type": "default-batch"})).status == 204
        assert (await house("POST", "sys/mounts/auth/people/tune", {"description": "d"})).status == 204
        found = (await house("GET", "sys/auth/people/tune")).data
        assert found == {**SYSTEM, "description": "d", "token_type": "default-batch"}
        assert (await house("GET", "sys/mounts/auth/people/tune")).data == found
        refused = await house("POST", "sys/auth/people/tune", {"token_type": "hunter2"})
        assert refused.error == "invalid value for 'token_type'"
        refused = await house("POST", "sys/auth/people/tune", {"options": {"version": "2"}})
        assert refused.error == 'auth method "userpass" does not allow setting a version'
        refused = await house("POST", "sys/auth/token/tune", {"token_type": "batch"})
        assert refused.error == "'token_type' cannot be set for 'token' or 'ns_token' auth mounts"

    play(scenario)


def test_what_is_not_there_cannot_be_tuned() -> None:
    async def scenario() -> None:
        house = await estate()
        assert (await house("GET", "sys/auth/x/tune")).error == 'cannot fetch sysview for path "auth/x/"'
        answer = await house("POST", "sys/mounts/x/tune", {"description": "d"})
        assert answer.error == 'tune of path "x/" failed: no mount entry found'
        await house("POST", "sys/mounts/tune", {"type": "kv"})
        assert (await house("GET", "sys/mounts/tune")).data["type"] == "kv"
        assert (await house("DELETE", "sys/mounts/tune")).status == 204

    play(scenario)


def test_a_moved_mount_takes_its_data_and_its_accessor_along() -> None:
    async def scenario() -> None:
        house = await mounted()
        await house("POST", "one/a", {"x": "y"})
        accessor = (await house("GET", "sys/mounts/one")).data["accessor"]
        answer = await house("POST", "sys/remount", {"from": "one", "to": "new/place/"})
        assert house.mounts.get("new/place/") is not None
        assert answer.body["migration_id"] == answer.data["migration_id"]
        assert answer.body["warnings"][0].startswith("Mount move has been queued.")
        assert (await house("GET", "new/place/a")).data == {"x": "y"}
        assert (await house("GET", "one/a")).status == 404
        assert (await house("GET", "sys/mounts/new/place")).data["accessor"] == accessor
        status = await house("GET", f"sys/remount/status/{answer.data['migration_id']}")
        assert status.data["migration_info"] == {
            "source_mount": "one/",
            "target_mount": "new/place/",
            "status": "success",
        }
        assert (await house("GET", "sys/remount/status/none")).body == {"errors": []}

    play(scenario)


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("", "x", "both 'from' and 'to' path must be specified as a string"),
        ("none", "x", 'no matching mount at "none/"'),
        ("one", "one/below", 'path already in use at "one/"'),
        ("one", "cubbyhole", "cannot remount to destination cubbyhole/"),
        ("one", "auth/x", "cannot remount to destination auth/x/"),
        ("sys", "x", 'cannot remount "sys/"'),
        ("auth/token", "auth/x", 'cannot remount "auth/token/"'),
        ("auth/people", "x", 'cannot remount auth mount to non-auth mount "x/"'),
        ("one", " x", "'to' path cannot contain trailing whitespace"),
        ("one", "../x", "'to' path must have no empty, relative or unprintable parts"),
        ("one", "a//x", "'to' path must have no empty, relative or unprintable parts"),
    ],
)
def test_a_mount_moves_only_where_it_may(source: str, target: str, expected: str) -> None:
    async def scenario() -> None:
        house = await mounted()
        answer = await house("POST", "sys/remount", {"from": source, "to": target})
        assert (answer.status, answer.error) == (400, expected)

    play(scenario)
