# SPDX-License-Identifier: EUPL-1.2
"""What a picture is drawn of: one block of a credential with what it says, and what was made from it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

SHORT: Final = 8
"""Characters of an id that a picture shows; they tell apart what one tree holds."""
_WIDE: Final = frozenset("WF")


class State(StrEnum):
    """Whether a block can be used; what is made from it can be no better."""

    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"
    DYING = "ends"
    """What a revocation that is only looked at would end."""


@dataclass(frozen=True, slots=True)
class Node:
    """One block. Every text may come from the author of the block: it is shown as text, never as markup."""

    id: str
    title: str = ""
    says: tuple[str, ...] = ()
    """What this hop takes away, one thing each."""
    source: str = ""
    """Who presented it first."""
    time: str = ""
    """When that was; empty where it was not."""
    state: State = State.ACTIVE
    alarms: tuple[str, ...] = ()
    children: tuple[Node, ...] = ()

    @property
    def short(self) -> str:
        """The beginning of the id, as pictures show it."""
        return self.id[:SHORT]

    @property
    def seen(self) -> str:
        """Who presented it first, and when. Who made it cannot be known."""
        return f"first by {self.source or '?'}, {self.time}" if self.time else ""


def walk(root: Node) -> Iterator[tuple[Node, int]]:
    """Yield every node with its depth, parents first and children in order."""
    waiting = [(root, 0)]
    while waiting:
        node, depth = waiting.pop()
        yield node, depth
        waiting.extend((child, depth + 1) for child in reversed(node.children))


def shown(text: str) -> str:
    """Return a text on one line without what does not print: line breaks, escapes, marks that turn text around."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else f"\\u{{{ord(one):x}}}" for one in text)


def width(text: str) -> int:
    """Return how many columns of a fixed pitch a text takes."""
    return len(text) if text.isascii() else sum(_columns(one) for one in text)


def cut(text: str, columns: int) -> str:
    """Return as much of a text as fits, with an ellipsis in place of the rest."""
    return text if width(text) <= columns else _head(text, columns - 1).rstrip() + "…"


def wrapped(text: str, columns: int) -> list[str]:
    """Return the lines of a text, broken between words where that is possible."""
    lines, line = [], ""
    for word in text.split(" "):
        grown = f"{line} {word}" if line else word
        if width(grown) <= columns:
            line = grown
            continue
        if line:
            lines.append(line)
        while width(word) > columns:
            head = _head(word, columns)
            lines.append(head)
            word = word[len(head) :]
        line = word
    return [*lines, line] if line else lines


def _head(text: str, columns: int) -> str:
    """Return the longest beginning of a text that fits."""
    for place, one in enumerate(text):
        columns -= _columns(one)
        if columns < 0:
            return text[:place]
    return text


def _columns(one: str) -> int:
    if unicodedata.combining(one):
        return 0
    return 2 if unicodedata.east_asian_width(one) in _WIDE else 1
