# SPDX-License-Identifier: EUPL-1.2
"""Importing a key and asking for its check value, in a process that may crash or hang."""

import sys
from pathlib import Path

import msgspec
import pytest

from hsm.client.oneshot import PROGRAM, check_value, import_key
from hsm.client.report import probe
from hsm.components import check_value as expected_value
from hsm.errors import KeyMissing, PinBlocked, SlotUnavailable
from hsm.orders import CheckValue, ImportKek, TokenAccess
from hsm.token_info import WantedToken
from tests.house.tree import ROOT
from tests.hsm.faults import Fault, FaultPlan
from tests.hsm.tokens import PIN, SOFTHSM, SoftHsm

_KEY = bytes(range(32))


@pytest.fixture
def place(softhsm: SoftHsm) -> TokenAccess:
    return TokenAccess(
        lib=SOFTHSM, wanted=WantedToken(label="a"), pin=PIN.encode(), runtime=str(softhsm.runtime)
    )


def test_a_key_is_imported_as_the_next_version_and_has_its_check_value(place: TokenAccess) -> None:
    made = [import_key(place, ImportKek("kek", _KEY), seconds=30).version for _ in range(2)]
    assert made == ["v0001", "v0002"]
    assert check_value(place, CheckValue("kek", "v0002"), seconds=30) == expected_value(_KEY)


def test_errors_keep_their_kind(place: TokenAccess) -> None:
    with pytest.raises(KeyMissing, match="key kek id v0001"):
        check_value(place, CheckValue("kek", "v0001"), seconds=30)
    with pytest.raises(PinBlocked, match="the PIN is wrong"):
        check_value(msgspec.structs.replace(place, pin=b"no"), CheckValue("kek", "v0001"), seconds=30)


@pytest.mark.parametrize(
    ("fault", "seconds", "says"),
    [
        (Fault(function="C_Login", kind="crash"), 30, "the module ended the process"),
        (Fault(function="C_Login", kind="hang"), 3, "did not answer within 3 s"),
        (Fault(function="C_Initialize", kind="code"), 30, "C_Initialize failed with 0x5"),
    ],
)
def test_a_module_that_fails_is_told(
    place: TokenAccess,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: Fault,
    seconds: float,
    says: str,
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    plan = FaultPlan(tmp_path / "plan")
    plan.put(fault)
    program = (sys.executable, "-m", "tests.hsm.faulty_program", str(plan.folder), SOFTHSM, PROGRAM[-1])
    with pytest.raises(SlotUnavailable, match=says):
        check_value(place, CheckValue("kek", "v0001"), seconds=seconds, program=program)


def test_neither_pin_nor_key_is_shown(place: TokenAccess) -> None:
    assert PIN not in repr(place)
    assert repr(ImportKek("kek", _KEY)) == "ImportKek('kek')"


@pytest.mark.parametrize("module", ["hsm.agent.oneshot", "hsm.agent.report"])
def test_a_process_with_pin_and_key_leaves_no_core_and_has_none_of_our_variables(
    place: TokenAccess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    monkeypatch.setenv("BAO_TOKEN", "s.token")
    seen = tmp_path / "seen"
    program = (
        "import ctypes, os, resource, runpy, sys\n"
        "try:\n runpy.run_module(sys.argv[2], run_name='__main__', alter_sys=True)\n"
        "finally:\n open(sys.argv[1], 'w').write(f'{resource.getrlimit(resource.RLIMIT_CORE)} '"
        " f'{ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)} {\"BAO_TOKEN\" in os.environ}')"
    )
    command = (sys.executable, "-c", program, str(seen), module)
    if module == "hsm.agent.oneshot":
        import_key(place, ImportKek("kek", _KEY), seconds=30, program=command)
    else:
        probe(place, seconds=30, program=command)
    assert seen.read_text(encoding="utf-8") == "(0, 0) 0 False"


def test_a_module_that_prints_spoils_no_answer(place: TokenAccess) -> None:
    noisy = (
        "import os, hsm.agent.oneshot as errands\n"
        "load = errands.load\n"
        "errands.load = lambda *given: (os.write(1, b'noise'), load(*given))[1]\n"
        "raise SystemExit(errands.main())"
    )
    made = import_key(place, ImportKek("kek", _KEY), seconds=30, program=(sys.executable, "-c", noisy))
    assert made.version == "v0001"
