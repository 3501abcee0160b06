# SPDX-License-Identifier: EUPL-1.2
"""Every function of PKCS#11 that we call, against every way to fail: what whoever unseals or makes keys gets to see.

`python -m tests.hsm.fault_table` prints the table of docs/hsm.md; a test holds the document to it.
"""

import asyncio
import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import Final

import msgspec

from hsm import envelope, operations
from hsm.client.entropy import MixedEntropy
from hsm.client.oneshot import PROGRAM, check_value, import_key
from hsm.client.pkcs11_slot import Pkcs11Slot
from hsm.client.settings import Pkcs11Settings
from hsm.errors import (
    BadConfig,
    HsmError,
    IntegrityError,
    KeyAmbiguous,
    KeyMissing,
    PinBlocked,
    SlotUnavailable,
)
from hsm.key_slot import KeyIdentity, WrappedKey
from hsm.operations import Operation
from hsm.orders import CheckValue, ImportKek, TokenAccess
from hsm.pin import FilePin
from hsm.token_info import FINAL_TRY, LOCKED, WRONG_TRIED, WantedToken
from tests.house.tree import ROOT
from tests.hsm import faults
from tests.hsm.faults import Fault, FaultPlan
from tests.hsm.tokens import PIN, SOFTHSM, Contents, SoftHsm

PAYLOAD: Final = bytes(range(32))
PLACE: Final = envelope.RecordAddress(
    slot="a", purpose="root", cluster="cluster", namespace="root", path="seal/slot/a", root_version=1
)
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
_TIME: Final = 60.0
"""Seconds that an operation may take which does not hang."""
_HANGING: Final = 3.0
"""Seconds that making a key may take where it hangs."""
_PATIENCE: Final = 60.0
"""Seconds within which anything must be answered, on a busy machine; a fault that hangs lasts an hour."""

_SEALING: Final = (
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


_prepared: Final[dict[bool, tuple[Contents, bytes]]] = {}
"""A token of each kind, signing or not, with a record that it sealed."""


class Token:
    """A folder with a token and a record that it sealed, copied for each fault."""

    def __init__(self, folder: Path, *, signing: bool) -> None:
        self.softhsm = SoftHsm(folder / "softhsm")
        self.signing = signing
        (folder / "pin").write_text(PIN)
        (folder / "pin").chmod(0o400)
        self.pin = FilePin(folder / "pin")
        self.record = b""

    async def prepare(self) -> None:
        """Copy the token with its key and its record from the first one of this process."""
        if self.signing in _prepared:
            contents, self.record = _prepared[self.signing]
            self.softhsm.restore(contents)
            return
        self.softhsm.initialise("a")
        slot = self.slot(self.softhsm.runtime)
        try:
            await slot.generate_kek("aes+hmac" if self.signing else "aes")
            self.record = await envelope.seal(slot, PLACE, PAYLOAD, os.urandom)
        finally:
            await slot.close()
        _prepared[self.signing] = self.softhsm.contents(), self.record

    def slot(
        self,
        runtime: Path,
        plan: FaultPlan | None = None,
        *,
        timeout: float = _TIME,
        now: Callable[[], float] = time.monotonic,
        quick: bool = True,
    ) -> Pkcs11Slot:
        """A slot on the token; with a plan, its agent is spoiled by it, and `quick` to hash a PIN."""
        spoiled = ("tests.hsm.faulty_program", str(plan.folder), SOFTHSM) if plan else ()
        agent = "tests.hsm.quick_agent" if plan and quick else "hsm.agent"
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
            program=(sys.executable, "-P", "-m", *spoiled, agent),
        )


class Trial:
    """A slot on a token whose module a plan spoils, and what was sealed through it."""

    def __init__(self, token: Token, folder: Path, *, timeout: float = _TIME) -> None:
        self.token = token
        self.plan = FaultPlan(folder / "plan")
        self.runtime = folder / "run"
        self.timeout = timeout
        self.slot = token.slot(self.runtime, self.plan, timeout=timeout)
        self.patience = 60.0
        """Seconds that making a key may take."""
        self.made: list[bytes] = []

    async def outcome(self, work: Callable[["Trial"], Awaitable[object]]) -> str:
        """Do it, and say in a word what came of it."""
        try:
            await work(self)
        except HsmError as error:
            return WORDS[next(kind for kind in type(error).__mro__ if kind in WORDS)]
        return WORKS

    async def anew(self) -> None:
        """Close the slot, as a server that stops, and take another."""
        await self.slot.close()
        self.slot = self.token.slot(self.runtime, self.plan, timeout=self.timeout)

    def has_time(self) -> None:
        """Let what is to succeed from now on take as long as it does on a busy machine."""
        self.timeout = _TIME
        vars(self.slot)["settings"] = msgspec.structs.replace(self.slot.settings, timeout=self.timeout)

    def errand(self) -> tuple[TokenAccess, tuple[str, ...]]:
        """What `hsm.agent.oneshot` needs to reach the token, by way of the spoiled module."""
        variables = (f"SOFTHSM2_CONF={self.token.softhsm.configuration}", f"PYTHONPATH={ROOT}")
        spoiled = ("tests.hsm.faulty_program", str(self.plan.folder), SOFTHSM, PROGRAM[-1])
        place = TokenAccess(
            lib=SOFTHSM,
            wanted=WantedToken(label="a"),
            pin=self.token.pin.read().reveal(),
            runtime=str(self.runtime),
        )
        return place, ("env", *variables, sys.executable, "-P", "-m", *spoiled)


