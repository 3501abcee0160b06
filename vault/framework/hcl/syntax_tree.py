# SPDX-License-Identifier: EUPL-1.2
"""What HCL text is read into, and how a text fails.

Neither an error nor a `repr` quotes a value: the text may hold secrets.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

MAX_LEXEMES = 65_536
"""Most words, signs and values of a text. The cost of reading grows with them; this is about 7,000 policy rules."""

MAX_DEPTH = 64
"""Deepest accepted nesting of objects and lists."""


class HclError(ValueError):
    """The text is not HCL. `line` and `column` count from 1; `message` says what was found, never a value.

    `str(error)` is OpenBao's wording: `At 1:33: illegal char`, and without `At` in the JSON form.
    """

    def __init__(self, line: int, message: str, column: int = 1, *, json: bool = False) -> None:
        """Keep the place and the reason; `json` tells which of the two forms was being read."""
        super().__init__(f"{'' if json else 'At '}{line}:{column}: {message}")
        self.line = line
        self.column = column
        self.message = message
        self.json = json


class Block(msgspec.Struct, frozen=True):
    """`{ … }`: items in the order they were written, duplicates kept."""

    items: tuple[Item, ...]

    def __repr__(self) -> str:
        """Say how many items, never which values."""
        return f"Block({len(self.items)} items)"

    def named(self, key: str) -> tuple[Item, ...]:
        """Every item whose first key is `key`, in written order."""
        return tuple(item for item in self.items if item.keys[0] == key)


class Item(msgspec.Struct, frozen=True):
    """`key = value`, or `key "label" … { … }`.

    `keys` holds the key and then the labels, unquoted. `line` and `column` (from 1) are those of the key,
    `value_line` and `value_column` those of the value. `assigned` is true for `key = value` and `"key": value`.
    """

    keys: tuple[str, ...]
    value: Value
    line: int
    column: int
    value_line: int
    value_column: int
    assigned: bool

    @property
    def key(self) -> str:
        """The first key."""
        return self.keys[0]

    @property
    def labels(self) -> tuple[str, ...]:
        """The keys behind the first one: `tcp` in `listener "tcp" { }`."""
        return self.keys[1:]

    def __repr__(self) -> str:
        """Say which key and where, never the value."""
        return f"Item({'.'.join(self.keys)} on line {self.line})"


Value: TypeAlias = "str | int | float | bool | tuple[Value, ...] | Block | None"
"""What may stand behind a key. `None` comes from JSON's `null` only; lists are tuples."""

Body: TypeAlias = Block
"""A whole text: its top-level items."""
