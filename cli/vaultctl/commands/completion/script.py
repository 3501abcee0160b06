# SPDX-License-Identifier: EUPL-1.2
"""Shell completion scripts, generated from the command tree."""

from __future__ import annotations

from vaultctl.errors import EXIT_OK, UsageError
from vaultctl.tree.command import flags_of
from vaultctl.tree.lookup import GROUPS, all_commands

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vaultctl.invocation import Invocation
    from vaultctl.tree.command import Command

_BASH = """_vaultctl() {{
  local words=() word index
  for ((index = 1; index < COMP_CWORD; index++)); do
    word="${{COMP_WORDS[index]}}"
    [[ "$word" == -* ]] || words+=("$word")
  done
  local choices=""
  case "${{words[*]}}" in
{cases}
  esac
  local current="${{COMP_WORDS[COMP_CWORD]}}"
  [[ "$current" == "=" ]] && current=""
  if [[ -z "$choices" && "$current" != -* || "$current" == -*=* ]]; then
    choices="$(vaultctl __complete "${{COMP_WORDS[@]:1:$((COMP_CWORD-1))}}" "$current" 2>/dev/null)"
    [[ "$choices" == */* ]] && compopt -o nospace 2>/dev/null
  fi
  if [[ -n "$choices" ]]; then
    COMPREPLY=($(compgen -W "$choices" -- "$current"))
  fi
}}
complete -o default -F _vaultctl vaultctl"""

_FISH_ARGUMENTS = (
    "complete -c vaultctl -n 'not string match -q -- \"-*\" (commandline -ct)'"
    " -a '(vaultctl __complete (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'"
)

_FISH_VALUE = (
    " -r -a '(vaultctl __complete (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null"
    ' | string replace -r -- "^-[^=]*=" "")\''
)
"""What fish asks for the value of a flag; of a flag and its value in one word it wants the value alone."""

SERVER_FLAGS = {
    "config": "File, or directory of files, with the configuration.",
    "check-health": "Ask whether the server of the configuration answers, and end.",
    "dev": "Development mode: unsealed, in memory.",
    "dev-keys": "File that keeps what opens the storage of development mode.",
    "dev-listen-address": "Loopback address of development mode.",
    "dev-no-kv": "Do not mount KV at secret/.",
    "dev-no-store-token": "Do not keep the root token in the token helper.",
    "dev-root-token-id": "The root token of development mode.",
    "dev-storage": "SQLite file that keeps what development mode stores.",
    "dev-tls": "Serve TLS with a certificate made for this start.",
    "dev-tls-cert-dir": "Where -dev-tls puts its certificates.",
    "help": "Show all flags.",
    "log-file": "Log to this file.",
    "log-format": "standard or json.",
    "log-level": "trace, debug, info, warn or error.",
    "test-config": "Check the configuration and end.",
}
"""The flags of `server`, which reads its own, and what they are; a test holds them to what it knows."""


def script(invocation: Invocation) -> int:
    """Print the completion script for bash, zsh or fish."""
    shell = invocation.args[0]
    if shell == "fish":
        invocation.say(_fish())
    elif shell == "bash":
        invocation.say(_bash())
    elif shell == "zsh":
        invocation.say("autoload -U +X bashcompinit && bashcompinit\n" + _bash())
    else:
        raise UsageError("completion: use bash, zsh or fish")
    return EXIT_OK


def _children() -> dict[str, list[str]]:
    """The next words after each group; the root is the empty string."""
    children: dict[str, list[str]] = {"": [], **{group: [] for group in GROUPS}}
    for name in sorted([*GROUPS, *(command.name for command in all_commands())]):
        parent, _, word = name.rpartition(" ")
        children[parent].append(word)
    return children


def _flags(command: Command) -> dict[str, str]:
    """The command's flags and what each is."""
    if command.passes_through:
        return SERVER_FLAGS if command.name == "server" else {}
    return {flag.name: flag.help for flag in flags_of(command)}


def _bash() -> str:
    cases = [f'    "{group}") choices="{" ".join(words)}" ;;' for group, words in _children().items()]
    for command in all_commands():
        flags = " ".join(f"-{name}" for name in _flags(command))
        cases.append(
            f'    "{command.name}"|"{command.name} "*) [[ "${{COMP_WORDS[COMP_CWORD]}}" == -* ]]'
            f' && choices="{flags}" ;;'
        )
    return _BASH.format(cases="\n".join(cases))


def _fish() -> str:
    lines = [
        _FISH_ARGUMENTS,
        "function __vaultctl_at",
        "  set -l words (commandline -opc)[2..-1]",
        "  set words (string match -v -- '-*' $words)",
        '  test "$words" = "$argv"',
        "end",
    ]
    summaries = {**GROUPS, **{command.name: command.summary for command in all_commands()}}
    for group, words in _children().items():
        for word in words:
            summary = summaries[f"{group} {word}".strip()].replace("'", "\\'")
            lines.append(f"complete -c vaultctl -f -n '__vaultctl_at {group}' -a '{word}' -d '{summary}'")
    for command in all_commands():
        valued = {flag.name for flag in flags_of(command) if flag.kind != "bool"}
        for name, text in _flags(command).items():
            shown = text.replace("'", "\\'")
            value = _FISH_VALUE if name in valued else ""
            lines.append(
                f"complete -c vaultctl -n '__vaultctl_at {command.name}' -o '{name}'{value} -d '{shown}'"
            )
    return "\n".join(lines)
