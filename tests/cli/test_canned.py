# SPDX-License-Identifier: EUPL-1.2
"""Both programs meet the same answers: they print the same, exit alike, and had sent the same requests."""

from collections.abc import Generator
from pathlib import Path

import pytest
from pytest_socket import enable_socket

from tests.cli.canned import Case, Theatre, theatre
from tests.cli.recorded import CASES, furnish, mark, recorded
from tests.cli.tree_of_bao import version

_VERSION, _BY_BAO = recorded()
_AGAIN = "run: python -m tests.cli.recorded"


def _known() -> list[Case]:
    """The first case of each command, or group of them, that ends with each exit code."""
    found: dict[tuple[str, int], Case] = {}
    for case in CASES:
        if mark(case) in _BY_BAO:
            found.setdefault((case.line.split()[0], _BY_BAO[mark(case)].code), case)
    return list(found.values())


_KNOWN = _known()


@pytest.fixture(scope="module")
def stage() -> Generator[Theatre]:
    enable_socket()
    with theatre() as running:
        yield running


def test_there_are_many_cases() -> None:
    assert len(CASES) >= 200
    assert len({case.line.split()[0] for case in _KNOWN}) >= 20


def test_what_was_written_down_is_of_this_binary_and_of_these_cases() -> None:
    assert version() == _VERSION, _AGAIN
    assert {mark(case) for case in CASES} == set(_BY_BAO), _AGAIN


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.line))
def test_both_programs_print_exit_and_ask_alike(
    case: Case, stage: Theatre, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ours = stage.by_vaultctl(case, furnish(tmp_path))
    assert ours == _BY_BAO[mark(case)], ours.stderr


@pytest.mark.parametrize("case", _KNOWN, ids=lambda case: str(case.line))
def test_what_was_written_down_is_what_the_binary_shows(case: Case, stage: Theatre, tmp_path: Path) -> None:
    shown = stage.by_bao(case, furnish(tmp_path))
    assert shown == _BY_BAO[mark(case)], shown.stderr


@pytest.mark.soak
@pytest.mark.parametrize(
    "case", [case for case in CASES if case not in _KNOWN], ids=lambda case: str(case.line)
)
def test_all_that_was_written_down_is_what_the_binary_shows(
    case: Case, stage: Theatre, tmp_path: Path
) -> None:
    test_what_was_written_down_is_what_the_binary_shows(case, stage, tmp_path)
