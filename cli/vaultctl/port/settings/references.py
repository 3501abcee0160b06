# SPDX-License-Identifier: EUPL-1.2
"""Ids that policies name: of entities, groups and auth mounts. Each server gives its own, so they travel by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from itertools import pairwise

from vaultctl.port.ground.server import Server
from vaultctl.port.settings.mounts import METHOD, table
from vaultctl.text.json import as_map

_TEMPLATE = re.compile(r"\{\{[^{}]*\}\}")
_GROUPS = "identity.groups.names."
_MOST_DOTS = 10
_WORD = re.compile(r"[A-Za-z0-9_.-]+")


class References:
    """The ids of one namespace of one server, read when they are first asked for."""

    def __init__(self, server: Server, namespace: str) -> None:
        self._server, self._namespace = server, namespace
        self._names: dict[str, str] | None = None
        self._ids: dict[str, str] | None = None

    @property
    def names(self) -> Mapping[str, str]:
        """By each id what it is the id of: `entity:NAME`, `group:NAME`, `mount:auth/PATH/`."""
        if self._names is None:
            found: dict[str, str] = {}
            for kind in ("entity", "group"):
                base = f"{self._namespace}identity/{kind}/id"
                for id_, listed in self._server.listing(base):
                    about = as_map(listed) or self._server.read(f"{base}/{id_}") or {}
                    if about.get("name"):
                        found[id_] = f"{kind}:{about['name']}"
            for path, about in table(self._server, self._namespace, METHOD).items():
                found[str(about.get("accessor"))] = f"mount:auth/{path}"
            self._names = found
        return self._names

    def id_of(self, name: str) -> str | None:
        """The id of `entity:NAME`, `group:NAME` or `mount:auth/PATH/`; None where there is no such thing."""
        if self._ids is None:
            self._ids = {found: id_ for id_, found in self.names.items()}
        return self._ids.get(name)

    def learn(self, id_: str, name: str) -> None:
        """Know what was made or found, without reading all others again."""
        if self._names is not None:
            self._names[id_] = name
        if self._ids is not None:
            self._ids[name] = id_

    def forget(self) -> None:
        """Read them again when they are asked for: some were removed."""
        self._names = self._ids = None

    def in_text(self, text: str) -> dict[str, str]:
        """What of the ids stands in the templates of a policy."""
        words = {
            word
            for found in _TEMPLATE.findall(text)
            for dotted in _WORD.findall(found)
            for word in _pieces(dotted.split("."))
        }
        return {word: self.names[word] for word in sorted(words) if word in self.names}


def translated(
    text: str, meant: Mapping[str, object], id_of: Callable[[str], str | None]
) -> tuple[str, list[str]]:
    """The text with the ids that names have now for those that `meant` explains, and the names that have none."""
    found = {old: id_of(str(name)) for old, name in meant.items()}
    missing = [str(meant[old]) for old, id_ in found.items() if id_ is None]
    return replaced(text, {old: id_ for old, id_ in found.items() if id_ is not None}), missing


def groups_in(text: str) -> list[str]:
    """The groups that templates name by their names. Where a dot follows, a name may end there or at a later one."""
    found: set[str] = set()
    for template in _TEMPLATE.findall(text):
        inner = template[2:-2].strip()
        if inner.startswith(_GROUPS):
            parts = inner.removeprefix(_GROUPS).split(".")
            found |= {".".join(parts[:number]) for number in range(1, min(len(parts), _MOST_DOTS))}
    return sorted(found)


def replaced(text: str, words: Mapping[str, str]) -> str:
    """The text with other words in its templates."""
    return _TEMPLATE.sub(
        lambda found: _WORD.sub(lambda dotted: _exchanged(dotted.group(), words), found.group()), text
    )


def _exchanged(dotted: str, words: Mapping[str, str]) -> str:
    """The words between dots, with others in their place: first those that have a dot within."""
    parts = dotted.split(".")
    done: list[str] = []
    while parts:
        size = 2 if ".".join(parts[:2]) in words else 1
        word = ".".join(parts[:size])
        done.append(words.get(word, word))
        del parts[:size]
    return ".".join(done)


def _pieces(parts: list[str]) -> list[str]:
    """What may be an id: in a namespace it has a dot within."""
    return [*parts, *(".".join(pair) for pair in pairwise(parts))]
