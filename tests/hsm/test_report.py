# SPDX-License-Identifier: EUPL-1.2
"""The report on a token: each module's own answers, and trials that crash or hang."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hsm.errors import PinBlocked, SlotUnavailable
from hsm.report import SOFTWARE_WARNING, Order, Report, probe
from hsm.token import Wanted
from tests.hsm.faults import DEVICE_ERROR, GENERAL_ERROR, PIN_LOCKED, Fault, FaultPlan
from tests.hsm.tokens_nss import new_nss_token
from tests.hsm.tokens_opencryptoki import opencryptoki_token
from tests.hsm.tokens_softhsm import SoftHsmToken, new_softhsm_token

_PROGRAM = (sys.executable, "-m", "hsm.report")


def _order(library: Path, label: str, pin: str, folder: Path, parameters: str = "") -> Order:
    return Order(
        lib=str(library),
        parameters=parameters,
        wanted=Wanted(label=label),
        pin=pin.encode(),
        runtime=str(folder / "runtime"),
    )


@pytest.fixture
def soft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SoftHsmToken:
    token = new_softhsm_token(tmp_path / "soft")
    for name, value in token.environment.items():
        monkeypatch.setenv(name, value)
    return token


@pytest.fixture
def plan(tmp_path: Path) -> FaultPlan:
    return FaultPlan(tmp_path / "plan")


def _faulty(plan: FaultPlan, library: Path) -> tuple[str, ...]:
    return (sys.executable, "-m", "tests.hsm.faulty_program", str(plan.folder), str(library), "hsm.report")


def _missing(report: Report) -> dict[str, str]:
    return {row.name: row.detail for row in report.rows if row.outcome != "yes"}


def test_softhsm(soft: SoftHsmToken, tmp_path: Path) -> None:
    report = probe(_order(soft.library, soft.label, soft.pin, tmp_path), seconds=30)
    assert _missing(report) == {"RSA-OAEP with SHA-256": "ArgumentsBad"}
    assert report.seals == ["AES_GCM", "AES_CBC_HMAC", "RSA_PKCS_OAEP, sha1"]
    assert report.warnings == [SOFTWARE_WARNING]
    assert report.token.label == soft.label
    assert all(row.microseconds > 0 for row in report.rows)


def test_nss_wraps_keys_that_must_not_leave(tmp_path: Path) -> None:
    token = new_nss_token(tmp_path / "nss")
    report = probe(_order(token.library, token.label, token.pin, tmp_path, token.parameters), seconds=30)
    assert set(_missing(report)) == {
        "key that must not leave is not wrapped",
        "key check value",
        "AES-GCM with bound data",
        "AES key wrap with padding (RFC 5649)",
        "Ed25519",
    }
    assert report.seals == ["AES_CBC_HMAC", "RSA_PKCS_OAEP", "RSA_PKCS_OAEP, sha1"]
    assert report.warnings[0] == SOFTWARE_WARNING
    assert "the token wraps a key that must not leave it" in report.warnings[1]


@pytest.mark.alone
def test_opencryptoki(tmp_path: Path) -> None:
    with opencryptoki_token(tmp_path / "ock") as token:
        program = (*token.inside, *_PROGRAM)
        order = _order(token.library, token.label, token.pin, tmp_path)
        report = probe(order, seconds=30, program=program)
    assert set(_missing(report)) == {
        "key check value",
        "AES key wrap (RFC 3394)",
        "AES key wrap with padding (RFC 5649)",
        "Ed25519",
    }
    assert report.seals == ["AES_GCM", "AES_CBC_HMAC", "RSA_PKCS_OAEP", "RSA_PKCS_OAEP, sha1"]


@pytest.mark.parametrize("kind", ["crash", "hang"])
def test_a_trial_that_ends_the_process_is_named_and_the_others_go_on(
    soft: SoftHsmToken, plan: FaultPlan, tmp_path: Path, kind: str
) -> None:
    plan.put(Fault(function="C_Decrypt", kind="crash" if kind == "crash" else "hang", times=1))
    order = _order(soft.library, soft.label, soft.pin, tmp_path)
    report = probe(order, seconds=5, program=_faulty(plan, soft.library))
    outcomes = {row.name: row.outcome for row in report.rows}
    ended = "crashed" if kind == "crash" else "hung"
    assert [name for name, outcome in outcomes.items() if outcome == ended] == ["AES-GCM with bound data"]
    assert len(outcomes) == 17
    assert f"the module {ended} in: AES-GCM with bound data" in report.warnings
    assert report.seals == ["AES_CBC_HMAC", "RSA_PKCS_OAEP, sha1"]


def test_data_that_come_back_wrong_are_seen(soft: SoftHsmToken, plan: FaultPlan, tmp_path: Path) -> None:
    plan.put(
        Fault(function="C_Decrypt", kind="wrong"),
        Fault(function="C_Sign", kind="wrong"),
        Fault(function="C_GenerateRandom", kind="wrong"),
    )
    order = _order(soft.library, soft.label, soft.pin, tmp_path)
    missing = _missing(probe(order, seconds=30, program=_faulty(plan, soft.library)))
    assert missing["AES-GCM with bound data"] == "what comes back is not what went in"
    assert missing["ECDSA on P-256"] == "the signature is not valid in software"
    assert missing["random numbers"] == "two draws are alike"


def test_a_wrong_pin_is_tried_once_and_never_again(
    soft: SoftHsmToken, plan: FaultPlan, tmp_path: Path
) -> None:
    plan.put()
    order = _order(soft.library, soft.label, "not-the-pin", tmp_path)
    for _ in range(3):
        with pytest.raises(PinBlocked, match=r"PIN (is|was) wrong"):
            probe(order, seconds=30, program=_faulty(plan, soft.library))
    assert plan.calls("C_Login") == 1


def test_what_fails_before_the_first_trial_is_told(
    soft: SoftHsmToken, plan: FaultPlan, tmp_path: Path
) -> None:
    order = _order(soft.library, soft.label, soft.pin, tmp_path)
    program = _faulty(plan, soft.library)
    with pytest.raises(SlotUnavailable, match="not present"):
        probe(_order(soft.library, "absent", soft.pin, tmp_path), seconds=30)
    for fault, says in (
        (Fault(function="C_Initialize", kind="crash"), "the module crashed before the first trial"),
        (Fault(function="C_GetMechanismList", kind="code", code=GENERAL_ERROR), "GeneralError"),
        (Fault(function="C_OpenSession", kind="code", code=DEVICE_ERROR), "DeviceError"),
    ):
        plan.put(fault)
        with pytest.raises(SlotUnavailable, match=says):
            probe(order, seconds=30, program=program)
    plan.put(Fault(function="C_Login", kind="code", code=PIN_LOCKED))
    with pytest.raises(PinBlocked, match="PIN is locked"):
        probe(order, seconds=30, program=program)


def test_the_pin_is_not_shown(tmp_path: Path) -> None:
    order = _order(Path("/lib/module.so"), "a", "secret-pin", tmp_path)
    assert "secret-pin" not in repr(order)


@pytest.fixture(autouse=True)
def _here() -> Iterator[None]:
    """Child processes find the tests' own programs in the working directory."""
    before = Path.cwd()
    os.chdir(Path(__file__).parents[2])
    yield
    os.chdir(before)
