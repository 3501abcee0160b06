# SPDX-License-Identifier: EUPL-1.2
"""vaultctl nhi revoke asks on a terminal, and revokes at nothing but yes."""

import io
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl

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
    stage.case, stage.asked = Case("", {"GET /v1/nhi/credentials?presented=any": (200, found)}), []
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


def _listed(stage: Theatre, home: Path, *flags: str) -> tuple[int, dict[str, str], str]:
    """The exit code of a search, what it asked for, and what stands on stderr."""
    stage.case, stage.asked = Case(""), []
    stderr = io.StringIO()
    environ = {"HOME": str(home), "BAO_ADDR": f"http://127.0.0.1:{stage.server_port}", "BAO_TOKEN": "s.x"}
    code = run(
        ["nhi", "credentials", *flags],
        environ=environ,
        stdin=io.StringIO(),
        stdout=io.StringIO(),
        stderr=stderr,
    )
    query = stage.asked[0][1].partition("?")[2] if stage.asked else ""
    return code, dict(parse_qsl(query)), stderr.getvalue()


def test_a_search_takes_how_long_ago_as_well_as_times(stage: Theatre, tmp_path: Path) -> None:
    before = datetime.now(UTC)
    asked = _listed(stage, tmp_path, "-since=24h", "-until=1h")[1]
    for name, ago in (("since", timedelta(hours=24)), ("until", timedelta(hours=1))):
        assert abs(datetime.fromisoformat(asked[name]) - (before - ago)) < timedelta(minutes=5)
    own = {"since": "2026-11-01T00:00:00Z", "until": "2026-12-01T00:00:00+01:00"}
    assert _listed(stage, tmp_path, *(f"-{name}={text}" for name, text in own.items()))[1] == {
        **own,
        "presented": "any",
    }
    assert _listed(stage, tmp_path, "-never-presented")[1] == {"presented": "no"}
    for wrong in ("yesterday", "24x", "9" * 18 + "h"):
        code, asked, told = _listed(stage, tmp_path, f"-since={wrong}")
        assert (code, asked, "such as 24h" in told) == (1, {}, True)
