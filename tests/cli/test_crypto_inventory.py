# SPDX-License-Identifier: EUPL-1.2
"""vaultctl crypto inventory: every page is asked for, and what a profile warns of is told."""

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from pytest_socket import enable_socket

from tests.cli.canned import Answer, Case, Shown, Theatre, theatre

_PATH = "GET /v1/sys/crypto/inventory"
_ASKED = f"{_PATH}?limit=1000"
_OK = {"status": "ok", "findings": []}
_SHORT = {
    "status": "warning",
    "findings": [
        {"level": "warning", "reason": "RSA needs 3000 bits at least", "source": "BSI TR-02102-1 2026-01"},
        {"level": "information", "reason": "until 2035", "source": "BSI TR-02102-1 2026-01"},
    ],
}


def _row(name: str, **more: object) -> dict[str, Any]:
    usual = {"id": name, "algorithm": "aes-256-gcm", "bits": 256, "state": "active", "origin": "software"}
    return {**usual, "age": None, "count": 1, "pq": "pq", **more}


FIRST = _row("barrier/0000000001", age=3 * 86_400 + 7)
SECOND = _row("external/hsm:k", algorithm="", bits=None, origin="hsm", state="unreachable", pq="none")
THIRD = _row("mounts/totp/keys", algorithm="totp", bits=None, count=12, pq="none")


@pytest.fixture(scope="module")
def stage() -> Generator[Theatre]:
    enable_socket()
    with theatre() as running:
        yield running


def _answer(*rows: object, after: str = "", profile: str = "") -> Answer:
    return 200, {"data": {"profile": profile, "inventory": list(rows), "next": after}}


def _shown(stage: Theatre, line: str, home: Path, answers: dict[str, Answer]) -> Shown:
    return stage.by_vaultctl(Case(f"crypto inventory {line}", answers), home)


@pytest.fixture
def pages() -> dict[str, Answer]:
    return {
        _ASKED: _answer(FIRST, SECOND, after="external/hsm:k"),
        f"{_PATH}?after=external%2Fhsm%3Ak&limit=1000": _answer(THIRD),
    }


def test_all_pages_are_one_table(stage: Theatre, tmp_path: Path, pages: dict[str, Answer]) -> None:
    found = _shown(stage, "", tmp_path, pages)
    assert found.stdout == (
        "Key                      Algorithm      Bits    State          Origin      Days    PQ\n"
        "---                      ---------      ----    -----          ------      ----    --\n"
        "barrier/0000000001       aes-256-gcm    256     active         software    3       pq\n"
        "external/hsm:k           n/a            n/a     unreachable    hsm         n/a     none\n"
        "mounts/totp/keys (12)    totp           n/a     active         software    n/a     none\n"
    )
    assert (found.code, found.stderr) == (0, "")


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_all_pages_are_one_document(
    form: str, stage: Theatre, tmp_path: Path, pages: dict[str, Answer]
) -> None:
    found = _shown(stage, f"-format={form}", tmp_path, pages)
    assert found.code == 0
    if form == "json":
        assert json.loads(found.stdout) == {"profile": "", "inventory": [FIRST, SECOND, THIRD]}
    else:
        assert found.stdout.count("- age:") == 3


def test_what_a_profile_warns_of_is_told_and_is_the_exit_code(stage: Theatre, tmp_path: Path) -> None:
    rsa = _row("mounts/identity/oidc/k/1", algorithm="rsa-2048", bits=2048, pq="none", check=_SHORT)
    answers = {f"{_ASKED}&profile=bsi": _answer({**FIRST, "check": _OK}, rsa, profile="bsi")}
    found = _shown(stage, "-profile=bsi", tmp_path, answers)
    assert [line.split()[-1] for line in found.stdout.splitlines()[2:]] == ["ok", "warning"]
    assert (found.code, found.stderr) == (
        2,
        "WARNING! mounts/identity/oidc/k/1: RSA needs 3000 bits at least (BSI TR-02102-1 2026-01)\n",
    )
    plain = _shown(stage, "-profile=bsi -format=json", tmp_path, answers)
    assert (plain.code, json.loads(plain.stdout)["profile"]) == (2, "bsi")


def test_the_servers_refusal_is_told(stage: Theatre, tmp_path: Path) -> None:
    said = "there is no profile"
    found = _shown(stage, "-profile=x", tmp_path, {f"{_ASKED}&profile=x": (400, {"errors": [said]})})
    assert found.code == 2 and "crypto inventory" in found.stderr and said in found.stderr


def test_a_server_that_repeats_a_page_is_not_asked_for_ever(stage: Theatre, tmp_path: Path) -> None:
    again = {_ASKED: _answer(FIRST, after="x"), f"{_PATH}?after=x&limit=1000": _answer(SECOND, after="x")}
    assert len(_shown(stage, "", tmp_path, again).asked) == 2
