# SPDX-License-Identifier: EUPL-1.2
"""Every function of PKCS#11 that a slot calls, against every way to fail: what whoever unseals gets to see.

`python -m tests.hsm.fault_table` prints the table of docs/hsm.md; a test holds the document to it.
"""

import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from hsm import envelope
from hsm.envelope import Place
from hsm.errors import (
    BadConfig,
    HsmError,
    IntegrityError,
    KeyAmbiguous,
    KeyMissing,
    PinBlocked,
    SlotUnavailable,
)
from hsm.pin import FilePin
from hsm.pkcs11_slot import Pkcs11Slot
from hsm.settings import Pkcs11Settings
from tests.hsm import faults
from tests.hsm.faults import Fault, FaultPlan
from tests.hsm.tokens import PIN, SOFTHSM, SoftHsm

PAYLOAD: Final = bytes(range(32))
PLACE: Final = Place("a", "root", "cluster", "root", "seal/slot/a", 1)
WORDS: Final = {
    SlotUnavailable: "unavailable",
    IntegrityError: "integrity",
    BadConfig: "config",
    KeyMissing: "no key",
    KeyAmbiguous: "ambiguous",
    PinBlocked: "PIN",
}
WORKS: Final = "works"
NOTHING: Final = "-"
"""Where the function gives nothing back that could be wrong."""
_TRIES: Final = 4
_PATIENCE: Final = 60.0
"""Seconds within which anything must be answered, on a busy machine; a fault that hangs lasts an hour."""

FUNCTIONS: Final = (
    "C_Initialize",
    "C_GetInfo",
    "C_GetSlotList",
    "C_GetSlotInfo",
    "C_GetTokenInfo",
    "C_GetMechanismList",
    "C_OpenSession",
    "C_Login",
    "C_FindObjectsInit",
    "C_FindObjects",
    "C_FindObjectsFinal",
    "C_GetAttributeValue",
    "C_EncryptInit",
    "C_Encrypt",
    "C_DecryptInit",
    "C_Decrypt",
    "C_SignInit",
    "C_Sign",
)
"""What unsealing and sealing calls; a test makes sure that it calls nothing else."""

_SIGNING: Final = ("C_SignInit", "C_Sign")
"""Called only where the slot authenticates with a second key (`AES_CBC_HMAC`)."""

COLUMNS: Final[dict[str, Fault]] = {
    "general error": Fault(function="", kind="code", code=faults.GENERAL_ERROR),
    "device error": Fault(function="", kind="code", code=faults.DEVICE_ERROR),
    "device removed": Fault(function="", kind="code", code=faults.DEVICE_REMOVED),
    "session lost": Fault(function="", kind="code", code=faults.SESSION_HANDLE_INVALID),
    "the same, once": Fault(function="", kind="code", code=faults.SESSION_HANDLE_INVALID, times=1),
    "logged out, once": Fault(function="", kind="code", code=faults.USER_NOT_LOGGED_IN, times=1),
    "mechanism": Fault(function="", kind="code", code=faults.MECHANISM_INVALID),
    "vendor's own": Fault(function="", kind="code", code=faults.VENDOR_ERROR),
    "slow": Fault(function="", kind="delay", seconds=0.02),
    "hangs": Fault(function="", kind="hang"),
    "crashes": Fault(function="", kind="crash"),
    "wrong data": Fault(function="", kind="wrong"),
}
"""What goes wrong, by the table's heading."""


