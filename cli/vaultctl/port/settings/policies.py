# SPDX-License-Identifier: EUPL-1.2
"""ACL policies. Where one names ids in a template, they become those of the destination."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from vaultctl.port.ground.entry import UNCHANGED, Entry, Item, Name, Outcome
from vaultctl.port.ground.server import Server
from vaultctl.port.settings.plain import OTHER, stated, written
from vaultctl.port.settings.references import References, replaced
from vaultctl.text.json import as_map

KIND = "policy"
PREFIX = "sys/policies/acl/"
_DROP = ("name", "version", "modified", "cas", "rules")


def items(server: Server, namespace: str, references: References) -> Iterator[Item]:
    """Every policy but `root`, which is none."""
    for found in server.names(f"{namespace}sys/policies/acl"):
        if found != "root":
            name = Name(KIND, namespace, PREFIX + found)
            yield Item(name, "", partial(_load, server, name, references))


def _load(server: Server, name: Name, references: References) -> Entry | None:
    data = server.read(name.namespace + name.path)
    if data is None:
        return None
    body = stated({member: value for member, value in data.items() if member not in _DROP})
    return Entry(name, {"body": body, "ids": references.in_text(str(body.get("policy", "")))})


def comparable(data: Mapping[str, object]) -> object:
    """What has to be equal on both sides, with names in place of ids."""
    body = as_map(data["body"])
    ids = {old: str(name) for old, name in as_map(data["ids"]).items()}
    found = {member: value for member, value in body.items() if value not in (False, 0)}
    return {**found, "policy": replaced(str(body.get("policy", "")), ids)}


def put(server: Server, entry: Entry, references: References, *, ours: bool) -> Outcome:
    """Write a policy, with this server's ids in it."""
    name = entry.name
    path = name.namespace + name.path
    text, missing = references.translate(
        str(as_map(entry.data["body"]).get("policy", "")), as_map(entry.data["ids"])
    )
    body = {**as_map(entry.data["body"]), "policy": text}
    present = server.read(path)
    there = {} if present is None else {key: value for key, value in present.items() if key in body}
    if present is not None and there == body:
        return UNCHANGED
    if present is not None and not ours and not _as_made(name, present):
        return Outcome("left", OTHER)
    cas = {"cas": present.get("version")} if present is not None and present.get("cas_required") else {}
    if present is None and body.get("cas_required"):
        cas = {"cas": -1}
    server.write(path, {**body, **cas})
    outcome = written(server.read(path) or {}, body)
    lost = tuple(f"{name} is not at the destination, and its id stays in the text" for name in missing)
    return Outcome(outcome.word, outcome.why, (*outcome.notes, *lost))


def _as_made(name: Name, present: Mapping[str, object]) -> bool:
    """Whether a policy is the one that a server makes for itself, and nobody ever changed it."""
    return name.path.endswith("/default") and present.get("version") == 1
