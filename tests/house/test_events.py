# SPDX-License-Identifier: EUPL-1.2
"""The names of events in the log: of one form, each for what it says, and none that an auditor looks for left to chance."""

import ast
import re
from typing import Final

from tests.house.tree import ROOT, files, nodes

_NAME: Final = re.compile(r"esa\.[a-z0-9_]+(\.[a-z0-9_-]+)+")
_CHANGES: Final = re.compile(
    r"\.(?:write|patch|delete|disable|destroy|remove|revoke|cancel|move|tune|enable|rotate|start)$"
)


def _events() -> list[tuple[str, str, str]]:
    """Name, path and verb of each route's event, from the file that a reviewer reads."""
    lines = (ROOT / "api-spec" / "log" / "events.txt").read_text(encoding="utf-8").splitlines()
    return [(name, path, verb) for name, path, verb in map(str.split, lines)]


def test_every_name_has_its_form() -> None:
    assert [name for name, _, _ in _events() if _NAME.fullmatch(name) is None] == []


def test_what_the_server_notes_unasked_is_listed_and_all_that_is_listed_is_noted() -> None:
    noted = {
        node.args[0].value
        for path in files(".py")
        if path.is_relative_to(ROOT / "vault")
        for node in nodes(path.read_text(encoding="utf-8"))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "notice"
        and node.args
        and isinstance(node.args[0], ast.Constant)
    }
    assert noted == {name for name, _, verb in _events() if verb == "NOTICE"}


def test_every_login_is_one_event() -> None:
    logins = {name for name, path, _ in _events() if re.search(r"/login(?:/\{[^/]+\})?$", path)}
    assert logins == {"esa.auth.login"}


def test_a_read_is_not_called_a_change_and_a_removal_is_called_one() -> None:
    events = _events()
    assert [
        event for event in events if event[2] in {"GET", "LIST", "SCAN"} and _CHANGES.search(event[0])
    ] == []
    assert [event for event in events if event[2] == "DELETE" and not _CHANGES.search(event[0])] == []


def test_no_change_by_sys_has_a_name_that_says_nothing_but_sys() -> None:
    named = {path for name, path, verb in _events() if name.startswith("esa.sys.") and verb != "HELP"}
    assert {path.split("/")[3] for path in named} <= {
        "ha-status", "health", "host-info", "in-flight-req", "internal", "leader", "metrics", "monitor", "replication",
        "step-down", "tools", "version-history",
    }  # fmt: skip
