# SPDX-License-Identifier: EUPL-1.2
"""The stanzas `initialize "NAME" { request "NAME" { … } }`: what a new vault is told before anybody else can ask.

A value may come from elsewhere: `{ eval_type = "string" eval_source = "env" env_var = "X" }`, or from a `file`, or
from the answer of an earlier request. Everything that can be wrong without asking the vault is found here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Final, TypeAlias

import msgspec

from vault.framework.hcl.syntax_tree import Block, Item, Value
from vault.server.config import values
from vault.server.config.reader import Entry, Findings, body, read
from vault.server.config.values import Setting, Unreadable

OPERATIONS: Final = ("create", "update", "read", "list", "scan", "delete", "patch")
TYPES: Final = ("string", "int", "float64", "bool", "any")
SOURCES: Final = {
    "env": ("env_var",),
    "file": ("path",),
    "response": ("initialize_name", "response_name", "field_selector"),
}
"""Where a value may come from, and what has to be said of it."""
_ELSEWHERE: Final = ("cel", "request", "template")
"""OpenBao's other sources."""


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A value that comes from elsewhere. `selector` leads into the `data` or `auth` of an answer."""

    kind: str
    to: str
    name: str = ""
    present: bool = False
    stanza: str = ""
    selector: tuple[str, ...] = ()


Template: TypeAlias = "str | int | float | bool | Source | list[Template] | dict[str, Template] | None"
"""A value of a request, with sources in it."""


class FirstRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request. `place` is where it is configured. Its `repr` holds no value: it may be a secret."""

    stanza: str
    name: str
    place: str
    operation: Annotated[
        str, Setting(values.one_of(*OPERATIONS), f"One of {', '.join(OPERATIONS)}; required.", "none")
    ] = ""
    allow_failure: Annotated[bool, Setting(values.boolean, "Go on although it is refused.", "false")] = False
    path: Template = ""
    token: Template = ""
    data: Template = None

    def __repr__(self) -> str:
        """Name the request, not what it holds."""
        return f"FirstRequest({self.stanza}/{self.name})"


def initialize(
    found: Sequence[tuple[Entry, Collection[Entry]]], findings: Findings
) -> tuple[FirstRequest, ...]:
    """Read every stanza, in the order of its requests; names are unique."""
    made: dict[tuple[str, str], FirstRequest] = {}
    stanzas: set[str] = set()
    for entry, content in found:
        stanza = entry.item.labels[0]
        if stanza in stanzas and len(entry.item.labels) == 1:
            findings.refuse(entry, "another initialize stanza has this name; give each its own")
        stanzas.add(stanza)
        if not content:
            findings.refuse(entry, "initialize holds no request; add one, or remove it")
        for inner in content:
            if inner.item.key != "request":
                findings.refuse(inner, "initialize holds nothing but `request` blocks")
                continue
            inside = body(inner, 1, findings)
            if inside is None:
                continue
            request = _request(stanza, inner, inside, findings)
            if (stanza, request.name) in made:
                findings.refuse(inner, "another request of this stanza has this name; give each its own")
            made[stanza, request.name] = request
    return tuple(made.values())


def _request(stanza: str, entry: Entry, inside: Collection[Entry], findings: Findings) -> FirstRequest:
    also = ("path", "token", "data")
    values = read(FirstRequest, "request", inside, findings, also=also)
    given: dict[str, Template] = {}
    for name in also:
        items = [inner for inner in inside if inner.item.key == name]
        try:
            if items:
                given[name] = _joined(items)
        except Unreadable as expected:
            findings.refuse(items[0], f"{name} must be {expected}")
    for name in ("path", "token"):
        if name in given and not isinstance(given[name], str | Source):
            findings.refuse(entry, f"{name} must be a string")
    if "data" in given and not isinstance(given["data"], dict | Source):
        findings.refuse(entry, "data must be a block")
    for name, there in (("operation", values.get("operation")), ("path", given.get("path"))):
        if not there:
            findings.refuse(entry, f"request needs {name}")
    return FirstRequest(
        stanza=stanza,
        name=entry.item.labels[0],
        place=entry.place,
        path=given.get("path", ""),
        token=given.get("token", ""),
        data=given.get("data"),
        **values,
    )


def _joined(entries: Sequence[Entry]) -> Template:
    """Return one value that may be written in several items: JSON takes an object of objects apart."""
    items = [msgspec.structs.replace(entry.item, keys=entry.item.keys[1:]) for entry in entries]
    if len(items) == 1 and not items[0].keys:
        return _value(items[0].value)
    return _value(Block(tuple(items)))


def _value(value: Value) -> Template:
    if isinstance(value, tuple):
        return [_value(part) for part in value]
    if not isinstance(value, Block):
        return value
    found: dict[str, list[Item]] = {}
    for item in value.items:
        found.setdefault(item.key, []).append(item)
    made: dict[str, Template] = {}
    for key, items in found.items():
        inner = [msgspec.structs.replace(item, keys=item.keys[1:]) for item in items]
        if len(inner) > 1 and not all(item.keys for item in inner):
            raise Unreadable("without a key that is there twice")
        made[key] = _value(inner[0].value) if not inner[0].keys else _value(Block(tuple(inner)))
    return _source(made) if {"eval_type", "eval_source"} & set(made) else made


def _source(made: Mapping[str, Template]) -> Source:
    """Read a value that comes from elsewhere. Raises `Unreadable`."""
    kind, to = made.get("eval_source"), made.get("eval_type")
    if kind in _ELSEWHERE:
        raise Unreadable(f"without eval_source {', '.join(_ELSEWHERE)}: they are not supported")
    if kind not in SOURCES or to not in TYPES:
        raise Unreadable(
            f"of an eval_type ({', '.join(TYPES)}) and from an eval_source ({', '.join(SOURCES)})"
        )
    needed = SOURCES[str(kind)]
    missing = [name for name in needed if not made.get(name)]
    if missing:
        raise Unreadable(f"complete: eval_source {kind} needs {' and '.join(missing)}")
    unknown = sorted(set(made) - {"eval_type", "eval_source", "require_present", *needed})
    if unknown:
        raise Unreadable(f"without {', '.join(unknown)}: eval_source {kind} does not have it")
    selector = made.get("field_selector", ())
    parts = (selector,) if isinstance(selector, str) else selector
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        raise Unreadable("selected by a string or a list of strings")
    return Source(
        kind=str(kind),
        to=str(to),
        name=str(made.get("env_var") or made.get("path") or made.get("response_name")),
        present=made.get("require_present") is True,
        stanza=str(made.get("initialize_name", "")),
        selector=tuple(str(part) for part in parts),
    )
