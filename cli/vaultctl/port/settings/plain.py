# SPDX-License-Identifier: EUPL-1.2
"""Settings that are written as they are read: one path, one object. Most of a vault is of this kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from vaultctl.port.ground import canonical
from vaultctl.port.ground.entry import UNCHANGED, WRITTEN, Entry, Item, Name, Outcome
from vaultctl.port.ground.server import Server
from vaultctl.text.json import as_map

OTHER = "the destination has other settings there; -replace overwrites them"
_EMPTY: tuple[object, ...] = (None, "", [], {}, "0s")
Note = Callable[[Name, str], None]
"""Told what of an entry does not move, and why."""


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
        for found in [""] if single else server.names(namespace + self.base):
            if found.endswith("/") or found in self.without:
                continue
            name = Name(self.kind, namespace, self.base + found)
            yield Item(name, "", partial(self.load, server, name, note))

    def load(self, server: Server, name: Name, note: Note) -> Entry | None:
        """Read one object, and note what of it the server does not tell."""
        data = server.read(name.namespace + name.path)
        if data is None:
            return None
        for member, why in (self.unreadable or {}).items():
            if not member or data.get(member):
                note(name, why)
        body = stated(
            {
                key: value
                for key, value in data.items()
                if key not in self.drop and not (key in self.drop_zero and value == 0)
            }
        )
        return Entry(name, {"body": body}) if body else None


def stated(data: Mapping[str, object]) -> dict[str, object]:
    """The members that say anything: what is empty is so by itself."""
    return {name: value for name, value in data.items() if value not in _EMPTY}


def comparable(data: Mapping[str, object]) -> object:
    """What has to be equal on both sides; one server leaves out what another calls false or 0."""
    return {name: value for name, value in stated(as_map(data["body"])).items() if value not in (False, 0)}


def put(
    server: Server,
    entry: Entry,
    *,
    ours: bool,
    also: Mapping[str, object] | None = None,
) -> Outcome:
    """Write an object unless it is there as it is, and read it back. `also` is sent with one that was not there."""
    name = entry.name
    path = name.namespace + name.path
    body = as_map(entry.data["body"])
    present = server.read(path)
    known = _told(present, body)
    if present is not None and known == comparable({"body": body}):
        return UNCHANGED
    if known and not ours:
        return Outcome("left", OTHER)
    server.write(path, {**body, **(also or {} if present is None else {})})
    return written(_told(server.read(path), body), body)


def written(there: Mapping[str, object], body: Mapping[str, object]) -> Outcome:
    """An outcome that names the members which the server did not take as they were."""
    wanted = as_map(comparable({"body": body}))
    other = sorted(
        member for member in wanted if canonical.encode(there.get(member)) != canonical.encode(wanted[member])
    )
    if not other:
        return WRITTEN
    return Outcome("written", notes=(f"the destination has these otherwise: {', '.join(other)}",))


def _told(data: Mapping[str, object] | None, body: Mapping[str, object]) -> dict[str, object]:
    """Of an object at the destination what the source speaks of."""
    return as_map(comparable({"body": {name: value for name, value in (data or {}).items() if name in body}}))