async def seal(trial: Trial) -> None:
    """Unseal what there is, and seal something."""
    found = await envelope.unseal(trial.slot, PLACE, trial.token.record)
    assert found == PAYLOAD, "a wrong key was given out"
    trial.made.append(await envelope.seal(trial.slot, PLACE, PAYLOAD, os.urandom))


async def _seal_and_stop(trial: Trial) -> None:
    await seal(trial)
    await trial.anew()


async def _make(trial: Trial) -> None:
    await trial.slot.generate_kek("aes", modifiable=True, seconds=trial.patience)


async def _make_in_vain(trial: Trial) -> None:
    """The second of two keys finds no room on the token, so the first is destroyed again."""
    spoiled = trial.plan.faults()
    trial.plan.put(
        *spoiled, Fault(function="C_GenerateKey", kind="code", code=faults.DEVICE_MEMORY, times=1, every=2)
    )
    try:
        with contextlib.suppress(SlotUnavailable):
            await trial.slot.generate_kek("aes+hmac", seconds=trial.patience)
            raise AssertionError("the token had room")
    finally:
        trial.plan.put(*spoiled)
    await seal(trial)


async def _make_pair(trial: Trial) -> None:
    label = f"pair-{os.urandom(4).hex()}"
    await trial.slot.generate_key_pair(label, b"v0001", "p256", seconds=trial.patience)


async def _retire(trial: Trial) -> None:
    made = await trial.slot.generate_kek("aes", modifiable=True, seconds=trial.patience)
    await trial.slot.retire(made.version)


async def _import(trial: Trial) -> None:
    place, program = trial.errand()
    task = ImportKek("imported", os.urandom(32))
    await asyncio.to_thread(import_key, place, task, seconds=trial.patience, program=program)


async def _mix(trial: Trial) -> None:
    """What the server makes keys of; without the token's randomness it refuses here, and does without elsewhere."""
    mixed = MixedEntropy(os.urandom, trial.slot.random, policy="require")
    assert len({await mixed.random(32) for _ in range(2)}) == 2


WORK: Final[dict[str, Callable[[Trial], Awaitable[object]]]] = {
    **dict.fromkeys(_SEALING, seal),
    "C_CloseSession": _make,
    "C_Finalize": _seal_and_stop,
    "C_GenerateRandom": _mix,
    "C_GenerateKey": _make,
    "C_GenerateKeyPair": _make_pair,
    "C_SetAttributeValue": _retire,
    "C_CreateObject": _import,
    "C_DestroyObject": _make_in_vain,
}
"""What is done to see the fault of a function. A test makes sure that we call no other."""
FUNCTIONS: Final = tuple(WORK)


async def row(function: str, folder: Path, columns: Collection[str] = tuple(COLUMNS)) -> dict[str, str]:
    """Outcomes of one function's faults, by column. Raises `AssertionError` for one that must never be."""
    token = Token(folder, signing=function in _SIGNING)
    await token.prepare()
    found = {}
    for column in columns:
        fault = COLUMNS[column]
        if fault.kind == "wrong" and function not in faults.FALSIFIED:
            found[column] = NOTHING
            continue
        found[column] = await _cell(token, fault, function, folder / column.replace(" ", "-"))
    return found


async def _cell(token: Token, fault: Fault, function: str, folder: Path) -> str:
    """One fault from the agent's start on: what a request sees, and that it is over when the fault is."""
    trial = Trial(token, folder, timeout=1.0 if fault.kind == "hang" else _TIME)
    trial.plan.put(_of(fault, function))
    began = time.monotonic()
    try:
        if fault.kind == "hang":
            trial.patience = _HANGING
        outcome = await trial.outcome(WORK[function])
        trial.has_time()
        assert time.monotonic() - began < _PATIENCE, f"{function}: no answer in time to {fault}"
        trial.plan.put()
        trial.patience = 60.0
        await _heals(trial, WORK[function])
        await _heals(trial, seal)
        for record in trial.made:  # what was sealed while the fault lasted is sealed rightly
            assert await envelope.unseal(trial.slot, PLACE, record) == PAYLOAD, f"{function}: {fault}"
        flags = [one.flags for one in await trial.slot.list_tokens()]
        assert not any(one & (WRONG_TRIED | FINAL_TRY | LOCKED) for one in flags), f"{function}: {fault}"
        assert not list(trial.runtime.glob("pin-refused-*")), f"{function}: {fault} was taken for a wrong PIN"
    finally:
        await trial.slot.close()
    return outcome


