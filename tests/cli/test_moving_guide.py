# SPDX-License-Identifier: EUPL-1.2
"""Every command that docs/moving.md prints is one, with flags and arguments that it takes."""

import re
import shlex

from tests.house.tree import ROOT
from vaultctl.flags import parse
from vaultctl.tree.command import flags_of
from vaultctl.tree.lookup import find_command

_BLOCKS = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_every_command_of_the_guide_is_one() -> None:
    text = (ROOT / "docs" / "moving.md").read_text(encoding="utf-8")
    source = next(line for line in text.splitlines() if line.startswith("FROM=")).partition("=")[2].strip("'")
    lines = [
        line for block in _BLOCKS.findall(text) for line in block.splitlines() if "vaultctl port" in line
    ]
    assert len(lines) >= 9
    for line in lines:
        words = shlex.split(line.replace("$FROM", source), comments=True)
        command, rest = find_command(words[1:])
        assert command is not None, line
        _, arguments = parse(flags_of(command), rest)
        least, most, _ = command.arguments
        assert least <= len(arguments) <= (len(arguments) if most is None else most), line
