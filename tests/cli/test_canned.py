# SPDX-License-Identifier: EUPL-1.2
"""Both programs meet the same answers: they print the same, exit alike, and had sent the same requests."""

from collections.abc import Generator
from pathlib import Path

import pytest
from pytest_socket import enable_socket

from tests.cli import (
    cases_consent,
    cases_estate,
    cases_namespaces,
    cases_operating,
    cases_secrets,
    cases_tokens,
)
from tests.cli.canned import Case, Theatre, theatre

CASES = [
    *cases_consent.CASES,
    *cases_estate.CASES,
    *cases_namespaces.CASES,
    *cases_operating.CASES,
    *cases_secrets.CASES,
    *cases_tokens.CASES,
]


@pytest.fixture(scope="module")
def stage() -> Generator[Theatre]:
    enable_socket()
    with theatre() as running:
        yield running


def test_there_are_many_cases() -> None:
    assert len(CASES) >= 200


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.line))
def test_both_programs_print_exit_and_ask_alike(
    case: Case, stage: Theatre, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "binary.pgp").write_bytes(b"\x99\x01\x0d\x04")
    (tmp_path / "text.b64").write_text("bQ==\n")
    bao = stage.by_bao(case, tmp_path)
    ours = stage.by_vaultctl(case, tmp_path)
    assert ours == bao, bao.stderr + ours.stderr
