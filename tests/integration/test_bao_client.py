# SPDX-License-Identifier: EUPL-1.2
"""The stock `bao` client cannot tell our server from the field's: equal words, equal exit codes, over TLS."""

from difflib import unified_diff
from pathlib import Path

import pytest

from tests.cli.tree_of_bao import version
from tests.integration.bao_session import NAMESPACES, SCENARIOS, played, recorded

_AGAIN = "run: python -m tests.integration.bao_session"
_PLAYED = [name for name in SCENARIOS if name != NAMESPACES]
_SHORTEST = min(_PLAYED, key=lambda name: len(SCENARIOS[name]))


def test_there_are_many_command_lines() -> None:
    assert sum(map(len, SCENARIOS.values())) >= 300


def test_what_was_written_down_is_of_this_binary_and_of_these_scenarios() -> None:
    said, found = recorded()
    assert said == version(), _AGAIN
    assert {name: [line for line, _ in shown] for name, shown in found.items()} == SCENARIOS, _AGAIN


@pytest.mark.parametrize("name", _PLAYED)
def test_a_scenario_is_answered_as_by_the_field(name: str, tmp_path: Path) -> None:
    different = _differences(name, "coffre", tmp_path)
    assert not different, different


def test_what_was_written_down_is_what_the_field_shows(tmp_path: Path) -> None:
    different = _differences(_SHORTEST, "openbao", tmp_path)
    assert not different, f"{_AGAIN}\n{different}"


@pytest.mark.soak
@pytest.mark.parametrize("name", [name for name in _PLAYED if name != _SHORTEST])
def test_all_that_was_written_down_is_what_the_field_shows(name: str, tmp_path: Path) -> None:
    different = _differences(name, "openbao", tmp_path)
    assert not different, f"{_AGAIN}\n{different}"


def _differences(name: str, kind: str, folder: Path) -> str:
    """Every line that a server answers otherwise than was written down; empty when there is none."""
    found = []
    for (line, theirs), ours in zip(recorded()[1][name], played(name, kind, folder), strict=True):
        if ours != theirs:
            wanted, shown = (f"{out}{err}[exit {code}]".splitlines() for out, err, code in (theirs, ours))
            found += ["", f"$ bao {line}", *list(unified_diff(wanted, shown, lineterm="", n=1))[2:]]
    return "\n".join(found)
