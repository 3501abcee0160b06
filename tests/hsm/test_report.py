# SPDX-License-Identifier: EUPL-1.2
"""The report on a token: each module's own answers, and trials that crash or hang."""

import sys
from pathlib import Path

import msgspec
import pytest

from hsm.client.report import SOFTWARE_WARNING, Report, probe
from hsm.errors import PinBlocked, SlotUnavailable
from hsm.orders import ReportLine, TokenAccess
from hsm.token_info import TokenInfo, WantedToken
from tests.house.tree import ROOT
from tests.hsm.faults import DEVICE_ERROR, GENERAL_ERROR, PIN_LOCKED, Fault, FaultPlan
from tests.hsm.tokens import PIN, SOFTHSM, SoftHsm
from tests.hsm.tokens_nss import new_nss_token
from tests.hsm.tokens_opencryptoki import opencryptoki_token

_PROGRAM = (sys.executable, "-m", "hsm.agent.report")


def _place(library: Path, label: str, pin: str, folder: Path, parameters: str = "") -> TokenAccess:
    return TokenAccess(
        lib=str(library),
        parameters=parameters,
        wanted=WantedToken(label=label),
        pin=pin.encode(),
        runtime=str(folder / "runtime"),
    )


@pytest.fixture
def soft(softhsm: SoftHsm, tmp_path: Path) -> TokenAccess:
    """How to reach a fresh token of SoftHSM."""
    return _place(Path(SOFTHSM), "a", PIN, tmp_path)


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FaultPlan:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # the spoiled program is one of the tests' own
    return FaultPlan(tmp_path / "plan")


def _faulty(plan: FaultPlan) -> tuple[str, ...]:
    return (sys.executable, "-m", "tests.hsm.faulty_program", str(plan.folder), SOFTHSM, "hsm.agent.report")


def _missing(report: Report) -> dict[str, str]:
    return {row.name: row.detail for row in report.results if row.outcome != "yes"}


def test_softhsm(soft: TokenAccess, tmp_path: Path) -> None:
    report = probe(soft, seconds=30)
    assert _missing(report) == {"RSA-OAEP with SHA-256": "ArgumentsBad"}
    assert report.seals == ["AES_GCM", "AES_CBC_HMAC", "RSA_PKCS_OAEP with sha1"]
    assert report.warnings == [SOFTWARE_WARNING]
    assert report.token.label == "a"
    assert all(row.microseconds > 0 for row in report.results)


def test_nss_wraps_keys_that_must_not_leave(tmp_path: Path) -> None:
    token = new_nss_token(tmp_path / "nss")
    report = probe(_place(token.library, token.label, token.pin, tmp_path, token.parameters), seconds=30)
    assert set(_missing(report)) == {
        "key that must not leave is not wrapped",
        "key check value",
        "AES-GCM with bound data",
        "AES key wrap with padding (RFC 5649)",
        "Ed25519",
    }
    assert report.seals == ["AES_CBC_HMAC", "RSA_PKCS_OAEP", "RSA_PKCS_OAEP with sha1"]
    assert report.warnings[0] == SOFTWARE_WARNING
    assert "the token wraps a key that must not leave it" in report.warnings[1]


def test_opencryptoki(tmp_path: Path) -> None:
    with opencryptoki_token(tmp_path / "ock") as token:
        program = (*token.inside, *_PROGRAM)
        place = _place(token.library, token.label, token.pin, tmp_path)
        report = probe(place, seconds=30, program=program)
    assert set(_missing(report)) == {
        "key check value",
        "AES key wrap (RFC 3394)",
        "AES key wrap with padding (RFC 5649)",
        "Ed25519",
    }
    assert report.seals == ["AES_GCM", "AES_CBC_HMAC", "RSA_PKCS_OAEP", "RSA_PKCS_OAEP with sha1"]


