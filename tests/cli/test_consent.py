# SPDX-License-Identifier: EUPL-1.2
"""Keys and root tokens by consent, and a server's log: what vaultctl tells people in its own words."""

import base64
from collections.abc import Generator
from pathlib import Path
from typing import Any, Final

import pytest
from pytest_socket import enable_socket

from tests.cli.canned import Case, Shown, Theatre, theatre
from tests.cli.cases_consent import _ATTEMPT, _BEGUN, _NEW, _ROOT, _TRY, _good

_NODE: Final[dict[str, Any]] = {
    "hostname": "a",
    "api_address": "http://a",
    "cluster_address": "",
    "active_node": True,
    "last_echo": None,
    "version": "2.7.2",
}


@pytest.fixture(scope="module")
def stage() -> Generator[Theatre]:
    enable_socket()
    with theatre() as running:
        yield running


def given(stage: Theatre, home: Path, answer: dict[str, Any], more: str = "") -> Shown:
    """What is shown for the last share."""
    answers = {f"GET {_ROOT}/init": _good(_BEGUN), f"PUT {_ROOT}/update": _good(answer)}
    return stage.by_vaultctl(Case(f"operator rotate-keys -nonce=n-1{more} share", answers), home)


def test_new_keys_come_with_what_to_do_with_them(stage: Theatre, tmp_path: Path) -> None:
    shown = given(stage, tmp_path, _NEW)
    assert shown.stdout.startswith("\nKey 1: qg==\nKey 2: uw==\n\nOperation nonce: n-1\n")
    shown = given(stage, tmp_path, {**_NEW, "nonce": ""})
    assert shown.stdout.startswith("\nKey 1: qg==\nKey 2: uw==\n\nThe old keys no longer count.")
    assert "any 2 of them stand for all" in shown.stdout
    shown = given(stage, tmp_path, {**_NEW, "pgp_fingerprints": ["ff", "ee"], "backup": True})
    assert "Key 2 fingerprint: ee; value: uw==\n" in shown.stdout
    assert "-backup-retrieve shows them" in shown.stdout


def test_keys_that_do_not_count_yet_come_with_the_command_that_makes_them(
    stage: Theatre, tmp_path: Path
) -> None:
    shown = given(stage, tmp_path, {**_NEW, "verification_required": True, "verification_nonce": "v-1"})
    assert "do not count yet" in shown.stdout
    assert "vaultctl operator rotate-keys -verify -nonce=v-1" in shown.stdout
    as_json = given(
        stage, tmp_path, {**_NEW, "verification_required": True, "verification_nonce": "v-1"}, " -format=json"
    )
    assert '"verification_nonce": "v-1"' in as_json.stdout


def test_where_key_slots_unseal_nobody_gets_a_key(stage: Theatre, tmp_path: Path) -> None:
    assert "Nobody's keys have changed" in given(stage, tmp_path, {**_NEW, "keys_base64": []}).stdout


def test_recovery_keys_that_nobody_held_are_shown_at_once(stage: Theatre, tmp_path: Path) -> None:
    answers = {"POST /v1/sys/rotate/recovery/init": _good({**_NEW, "nonce": None, "n": 2, "t": 2})}
    shown = stage.by_vaultctl(
        Case("operator rotate-keys -target=recovery -init -n=2 -t=2", answers), tmp_path
    )
    assert "Key 1: qg==" in shown.stdout
    assert "any 2 of them" in shown.stdout


@pytest.mark.parametrize("line", ["operator rotate-keys", "operator generate-root"])
def test_a_share_for_nothing_is_not_even_asked_for(stage: Theatre, tmp_path: Path, line: str) -> None:
    answers = {
        f"GET {_ROOT}/init": _good({**_BEGUN, "started": False}),
        f"GET {_ATTEMPT}": _good({**_TRY, "started": False}),
    }
    shown = stage.by_vaultctl(Case(line, answers), tmp_path)
    assert (shown.code, shown.stdout) == (1, "")
    assert "begin one with -init" in shown.stderr


def test_a_token_is_taken_out_of_its_pad_without_being_sent_anywhere(stage: Theatre, tmp_path: Path) -> None:
    pad, token = "abcdef", "s.root"
    mixed = bytes(a ^ b for a, b in zip(token.encode(), pad.encode(), strict=True))
    hidden = base64.b64encode(mixed).decode().rstrip("=")
    shown = stage.by_vaultctl(Case(f"operator generate-root -decode={hidden} -otp={pad}"), tmp_path)
    assert (shown.stdout, shown.asked) == ("s.root\n", [])
    shown = stage.by_vaultctl(
        Case(f"operator generate-root -format=json -decode=- -otp={pad}", text=f"{hidden}\n"), tmp_path
    )
    assert '"token": "s.root"' in shown.stdout


