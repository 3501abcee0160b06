# SPDX-License-Identifier: EUPL-1.2
"""Every golden session shows what its file says."""

from pathlib import Path

import pytest

from tests.cli.servers import Server, empty_server
from tests.cli.session import Shell, difference, steps

_FOLDER = Path(__file__).parent
_EMPTY, _OURS = "empty-", "coffre-"
_SHARED = sorted(path.name for path in _FOLDER.glob("*.txt") if not path.name.startswith((_EMPTY, _OURS)))
_ON_EMPTY = sorted(path.name for path in _FOLDER.glob(f"{_EMPTY}*.txt"))
_ON_OURS = sorted(path.name for path in _FOLDER.glob(f"{_OURS}*.txt"))


@pytest.mark.parametrize("name", _SHARED)
def test_a_session_shows_what_its_file_says(name: str, server: Server, tmp_path: Path) -> None:
    _play(_FOLDER / name, server, tmp_path)


@pytest.mark.parametrize("name", _ON_EMPTY)
def test_a_session_on_an_empty_server_shows_what_its_file_says(
    name: str, program: str, tmp_path: Path
) -> None:
    with empty_server(program, tmp_path) as server:
        _play(_FOLDER / name, server, tmp_path)


@pytest.mark.parametrize("program", ["coffre"])
@pytest.mark.parametrize("name", _ON_OURS)
def test_a_session_about_what_only_we_have_shows_what_its_file_says(
    name: str, server: Server, tmp_path: Path
) -> None:
    _play(_FOLDER / name, server, tmp_path)


def test_there_are_sessions() -> None:
    assert len(_SHARED) >= 10
    assert _ON_EMPTY and _ON_OURS


def _play(path: Path, server: Server, folder: Path) -> None:
    shell = Shell(folder, server)
    for step in steps(path):
        wrong = difference(step.expected, shell.run(step.command))
        assert not wrong, f"{path.name}:{step.line}: $ {step.command}\n{wrong}"
