# SPDX-License-Identifier: EUPL-1.2
"""vaultctl nhi revoke asks on a terminal, and revokes at nothing but yes."""

import io
from collections.abc import Generator
from pathlib import Path

import pytest
from pytest_socket import enable_socket

from tests.cli.canned import Case, Theatre, theatre
from vaultctl.main import run

_ENDS = {"data": {"credentials": 1, "blocks": 1, "dying": [], "more": False}}
_ANSWERS = {"PUT /v1/nhi/revoke/preview": (200, _ENDS), "PUT /v1/nhi/revoke": (200, _ENDS)}


class _Terminal(io.StringIO):
    """Standard input that somebody sits at."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(scope="module")
def stage() -> Generator[Theatre]:
    enable_socket()
    with theatre() as running:
        yield running


def _typed(stage: Theatre, text: str, home: Path, *flags: str) -> tuple[int, list[str], str]:
    """The exit code, what was asked of the server, and what stands on stderr."""
    stage.case, stage.asked = Case("", _ANSWERS), []
    stderr = io.StringIO()
    code = run(
        ["nhi", "revoke", *flags, "-id=00ff"],
        environ={"HOME": str(home), "BAO_ADDR": f"http://127.0.0.1:{stage.server_port}", "BAO_TOKEN": "s.x"},
        stdin=_Terminal(text),
        stdout=io.StringIO(),
        stderr=stderr,
    )
    return code, [path.removeprefix("/v1/nhi/") for _, path, *_ in stage.asked], stderr.getvalue()


def test_it_asks_first_and_revokes_at_yes(stage: Theatre, tmp_path: Path) -> None:
    code, asked, stderr = _typed(stage, "yes\n", tmp_path)
    assert (code, asked) == (0, ["revoke/preview", "revoke"])
    assert "Type yes" in stderr


def test_nothing_is_said_to_be_none_while_there_may_be_further_ones(stage: Theatre, tmp_path: Path) -> None:
    found = {"data": {"credentials": [], "next": "00-1"}}
    stage.case, stage.asked = Case("", {"GET /v1/nhi/credentials": (200, found)}), []
    stdout = io.StringIO()
    environ = {"HOME": str(tmp_path), "BAO_ADDR": f"http://127.0.0.1:{stage.server_port}", "BAO_TOKEN": "s.x"}
    code = run(
        ["nhi", "credentials"], environ=environ, stdin=io.StringIO(), stdout=stdout, stderr=io.StringIO()
    )
    shown = "None among those that were looked at fits.\nThere are more: -after=00-1\n"
    assert (code, stdout.getvalue()) == (0, shown)


@pytest.mark.parametrize("form", ["table", "json"])
def test_what_would_end_is_shown_where_it_is_asked_about(stage: Theatre, tmp_path: Path, form: str) -> None:
    stderr = _typed(stage, "yes\n", tmp_path, f"-format={form}")[2]
    assert stderr.startswith("This would end 1 block of 1 credential")
    assert _typed(stage, "", tmp_path)[2].endswith("Type yes: \nNothing was revoked.\n")


@pytest.mark.parametrize("text", ["", "y\n", "no\n"])
def test_anything_else_revokes_nothing(stage: Theatre, tmp_path: Path, text: str) -> None:
    code, asked, stderr = _typed(stage, text, tmp_path)
    assert (code, asked) == (1, ["revoke/preview"])
    assert "Nothing was revoked." in stderr


def test_nobody_is_asked_who_does_not_want_to_be(stage: Theatre, tmp_path: Path) -> None:
    assert _typed(stage, "", tmp_path, "-yes")[:2] == (0, ["revoke"])
    assert _typed(stage, "yes\n", tmp_path, "-non-interactive")[:2] == (1, ["revoke/preview"])
    assert _typed(stage, "yes\n", tmp_path, "-dry-run")[:2] == (0, ["revoke/preview"])
    assert _typed(stage, "", tmp_path, "-output-policy")[:2] == (0, [])