@pytest.mark.parametrize("kind", ["crash", "hang"])
def test_a_trial_that_ends_the_process_is_named_and_the_others_go_on(
    soft: TokenAccess, plan: FaultPlan, tmp_path: Path, kind: str
) -> None:
    plan.put(Fault(function="C_Decrypt", kind="crash" if kind == "crash" else "hang", times=1))
    report = probe(soft, seconds=60 if kind == "crash" else 8, program=_faulty(plan))
    outcomes = {row.name: row.outcome for row in report.results}
    ended = "crashed" if kind == "crash" else "hung"
    assert [name for name, outcome in outcomes.items() if outcome == ended] == ["AES-GCM with bound data"]
    assert len(outcomes) == 17
    assert f"the module {ended} in: AES-GCM with bound data" in report.warnings
    assert report.seals == ["AES_CBC_HMAC", "RSA_PKCS_OAEP with sha1"]


def test_data_that_come_back_wrong_are_seen(soft: TokenAccess, plan: FaultPlan, tmp_path: Path) -> None:
    plan.put(
        Fault(function="C_Decrypt", kind="wrong"),
        Fault(function="C_Sign", kind="wrong"),
        Fault(function="C_GenerateRandom", kind="wrong"),
    )
    missing = _missing(probe(soft, seconds=30, program=_faulty(plan)))
    assert missing["AES-GCM with bound data"] == "what comes back is not what went in"
    assert missing["ECDSA on P-256"] == "the signature is not valid in software"
    assert missing["random numbers"] == "two draws are alike"


def test_a_wrong_pin_is_tried_once_and_never_again(
    soft: TokenAccess, plan: FaultPlan, tmp_path: Path
) -> None:
    plan.put()
    place = msgspec.structs.replace(soft, pin=b"not-the-pin")
    for _ in range(3):
        with pytest.raises(PinBlocked, match=r"PIN (is|was) wrong"):
            probe(place, seconds=30, program=_faulty(plan))
    assert plan.calls("C_Login") == 1


def test_what_fails_before_the_first_trial_is_told(
    soft: TokenAccess, plan: FaultPlan, tmp_path: Path
) -> None:
    program = _faulty(plan)
    with pytest.raises(SlotUnavailable, match="not present"):
        probe(msgspec.structs.replace(soft, wanted=WantedToken(label="absent")), seconds=30)
    for fault, says in (
        (Fault(function="C_Initialize", kind="crash"), "the module crashed before the first trial"),
        (Fault(function="C_GetMechanismList", kind="code", code=GENERAL_ERROR), "GeneralError"),
        (Fault(function="C_OpenSession", kind="code", code=DEVICE_ERROR), "DeviceError"),
    ):
        plan.put(fault)
        with pytest.raises(SlotUnavailable, match=says):
            probe(soft, seconds=30, program=program)
    plan.put(Fault(function="C_Login", kind="code", code=PIN_LOCKED))
    with pytest.raises(PinBlocked, match="PIN is locked"):
        probe(soft, seconds=30, program=program)


def test_a_process_that_dies_between_the_token_and_the_first_check_makes_no_report(soft: TokenAccess) -> None:
    token = TokenInfo(
        slot=1,
        label="a",
        serial="1",
        manufacturer="",
        model="",
        firmware="",
        flags=0,
        mechanisms=(),
        software=True,
    )
    line = msgspec.json.encode(ReportLine(token=token)).decode()
    program = (
        sys.executable,
        "-c",
        f"import os, sys; sys.stdin.read(); print({line!r}, flush=True); os.abort()",
    )
    with pytest.raises(SlotUnavailable, match="the module crashed before the first trial"):
        probe(soft, seconds=30, program=program)


def test_what_a_module_prints_goes_nowhere(
    soft: TokenAccess, plan: FaultPlan, capfd: pytest.CaptureFixture[str]
) -> None:
    plan.put(Fault(function="C_Login", kind="prints"))
    report = probe(soft, seconds=60, program=_faulty(plan))
    assert plan.calls("C_Login") == 1
    assert PIN not in repr(report)
    assert capfd.readouterr() == ("", "")


def test_the_pin_is_not_shown(tmp_path: Path) -> None:
    place = _place(Path("/lib/module.so"), "a", "secret-pin", tmp_path)
    assert "secret-pin" not in repr(place)
