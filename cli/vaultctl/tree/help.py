# SPDX-License-Identifier: EUPL-1.2
"""Help texts, from the same declarations that parse the command line."""

from __future__ import annotations

from vaultctl.tree.command import FIELD, FORMAT, HTTP_FLAGS, Command, flags_of
from vaultctl.tree.examples import lines, lines_of_group
from vaultctl.tree.lookup import GROUPS, all_commands, find_command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vaultctl.flags import Flag

_WIDTH = 78
_OUTPUT = (FIELD.name, FORMAT.name)
ABSENT: Mapping[str, str] = {
    "agent": "OpenBao's own works with this server, as `bao agent`",
    "proxy": "OpenBao's own works with this server, as `bao proxy`",
    "debug": "it collects profiles of a Go process; the rest are single requests, as `vaultctl read sys/host-info`",
    "operator raft snapshot save": "here it is `vaultctl operator snapshot save`, on the server's machine",
    "operator raft snapshot restore": "here it is `vaultctl operator snapshot restore`, while no server runs",
    "operator raft list-peers": "here it is `vaultctl operator members`",
    "operator raft": "servers share a database and form no cluster of their own; `vaultctl operator members` lists them",
    "pki": "there is no PKI engine yet",
    "plugin init": "it downloads programs, and nothing that is stored or sent is run here",
    "plugin prune": "it removes downloaded programs, and there are none",
    "plugin reload-status": "it asks for what answers 404 on every OpenBao",
}
"""Commands of `bao` that are not here, with what there is in their place, or why there is nothing. By their words, or those
of a group; of two that fit, the longer one counts. docs/moving.md lists them."""


def command_help(command: Command) -> str:
    """The help of one command."""
    parts = [f"Usage: vaultctl {command.name} {command.usage}".rstrip(), "  " + command.summary + "."]
    if command.details:
        parts.append(_wrapped(command.details, "  "))
    parts.append("Examples:\n\n" + "\n".join(f"  $ {line}" for line in lines(command.name)))
    declared = flags_of(command)
    own = [flag for flag in declared if flag not in HTTP_FLAGS and flag.name not in _OUTPUT]
    output = [flag for flag in declared if flag.name in _OUTPUT]
    http = [flag for flag in declared if flag in HTTP_FLAGS]
    for title, flags in (("Options", own), ("Output options", output), ("Connection options", http)):
        if flags:
            parts.append(f"{title}:\n\n" + "\n\n".join(_flag(flag) for flag in flags))
    return "\n\n".join(parts)


def group_help(path: Sequence[str]) -> str:
    """The help of the root or of a group: its next words and what they are."""
    name = " ".join(path)
    summaries = {**GROUPS, **{command.name: command.summary for command in all_commands()}}
    rows = [
        (key.removeprefix(name).strip(), text)
        for key, text in sorted(summaries.items())
        if key.rpartition(" ")[0] == name
    ]
    width = max(len(word) for word, _ in rows)
    examples = [f"  $ {line}" for line in lines_of_group(name)]
    usage = (
        f"Usage: vaultctl {name} <subcommand> [options] [args]"
        if name
        else "Usage: vaultctl <command> [args]"
    )
    shown = [usage, ""]
    if name:
        shown += [f"  {GROUPS[name]}.", ""]
    shown.append("Subcommands:" if name else "Commands:")
    shown += [f"    {word:<{width}}    {text}" for word, text in rows]
    shown += ["", "Examples:", "", *examples]
    shown += ["", "Help on one of them: vaultctl " + f"{name} <command> -h".strip()]
    return "\n".join(shown)


def meant(path: Sequence[str], unknown: Sequence[str]) -> str:
    """What somebody meant by the words behind a group's: a command, its help or a flag; empty where that is not known."""
    import difflib

    prefix = "".join(f"{one} " for one in path)
    if unknown[0].startswith("-"):
        flags = ("help",) if path else ("help", "version")
        near = difflib.get_close_matches(unknown[0].lstrip("-"), flags, n=1, cutoff=0.6)
        return f"{prefix}-{near[0]}" if near else ""
    if unknown[0] == "help":
        command, _ = find_command([*path, *unknown[1:]])
        return f"{command.name} -h" if command else f"{prefix}-h"
    return _nearest(prefix, unknown[0])


def absent(words: Sequence[str]) -> str:
    """Return what is said to somebody who typed the words of such a command; empty for any others."""
    for count in range(len(words), 0, -1):
        name = " ".join(words[:count])
        if name in ABSENT:
            return f"`{name}` of `bao` is not here: {ABSENT[name]}."
    return ""


def _nearest(prefix: str, word: str) -> str:
    """The known command closest to a mistyped one, or the empty string."""
    import difflib

    names = [*GROUPS, *(command.name for command in all_commands())]
    below = [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
    found = difflib.get_close_matches(word, below, n=1, cutoff=0.6)
    return prefix + found[0] if found else ""


def _flag(flag: Flag) -> str:
    kinds = {
        "bool": "",
        "pairs": "=<key=value>",
        "texts": "=<string>",
        "list": "=<string,...>",
        "text": "=<string>",
        "int": "=<int>",
        "duration": "=<duration>",
    }
    text = flag.help
    if flag.words:
        text += f" One of: {', '.join(flag.words)}."
    if flag.env:
        text += f" Also: BAO_{flag.env} or VAULT_{flag.env}."
    return f"  -{flag.name}{kinds[flag.kind]}\n{_wrapped(text, '      ')}"


def _wrapped(text: str, indent: str) -> str:
    import textwrap

    return textwrap.fill(text, _WIDTH, initial_indent=indent, subsequent_indent=indent)