@pytest.mark.parametrize("words", ["-decode=AAAA -otp=x", "-decode=!!!! -otp=abc"])
def test_a_pad_that_does_not_fit_is_refused(stage: Theatre, tmp_path: Path, words: str) -> None:
    shown = stage.by_vaultctl(Case(f"operator generate-root {words}"), tmp_path)
    assert (shown.code, shown.asked) == (1, [])
    assert shown.stderr


def test_a_pad_is_as_long_as_the_server_wants_it_and_never_the_same(stage: Theatre, tmp_path: Path) -> None:
    case = Case("operator generate-root -generate-otp", {f"GET {_ATTEMPT}": _good(_TRY)})
    first, second = (stage.by_vaultctl(case, tmp_path).stdout.strip() for _ in range(2))
    assert (len(first), first.isalnum(), first != second) == (26, True, True)
    as_json = Case("operator generate-root -format=json -generate-otp", {f"GET {_ATTEMPT}": _good(_TRY)})
    assert '"otp_length": 26' in stage.by_vaultctl(as_json, tmp_path).stdout


def test_members_are_listed(stage: Theatre, tmp_path: Path) -> None:
    answers = {"GET /v1/sys/ha-status": _good({"nodes": [_NODE]})}
    shown = stage.by_vaultctl(Case("operator members", answers), tmp_path)
    assert shown.stdout.splitlines()[2].split() == ["a", "http://a", "n/a", "true", "2.7.2", "n/a", "n/a"]
    shown = stage.by_vaultctl(Case("operator members -format=json", answers), tmp_path)
    assert '"hostname": "a"' in shown.stdout


def test_the_log_is_printed_as_it_comes(stage: Theatre, tmp_path: Path) -> None:
    answers = {"GET /v1/sys/monitor?log_format=json&log_level=debug": (200, {"@message": "told"})}
    shown = stage.by_vaultctl(Case("monitor -log-level=DEBUG -log-format=json", answers), tmp_path)
    assert (shown.code, shown.stdout) == (0, '{"@message": "told"}')


def test_a_mount_that_did_not_move_is_a_failure(stage: Theatre, tmp_path: Path) -> None:
    state = {"migration_id": "m-1", "migration_info": {"status": "failure"}}
    answers = {
        "POST /v1/sys/remount": _good({"migration_id": "m-1"}),
        "GET /v1/sys/remount/status/m-1": _good(state),
    }
    shown = stage.by_vaultctl(Case("secrets move a b", answers), tmp_path)
    assert shown.code == 1
    assert "Failure!" in shown.stderr


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ('storage "inmem" {}\nlistener "tcp" { tls_disable = true }\n', 2, ""),
        ("nonsense = 1\n", 1, "unknown setting nonsense"),
    ],
)
def test_a_configuration_is_checked_as_the_server_checks_it(
    stage: Theatre, tmp_path: Path, capfd: pytest.CaptureFixture[str], text: str, code: int, words: str
) -> None:
    (tmp_path / "server.hcl").write_text(text)
    shown = stage.by_vaultctl(Case(f"operator validate-config -config={tmp_path}/server.hcl"), tmp_path)
    out = capfd.readouterr()
    assert shown.code == code
    assert words in out.out + out.err + shown.stdout + shown.stderr


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        ("-skip=listener -config=HERE/server.hcl", 0, "[ success ] Configuration"),
        ("-skip=listener -format=json -config=HERE/server.hcl", 0, '"status": "skip"'),
        ("-skip=nothing -config=HERE/server.hcl", 1, "-skip takes listener, storage, autounseal"),
        ("", 3, "give a file or a directory with -config"),
    ],
)
def test_a_machine_is_looked_at_without_a_start(
    stage: Theatre, tmp_path: Path, capfd: pytest.CaptureFixture[str], flags: str, code: int, words: str
) -> None:
    text = f'storage "sqlite" {{ path = "{tmp_path}/x.db" }}\nlistener "tcp" {{ tls_disable = true }}\n'
    (tmp_path / "server.hcl").write_text(text)
    line = f"operator diagnose {flags}".replace("HERE", str(tmp_path)).strip()
    shown = stage.by_vaultctl(Case(line), tmp_path)
    out = capfd.readouterr()
    assert shown.code == code
    assert words in out.out + out.err + shown.stdout + shown.stderr