async def _heals(trial: Trial, work: Callable[[Trial], Awaitable[object]]) -> None:
    outcome = ""
    for _ in range(_TRIES):
        outcome = await trial.outcome(work)
        if outcome == WORKS:
            return
    raise AssertionError(f"{outcome} after the fault")


async def tries_of_a_wrong_pin(fault: Fault, folder: Path) -> int:
    """How often the token itself gets a wrong PIN: of a server, of the same when the fault is over, of a second one.

    The right one works afterwards.
    """
    token = Token(folder, signing=False)
    await token.prepare()
    right = token.pin
    (folder / "wrong").write_text("not-the-pin")
    (folder / "wrong").chmod(0o400)
    token.pin = FilePin(folder / "wrong")
    trial = Trial(token, folder / "trial", timeout=1.0 if fault.kind == "hang" else _TIME)
    trial.plan.put(fault)
    try:
        outcomes = {await trial.outcome(seal) for _ in range(3)}
        trial.plan.put()
        outcomes |= {await trial.outcome(seal) for _ in range(3)}
        await trial.anew()
        outcomes |= {await trial.outcome(seal) for _ in range(2)}
        assert outcomes <= set(WORDS.values()), outcomes
        tries = trial.plan.reached("C_Login")
        token.pin = right
        trial.has_time()
        await trial.anew()
        await _heals(trial, seal)
    finally:
        await trial.slot.close()
    return tries


async def called(folder: Path) -> set[str]:
    """Names of the functions that everything calls that an agent can be asked for, and every errand."""
    found: set[str] = set()
    for signing in (False, True):
        token = Token(folder / str(signing), signing=signing)
        await token.prepare()
        trial = Trial(token, token.softhsm.folder / "trial")
        trial.plan.put()
        for work in (seal,) if signing else (*dict.fromkeys(WORK.values()), _ask_everything, _check):
            assert await trial.outcome(work) == WORKS
        await trial.slot.close()
        found |= trial.plan.called()
    return found


async def _check(trial: Trial) -> None:
    place, program = trial.errand()
    await asyncio.to_thread(check_value, place, CheckValue("imported", "v0001"), seconds=30, program=program)


async def _ask_everything(trial: Trial) -> None:
    made = await trial.slot.generate_kek("aes", modifiable=True, seconds=trial.patience)
    label, version = trial.slot.settings.key_label, made.version.encode()
    sealed = await trial.slot._client.ask(operations.Encrypt(label, version, PAYLOAD, b""), bytes, 60.0)
    for operation, kind in everything(await trial.slot.wrap(PAYLOAD), made.version, label, sealed):
        await trial.slot._client.ask(operation, kind, 60.0)


def everything(
    wrapped: WrappedKey, version: str, label: str, sealed: bytes
) -> list[tuple[Operation, type[object]]]:
    """One of each operation that an agent can be asked for, with the type of its answer; a test makes sure that none is left out.

    `sealed` was encrypted by the AES key that has the label and the version.
    """
    key_id = version.encode()
    return [
        (operations.Wrap(PAYLOAD), WrappedKey),
        (operations.Identify(), KeyIdentity),
        (operations.Unwrap(wrapped), bytes),
        (operations.Probe(), operations.ProbeResult),
        (operations.Random(32), bytes),
        (operations.GenerateKeyPair("all", b"v0001", "p256"), bytes),
        (operations.PublicKey("all", None), operations.PublicHalf),
        (operations.Sign("all", b"v0001", "ECDSA", bytes(32)), bytes),
        (operations.SecretKey(label, key_id), operations.SecretKeyInfo),
        (operations.Encrypt(label, key_id, PAYLOAD, b""), bytes),
        (operations.Decrypt(label, key_id, "AES_GCM", sealed), bytes),
        (operations.GenerateKek("aes", modifiable=True), operations.KeyVersion),
        (operations.Keys(), list[operations.KeyVersion]),
        (operations.Retire(version), type(None)),
        (operations.ListTokens(), list[operations.TokenInfo]),
    ]


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
    """Print the table, or the rows of the functions that are named."""
    sys.stdout.write("\n".join([*heading(), ""]))
    for function in sys.argv[1:] or FUNCTIONS:
        folder = Path(tempfile.mkdtemp(prefix="coffre-faults-"))
        sys.stdout.write(line(function, asyncio.run(row(function, folder))) + "\n")
        sys.stdout.flush()
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
