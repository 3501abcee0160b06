# SPDX-License-Identifier: EUPL-1.2
"""Where vaultctl goes further than `bao`, or its own way: what it prints, sends and refuses."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from pytest_socket import enable_socket

from tests.cli.canned import Case, Theatre, theatre

_SHUT = {"type": "shamir", "initialized": True, "sealed": True, "t": 3, "n": 5, "progress": 1}
_INIT = "PUT /v1/sys/init"
_SEAL = "GET /v1/sys/seal-status"
_KEYS = {"keys": ["aa", "bb"], "keys_base64": ["qg==", "uw=="], "root_token": "s.root"}
_RECOVERY = {
    "keys": [],
    "keys_base64": [],
    "recovery_keys": ["aa", "bb"],
    "recovery_keys_base64": ["qg==", "uw=="],
    "root_token": "s.root",
}


@pytest.fixture(scope="module")
def stage() -> Generator[Theatre]:
    enable_socket()
    with theatre() as running:
        yield running


def _body(asked: list[tuple[Any, ...]], method: str, path: str) -> Any:
    return next(body for verb, target, body, *_ in asked if (verb, target) == (method, path))


def test_init_tells_people_what_to_do_with_their_keys(stage: Theatre, tmp_path: Path) -> None:
    answers = {_SEAL: (200, _SHUT), _INIT: (200, _KEYS)}
    shown = stage.by_vaultctl(Case("operator init -n=2 -t=2", answers), tmp_path)
    assert shown.code == 0
    assert shown.stdout.startswith(
        "Unseal Key 1: qg==\nUnseal Key 2: uw==\n\nInitial Root Token: s.root\n\nGive the 2 unseal keys"
    )
    assert "with fewer than\n2 left, everything stored is lost." in shown.stdout
    assert "recovery" not in shown.stdout


def test_init_with_key_slots_tells_people_what_recovery_keys_are_for(stage: Theatre, tmp_path: Path) -> None:
    answers = {_SEAL: (200, {**_SHUT, "recovery_seal": True}), _INIT: (200, _RECOVERY)}
    shown = stage.by_vaultctl(
        Case("operator init -recovery-shares=2 -recovery-threshold=1", answers), tmp_path
    )
    assert shown.stdout.startswith(
        "Recovery Key 1: qg==\nRecovery Key 2: uw==\n\nInitial Root Token: s.root\n"
    )
    assert "Give the 2 recovery keys" in shown.stdout
    assert "1 of them are needed" in shown.stdout
    assert "everything stored is lost" not in shown.stdout


@pytest.mark.parametrize(
    ("line", "stdout", "code", "stderr"),
    [
        ("operator init -field=root_token", "s.root", 0, ""),
        ("operator init -field=unseal_threshold -t=1", "1", 0, ""),
        ("operator init -field=nothing", "", 1, 'Field "nothing" not present in init response\n'),
        ("operator unseal -field=progress share", "1", 0, ""),
        ("operator unseal -field=nothing share", "", 1, 'Field "nothing" not present in seal status\n'),
        (
            "operator init -pgp-keys=missing.asc",
            "",
            1,
            "cannot read the PGP key file missing.asc: No such file or directory\n",
        ),
        (
            "token renew -accessor",
            "",
            1,
            "Not enough arguments with -accessor (expected 1, got 0)\n",
        ),
        (
            "token capabilities -accessor x",
            "",
            1,
            "Not enough arguments with -accessor (expected 2, got 1)\n",
        ),
        (
            "kv patch -method=other secret/x a=1",
            "",
            2,
            "Unsupported method provided to -method flag: use patch or rw\n",
        ),
        ("completion tcsh", "", 1, "completion: use bash, zsh or fish\n"),
    ],
)
def test_a_field_or_a_refusal_is_all_that_is_printed(
    line: str, stdout: str, code: int, stderr: str, stage: Theatre, tmp_path: Path
) -> None:
    answers = {_SEAL: (200, _SHUT), _INIT: (200, _KEYS), "PUT /v1/sys/unseal": (200, _SHUT)}
    shown = stage.by_vaultctl(Case(line, answers), tmp_path)
    assert (shown.stdout, shown.code, shown.stderr) == (stdout, code, stderr)


def test_an_unseal_key_can_come_from_standard_input(stage: Theatre, tmp_path: Path) -> None:
    case = Case("operator unseal -field=progress -", {"PUT /v1/sys/unseal": (200, _SHUT)}, " share \nother\n")
    shown = stage.by_vaultctl(case, tmp_path)
    assert _body(shown.asked, "PUT", "/v1/sys/unseal")["key"] == "share"


def test_a_pgp_key_may_be_binary_base64_or_armoured(
    stage: Theatre, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    armoured = "-----BEGIN PGP PUBLIC KEY BLOCK-----\r\nVersion: 1\r\n\r\nbQ\r\n==\r\n=abcd\r\n-----END\r\n"
    Path("a.asc").write_text(armoured.replace("bQ\r\n==", "bQ=="))
    Path("b.txt").write_text("bQ\n==\n")
    Path("c.pgp").write_bytes(b"\x99\x01\x0d\x04")
    case = Case(
        "operator init -format=json -pgp-keys=@a.asc,b.txt,c.pgp -root-token-pgp-key=b.txt",
        {_SEAL: (200, _SHUT), _INIT: (200, _KEYS)},
    )
    body = _body(stage.by_vaultctl(case, tmp_path).asked, "PUT", "/v1/sys/init")
    assert body["pgp_keys"] == ["bQ==", "bQ==", "mQENBA=="]
    assert body["root_token_pgp_key"] == "bQ=="


def test_removed_data_is_gone_even_where_patch_is_not_possible(stage: Theatre, tmp_path: Path) -> None:
    """`bao` writes a null there."""
    secret = {"data": {"data": {"a": 0, "b": 1, "c": 2}, "metadata": {"version": 7}}}
    case = Case(
        "kv patch -method=rw -remove-data=b secret/x a=1",
        {"GET /v1/secret/data/x": (200, secret), "PUT /v1/secret/data/x": (200, {"data": {"version": 8}})},
    )
    shown = stage.by_vaultctl(case, tmp_path)
    assert shown.code == 0
    assert _body(shown.asked, "PUT", "/v1/secret/data/x") == {
        "data": {"a": "1", "c": 2},
        "options": {"cas": 7},
    }


def test_a_mount_that_the_server_does_not_tell_of_is_taken_at_its_word(
    stage: Theatre, tmp_path: Path
) -> None:
    case = Case("kv get -field=a -mount=other x", {"GET /v1/other/x": (200, {"data": {"a": 1}})})
    shown = stage.by_vaultctl(case, tmp_path)
    assert (shown.stdout, shown.code) == ("1", 0)


def test_capabilities_of_an_accessor(stage: Theatre, tmp_path: Path) -> None:
    case = Case(
        "token capabilities -accessor acc x",
        {"POST /v1/sys/capabilities-accessor": (200, {"capabilities": ["update", "read"]})},
    )
    shown = stage.by_vaultctl(case, tmp_path)
    assert shown.stdout == "read, update\n"
    assert _body(shown.asked, "POST", "/v1/sys/capabilities-accessor") == {"accessor": "acc", "path": "x"}


def test_a_token_can_come_from_standard_input(stage: Theatre, tmp_path: Path) -> None:
    case = Case("token revoke -", {"PUT /v1/auth/token/revoke": (204, None)}, "s.typed\n")
    shown = stage.by_vaultctl(case, tmp_path)
    assert shown.stdout == "Success! Revoked token (if it existed)\n"
    assert _body(shown.asked, "PUT", "/v1/auth/token/revoke") == {"token": "s.typed"}


def test_a_slash_alone_names_no_secret(stage: Theatre, tmp_path: Path) -> None:
    shown = stage.by_vaultctl(Case("kv get /"), tmp_path)
    assert (shown.stdout, shown.code, shown.stderr) == ("", 2, "No value found at \n")


def test_a_time_that_is_none_is_shown_as_it_came(stage: Theatre, tmp_path: Path) -> None:
    answer = {"data": {"term": 1, "install_time": "long ago, in winter", "encryptions": 0}}
    shown = stage.by_vaultctl(
        Case("operator key-status", {"GET /v1/sys/key-status": (200, answer)}), tmp_path
    )
    assert "Install Time        long ago, in winter\n" in shown.stdout


def test_the_curl_line_says_how_the_server_is_trusted(stage: Theatre, tmp_path: Path) -> None:
    line = 'read -output-curl-string -ca-cert=a.pem -client-cert="it\'s.crt" -client-key=k x'
    shown = stage.by_vaultctl(Case(line), tmp_path)
    assert shown.stdout.startswith("curl --cacert 'a.pem' --cert 'it'\"'\"'s.crt' --key 'k' \"http://")
    assert "s.held" not in shown.stdout
    assert not shown.asked


@pytest.mark.parametrize("name", ["X-Vault-Token", "x-vault-wrap-ttl"])
def test_a_header_of_our_own_cannot_be_given(name: str, stage: Theatre, tmp_path: Path) -> None:
    shown = stage.by_vaultctl(Case(f"read -header={name}=hunter2 x"), tmp_path)
    assert (shown.stdout, shown.code, shown.asked) == ("", 2, [])
    assert shown.stderr.startswith(f"-header {name}: headers that start with X-Vault- are set by vaultctl")
    assert "hunter2" not in shown.stderr


def test_a_header_with_a_line_break_is_printed_in_no_curl_line(stage: Theatre, tmp_path: Path) -> None:
    shown = stage.by_vaultctl(Case("read -output-curl-string -header='a=b\nc: d' x"), tmp_path)
    assert (shown.stdout, shown.code) == ("", 2)
    assert shown.stderr == "-header: a header has no line break\n"


@pytest.mark.parametrize(("flag", "mount"), [("", "approle"), ("-path=machines/ ", "machines")])
def test_a_machine_logs_in_with_role_and_secret_id_and_sends_no_token(
    flag: str, mount: str, stage: Theatre, tmp_path: Path
) -> None:
    target = f"/v1/auth/{mount}/login"
    case = Case(
        f"login -method=approle -token-only {flag}role_id=r secret_id=s",
        {f"PUT {target}": (200, {"auth": {"client_token": "s.made"}})},
    )
    shown = stage.by_vaultctl(case, tmp_path)
    assert (shown.stdout, shown.code, shown.stderr) == ("s.made", 0, "")
    body = {"role_id": "r", "secret_id": "s"}
    assert shown.asked == [("PUT", target, body, None, None, None, None)]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("secret_id=hunter2", "Error authenticating: 'role_id' must be specified"),
        ("role_id=r", "Error authenticating: Secret ID is needed, but standard input is not a terminal"),
    ],
)
def test_a_machine_without_one_of_its_ids_is_told_which(
    words: str, told: str, stage: Theatre, tmp_path: Path
) -> None:
    shown = stage.by_vaultctl(Case(f"login -method=approle {words}"), tmp_path)
    assert (shown.stdout, shown.code, shown.asked) == ("", 2, [])
    assert shown.stderr.startswith(told)
    assert "hunter2" not in shown.stderr


def test_no_token_at_all_is_refused_before_anything_is_sent(stage: Theatre, tmp_path: Path) -> None:
    shown = stage.by_vaultctl(Case("login -no-print -", text="\n"), tmp_path)
    assert (shown.code, shown.asked) == (2, [])
    assert shown.stderr.startswith("Error authenticating: ")
    assert not (tmp_path / ".vault-token").exists()


def test_what_would_be_dropped_is_not_sent_where_nothing_is(stage: Theatre, tmp_path: Path) -> None:
    for more in ("-drop=b", "-dry-run -drop=b", "-abandon", "-dry-run -abandon"):
        shown = stage.by_vaultctl(Case(f"operator rotate-root {more}"), tmp_path)
        assert (shown.code, shown.asked) == (1, [])
        assert f"give -no-links as well, or leave out {more.split()[-1].partition('=')[0]}" in shown.stderr


@pytest.mark.parametrize("dry_run", [False, True])
def test_what_no_slot_opens_any_more_is_deleted_if_abandon_says_so(
    dry_run: bool, stage: Theatre, tmp_path: Path
) -> None:
    target, lost = "/v1/sys/rotate/root", "safe/1 is deleted"
    answers: dict[str, tuple[int, object]] = {
        "GET /v1/sys/seal-slots": (200, {"data": {}}),
        f"POST {target}": (200, {"warnings": [lost]}),
    }
    line = f"operator rotate-root -no-links -drop=a -abandon {'-dry-run' if dry_run else ''}"
    shown = stage.by_vaultctl(Case(line, answers), tmp_path)
    assert (shown.code, lost in shown.stderr) == (0, True)
    body = {"no_links": True, "drop": ["a"], "abandon": True, "dry_run": dry_run}
    assert _body(shown.asked, "POST", target) == body


def test_a_decision_is_explained_with_the_rule_that_is_missing(stage: Theatre, tmp_path: Path) -> None:
    grant = 'path "a" {\n  capabilities = ["read", "update"]\n}\n'
    verdict = {"capability": "update", "path": "a", "allowed": False, "rule": "a", "missing": "update"} | {
        "grants": [{"policy": "p", "capabilities": ["read"]}],
        "constraints": {"max_wrapping_ttl": 60},
        "grant": grant,
    }
    policies = [{"name": "p", "found": True}, {"name": "q", "found": False}]
    data = {"path": "a", "namespace": "", "policies": policies, "verdicts": [verdict]}
    target = "/v1/sys/internal/policies/explain"
    case = Case("policy explain -capability=update a", {f"POST {target}": (200, {"data": data})})
    shown = stage.by_vaultctl(case, tmp_path)
    assert (shown.code, shown.stdout) == (
        0,
        (
            "No policy of this name counts: q\nupdate a: refused, missing: update\n"
            '  decided by path "a"\n  policy p: read\n  constraint max_wrapping_ttl = 60\n'
            '  this rule would allow it:\n    path "a" {\n      capabilities = ["read", "update"]\n    }\n'
        ),
    )
    assert _body(shown.asked, "POST", target) == {"path": "a", "capabilities": ["update"]}


@pytest.mark.parametrize("flags", ["", "-field=policies", "-no-print", "-format=json"])
def test_a_token_that_cannot_be_kept_is_shown(flags: str, stage: Theatre, tmp_path: Path) -> None:
    """The login may be one that cannot be done again; `bao` shows it too."""
    answers = {"GET /v1/auth/token/lookup-self": (200, {"data": {"policies": ["a"], "ttl": 60}})}
    case = Case(f"login {flags} s.shown", answers, environ={"BAO_TOKEN_PATH": str(tmp_path / "no" / "file")})
    shown = stage.by_vaultctl(case, tmp_path)
    assert shown.code == 2
    assert "s.shown" in shown.stdout
    assert shown.stderr.startswith("cannot write the token file ")
    assert "s.shown" not in shown.stderr
