# SPDX-License-Identifier: EUPL-1.2
"""Lives of mounts, secrets and any paths."""

import json
from collections.abc import Callable, Sequence

from tests.integration.terraform.calls import Client
from tests.integration.terraform.mounts import AuthMount, Mount
from tests.integration.terraform.secrets import (
    KV_CONFIG,
    GenericEndpoint,
    GenericSecret,
    KvSecret,
    KvSecretV2,
)
from tests.integration.terraform.stories import Known, Story, deleted, posted, wrote


def mounted(path: str, kind: str = "kv", version: str = "") -> Callable[[Client], Known]:
    """Mounts a secrets engine."""

    def needs(client: Client) -> Known:
        options = {"version": version} if version else None
        client.post(f"sys/mounts/{path}", {"type": kind, "options": options})
        return {}

    return needs


def enabled(path: str, kind: str) -> Callable[[Client], Known]:
    """Enables an auth method; its accessor is known as `accessor`."""

    def needs(client: Client) -> Known:
        client.post(f"sys/auth/{path}", {"type": kind})
        found = client.read(f"sys/auth/{path}")
        assert found is not None
        return {"accessor": found["data"]["accessor"]}

    return needs


_DATA = json.dumps({"user": "app", "port": 5432, "tags": ["a", "b"], "deep": {"on": True}})
_KV = "tf-mount"
_ABOUT = {
    "max_versions": 5,
    "cas_required": False,
    "delete_version_after": 3600,
    "data": {"owner": "team", "bought": "2024"},
}

