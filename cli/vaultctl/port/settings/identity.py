# SPDX-License-Identifier: EUPL-1.2
"""Entities with their aliases, and groups with their members. They travel by name: ids are given by each server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from vaultctl.port.ground import canonical
from vaultctl.port.ground.entry import WRITTEN, Entry, Item, Name, Outcome
from vaultctl.port.ground.journal import Journal
from vaultctl.port.ground.server import Server
from vaultctl.port.settings import names
from vaultctl.port.settings.counterparts import Counterparts
from vaultctl.port.settings.plain import OTHER, stated
from vaultctl.port.settings.references import References
from vaultctl.text.json import as_list, as_map

ENTITY, GROUP = "entity", "group"
_MEMBERS = {ENTITY: ("metadata", "policies", "disabled"), GROUP: ("metadata", "policies", "type")}


def entities(server: Server, namespace: str) -> Iterator[Item]:
    """Every entity."""
    known = list(server.names(f"{namespace}identity/entity/name"))
    yield names.item(Name(ENTITY, namespace, "identity/entity/name/"), known)
    for found in known:
        name = Name(ENTITY, namespace, f"identity/entity/name/{found}")
        yield Item(name, "", partial(_listed_entity, server, name))


def groups(server: Server, namespace: str, references: References) -> Iterator[Item]:
    """Every group, those that others have as members first."""
    read: dict[str, dict[str, object]] = {}
    known = list(server.names(f"{namespace}identity/group/name"))
    yield names.item(Name(GROUP, namespace, "identity/group/name/"), known)
    for found in known:
        path = f"identity/group/name/{found}"
        data = server.read(namespace + path)
        if data is None:
            yield Item(Name(GROUP, namespace, path), "", partial(_untold, server, namespace + path))
        else:
            read[found] = data
    for found in _inner_first(read):
        name = Name(GROUP, namespace, f"identity/group/name/{found}")
        yield Item(name, "", partial(_group, name, read[found], references))


def _untold(server: Server, path: str) -> None:
    server.require_listed(path)


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


def _listed_entity(server: Server, name: Name) -> Entry:
    return _entity(name, server.require_listed(name.namespace + name.path))


def _entity(name: Name, data: Mapping[str, object]) -> Entry:
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


def put(
    server: Server, entry: Entry, counterparts: Counterparts, journal: Journal, *, ours: bool, replace: bool
) -> Outcome:
    """Write an entity or a group, its members and its aliases: those whose names mean at the destination what they did.

    `replace` takes an alias from whoever has it there.
    """
    name = entry.name
    path = name.namespace + name.path
    present = server.read(path)
    there = _there(name, present, counterparts.references)
    had = [] if there is None else [_place(as_map(alias)) for alias in as_list(there.data["aliases"])]
    wanted, notes = _known(entry, counterparts, had=had, replace=replace)
    if there is not None and comparable(there.data) == comparable(wanted.data):
        if ours or not notes:
            return Outcome("unchanged", notes=tuple(notes))
    if present is not None and not ours:
        return Outcome("left", OTHER)
    body = dict(as_map(wanted.data["body"]))
    for word, members in as_map(wanted.data.get("members")).items():
        body[f"member_{word}_ids"] = [counterparts.id_of(str(member)) for member in as_list(members)]
    server.write(path, {"metadata": {}, "policies": [], **body})
    present = server.read(path) or {}
    counterparts.references.learn(
        str(present.get("id")), f"{name.kind}:{name.path.removeprefix(f'identity/{name.kind}/name/')}"
    )
    notes += _aliases(server, name, present, wanted, counterparts, journal)
    return Outcome("written", notes=tuple(notes)) if notes else WRITTEN


def _known(
    entry: Entry, counterparts: Counterparts, *, had: Sequence[tuple[object, object]], replace: bool
) -> tuple[Entry, list[str]]:
    """An entity or a group with what may be written of it, and what is said of the rest. `had` are aliases it has there."""
    name, data = entry.name, entry.data
    body, strange = counterparts.with_known_policies(as_map(data["body"]))
    notes = [f"its policy {policy} is another at the destination" for policy in strange]
    members: dict[str, list[object]] = {}
    for word, all_ in as_map(data.get("members")).items():
        ids = {str(member): counterparts.id_of(str(member)) for member in as_list(all_)}
        members[word] = [member for member, id_ in ids.items() if id_ is not None]
        notes += [f"its member {member} did not move" for member, id_ in ids.items() if id_ is None]
    aliases = []
    for alias in map(as_map, as_list(data["aliases"])):
        mount, known = str(alias["mount"]), str(alias["name"])
        why = (
            counterparts.why_no_alias(mount, known)
            if name.kind == ENTITY
            else counterparts.why_no_mount(mount)
        )
        if not why and not replace and _place(alias) not in had:
            why = counterparts.why_taken(name, mount, known)
        if why:
            notes.append(f"its alias {known} did not move: {why}")
        else:
            aliases.append(alias)
    more = {"members": members} if "members" in data else {}
    return Entry(name, {**data, "body": stated(body), "aliases": aliases, **more}), notes


def _there(name: Name, present: Mapping[str, object] | None, references: References) -> Entry | None:
    if present is None:
        return None
    return _entity(name, present) if name.kind == ENTITY else _group(name, present, references)


def _aliases(
    server: Server,
    name: Name,
    present: Mapping[str, object],
    wanted: Entry,
    counterparts: Counterparts,
    journal: Journal,
) -> list[str]:
    """Write the aliases that are to be there, and remove those that this move brought and that are no longer; what stays."""
    id_, notes = str(present.get("id")), []
    listed = as_list(present.get("aliases")) if name.kind == ENTITY else [present.get("alias")]
    had = [about for about in map(as_map, listed) if about.get("name")]
    aliases = [as_map(alias) for alias in as_list(wanted.data["aliases"])]
    for about in had:
        alias = _alias(about)
        if any(_place(one) == _place(alias) for one in aliases):
            continue
        mark = _mark(name, id_, f"{about.get('mount_accessor')}/{alias['name']}")
        if journal.holds(mark):
            server.delete(f"{name.namespace}identity/{name.kind}-alias/id/{about['id']}")
            journal.forget(mark)
        else:
            notes.append(f"its alias {alias['name']} of {alias['mount']} is the destination's own")
    spelled = [canonical.encode(_alias(about)) for about in had]
    for alias in aliases:
        if canonical.encode(alias) not in spelled:
            accessor = str(counterparts.id_of(f"mount:{alias['mount']}"))
            journal.own(_mark(name, id_, f"{accessor}/{alias['name']}"))
            _put_alias(server, name, alias, {"canonical_id": id_, "mount_accessor": accessor})
    return notes


def _place(alias: Mapping[str, object]) -> tuple[object, object]:
    return alias["mount"], alias["name"]


def _mark(name: Name, id_: str, alias: str) -> Name:
    """What the journal calls an alias: ids are others where an entity or a mount was made anew."""
    return Name(f"{name.kind}-alias", name.namespace, f"{id_}/{alias}")


def _put_alias(server: Server, name: Name, alias: Mapping[str, object], ids: Mapping[str, str]) -> None:
    body = {"name": alias["name"], **ids}
    if name.kind == ENTITY and alias["custom_metadata"]:
        body["custom_metadata"] = alias["custom_metadata"]
    server.write(f"{name.namespace}identity/{name.kind}-alias", body)
