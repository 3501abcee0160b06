# SPDX-License-Identifier: EUPL-1.2
"""Secrets of the key-value engine, and paths of any kind."""

import json
import re
from collections.abc import Mapping
from typing import Any

from tests.integration.terraform.calls import Client, Refused, Secret, data
from tests.integration.terraform.entries import Entry
from tests.integration.terraform.model import (
    COMPUTED,
    FLAG,
    JSON,
    MAP,
    NUMBER,
    TEXT,
    Attr,
    Data,
    Held,
    Resource,
    State,
)

_SECONDS = {"h": 3600, "m": 60, "s": 1}


def seconds(duration: str) -> int:
    """A duration in Go's spelling."""
    return sum(int(number) * _SECONDS[unit] for number, unit in re.findall(r"(\d+)([hms])", duration))


def texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Values as a map of texts shows them: what is no text is JSON."""
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}


def kv_place(client: Client, path: str) -> tuple[str, bool]:
    """Ask which mount `path` is in, and whether that has version 2."""
    try:
        found = data(client.read(f"sys/internal/ui/mounts/{path}"))
    except Refused as refused:
        if refused.status == 403:
            return "", False
        raise
    return found["path"], (found["options"] or {}).get("version") == "2"


def kv_path(path: str, mount: str, part: str) -> str:
    """`path` of a mount with version 2, with ``data`` or ``metadata`` in it."""
    return f"{mount}{part}/{path.removeprefix(mount)}"


def kv_read(client: Client, path: str, version: int = 0) -> Secret | None:
    """Read a secret of either version, as the generic resource and data source do. What may not be read is not there."""
    mount, second = kv_place(client, path)
    query = {"version": str(version)} if second and version > 0 else {}
    try:
        secret = client.read(kv_path(path, mount, "data") if second else path, **query)
    except Refused as refused:
        if refused.status == 403:
            return None
        raise
    if second and secret and isinstance(secret["data"].get("data"), dict):
        return {**secret, "data": secret["data"]["data"]}
    return secret


class GenericSecret(Resource):
    """A secret at a path of either version of the engine."""

    name = "vault_generic_secret"
    schema: Mapping[str, Attr] = {
        "path": TEXT,
        "data_json": JSON,
        "disable_read": FLAG,
        "data": Attr("map", computed=True),
        "delete_all_versions": FLAG,
    }

    def create(self, client: Client, data: Data) -> str:
        path, body = data["path"], json.loads(data["data_json"])
        mount, second = kv_place(client, path)
        if second:
            client.write(kv_path(path, mount, "data"), {"data": body, "options": {}})
        else:
            client.write(path, body)
        return str(path)

    def read(self, client: Client, id: str, state: State) -> State | None:
        if state["disable_read"]:
            return {"data": texts(json.loads(state["data_json"]))}
        secret = kv_read(client, id)
        if secret is None:
            return None
        return {"data_json": secret["data"], "path": id, "data": texts(secret["data"])}

    def update(self, client: Client, id: str, data: Data) -> str:
        return self.create(client, data)

    def delete(self, client: Client, held: Held) -> None:
        mount, second = kv_place(client, held.id)
        part = "metadata" if held.state["delete_all_versions"] else "data"
        client.delete(kv_path(held.id, mount, part) if second else held.id)


class GenericEndpoint(Resource):
    """Any path: what is written, what of the answer is kept, what is read again."""

    name = "vault_generic_endpoint"
    schema: Mapping[str, Attr] = {
        "path": TEXT,
        "data_json": JSON,
        "disable_read": FLAG,
        "disable_delete": FLAG,
        "ignore_absent_fields": FLAG,
        "write_fields": Attr("list"),
        "write_data": Attr("map", computed=True),
    }

    def create(self, client: Client, data: Data) -> str:
        answer = client.write(data["path"], json.loads(data["data_json"])) or {}
        said = answer.get("data") or {}
        data.planned["write_data"] = texts(
            {name: said[name] for name in data["write_fields"] if name in said}
        )
        return str(data["path"])

    def read(self, client: Client, id: str, state: State) -> State | None:
        if state["disable_read"]:
            return {}
        secret = client.read(id)
        if secret is None:
            return None
        found = secret["data"]
        if state["ignore_absent_fields"]:
            supplied = json.loads(state["data_json"])
            found = supplied | {name: value for name, value in found.items() if name in supplied}
        return {"data_json": found, "path": id}

    def update(self, client: Client, id: str, data: Data) -> str:
        return self.create(client, data)

    def delete(self, client: Client, held: Held) -> None:
        if not held.state["disable_delete"]:
            client.delete(held.id)


class KvSecret(Resource):
    """A secret of version 1."""

    name = "vault_kv_secret"
    schema: Mapping[str, Attr] = {"path": TEXT, "data_json": JSON, "data": Attr("map", computed=True)}

    def create(self, client: Client, data: Data) -> str:
        client.write(data["path"], json.loads(data["data_json"]))
        return str(data["path"])

    def read(self, client: Client, id: str, state: State) -> State | None:
        secret = client.read(id)
        if secret is None:
            return None
        return {"path": id, "data_json": secret["data"], "data": texts(secret["data"])}

    def update(self, client: Client, id: str, data: Data) -> str:
        return self.create(client, data)

    def delete(self, client: Client, held: Held) -> None:
        client.delete(held.id)


class KvSecretV2(Resource):
    """A secret of version 2: its data are written and never read, its metadata are."""

    name = "vault_kv_secret_v2"
    schema: Mapping[str, Attr] = {
        "mount": TEXT,
        "name": TEXT,
        "path": COMPUTED,
        "cas": NUMBER,
        "options": MAP,
        "disable_read": FLAG,
        "data_json": JSON,
        "metadata": Attr("map", computed=True),
        "delete_all_versions": FLAG,
        "custom_metadata": Attr("map", computed=True),
    }
    _METADATA: Mapping[str, str] = {
        "max_versions": "max_versions",
        "cas_required": "cas_required",
        "delete_version_after": "delete_version_after",
        "custom_metadata": "data",
    }

    def create(self, client: Client, data: Data) -> str:
        path = f"{data['mount']}/data/{data['name']}"
        client.write(path, {"data": json.loads(data["data_json"]), **data.always("cas", "options")})
        if own := data["custom_metadata"]:
            body = {name: own[part] for name, part in self._METADATA.items() if own.get(part)}
            client.write(f"{data['mount']}/metadata/{data['name']}", body)
        return path

    def read(self, client: Client, id: str, state: State) -> State | None:
        mount, _, name = id.partition("/data/")
        found: State = {"path": id, "mount": mount, "name": name}
        if state["disable_read"]:
            return found
        secret = client.read(id)
        if secret is None:
            return None
        if (metadata := secret["data"].get("metadata")) is not None:
            found["metadata"] = texts(metadata)
            if "custom_metadata" in metadata:
                found["custom_metadata"] = self._custom(client, f"{mount}/metadata/{name}")
        return found

    def _custom(self, client: Client, path: str) -> State:
        secret = client.read(path)
        found = {part: secret["data"].get(name) for name, part in self._METADATA.items()} if secret else {}
        if found:
            found["delete_version_after"] = seconds(found["delete_version_after"])
        return found

    def update(self, client: Client, id: str, data: Data) -> str:
        return self.create(client, data)

    def delete(self, client: Client, held: Held) -> None:
        part = "metadata" if held.state["delete_all_versions"] else "data"
        client.delete(f"{held.state['mount']}/{part}/{held.state['name']}")


class KvConfig(Entry):
    """The configuration of a mount with version 2; deleting it changes nothing."""

    def read(self, client: Client, id: str, state: State) -> State | None:
        found = super().read(client, id, state)
        return found and found | {"delete_version_after": seconds(found["delete_version_after"])}


KV_CONFIG = KvConfig(
    name="vault_kv_secret_backend_v2",
    path="{mount}/config",
    schema={
        "mount": TEXT,
        "max_versions": Attr("number", computed=True),
        "cas_required": Attr("flag", computed=True),
        "delete_version_after": NUMBER,
    },
    creates=lambda data: data.always("max_versions", "cas_required", "delete_version_after"),
    reads=("max_versions", "cas_required", "delete_version_after"),
    deletes=False,
)
