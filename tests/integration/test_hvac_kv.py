# SPDX-License-Identifier: EUPL-1.2
"""hvac keeps and fetches secrets: KV version 1 and version 2, over TLS."""

import time

import hvac
import pytest
from hvac import exceptions

from tests.integration.processes import PATIENCE


@pytest.fixture
def plain(root: hvac.Client, name: str) -> str:
    """A KV version 1 mount."""
    root.sys.enable_secrets_engine("kv", path=name, options={"version": "1"})
    return name


@pytest.fixture
def versioned(root: hvac.Client, name: str) -> str:
    """A KV version 2 mount, ready: the field's upgrades a new one for a moment."""
    root.sys.enable_secrets_engine("kv", path=name, options={"version": "2"})
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            root.secrets.kv.v2.read_configuration(mount_point=name)
            return name
        except exceptions.InvalidRequest:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_version_1_does_all_that_hvac_offers(root: hvac.Client, plain: str) -> None:
    kv = root.secrets.kv.v1
    assert kv.create_or_update_secret("app/db", {"user": "ada"}, mount_point=plain).status_code == 204
    assert kv.create_or_update_secret("app/db", {"user": "eve"}, "POST", mount_point=plain).status_code == 204
    assert kv.create_or_update_secret("app/x", {"n": 1, "l": [1, {"a": None}]}, "PUT", mount_point=plain)
    read = kv.read_secret("app/db", mount_point=plain)
    assert read["data"] == {"user": "eve"}
    assert (read["lease_duration"], read["renewable"]) == (2764800, False)
    assert kv.read_secret("app/x", mount_point=plain)["data"] == {"n": 1, "l": [1, {"a": None}]}
    assert kv.list_secrets("", mount_point=plain)["data"]["keys"] == ["app/"]
    assert kv.list_secrets("app", mount_point=plain)["data"]["keys"] == ["db", "x"]
    assert kv.delete_secret("app/db", mount_point=plain).status_code == 204
    with pytest.raises(exceptions.InvalidPath):
        kv.read_secret("app/db", mount_point=plain)
    with pytest.raises(exceptions.InvalidPath):
        kv.list_secrets("none", mount_point=plain)


def test_version_2_is_configured(root: hvac.Client, versioned: str) -> None:
    kv = root.secrets.kv.v2
    kv.configure(max_versions=3, cas_required=True, delete_version_after="1h5m", mount_point=versioned)
    found = kv.read_configuration(mount_point=versioned)["data"]
    assert found == {
        "cas_required": True,
        "delete_version_after": "1h5m0s",
        "max_versions": 3,
        "metadata_cas_required": False,
    }
    with pytest.raises(exceptions.InvalidRequest, match="check-and-set parameter required"):
        kv.create_or_update_secret("a", {"x": 1}, mount_point=versioned)
    for number in range(5):
        made = kv.create_or_update_secret("a", {"x": number}, cas=number, mount_point=versioned)
        assert made["data"]["version"] == number + 1
        assert made["data"]["deletion_time"]
    assert sorted(kv.read_secret_metadata("a", mount_point=versioned)["data"]["versions"]) == ["3", "4", "5"]


def test_version_2_checks_and_sets(root: hvac.Client, versioned: str) -> None:
    kv = root.secrets.kv.v2
    assert kv.create_or_update_secret("a", {"x": 1}, cas=0, mount_point=versioned)["data"]["version"] == 1
    assert kv.create_or_update_secret("a", {"x": 2}, cas=1, mount_point=versioned)["data"]["version"] == 2
    with pytest.raises(exceptions.InvalidRequest) as refusal:
        kv.create_or_update_secret("a", {"x": 3}, cas=1, mount_point=versioned)
    assert refusal.value.errors == ["check-and-set parameter did not match the current version"]
    assert kv.read_secret_version("a", mount_point=versioned, raise_on_deleted_version=True)["data"][
        "data"
    ] == {"x": 2}


def test_version_2_reads_the_version_asked_for(root: hvac.Client, versioned: str) -> None:
    kv = root.secrets.kv.v2
    for text in ("one", "two"):
        kv.create_or_update_secret("a/b", {"x": text}, mount_point=versioned)
    for number, text in ((1, "one"), (2, "two"), (None, "two"), (0, "two")):
        read = kv.read_secret_version("a/b", number, mount_point=versioned, raise_on_deleted_version=True)
        assert read["data"]["data"] == {"x": text}
    assert set(read["data"]["metadata"]) == {
        "created_time",
        "custom_metadata",
        "deletion_time",
        "destroyed",
        "version",
    }
    with pytest.raises(exceptions.InvalidPath):
        kv.read_secret_version("a/b", 9, mount_point=versioned, raise_on_deleted_version=False)
    assert kv.read_secret("a/b", mount_point=versioned, raise_on_deleted_version=True)["data"]["data"]


