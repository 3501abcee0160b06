# SPDX-License-Identifier: EUPL-1.2
"""Entities with their aliases, and groups with their members. They travel by name: ids are given by each server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from vaultctl.port.ground import canonical
from vaultctl.port.ground.entry import UNCHANGED, WRITTEN, Entry, Item, Name, Outcome
from vaultctl.port.ground.server import Server
from vaultctl.port.settings.plain import OTHER, stated
from vaultctl.port.settings.references import References
from vaultctl.text.json import as_list, as_map

ENTITY, GROUP = "entity", "group"
_MEMBERS = {ENTITY: ("metadata", "policies", "disabled"), GROUP: ("metadata", "policies", "type")}


def entities(server: Server, namespace: str) -> Iterator[Item]:
    """Every entity."""
    for found in server.names(f"{namespace}identity/entity/name"):
        name = Name(ENTITY, namespace, f"identity/entity/name/{found}")
        yield Item(name, "", partial(_entity, server, name))


def groups(server: Server, namespace: str, references: References) -> Iterator[Item]:
    """Every group, those that others have as members first."""
    read: dict[str, dict[str, object]] = {}
    for found in server.names(f"{namespace}identity/group/name"):
        data = server.read(f"{namespace}identity/group/name/{found}")
        if data is not None:
            read[found] = data
    for found in _inner_first(read):
        name = Name(GROUP, namespace, f"identity/group/name/{found}")
        yield Item(name, "", partial(_group, name, read[found], references))


def _inner_first(read: Mapping[str, Mapping[str, object]]) -> list[str]:
    ids = {str(data.get("id")): name for name, data in read.items()}
    order: dict[str, None] = {}
    for begin in read:
        path = [begin]
        while path:
            inner = [
                ids[str(id_)]
                for id_ in as_list(read[path[-1]].get("member_group_ids"))
                if str(id_) in ids and ids[str(id_)] not in order and ids[str(id_)] not in path
            ]
            if inner:
                path.append(inner[0])
            else:
                order[path.pop()] = None
    return list(order)


def _entity(server: Server, name: Name) -> Entry | None:
    data = server.read(name.namespace + name.path)
    if data is None:
        return None
    aliases = sorted(map(_alias, map(as_map, as_list(data.get("aliases")))), key=canonical.encode)
    return Entry(name, {"body": _body(ENTITY, data), "aliases": list(aliases)})


def _group(name: Name, data: Mapping[str, object], references: References) -> Entry:
    ids = references.names
    members = {
        word: sorted(ids.get(str(id_), f"id:{id_}") for id_ in as_list(data.get(f"member_{word}_ids")))
        for word in (ENTITY, GROUP)
    }
    alias = as_map(data.get("alias"))
    return Entry(
        name,
        {
            "body": _body(GROUP, data),
            "members": members if data.get("type") != "external" else {},
            "aliases": [_alias(alias)] if alias.get("name") else [],
        },
    )


def _body(kind: str, data: Mapping[str, object]) -> dict[str, object]:
    return stated({member: data.get(member) for member in _MEMBERS[kind]})


def _alias(data: Mapping[str, object]) -> dict[str, object]:
    return {
        "name": data.get("name"),
        "mount": data.get("mount_path"),
        "custom_metadata": as_map(data.get("custom_metadata")),
    }


def comparable(data: Mapping[str, object]) -> object:
    """What has to be equal on both sides."""
    return {member: value for member, value in data.items() if member in ("body", "aliases", "members")}


def put(server: Server, entry: Entry, references: References, *, ours: bool) -> Outcome:
    """Write an entity or a group, its members and its aliases."""
    name = entry.name
    path = name.namespace + name.path
    present = server.read(path)
    there = _there(server, name, present, references)
    if there is not None and comparable(there.data) == comparable(entry.data):
        return UNCHANGED
    if present is not None and not ours:
        return Outcome("left", OTHER)
    ids = {text: id_ for id_, text in references.names.items()}
    body, notes = dict(as_map(entry.data["body"])), []
    for word, members in as_map(entry.data.get("members")).items():
        found = [str(member) for member in as_list(members)]
        body[f"member_{word}_ids"] = [ids[member] for member in found if member in ids]
        notes += [f"its member {member} is not at the destination" for member in found if member not in ids]
    server.write(path, {"metadata": {}, "policies": [], **body})
    id_ = str((server.read(path) or {}).get("id"))
    references.forget()
    had = [canonical.encode(alias) for alias in as_list(there.data["aliases"])] if there else []
    for alias in map(as_map, as_list(entry.data["aliases"])):
        if canonical.encode(alias) not in had:
            notes += _put_alias(server, name, alias, id_, references)
    return Outcome("written", notes=tuple(notes)) if notes else WRITTEN


def _there(
    server: Server, name: Name, present: Mapping[str, object] | None, references: References
) -> Entry | None:
    if present is None:
        return None
    return _entity(server, name) if name.kind == ENTITY else _group(name, present, references)


def _put_alias(
    server: Server, name: Name, alias: Mapping[str, object], id_: str, references: References
) -> list[str]:
    """Write an alias; what is said of one that cannot be."""
    accessor = next(
        (one for one, text in references.names.items() if text == f"mount:{alias['mount']}"), None
    )
    if accessor is None:
        return [f"an alias is of {alias['mount']}, which is not at the destination"]
    body = {"name": alias["name"], "canonical_id": id_, "mount_accessor": accessor}
    if name.kind == ENTITY and alias["custom_metadata"]:
        body["custom_metadata"] = alias["custom_metadata"]
    server.write(f"{name.namespace}identity/{name.kind}-alias", body)
    return []
