# SPDX-License-Identifier: EUPL-1.2
"""Settings that are written as they are read: one path, one object. Most of a vault is of this kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from vaultctl.port.ground import canonical
from vaultctl.port.ground.entry import WRITTEN, Entry, Item, Name, Outcome
from vaultctl.port.ground.server import Server
from vaultctl.port.settings import names
from vaultctl.text.json import as_map

OTHER = "the destination has other settings there; -replace overwrites them"
_EMPTY: tuple[object, ...] = (None, "", [], {}, "0s")
_ONCE = ("local_secret_ids",)
"""Members that are written when an object is made, and refused later."""
_LIMITS = ("allowed_policies", "allowed_policies_glob")
"""Lists that allow everything where they are empty."""
Note = Callable[[Name, str], None]
"""Told what of an entry does not move, and why."""


class Policies(Protocol):
    """Knows the policies at the destination."""

    def with_known_policies(self, body: Mapping[str, object]) -> tuple[dict[str, object], list[str]]:
        """A body without the policies that are others there, and the names of these."""


@dataclass(frozen=True, slots=True)
class Collection:
    """Objects of one kind below `base`: those that a list names, or the one that `base` is where it has no end slash."""

    kind: str
    base: str
    drop: tuple[str, ...] = ()
    """Members that are told and cannot be written."""
    without: tuple[str, ...] = ()
    """Names that every server has, and that are nobody's work."""
    drop_zero: tuple[str, ...] = ()
    """Members whose 0 means that nothing is set, and cannot be written."""
    unreadable: Mapping[str, str] | None = None
    """Why an object is not whole, by the member whose truth says so; "" stands for every object."""

    def items(self, server: Server, namespace: str, note: Note) -> Iterator[Item]:
        """Every object."""
        single = not self.base.endswith("/")
        found_there = [""] if single else sorted(self.names(server, namespace))
        if not single:
            yield names.item(Name(self.kind, namespace, self.base), found_there)
        for found in found_there:
            name = Name(self.kind, namespace, self.base + found)
            yield Item(name, "", partial(self.load, server, name, note))

    def names(self, server: Server, namespace: str) -> set[str]:
        """The objects that a list names."""
        found = server.names(namespace + self.base)
        return {one for one in found if not one.endswith("/") and one not in self.without}

    def load(self, server: Server, name: Name, note: Note) -> Entry | None:
        """Read one object, and note what of it the server does not tell."""
        path = name.namespace + name.path
        data = server.require_listed(path) if self.base.endswith("/") else server.read(path)
        if data is None:
            return None
        for member, why in (self.unreadable or {}).items():
            if not member or data.get(member):
                note(name, why)
        body = {
            key: value
            for key, value in data.items()
            if key not in self.drop and not (key in self.drop_zero and value == 0)
        }
        return Entry(name, {"body": body}) if stated(body) else None


def stated(data: Mapping[str, object]) -> dict[str, object]:
    """The members that say anything: what is empty is so by itself."""
    return {name: value for name, value in data.items() if value not in _EMPTY}


def comparable(data: Mapping[str, object]) -> object:
    """What has to be equal on both sides; one server leaves out what another calls false or 0."""
    return {name: value for name, value in stated(as_map(data["body"])).items() if value not in (False, 0)}


def put(
    server: Server,
    entry: Entry,
    counterparts: Policies,
    *,
    ours: bool,
    also: Mapping[str, object] | None = None,
    switch: str = "",
) -> Outcome:
    """Write an object unless it is there as it is, and read it back. `also` is sent with one that was not there.

    What the source has empty is emptied: it may have been a right. `switch` is the member that no write makes false:
    without it there is no such object.
    """
    name = entry.name
    path = name.namespace + name.path
    body = as_map(entry.data["body"])
    present = server.read(path)
    given, strange = counterparts.with_known_policies(body)
    notes = tuple(f"its policy {policy} is another at the destination" for policy in strange)
    known = _told(present, body)
    if present is not None and known == comparable({"body": given if ours else body}):
        return Outcome("unchanged", notes=notes if ours else ())
    if known and not ours:
        return Outcome("left", OTHER)
    if strange and any(body[member] and not given[member] for member in _LIMITS if member in body):
        return Outcome("left", f"all that it allows are policies that are others there: {', '.join(strange)}")
    body = given
    if switch and not body.get(switch):
        server.delete(path)
        return WRITTEN
    if present is None:
        server.write(path, {**stated(body), **(also or {})})
    else:
        sent = {name: value for name, value in stated(body).items() if not _settled(name, value, present)}
        server.write(path, {**sent, **_withdrawn(present, body)})
    outcome = written(_told(server.read(path), body), body)
    return Outcome(outcome.word, outcome.why, (*outcome.notes, *notes))


def written(there: Mapping[str, object], body: Mapping[str, object]) -> Outcome:
    """An outcome that names the members which the server did not take as they were."""
    wanted, found = as_map(comparable({"body": body})), _told(there, body)
    other = sorted(
        member
        for member in {**wanted, **found}
        if canonical.encode(found.get(member)) != canonical.encode(wanted.get(member))
    )
    if not other:
        return WRITTEN
    return Outcome("written", notes=(f"the destination has these otherwise: {', '.join(other)}",))


def _settled(name: str, value: object, present: Mapping[str, object]) -> bool:
    """Whether a member is as it is to be, and no server takes it again."""
    return name in _ONCE and present.get(name) == value


def _withdrawn(present: Mapping[str, object], body: Mapping[str, object]) -> dict[str, object]:
    """The members that the destination has and the source says are empty, each with its empty value."""
    there = stated({name: value for name, value in present.items() if name in body})
    return {name: unset(value) for name, value in there.items() if body[name] in _EMPTY}


def unset(value: object) -> object:
    """What takes a setting back."""
    if isinstance(value, bool):
        return False
    return 0 if isinstance(value, int) else type(value)() if isinstance(value, (list, str, dict)) else ""


def _told(data: Mapping[str, object] | None, body: Mapping[str, object]) -> dict[str, object]:
    """Of an object at the destination what the source speaks of."""
    return as_map(comparable({"body": {name: value for name, value in (data or {}).items() if name in body}}))
