# SPDX-License-Identifier: EUPL-1.2
"""HTML from elements: everything that is not an element is a text, and a text is never markup."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Final

from nhi.picture.node import shown

_VOID: Final = frozenset({"br", "input", "link", "meta"})


class Html(str):
    """Text that is markup already. Only `el`, `joined` and pictures make it."""

    __slots__ = ()


Child = str | Html | None | Iterable["Child"]
"""A text, an element, nothing, or several of them."""


def el(name: str, /, *children: Child, **attributes: str | bool) -> Html:
    """Return an element. An attribute's `_` stands for `-`, one at its end is dropped; False leaves it out."""
    parts = [f"<{name}"]
    for key, value in attributes.items():
        if value is not False:
            word = key.rstrip("_").replace("_", "-")
            parts.append(f" {word}" if value is True else f' {word}="{html.escape(_printed(value))}"')
    parts.append(">")
    if name in _VOID:
        return Html("".join(parts))
    return Html("".join([*parts, joined(children), f"</{name}>"]))


def joined(children: Child) -> Html:
    """Return children one after the other."""
    if isinstance(children, Html):
        return children
    if isinstance(children, str):
        return Html(html.escape(_printed(children)))
    return Html("".join([joined(child) for child in children]) if children is not None else "")


def _printed(text: str) -> str:
    """Return a text in which unprintable characters, and those that change the direction, are shown by their number."""
    return text if text.isprintable() else "\n".join(map(shown, text.split("\n")))