@pytest.mark.filterwarnings("ignore:The raise_on_deleted_version parameter:DeprecationWarning")
def test_version_2_patches(root: hvac.Client, versioned: str) -> None:
    kv = root.secrets.kv.v2
    with pytest.raises(exceptions.InvalidPath):
        kv.patch("a", {"x": 1}, mount_point=versioned)
    kv.create_or_update_secret("a", {"x": 1, "y": 2}, mount_point=versioned)
    assert kv.patch("a", {"y": 3, "z": 4}, mount_point=versioned)["data"]["version"] == 2
    read = kv.read_secret("a", mount_point=versioned, raise_on_deleted_version=True)
    assert read["data"]["data"] == {"x": 1, "y": 3, "z": 4}


def test_version_2_deletes_and_brings_back(root: hvac.Client, versioned: str) -> None:
    kv = root.secrets.kv.v2
    for number in (1, 2, 3):
        kv.create_or_update_secret("a", {"x": number}, mount_point=versioned)
    assert kv.delete_latest_version_of_secret("a", mount_point=versioned).status_code == 204
    with pytest.raises(exceptions.InvalidPath):
        kv.read_secret_version("a", mount_point=versioned, raise_on_deleted_version=True)
    gone = kv.read_secret_version("a", mount_point=versioned, raise_on_deleted_version=False)
    assert gone["data"]["data"] is None
    assert gone["data"]["metadata"]["deletion_time"]
    assert kv.delete_secret_versions("a", [1, 2], mount_point=versioned).status_code == 204
    assert kv.undelete_secret_versions("a", [1, 3], mount_point=versioned).status_code == 204
    for number, lost in ((1, False), (2, True), (3, False)):
        read = kv.read_secret_version("a", number, mount_point=versioned, raise_on_deleted_version=False)
        assert (read["data"]["data"] is None) is lost


def test_version_2_destroys_for_good(root: hvac.Client, versioned: str) -> None:
    kv = root.secrets.kv.v2
    for number in (1, 2):
        kv.create_or_update_secret("a", {"x": number}, mount_point=versioned)
    assert kv.destroy_secret_versions("a", [1, 7], mount_point=versioned).status_code == 204
    kv.undelete_secret_versions("a", [1], mount_point=versioned)
    with pytest.raises(exceptions.InvalidPath) as gone:
        kv.read_secret_version("a", 1, mount_point=versioned, raise_on_deleted_version=False)
    assert gone.value.json["data"]["data"] is None
    assert gone.value.json["data"]["metadata"]["destroyed"] is True
    assert kv.read_secret_version("a", 2, mount_point=versioned, raise_on_deleted_version=True)


def test_version_2_keeps_metadata(root: hvac.Client, versioned: str) -> None:
    kv = root.secrets.kv.v2
    kv.update_metadata("new", custom_metadata={"owner": "ops"}, mount_point=versioned)
    kv.create_or_update_secret("a/b", {"x": 1}, mount_point=versioned)
    kv.update_metadata(
        "a/b", max_versions=2, cas_required=True, delete_version_after="2h", mount_point=versioned
    )
    found = kv.read_secret_metadata("a/b", mount_point=versioned)["data"]
    assert (found["max_versions"], found["cas_required"], found["delete_version_after"]) == (
        2,
        True,
        "2h0m0s",
    )
    assert (found["current_version"], found["oldest_version"], list(found["versions"])) == (1, 0, ["1"])
    assert kv.read_secret_metadata("new", mount_point=versioned)["data"]["custom_metadata"] == {
        "owner": "ops"
    }
    with pytest.raises(exceptions.InvalidRequest):
        kv.create_or_update_secret("a/b", {"x": 2}, mount_point=versioned)


def test_version_2_lists_and_forgets(root: hvac.Client, versioned: str) -> None:
    kv = root.secrets.kv.v2
    for path in ("a", "f/b", "f/c"):
        kv.create_or_update_secret(path, {"x": 1}, mount_point=versioned)
    assert kv.list_secrets("", mount_point=versioned)["data"]["keys"] == ["a", "f/"]
    assert kv.list_secrets("f", mount_point=versioned)["data"]["keys"] == ["b", "c"]
    assert kv.delete_metadata_and_all_versions("f/b", mount_point=versioned).status_code == 204
    assert kv.list_secrets("f", mount_point=versioned)["data"]["keys"] == ["c"]
    with pytest.raises(exceptions.InvalidPath):
        kv.read_secret_metadata("f/b", mount_point=versioned)
    with pytest.raises(exceptions.InvalidPath):
        kv.list_secrets("none", mount_point=versioned)


def test_plain_reads_and_writes_of_the_client(root: hvac.Client, plain: str) -> None:
    root.write_data(f"{plain}/a", data={"x": "1"})
    assert root.read(f"{plain}/a")["data"] == {"x": "1"}
    assert root.list(plain)["data"]["keys"] == ["a"]
    root.delete(f"{plain}/a")
    assert root.read(f"{plain}/a") is None
    assert root.list(plain) is None
