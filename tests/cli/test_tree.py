# SPDX-License-Identifier: EUPL-1.2
"""Every command and flag of `bao` is here, or is named with a reason to leave it out."""

from collections.abc import Iterator

from tests.cli.tree_of_bao import RECORDED, recorded, version
from vault.server.config.flags import USAGE
from vaultctl.tree.command import flags_of
from vaultctl.tree.lookup import all_commands

_NOT_HERE = {
    "agent": "OpenBao's own agent works with this server: tests/integration/test_bao_agent.py",
    "agent generate-config": "belongs to the agent",
    "proxy": "OpenBao's own proxy works with this server: tests/integration/test_bao_proxy.py",
    "operator raft": "there is no cluster of its own: several nodes will share a database",
    "plugin reload-status": "asks for what answers 404 on every OpenBao",
    "debug": "collects the profiles of a Go process; the rest of it are single requests, such as `read sys/host-info`",
    "pki": "asks the PKI engine, which this release does not have",
    "plugin init": "downloads programs; nothing that is stored or sent is run here (SL-95)",
    "plugin prune": "removes downloaded programs; there are none",
}
"""Commands, or whole groups, that are left out."""
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
    assert [name for name in _NOT_HERE if any(_within(one, name) for one in ours)] == []
    assert [name for name in _NOT_HERE if not any(_within(one, name) for one in recorded())] == []
    assert [pair for pair in _FLAGS_NOT_HERE if pair[1] in ours[pair[0]]] == []
    assert [pair for pair in _FLAGS_NOT_HERE if pair[1] not in recorded()[pair[0]]] == []


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
    return next((why for left_out, why in _NOT_HERE.items() if _within(name, left_out)), "")


def _within(name: str, group: str) -> bool:
    return name == group or name.startswith(f"{group} ")