STORIES: Sequence[Story] = (
    Story(
        resource=Mount(),
        note="kv version 1",
        first={"path": _KV, "type": "kv", "options": {"version": "1"}, "description": "first"},
        second={
            "path": _KV,
            "type": "kv",
            "options": {"version": "1"},
            "description": "second",
            "default_lease_ttl_seconds": 3600,
            "max_lease_ttl_seconds": 7200,
            "listing_visibility": "unauth",
            "passthrough_request_headers": ["X-One"],
            "allowed_response_headers": ["X-Two"],
            "audit_non_hmac_request_keys": ["one"],
            "audit_non_hmac_response_keys": ["two", "three"],
        },
        drift=posted("sys/mounts/tf-mount/tune", {"description": "theirs"}),
        drifted=("description",),
    ),
    Story(
        resource=Mount(),
        note="kv-v2 by its own name",
        first={"path": "tf-deep/two", "type": "kv-v2", "description": "two"},
        second={"path": "tf-deep/two", "type": "kv-v2", "force_no_cache": False, "description": "more"},
        unimported=("options", "type"),
    ),
    Story(
        resource=Mount(),
        note="moved",
        first={"path": "tf-mount-here", "type": "kv", "options": {"version": "1"}},
        second={"path": "tf-mount-there", "type": "kv", "options": {"version": "1"}},
    ),
    Story(
        resource=Mount(),
        note="totp",
        first={"path": "tf-totp", "type": "totp", "seal_wrap": False, "default_lease_ttl_seconds": 60},
        second={
            "path": "tf-totp",
            "type": "totp",
            "default_lease_ttl_seconds": 120,
            "max_lease_ttl_seconds": 240,
        },
    ),
    Story(
        resource=AuthMount(),
        note="plain",
        first={"type": "approle", "path": "tf-auth", "description": "first"},
        second={"type": "approle", "path": "tf-auth", "description": "second"},
        drift=posted("sys/auth/tf-auth/tune", {"description": "theirs"}),
        drifted=("description",),
    ),
    Story(
        resource=AuthMount(),
        note="tuned",
        first={"type": "userpass", "path": "tf-auth-tuned", "tune": {"max_lease_ttl": "90000s"}},
        second={
            "type": "userpass",
            "path": "tf-auth-tuned",
            "tune": {
                "default_lease_ttl": "3600s",
                "max_lease_ttl": "90000s",
                "listing_visibility": "unauth",
                "token_type": "batch",
                "audit_non_hmac_request_keys": ["one"],
                "passthrough_request_headers": ["X-One", "X-Two"],
            },
        },
        unimported=("tune",),
        sticky=("tune",),
    ),
    Story(
        resource=AuthMount(),
        note="moved",
        first={"type": "userpass", "path": "tf-auth-here"},
        second={"type": "userpass", "path": "tf-auth-there"},
    ),
    Story(
        resource=GenericSecret(),
        note="version 1",
        needs=mounted("tf-generic", version="1"),
        first={"path": "tf-generic/a/b", "data_json": _DATA},
        second={"path": "tf-generic/a/b", "data_json": json.dumps({"user": "other"})},
        drift=wrote("tf-generic/a/b", {"user": "theirs"}),
        drifted=("data_json",),
    ),
    Story(
        resource=GenericSecret(),
        note="version 2",
        needs=mounted("tf-generic-two", version="2"),
        first={"path": "tf-generic-two/a/b", "data_json": _DATA, "delete_all_versions": True},
        second={"path": "tf-generic-two/a/b", "data_json": "{}", "delete_all_versions": True},
        drift=wrote("tf-generic-two/data/a/b", {"data": {"user": "theirs"}}),
        drifted=("data_json",),
        unimported=("delete_all_versions",),
        remove=deleted("tf-generic-two/metadata/a/b"),
    ),
    Story(
        resource=GenericSecret(),
        note="version 2, its newest version deleted",
        needs=mounted("tf-generic-three", version="2"),
        first={"path": "tf-generic-three/a", "data_json": _DATA},
        empties=("data_json",),
        again=False,
    ),
    Story(
        resource=GenericSecret(),
        note="never read",
        needs=mounted("tf-generic-blind", version="1"),
        first={"path": "tf-generic-blind/a", "data_json": _DATA, "disable_read": True},
        second={"path": "tf-generic-blind/a", "data_json": '{"b": "c"}', "disable_read": True},
        imports=False,
        lasts=True,
    ),
    Story(
        resource=GenericEndpoint(),
        note="a user",
        needs=enabled("tf-endpoint", "userpass"),
        first={
            "path": "auth/tf-endpoint/users/ann",
            "data_json": json.dumps({"token_policies": ["one"], "password": "correct-horse"}),
            "ignore_absent_fields": True,
        },
        second={
            "path": "auth/tf-endpoint/users/ann",
            "data_json": json.dumps({"token_policies": ["one", "two"], "password": "battery-staple"}),
            "ignore_absent_fields": True,
        },
        drift=wrote("{id}", {"token_policies": "theirs"}),
        drifted=("data_json",),
        unimported=("data_json", "ignore_absent_fields"),
    ),
    Story(
        resource=GenericEndpoint(),
        note="what a write answers",
        needs=enabled("tf-answers", "approle"),
        first={
            "path": "auth/tf-answers/role/app",
            "data_json": json.dumps({"token_policies": ["one"], "token_ttl": 60}),
            "ignore_absent_fields": True,
            "disable_delete": False,
        },
        unimported=("data_json", "ignore_absent_fields"),
    ),
    Story(
        resource=GenericEndpoint(),
        note="a group, its id kept",
        first={
            "path": "identity/group",
            "data_json": json.dumps({"name": "tf-endpoint", "policies": ["one"]}),
            "disable_read": True,
            "disable_delete": True,
            "write_fields": ["name"],
        },
        imports=False,
        lasts=True,
    ),
    Story(
        resource=KvSecret(),
        needs=mounted("tf-kv", version="1"),
        first={"path": "tf-kv/a/b", "data_json": _DATA},
        second={"path": "tf-kv/a/b", "data_json": json.dumps({"ttl": "30m", "x": None})},
        drift=wrote("tf-kv/a/b", {"user": "theirs"}),
        drifted=("data_json",),
    ),
    Story(
        resource=KvSecretV2(),
        needs=mounted("tf-kv2", version="2"),
        first={
            "mount": "tf-kv2",
            "name": "a/b",
            "data_json": _DATA,
            "delete_all_versions": True,
            "custom_metadata": _ABOUT,
        },
        second={
            "mount": "tf-kv2",
            "name": "a/b",
            "data_json": '{"user": "other"}',
            "delete_all_versions": True,
            "custom_metadata": {**_ABOUT, "max_versions": 9, "data": {"owner": "others"}},
        },
        drift=wrote("tf-kv2/metadata/a/b", {"custom_metadata": {"owner": "theirs"}}),
        drifted=("custom_metadata",),
        unimported=("data_json", "delete_all_versions"),
    ),
    Story(
        resource=KvSecretV2(),
        note="compare and set",
        needs=mounted("tf-kv2-cas", version="2"),
        first={"mount": "tf-kv2-cas", "name": "a", "data_json": _DATA, "options": {"cas": "0"}},
        imports=False,
        lasts=True,
    ),
    Story(
        resource=KvSecretV2(),
        note="its newest version deleted",
        needs=mounted("tf-kv2-soft", version="2"),
        first={"mount": "tf-kv2-soft", "name": "a", "data_json": _DATA},
        imports=False,
        lasts=True,
    ),
    Story(
        resource=KV_CONFIG,
        needs=mounted("tf-config", version="2"),
        first={"mount": "tf-config", "max_versions": 3, "delete_version_after": 3600},
        second={"mount": "tf-config", "max_versions": 4, "cas_required": True, "delete_version_after": 90},
        drift=wrote("tf-config/config", {"max_versions": 8}),
        drifted=("max_versions",),
        lasts=True,
    ),
)
