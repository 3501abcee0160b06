# SPDX-License-Identifier: EUPL-1.2
"""What a page prints for its reader to type: commands, and files that are written with an editor."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from tests.house.tree import ROOT

_BLOCK = re.compile(
    r"(?:`(?P<file>/[^`\n]+)`:\n\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


class Block(NamedTuple):
    """A block of a page: its kind (`sh`, `hcl`), its text, and the file that it is, where the page names one."""

    kind: str
    text: str
    file: str

    @property
    def commands(self) -> Sequence[str]:
        """Its commands: one on each line, or on some that end with a backslash."""
        lines = self.text.replace("\\\n", "\0").splitlines()
        return [line.replace("\0", "\\\n") for line in lines if line]


def blocks(page: str, under: str = "") -> Sequence[Block]:
    """Return the blocks of a page of `docs`, all of them or those below a heading of the second level."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    if under:
        text = text.split(f"\n## {under}\n", 1)[1].split("\n## ", 1)[0]
    return [Block(found["kind"], found["text"], found["file"] or "") for found in _BLOCK.finditer(text)]
