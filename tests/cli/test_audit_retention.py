# SPDX-License-Identifier: EUPL-1.2
"""vaultctl audit purge and holds: what they send, and what they show of the answer."""

import json
from collections.abc import Generator
from pathlib import Path

import pytest
from pytest_socket import enable_socket

from tests.cli.canned import Answer, Case, Shown, Theatre, theatre

_PURGE = "PUT /v1/sys/log/purge"
_LIST = "GET /v1/sys/log/holds?list=true"
_HOLD = "/v1/sys/log/holds/case-7"
_GONE = {"log": "0123abcd-0-1", "first": 0, "last": 99, "segments": 2}
_KEPT = {"log": "0123abcd-0-1", "first": 100, "holds": ["case-7", "case-9"]}


@pytest.fixture(scope="module")
def stage() -> Generator[Theatre]:
    enable_socket()
    with theatre() as running:
        yield running


def _shown(stage: Theatre, line: str, home: Path, answers: dict[str, Answer]) -> Shown:
    return stage.by_vaultctl(Case(f"audit {line}", answers), home)


def test_a_purge_says_what_went_and_what_a_hold_kept(stage: Theatre, tmp_path: Path) -> None:
    answers: dict[str, Answer] = {_PURGE: (200, {"data": {"purged": [_GONE], "held": [_KEPT]}})}
    found = _shown(stage, "purge -before=2026-01-01", tmp_path, answers)
    assert [asked[:3] for asked in found.asked] == [
        ("PUT", "/v1/sys/log/purge", {"before": "2026-01-01T00:00:00Z"})
    ]
    assert found.stdout == (
        "Log             First    Last    Segments\n"
        "---             -----    ----    --------\n"
        "0123abcd-0-1    0        99      2\n"
    )
    assert (found.code, found.stderr) == (
        2,
        "WARNING! 0123abcd-0-1: kept from record 100 on by hold case-7, case-9\n",
    )
    plain = _shown(stage, "purge -before=2026-01-01 -format=json", tmp_path, answers)
    assert (plain.code, json.loads(plain.stdout)) == (2, {"purged": [_GONE], "held": [_KEPT]})


@pytest.mark.parametrize(
    ("held", "told", "code"),
    [([], "Nothing was purged: no closed segment is so old.\n", 0), ([_KEPT], "Nothing was purged.\n", 2)],
)
def test_a_purge_that_takes_nothing_says_why(
    held: list[object], told: str, code: int, stage: Theatre, tmp_path: Path
) -> None:
    answers: dict[str, Answer] = {_PURGE: (200, {"data": {"purged": [], "held": held}})}
    found = _shown(stage, "purge -before=180d", tmp_path, answers)
    assert (found.stdout, found.code) == (told, code)
    assert found.asked[0][2]["before"][4] == "-"


def test_a_purge_says_up_to_when_or_nothing_is_asked(stage: Theatre, tmp_path: Path) -> None:
    for line in ("purge", "purge -before=soon"):
        found = _shown(stage, line, tmp_path, {})
        assert (found.code, found.asked) == (1, [])
        assert "before" in found.stderr


def test_the_servers_refusal_is_told(stage: Theatre, tmp_path: Path) -> None:
    refusal = "before must not be after 2026-05-01T00:00:00Z: younger records are kept (retention_min)"
    found = _shown(stage, "purge -before=1h", tmp_path, {_PURGE: (400, {"errors": [refusal]})})
    assert (found.code, found.stdout) == (2, "")
    assert "Error writing sys/log/purge" in found.stderr and refusal in found.stderr


def test_holds_are_listed(stage: Theatre, tmp_path: Path) -> None:
    times = {"made": "2026-11-24T09:30:00Z", "from": "2026-01-01T00:00:00Z", "to": "", "reason": "inquiry 7"}
    answers: dict[str, Answer] = {_LIST: (200, {"data": {"keys": ["case-7"], "key_info": {"case-7": times}}})}
    found = _shown(stage, "holds list", tmp_path, answers)
    assert found.code == 0
    assert found.stdout.splitlines()[2] == ("case-7    <time>    all that come    <time>    inquiry 7")
    plain = json.loads(_shown(stage, "holds list -format=json", tmp_path, answers).stdout)
    assert plain == {"case-7": {**times, "made": "<time>", "from": "<time>"}}


def test_that_there_are_no_holds_is_said(stage: Theatre, tmp_path: Path) -> None:
    found = _shown(stage, "holds list", tmp_path, {})
    assert (found.stdout, found.code) == ("There are no holds.\n", 2)
    found = _shown(stage, "holds list -format=json", tmp_path, {})
    assert (json.loads(found.stdout), found.code) == ({}, 0)


def test_a_server_that_keeps_no_log_has_not_no_holds(stage: Theatre, tmp_path: Path) -> None:
    answers: dict[str, Answer] = {_LIST: (404, {"errors": ["this server keeps no log"]})}
    found = _shown(stage, "holds list", tmp_path, answers)
    assert (found.stdout, found.code) == ("", 2)
    assert "this server keeps no log" in found.stderr


@pytest.mark.parametrize(
    ("flags", "body"),
    [
        ("", {}),
        ("-from=2026-01-01 -reason='inquiry 7'", {"from": "2026-01-01T00:00:00Z", "reason": "inquiry 7"}),
        ("-to=2027-01-01T12:00:00+01:00", {"to": "2027-01-01T12:00:00+01:00"}),
    ],
)
def test_a_hold_is_placed(flags: str, body: dict[str, str], stage: Theatre, tmp_path: Path) -> None:
    found = _shown(stage, f"holds place {flags} case-7", tmp_path, {f"PUT {_HOLD}": (204, None)})
    assert (found.stdout, found.code) == ("Success! Placed the hold: case-7\n", 0)
    assert [asked[:3] for asked in found.asked] == [("PUT", _HOLD, body)]


def test_a_hold_is_lifted(stage: Theatre, tmp_path: Path) -> None:
    found = _shown(stage, "holds lift case-7", tmp_path, {f"DELETE {_HOLD}": (204, None)})
    assert (found.stdout, found.code) == ("Success! Lifted the hold (if it was there): case-7\n", 0)
    assert [asked[:3] for asked in found.asked] == [("DELETE", _HOLD, None)]
