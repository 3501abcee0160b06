# SPDX-License-Identifier: EUPL-1.2
"""ACL policies. Where one names ids in a template, they become those of the destination."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial

from vaultctl.errors import ApiError
from vaultctl.port.ground.entry import Entry, Item, Name, Outcome
from vaultctl.port.ground.server import Server
from vaultctl.port.settings import names
from vaultctl.port.settings.counterparts import GIVEN, Counterparts
from vaultctl.port.settings.plain import OTHER, stated, written
from vaultctl.port.settings.references import References, groups_in, replaced, translated
from vaultctl.text.json import as_list, as_map

KIND = "policy"
PREFIX = "sys/policies/acl/"
_GROUP = "identity/group/name/"
_DROP = ("name", "version", "modified", "cas", "rules")


class Reader:
    """The policies of a namespace: first those that depend on nothing, for whoever names them; the others behind groups."""

    def __init__(self, server: Server, namespace: str, references: References) -> None:
        self._server, self._namespace, self._references = server, namespace, references
        self._later: list[Entry] = []

    def first(self) -> Iterator[Item]:
        """Every policy that names no id and no group, but `root`, which is none."""
        server, namespace = self._server, self._namespace
        known = [found for found in server.names(f"{namespace}sys/policies/acl") if found != "root"]
        yield names.item(Name(KIND, namespace, PREFIX), known)
        for found in known:
            name = Name(KIND, namespace, PREFIX + found)
            load = partial(_load, server, name, self._references)
            try:
                entry = load()
            except ApiError as error:
                if error.status >= 500 and error.status != 501:
                    raise
                yield Item(name, "", load)  # which says it
                continue
            if _depends(entry):
                self._later.append(entry)
            else:
                yield Item(name, "", partial(_same, entry))

    def later(self) -> Iterator[Item]:
        """The others."""
        for entry in self._later:
            yield Item(entry.name, "", partial(_same, entry))

    def noticing(self, items: Iterable[Item], again: list[Item]) -> Iterator[Item]:
        """The items as they are; those that name a policy which comes behind them are put into `again` when they are read."""
        for item in items:
            yield replace(item, load=partial(self._noticed, item, again)) if self._later else item

    def _noticed(self, item: Item, again: list[Item]) -> Entry | None:
        entry = item.load()
        if entry is not None and self._names_later(as_map(entry.data.get("body"))):
            again.append(item)
        return entry

    def _names_later(self, body: Mapping[str, object]) -> bool:
        later = {entry.name.path.removeprefix(PREFIX) for entry in self._later}
        names = {str(name).lower() for member in GIVEN for name in as_list(body.get(member))}
        return any(name in later or "*" in name or "{{" in name for name in names)


def _same(entry: Entry) -> Entry:
    return entry


def _depends(entry: Entry) -> bool:
    return bool(entry.data["ids"] or groups_in(str(as_map(entry.data["body"]).get("policy", ""))))


def _load(server: Server, name: Name, references: References) -> Entry:
    data = server.require_listed(name.namespace + name.path)
    body = _body(data)
    return Entry(name, {"body": body, "ids": references.in_text(str(body.get("policy", "")))})


def comparable(data: Mapping[str, object]) -> object:
    """What has to be equal on both sides, with names in place of ids."""
    body = as_map(data["body"])
    ids = {old: str(name) for old, name in as_map(data["ids"]).items()}
    return {**_said(body), "policy": replaced(str(body.get("policy", "")), ids)}


def _body(data: Mapping[str, object]) -> dict[str, object]:
    return stated({member: value for member, value in data.items() if member not in _DROP})


def _said(body: Mapping[str, object]) -> dict[str, object]:
    return {member: value for member, value in body.items() if value not in (False, 0)}


def put(server: Server, entry: Entry, counterparts: Counterparts, *, ours: bool) -> Outcome:
    """Write a policy, with this server's ids in it."""
    name = entry.name
    path = name.namespace + name.path
    said = str(as_map(entry.data["body"]).get("policy", ""))
    text, missing = translated(said, as_map(entry.data["ids"]), counterparts.id_of)
    strange = [group for group in groups_in(said) if counterparts.is_strange("group", _GROUP + group)]
    if strange:
        return Outcome("left", f"it names groups that are others at the destination: {', '.join(strange)}")
    body = {**as_map(entry.data["body"]), "policy": text}
    present = server.read(path)
    lost = tuple(f"{lost} did not move, and its id stays in the text" for lost in missing)
    if present is not None and _said(_body(present)) == _said(body):
        return Outcome("unchanged", notes=lost)
    if present is not None and not ours and not _as_made(name, present):
        return Outcome("left", OTHER)
    cas = {"cas": present.get("version")} if present is not None and present.get("cas_required") else {}
    if present is None and body.get("cas_required"):
        cas = {"cas": -1}
    server.write(path, {**body, **cas})
    outcome = written(server.read(path) or {}, body)
    return Outcome(outcome.word, outcome.why, (*outcome.notes, *lost))


def _as_made(name: Name, present: Mapping[str, object]) -> bool:
    """Whether a policy is the one that a server makes for itself, and nobody ever changed it."""
    return name.path.endswith("/default") and present.get("version") == 1