class Token:
    """A folder with a token and a record that it sealed, copied for each fault."""

    def __init__(self, folder: Path, *, signing: bool) -> None:
        self.softhsm = SoftHsm(folder / "softhsm")
        self.softhsm.initialise("a")
        self.signing = signing
        (folder / "pin").write_text(PIN)
        (folder / "pin").chmod(0o400)
        self.pin = FilePin(folder / "pin")
        self.record = b""

    async def prepare(self) -> None:
        """Make the key and seal the record."""
        slot = self.slot(self.softhsm.runtime)
        try:
            await slot.generate_kek("aes+hmac" if self.signing else "aes")
            self.record = await envelope.seal(slot, PLACE, PAYLOAD, os.urandom)
        finally:
            await slot.close()

    def slot(
        self,
        runtime: Path,
        plan: FaultPlan | None = None,
        *,
        timeout: float = 10.0,
        now: Callable[[], float] = time.monotonic,
    ) -> Pkcs11Slot:
        """A slot on the token; with a plan, its agent is spoiled by it."""
        spoiled = ("tests.hsm.faulty_program", str(plan.folder), SOFTHSM) if plan else ()
        return Pkcs11Slot(
            Pkcs11Settings(
                lib=SOFTHSM,
                pin=self.pin,
                name="a",
                token_label="a",
                key_label="kek",
                mechanism="AES_CBC_HMAC" if self.signing else "",
                timeout=timeout,
            ),
            chance=lambda: 0.0,
            directory=runtime,
            now=now,
            environment=self.softhsm.environment,
            program=(sys.executable, "-P", "-m", *spoiled, "hsm.agent"),
        )


async def row(function: str, folder: Path) -> dict[str, str]:
    """Outcomes of one function's faults, by column. Raises `AssertionError` for one that must never be."""
    token = Token(folder, signing=function in _SIGNING)
    await token.prepare()
    found = {}
    for column, fault in COLUMNS.items():
        if fault.kind == "wrong" and function not in faults.FALSIFIED:
            found[column] = NOTHING
            continue
        found[column] = await _cell(token, fault, function, folder / column.replace(" ", "-"))
    return found


async def _cell(token: Token, fault: Fault, function: str, folder: Path) -> str:
    """One fault from the agent's start on: what a request sees, and that it is over when the fault is."""
    plan = FaultPlan(folder / "plan")
    plan.put(_of(fault, function))
    slot = token.slot(folder / "run", plan, timeout=0.5 if fault.kind == "hang" else 10.0)
    made: list[bytes] = []
    began = time.monotonic()
    try:
        outcome = await _exercise(slot, token.record, made)
        assert time.monotonic() - began < _PATIENCE, f"{function}: no answer in time to {fault}"
        plan.put()
        after = ""
        for _ in range(_TRIES):
            after = await _exercise(slot, token.record, made)
            if after == WORKS:
                break
        assert after == WORKS, f"{function}: {after} after {fault}"
        for record in made:  # what was sealed while the fault lasted is sealed rightly
            assert await envelope.unseal(slot, PLACE, record) == PAYLOAD, f"{function}: {fault}"
    finally:
        await slot.close()
    return outcome


async def _exercise(slot: Pkcs11Slot, record: bytes, made: list[bytes]) -> str:
    try:
        found = await envelope.unseal(slot, PLACE, record)
        assert found == PAYLOAD, "a wrong key was given out"
        made.append(await envelope.seal(slot, PLACE, PAYLOAD, os.urandom))
    except HsmError as error:
        return WORDS[type(error)]
    return WORKS


async def called(folder: Path, *, signing: bool) -> set[str]:
    """Names of the functions that unsealing and sealing call."""
    token = Token(folder, signing=signing)
    await token.prepare()
    plan = FaultPlan(folder / "plan")
    plan.put()
    slot = token.slot(folder / "run", plan)
    try:
        assert await _exercise(slot, token.record, []) == WORKS
    finally:
        await slot.close()
    return plan.called()


def _of(fault: Fault, function: str) -> Fault:
    return Fault(
        function=function, kind=fault.kind, code=fault.code, seconds=fault.seconds, times=fault.times
    )


def heading() -> list[str]:
    """The table's first two lines."""
    return [f"| | {' | '.join(COLUMNS)} |", f"|---|{'---|' * len(COLUMNS)}"]


def line(function: str, found: dict[str, str]) -> str:
    """A row as the document has it."""
    return f"| `{function}` | {' | '.join(found[column] for column in COLUMNS)} |"


def main() -> int:
    """Print the table."""
    sys.stdout.write("\n".join([*heading(), ""]))
    for function in FUNCTIONS:
        folder = Path(tempfile.mkdtemp(prefix="coffre-faults-"))
        sys.stdout.write(line(function, asyncio.run(row(function, folder))) + "\n")
        sys.stdout.flush()
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
