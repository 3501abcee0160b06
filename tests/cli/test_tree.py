# SPDX-License-Identifier: EUPL-1.2
"""Every command and flag of `bao` is here, or is named with a reason to leave it out."""

import re
from collections.abc import Iterator

from tests.cli.tree_of_bao import RECORDED, recorded, version
from tests.house.tree import ROOT
from vault.server.config.flags import USAGE
from vaultctl.tree.command import flags_of
from vaultctl.tree.help import ABSENT, absent
from vaultctl.tree.lookup import all_commands

_FLAGS_NOT_HERE = {
    ("plugin register", "oci"): "programs from images; the server refuses to register any program",
    (
        "operator generate-root",
        "recovery-token",
    ): "answers 404 there too, but in recovery mode, which is not here",
    ("operator validate-config", "format"): "one line for each problem, as they are",
    ("server", "recovery"): "there is no recovery mode",
    ("server", "exit-on-core-shutdown"): "the process always ends with its application",
    ("server", "dev-cluster-json"): "there is no development cluster",
    ("server", "log-rotate-bytes"): "logrotate and SIGHUP do it",
    ("server", "log-rotate-duration"): "logrotate and SIGHUP do it",
    ("server", "log-rotate-max-files"): "logrotate and SIGHUP do it",
}
"""Flags of commands that are here."""
_NO_CONNECTION = {
    "server": "starts one, and talks to none",
    "policy fmt": "formats a file, and talks to no server",
}
"""Commands that take the flags of a connection there, without having one."""
_VALUE_KINDS = {"bool": {"bool"}, "*bool": {"bool", "text"}, "int": {"int"}, "duration": {"duration", "text"}}
"""What takes a value of that kind here; of all other kinds, everything but `bool` does."""


def test_what_was_written_down_is_what_the_binary_says() -> None:
    assert RECORDED.read_text(encoding="utf-8").splitlines()[0] == version()


def test_every_command_of_bao_is_here_or_has_a_reason_not_to_be() -> None:
    ours = {command.name for command in all_commands()}
    assert [name for name in recorded() if name not in ours and not _reason(name)] == []


def test_nothing_is_said_to_be_left_out_that_is_here_or_unknown_there() -> None:
    ours = _ours()
    assert [name for name in ABSENT if any(_within(one, name) for one in ours)] == []
    assert [name for name in ABSENT if not any(_within(one, name) for one in recorded())] == []
    assert [pair for pair in _FLAGS_NOT_HERE if pair[1] in ours[pair[0]]] == []
    assert [pair for pair in _FLAGS_NOT_HERE if pair[1] not in recorded()[pair[0]]] == []


def test_who_types_such_a_command_is_told_what_there_is_in_its_place() -> None:
    assert absent(["operator", "raft", "snapshot", "save", "x.snap"]) == (
        "`operator raft snapshot save` of `bao` is not here: here it is `vaultctl operator snapshot save`, "
        "on the server's machine."
    )
    assert absent(["operator", "raft", "join"]).startswith(
        "`operator raft` of `bao` is not here: servers share"
    )
    assert [absent(words) for words in ([], ["kv"], ["operator"], ["plugin", "list"])] == [""] * 4


def test_the_document_for_those_who_move_lists_them_all() -> None:
    text = (ROOT / "docs" / "moving.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(.+)` \| (.+) \|$", text.split("\n## Commands of `bao`")[1], re.MULTILINE)
    assert dict(rows) == ABSENT


def test_every_flag_of_bao_is_here_or_has_a_reason_not_to_be() -> None:
    assert list(_missing()) == []


def _missing() -> Iterator[str]:
    here = _ours()
    for name, theirs in recorded().items():
        ours = here.get(name, {})
        for flag, kind in theirs.items() if name in here else ():
            if (name, flag) in _FLAGS_NOT_HERE or (name in _NO_CONNECTION and flag in here["status"]):
                continue
            if flag not in ours:
                yield f"{name} -{flag}"
            elif kind != "alias" and not _takes(ours[flag], kind):
                yield f"{name} -{flag}: {kind} there, {ours[flag]} here"


def _takes(ours: str, theirs: str) -> bool:
    return ours in _VALUE_KINDS[theirs] if theirs in _VALUE_KINDS else ours != "bool"


def _ours() -> dict[str, dict[str, str]]:
    """Kinds of flags by their names, by commands; those of the server are in its own help."""
    found = {command.name: {flag.name: flag.kind for flag in flags_of(command)} for command in all_commands()}
    for line in USAGE.splitlines():
        if line.startswith("  -"):
            name, value, _ = line.split()[0].removeprefix("-").partition("=")
            found["server"][name] = "text" if value else "bool"
    return found


def _reason(name: str) -> str:
    return next((why for left_out, why in ABSENT.items() if _within(name, left_out)), "")


def _within(name: str, group: str) -> bool:
    return name == group or name.startswith(f"{group} ")
