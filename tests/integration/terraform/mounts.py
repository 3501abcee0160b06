# SPDX-License-Identifier: EUPL-1.2
"""Mounts of secrets engines and of auth methods, and how they are tuned."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.integration.terraform.calls import Client, Refused, data
from tests.integration.terraform.model import (
    COMPUTED,
    FLAG,
    LIST,
    MAP,
    TEXT,
    Attr,
    Data,
    Held,
    Resource,
    State,
)

_NOT_MOUNTED = ("No secret engine mount at", "No auth engine at")
_TUNE_TEXTS = ("default_lease_ttl", "max_lease_ttl", "listing_visibility", "token_type")
_TUNE_LISTS = (
    "audit_non_hmac_request_keys", "audit_non_hmac_response_keys", "passthrough_request_headers",
    "allowed_response_headers",
)  # fmt: skip
_MOVING_SECONDS = 60.0


def mount_at(client: Client, path: str) -> Mapping[str, Any] | None:
    """What is mounted at ``sys/mounts/…`` or ``sys/auth/…``; None where the provider takes the answer for nothing."""
    try:
        found = client.read(path)
    except Refused as refused:
        if refused.status == 400 and any(text in said for text in _NOT_MOUNTED for said in refused.errors):
            return None
        raise
    return None if found is None else data(found)


def move(client: Client, old: str, new: str) -> None:
    """Move a mount, and wait until it has moved."""
    started = data(client.post("sys/remount", {"from": old, "to": new}))
    deadline = time.monotonic() + _MOVING_SECONDS
    while True:
        status = data(client.read(f"sys/remount/status/{started['migration_id']}"))
        if status["migration_info"]["status"] == "success":
            return
        assert status["migration_info"]["status"] != "failure" and time.monotonic() < deadline, status
        client.said.pop()  # how often it has to ask is chance
        time.sleep(0.02)


@dataclass(frozen=True)
class Tune(Attr):
    """A block of tuning: one or none, with each of its members."""

    def shaped(self, value: Any) -> Any:
        if not value:
            return {}
        return {name: value.get(name) or "" for name in _TUNE_TEXTS} | {
            name: value.get(name) or [] for name in _TUNE_LISTS
        }


TUNE = Tune(computed=True)


def tuned(tune: Mapping[str, Any]) -> State:
    """The body of a tuning as the library writes it: what may be left out is left out where it is empty."""
    always = {"options": None, "force_no_cache": False}
    always |= {name: tune.get(name, "") for name in ("default_lease_ttl", "max_lease_ttl")}
    return always | {name: tune[name] for name in (*_TUNE_TEXTS[2:], *_TUNE_LISTS) if tune.get(name)}


def duration(seconds: int) -> str:
    """As the provider writes a number of seconds that it read: no units at the end that are nought."""
    hours, rest = divmod(seconds, 3600)
    minutes, left = divmod(rest, 60)
    text = f"{hours}h{minutes}m{left}s" if hours else f"{minutes}m{left}s" if minutes else f"{left}s"
    text = text[:-2] if text.endswith("m0s") else text
    return text[:-2] if text.endswith("h0m") else text


class Mount(Resource):
    """A secrets engine."""

    name = "vault_mount"
    schema: Mapping[str, Attr] = {
        "path": TEXT,
        "type": TEXT,
        "description": TEXT,
        "default_lease_ttl_seconds": Attr("number", computed=True),
        "max_lease_ttl_seconds": Attr("number", computed=True),
        "force_no_cache": Attr("flag", computed=True),
        "audit_non_hmac_request_keys": Attr("list", computed=True),
        "audit_non_hmac_response_keys": Attr("list", computed=True),
        "listing_visibility": TEXT,
        "passthrough_request_headers": LIST,
        "allowed_response_headers": LIST,
        "delegated_auth_accessors": LIST,
        "allowed_managed_keys": Attr("set"),
        "identity_token_key": TEXT,
        "options": MAP,
        "seal_wrap": Attr("flag", computed=True),
        "external_entropy_access": FLAG,
        "local": FLAG,
        "accessor": COMPUTED,
    }
    _GIVEN = (
        "audit_non_hmac_request_keys", "audit_non_hmac_response_keys", "listing_visibility",
        "passthrough_request_headers", "allowed_response_headers",
    )  # fmt: skip

    def create(self, client: Client, data: Data) -> str:
        config = {
            "options": None,
            "default_lease_ttl": f"{data['default_lease_ttl_seconds']}s",
            "max_lease_ttl": f"{data['max_lease_ttl_seconds']}s",
            "force_no_cache": data["force_no_cache"],
        }
        body = data.always("type", "description", "local", "seal_wrap", "external_entropy_access", "options")
        client.post(f"sys/mounts/{data['path']}", {**body, "config": config | data.given(*self._GIVEN)})
        return str(data["path"])

    def read(self, client: Client, id: str, state: State) -> State | None:
        mount = mount_at(client, f"sys/mounts/{id}")
        if mount is None:
            return None
        config, type_, options = mount["config"], mount["type"], dict(mount["options"] or {})
        if state["type"] == "kv-v2" and type_ == "kv" and options.get("version") == "2":
            type_ = "kv-v2"
            if "version" not in state["options"]:
                options.pop("version")
        own = ("description", "accessor", "local", "seal_wrap", "external_entropy_access")
        found = {name: mount[name] for name in own} | {"type": type_, "options": options, "path": id}
        found |= {f"{name}_seconds": config[name] for name in ("default_lease_ttl", "max_lease_ttl")}
        read = (
            "force_no_cache",
            *self._GIVEN,
            "delegated_auth_accessors",
            "allowed_managed_keys",
            "identity_token_key",
        )
        return found | {name: config.get(name) for name in read}

    def update(self, client: Client, id: str, data: Data) -> str:
        if data.changed("path"):
            move(client, id, data["path"])
            id = str(data["path"])
        body = {
            "default_lease_ttl": f"{data['default_lease_ttl_seconds']}s",
            "max_lease_ttl": f"{data['max_lease_ttl_seconds']}s",
            "options": data["options"],
        }
        client.post(f"sys/mounts/{id}/tune", body | data.changed("description", *self._GIVEN))
        return id

    def delete(self, client: Client, held: Held) -> None:
        client.delete(f"sys/mounts/{held.id}")


class AuthMount(Resource):
    """An auth method."""

    name = "vault_auth_backend"
    schema: Mapping[str, Attr] = {
        "type": TEXT,
        "path": COMPUTED,
        "description": TEXT,
        "local": FLAG,
        "accessor": COMPUTED,
        "tune": TUNE,
    }

    def create(self, client: Client, data: Data) -> str:
        path = str(data["path"] or data["type"])
        config = {"options": None, "default_lease_ttl": "", "max_lease_ttl": "", "force_no_cache": False}
        body = data.always("type", "description", "local")
        body |= {"seal_wrap": False, "external_entropy_access": False, "options": None}
        client.post(f"sys/auth/{path}", {**body, "config": config})
        self.configure(client, path, data)
        return path

    def configure(self, client: Client, path: str, data: Data) -> None:
        """What follows the mount, and is the whole of an update."""
        body = tuned(data["tune"]) if data.changed("tune") else tuned({})
        if not data.new:
            body |= data.changed("description")
        if data.changed("tune") or "description" in body:
            client.post(f"sys/mounts/auth/{path}/tune", body)

    def read(self, client: Client, id: str, state: State) -> State | None:
        mount = mount_at(client, f"sys/auth/{id}")
        if mount is None:
            return None
        own = {name: mount[name] for name in ("type", "description", "local", "accessor")}
        return {**own, "path": id, "tune": self.tune(client, id, state)}

    def tune(self, client: Client, id: str, state: State) -> State:
        """How it is tuned; what has a default of its own is as the state has it."""
        read = data(client.read(f"sys/mounts/auth/{id}/tune"))
        found: State = {name: duration(read[name]) for name in ("default_lease_ttl", "max_lease_ttl")}
        found |= {name: read.get(name) for name in (*_TUNE_TEXTS[2:], *_TUNE_LISTS)}
        known = state["tune"]
        if known:
            found |= {name: known[name] for name in ("default_lease_ttl", "max_lease_ttl")}
            found |= {name: "" for name in ("token_type", "listing_visibility") if not known[name]}
        return found

    def update(self, client: Client, id: str, data: Data) -> str:
        if data.changed("path"):
            move(client, f"auth/{id}", f"auth/{data['path']}")
            id = str(data["path"])
        self.configure(client, id, data)
        return id

    def delete(self, client: Client, held: Held) -> None:
        client.delete(f"sys/auth/{held.id}")
