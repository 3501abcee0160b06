# SPDX-License-Identifier: EUPL-1.2
"""hvac runs a server: mounts, tuning, moving, audit, keys, tools, over TLS."""

import time

import hvac
import pytest
from hvac import exceptions

from tests.integration.processes import PATIENCE


def test_mounts_are_made_listed_and_ended(root: hvac.Client, name: str) -> None:
    assert (
        root.sys.enable_secrets_engine(
            "kv",
            path=name,
            description="mine",
            config={"default_lease_ttl": "1h", "max_lease_ttl": "2h"},
            options={"version": "1"},
        ).status_code
        == 204
    )
    row = root.sys.list_mounted_secrets_engines()["data"][f"{name}/"]
    assert (row["type"], row["description"], row["options"]) == ("kv", "mine", {"version": "1"})
    assert (row["config"]["default_lease_ttl"], row["config"]["max_lease_ttl"]) == (3600, 7200)
    assert root.sys.retrieve_mount_option(name, "version") == "1"
    with pytest.raises(exceptions.InvalidRequest) as again:
        root.sys.enable_secrets_engine("kv", path=name)
    assert again.value.errors == [f"path is already in use at {name}/"]
    with pytest.raises(exceptions.InvalidRequest):
        root.sys.enable_secrets_engine("no-such-thing", path=f"{name}x")
    root.secrets.kv.v1.create_or_update_secret("a", {"x": 1}, mount_point=name)
    assert root.sys.disable_secrets_engine(name).status_code == 204
    with pytest.raises(exceptions.InvalidPath):
        root.secrets.kv.v1.read_secret("a", mount_point=name)
    root.sys.enable_secrets_engine("kv", path=name, options={"version": "1"})
    with pytest.raises(exceptions.InvalidPath):
        root.secrets.kv.v1.read_secret("a", mount_point=name)


def test_mounts_are_tuned(root: hvac.Client, name: str) -> None:
    root.sys.enable_secrets_engine("kv", path=name, options={"version": "1"})
    assert (
        root.sys.tune_mount_configuration(
            name,
            default_lease_ttl="90m",
            max_lease_ttl="3h",
            description="tuned",
            audit_non_hmac_request_keys=["a", "b"],
            audit_non_hmac_response_keys=["c"],
            listing_visibility="unauth",
            passthrough_request_headers=["X-One"],
        ).status_code
        == 204
    )
    found = root.sys.read_mount_configuration(name)["data"]
    assert (found["default_lease_ttl"], found["max_lease_ttl"], found["description"]) == (
        5400,
        10800,
        "tuned",
    )
    assert (found["audit_non_hmac_request_keys"], found["audit_non_hmac_response_keys"]) == (
        ["a", "b"],
        ["c"],
    )
    assert (found["listing_visibility"], found["passthrough_request_headers"]) == ("unauth", ["X-One"])
    assert found["options"] == {"version": "1"}
    with pytest.raises(exceptions.InvalidRequest):
        root.sys.tune_mount_configuration(name, default_lease_ttl="9h", max_lease_ttl="3h")


def test_a_mount_becomes_version_2_by_tuning(root: hvac.Client, name: str) -> None:
    root.sys.enable_secrets_engine("kv", path=name, options={"version": "1"})
    root.secrets.kv.v1.create_or_update_secret("a/b", {"x": "1"}, mount_point=name)
    root.sys.tune_mount_configuration(name, options={"version": "2"})
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            read = root.secrets.kv.v2.read_secret("a/b", mount_point=name, raise_on_deleted_version=True)
            break
        except (exceptions.InvalidRequest, exceptions.InvalidPath):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert (read["data"]["data"], read["data"]["metadata"]["version"]) == ({"x": "1"}, 1)


def test_a_mount_moves_with_what_it_holds(root: hvac.Client, name: str) -> None:
    root.sys.enable_secrets_engine("kv", path=name, options={"version": "1"})
    root.secrets.kv.v1.create_or_update_secret("a", {"x": "1"}, mount_point=name)
    moved = root.sys.move_backend(name, f"{name}-new")
    if "migration_id" in (moved.get("data") or {}):
        deadline = time.monotonic() + PATIENCE
        while True:
            status = root.read(f"sys/remount/status/{moved['data']['migration_id']}")["data"][
                "migration_info"
            ]
            if status["status"] == "success":
                break
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert root.secrets.kv.v1.read_secret("a", mount_point=f"{name}-new")["data"] == {"x": "1"}
    with pytest.raises(exceptions.InvalidPath):
        root.secrets.kv.v1.read_secret("a", mount_point=name)


def test_auth_methods_are_listed_and_tuned(root: hvac.Client) -> None:
    assert root.sys.list_auth_methods()["data"]["token/"]["type"] == "token"
    assert root.sys.read_auth_method_tuning("token")["data"]["token_type"] == "default-service"
    assert root.sys.tune_auth_method("token", description="tokens").status_code == 204
    assert root.sys.list_auth_methods()["data"]["token/"]["description"] == "tokens"


def test_audit_devices_are_listed_and_hash(root: hvac.Client) -> None:
    device = root.sys.list_enabled_audit_devices()["data"]["file/"]
    assert (device["type"], device["description"]) == ("file", "the file")
    first = root.sys.calculate_hash("file", "some text")["data"]["hash"]
    assert first.startswith("hmac-sha256:") and len(first) == 12 + 64
    assert root.sys.calculate_hash("file", "some text")["data"]["hash"] == first
    assert root.sys.calculate_hash("file", "another")["data"]["hash"] != first
    with pytest.raises(exceptions.InvalidRequest):
        root.sys.calculate_hash("none", "x")
    with pytest.raises(exceptions.InvalidRequest):
        root.sys.enable_audit_device("file", options={"file_path": "/tmp/by-request.log"}, path="more")


def test_keys_are_rotated_and_shown(root: hvac.Client, name: str) -> None:
    root.sys.enable_secrets_engine("kv", path=name, options={"version": "1"})
    root.secrets.kv.v1.create_or_update_secret("a", {"x": "1"}, mount_point=name)
    before = root.sys.get_encryption_key_status()
    assert before["data"]["install_time"]
    assert root.sys.rotate_encryption_key().status_code == 204
    assert root.sys.get_encryption_key_status()["data"]["term"] == before["data"]["term"] + 1
    assert root.secrets.kv.v1.read_secret("a", mount_point=name)["data"] == {"x": "1"}


def test_leader_and_health_of_a_single_node(root: hvac.Client) -> None:
    leader = root.sys.read_leader_status()
    assert leader["ha_enabled"] is False
    assert root.sys.read_health_status(method="GET")["standby"] is False
    assert root.seal_status["sealed"] is False
    assert root.ha_status["ha_enabled"] is False
    assert root.key_status["term"] >= 1


def test_tools_make_random_bytes_and_hashes(root: hvac.Client) -> None:
    made = root.write_data("sys/tools/random/16", data={"format": "hex"})["data"]["random_bytes"]
    assert len(bytes.fromhex(made)) == 16
    digest = root.write_data("sys/tools/hash/sha2-256", data={"input": "YQ=="})["data"]["sum"]
    assert digest == "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"


def test_leases_that_are_not_there_are_refused(root: hvac.Client) -> None:
    with pytest.raises(exceptions.InvalidRequest):
        root.sys.read_lease("none/at/all")
    with pytest.raises(exceptions.InvalidPath):
        root.sys.list_leases("none")
    assert root.sys.revoke_lease("none/at/all").status_code == 204
