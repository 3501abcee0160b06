# SPDX-License-Identifier: EUPL-1.2
"""Mounts and auth methods: what they are, their options and their tuning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial

from vaultctl.port.ground.entry import UNCHANGED, WRITTEN, Entry, Item, Name, Outcome
from vaultctl.port.ground.server import Server
from vaultctl.port.settings import names
from vaultctl.port.settings.plain import stated, unset
from vaultctl.text.json import as_map

ENGINE, METHOD = "mount", "auth-mount"
TABLES = {ENGINE: "sys/mounts", METHOD: "sys/auth"}
_SYSTEM = ("cubbyhole", "identity", "system", "ns_cubbyhole", "ns_identity", "ns_system")
_TUNING = (
    "default_lease_ttl",
    "max_lease_ttl",
    "force_no_cache",
    "listing_visibility",
    "audit_non_hmac_request_keys",
    "audit_non_hmac_response_keys",
    "passthrough_request_headers",
    "allowed_response_headers",
    "token_type",
    "user_lockout_config",
)


def table(server: Server, namespace: str, kind: str) -> dict[str, dict[str, object]]:
    """The mounts of one table by their paths, in order, without those that every namespace has. ApiError without such a namespace."""
    answer = server.require(f"{namespace}{TABLES[kind]}")
    found = {path: as_map(about) for path, about in sorted(answer.items())}
    return {
        path: about
        for path, about in found.items()
        if path.endswith("/") and about.get("type") not in _SYSTEM
    }


def items(namespace: str, kind: str, mounts: Mapping[str, Mapping[str, object]]) -> Iterator[Item]:
    """Every mount of a table that was read."""
    yield names.item(Name(kind, namespace, ""), mounts, at=TABLES[kind])
    for path, about in mounts.items():
        name = Name(kind, namespace, path)
        yield Item(name, "", partial(_entry, name, about))


def _entry(name: Name, about: Mapping[str, object]) -> Entry:
    return Entry(
        name,
        {
            "type": about.get("type"),
            "description": about.get("description") or "",
            "options": stated(as_map(about.get("options"))),
            "config": tuning(about),
            "local": bool(about.get("local")),
            "seal_wrap": bool(about.get("seal_wrap")),
        },
    )


def tuning(about: Mapping[str, object]) -> dict[str, object]:
    """The settings of a mount that say anything."""
    config = as_map(about.get("config"))
    return {
        name: config[name]
        for name in _TUNING
        if config.get(name) not in (None, "", [], {}, 0, False, "default-service")
    }


def comparable(data: Mapping[str, object]) -> object:
    """What has to be equal on both sides."""
    return {name: data[name] for name in ("type", "description", "options", "config")}


def put(server: Server, entry: Entry, *, ours: bool, making: AbstractContextManager[None]) -> Outcome:
    """Mount it within `making`, or tune what is mounted there already and of the same type and options."""
    name, data = entry.name, entry.data
    where = f"{name.namespace}{TABLES[name.kind]}"
    present = table(server, name.namespace, name.kind).get(name.path)
    if present is None:
        with making:
            server.write(f"{where}/{name.path.rstrip('/')}", dict(data))
        return WRITTEN
    there = _entry(name, present).data
    if (there["type"], there["options"]) != (data["type"], data["options"]):
        return Outcome("refused", "the destination has something else mounted there; move that away first")
    if comparable(there) == comparable(data):
        return UNCHANGED
    if not ours:
        return Outcome(
            "unchanged", notes=("it is mounted there with other tuning; -replace takes the source's",)
        )
    body = {
        **{member: unset(value) for member, value in as_map(there["config"]).items()},
        **as_map(data["config"]),
    }
    server.write(f"{where}/{name.path.rstrip('/')}/tune", {**body, "description": data["description"]})
    return WRITTEN
