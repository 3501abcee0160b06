# SPDX-License-Identifier: EUPL-1.2
"""One stanza at a time: parsed items in, a settings struct out, every problem with its file and line."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from typing import Annotated, Any, NamedTuple, TypeVar, get_args, get_origin

import msgspec

from vault.framework.hcl.syntax_tree import Block, Item, Value
from vault.server.config.unsupported import IGNORED, REFUSED, UNBUILT
from vault.server.config.values import Setting, Unreadable
from vault.server.failure import StartFailure

S = TypeVar("S", bound=msgspec.Struct)


class Entry(NamedTuple):
    """An item and the file it stands in."""

    file: str
    item: Item

    @property
    def place(self) -> str:
        """`FILE:LINE`."""
        return f"{self.file}:{self.item.line}"


class Findings:
    """What reading gathered on the way: warnings, and every problem rather than the first one only."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.problems: list[str] = []

    def refuse(self, entry: Entry, message: str) -> None:
        """Note a problem that keeps the server from starting."""
        self.problems.append(f"{entry.place}: {message}")

    def warn(self, entry: Entry, message: str) -> None:
        """Note something that the operator should know."""
        self.warnings.append(f"{entry.place}: {message}")

    def raise_first(self) -> None:
        """Raise `StartFailure` with the first problem, and say how many more there are."""
        if not self.problems:
            return
        more = len(self.problems) - 1
        hint = f" (and {more} more: -test-config shows all)" if more else ""
        raise StartFailure(self.problems[0] + hint)


def settings_of(struct: type[msgspec.Struct]) -> dict[str, Setting]:
    """Return the settings that `struct` declares, in order."""
    found: dict[str, Setting] = {}
    for field in msgspec.structs.fields(struct):
        if get_origin(field.type) is Annotated:
            found[field.name] = next(note for note in get_args(field.type) if isinstance(note, Setting))
    return found


def entries(file: str, block: Block) -> tuple[Entry, ...]:
    """Return the items of a block with their file."""
    return tuple(Entry(file, item) for item in block.items)


def body(entry: Entry, labels: int, findings: Findings) -> tuple[Entry, ...] | None:
    """Return what stands in a stanza that has `labels` labels, or None after noting what is wrong.

    JSON flattens objects that hold objects only, so surplus labels are put back as keys.
    """
    item = entry.item
    if len(item.labels) > labels:
        inner = msgspec.structs.replace(item, keys=item.keys[labels + 1 :])
        return (Entry(entry.file, inner),)
    if len(item.labels) < labels or not isinstance(item.value, Block):
        shape = " ".join([item.key, *(['"NAME"'] * labels), "{ … }"])
        findings.refuse(entry, f"{item.key} must have the form `{shape}`")
        return None
    return entries(entry.file, item.value)


def read(
    struct: type[msgspec.Struct],
    stanza: str,
    found: Collection[Entry],
    findings: Findings,
    *,
    also: Collection[str] = (),
) -> dict[str, Any]:
    """Read the keys that `struct` declares; note those that are unknown, doubled or unreadable.

    A key that a later file repeats replaces the earlier one. `also` names keys that the caller reads.
    """
    settings = settings_of(struct)
    values: dict[str, Any] = {}
    places: dict[str, Entry] = {}
    for entry in found:
        key = entry.item.key
        if key in also:
            continue
        setting = settings.get(key)
        if setting is None:
            _not_ours(stanza, entry, [*settings, *also], findings)
            continue
        earlier = places.get(key)
        if earlier is not None and earlier.file == entry.file:
            findings.refuse(entry, f"{key} is already set on line {earlier.item.line}; keep one of them")
        places[key] = entry
        try:
            values[key] = setting.read(_plain(entry.item))
        except Unreadable as expected:
            findings.refuse(entry, f"{key} must be {expected}")
            continue
        unbuilt = UNBUILT.get(stanza, {}).get(key)
        if unbuilt is not None and values[key] is unbuilt[0]:
            findings.refuse(entry, f"{key}: {unbuilt[1]}")
    return values


def names(entry: Entry, findings: Findings) -> Mapping[str, str]:
    """Read a block of strings, such as an audit device's options. Booleans become `true` and `false`."""
    found: dict[str, str] = {}
    value = entry.item.value
    if len(entry.item.keys) > 1 or not isinstance(value, Block):
        findings.refuse(entry, f"{entry.item.key} must be a block of strings")
        return found
    for item in value.items:
        if isinstance(item.value, bool):
            found[item.key] = "true" if item.value else "false"
        elif isinstance(item.value, str | int) and len(item.keys) == 1:
            found[item.key] = str(item.value)
        else:
            findings.refuse(Entry(entry.file, item), f"{item.key} must be a string")
    return found


def unknown(stanza: str, entry: Entry, known: Collection[str], findings: Findings) -> None:
    """Refuse a key or stanza that nobody knows, and name the nearest one that exists."""
    key = entry.item.key
    where = f" in {stanza}" if stanza else ""
    findings.refuse(entry, f"unknown setting {key}{where}{nearest(key, known)}")


def nearest(key: str, known: Collection[str]) -> str:
    """Return a hint at the name in `known` that `key` may have been meant to be, or nothing."""
    found = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    return f"; did you mean {found[0]}?" if found else ""


def _plain(item: Item) -> Value:
    if len(item.keys) > 1:
        raise Unreadable("a value, not a block")
    return item.value


def _not_ours(stanza: str, entry: Entry, known: Collection[str], findings: Findings) -> None:
    """Tell apart what OpenBao has and we do not, and what nobody knows."""
    key = entry.item.key
    refused = REFUSED.get(stanza, {}).get(key)
    ignored = IGNORED.get(stanza, {}).get(key)
    if refused is not None:
        findings.refuse(entry, f"{key}: {refused}")
    elif ignored is not None:
        findings.warn(entry, f"{key} has no effect: {ignored}")
    else:
        unknown(stanza, entry, known, findings)
