# SPDX-License-Identifier: EUPL-1.2
"""Text for people, without what does something to a terminal that shows it.

Names, warnings and errors are other people's: a mount's description or a key of metadata may hold escape sequences,
which rewrite what a terminal shows, or type in the name of the person who looks. Formats for programs and single fields stay as they
are; JSON and YAML escape by themselves.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

_TURNS = (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x2028, 0x2029)
"""What turns the direction of writing, or ends a line without a line feed."""
_SIGNS = {code: f"\\x{code:02x}" for code in (*range(9), *range(11, 32), *range(127, 160))}
_SIGNS |= {code: f"\\u{code:04x}" for code in _TURNS}
_LINES = {9: "\\t", 10: "\\n"}


def visible(text: str) -> str:
    r"""Return the text with each control character as `\x1b`; line feeds and tabs stay."""
    return text if text.isprintable() else text.translate(_SIGNS)


def on_one_line(text: str) -> str:
    """As `visible`, without line feeds and tabs: a name fills one cell of a table, and never the next row."""
    return text if text.isprintable() else text.translate(_SIGNS | _LINES)


def emit(stream: TextIO, text: str, end: str = "\n") -> None:
    """Write what programs read, or a whole text that was asked for: exactly, but for a terminal."""
    stream.write((visible(text) if stream.isatty() else text) + end)
