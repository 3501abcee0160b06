# SPDX-License-Identifier: EUPL-1.2
"""Faults of a PKCS#11 module, as its callers see them, while the module itself is a real one.

A module's `CK_FUNCTION_LIST` is a table of pointers in writable memory. `install` puts a function of ours into each
entry; it counts the call, does what the plan says, or calls the real one. The plan is a file, so that a test changes
it while the process with the module runs, and counts go on over processes that die.
"""

import ctypes
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

import msgspec

# The order of the table (pkcs11f.h of PKCS#11 2.40) with each function's number of arguments.
_TABLE: Final = (
    "Initialize 1,Finalize 1,GetInfo 1,GetFunctionList 1,GetSlotList 3,GetSlotInfo 2,GetTokenInfo 2,"
    "GetMechanismList 3,GetMechanismInfo 3,InitToken 4,InitPIN 3,SetPIN 5,OpenSession 5,CloseSession 1,"
    "CloseAllSessions 1,GetSessionInfo 2,GetOperationState 3,SetOperationState 5,Login 4,Logout 1,CreateObject 4,"
    "CopyObject 5,DestroyObject 2,GetObjectSize 3,GetAttributeValue 4,SetAttributeValue 4,FindObjectsInit 3,"
    "FindObjects 4,FindObjectsFinal 1,EncryptInit 3,Encrypt 5,EncryptUpdate 5,EncryptFinal 3,DecryptInit 3,"
    "Decrypt 5,DecryptUpdate 5,DecryptFinal 3,DigestInit 2,Digest 5,DigestUpdate 3,DigestKey 2,DigestFinal 3,"
    "SignInit 3,Sign 5,SignUpdate 3,SignFinal 3,SignRecoverInit 3,SignRecover 5,VerifyInit 3,Verify 5,"
    "VerifyUpdate 3,VerifyFinal 3,VerifyRecoverInit 3,VerifyRecover 5,DigestEncryptUpdate 5,DecryptDigestUpdate 5,"
    "SignEncryptUpdate 5,DecryptVerifyUpdate 5,GenerateKey 5,GenerateKeyPair 8,WrapKey 6,UnwrapKey 8,DeriveKey 6,"
    "SeedRandom 3,GenerateRandom 3"
)
FUNCTIONS: Final = tuple(
    (f"C_{name}", int(count)) for name, count in (entry.split() for entry in _TABLE.split(","))
)
_FIRST_ENTRY: Final = 8
"""Bytes before the table: the version, padded to a pointer."""

OK: Final = 0
HOST_MEMORY, GENERAL_ERROR, FUNCTION_FAILED = 0x02, 0x05, 0x06
DEVICE_ERROR, DEVICE_MEMORY, DEVICE_REMOVED = 0x30, 0x31, 0x32
ENCRYPTED_DATA_INVALID = 0x40
KEY_HANDLE_INVALID, OBJECT_HANDLE_INVALID = 0x60, 0x82
KEY_FUNCTION_NOT_PERMITTED, MECHANISM_INVALID = 0x68, 0x70
OPERATION_ACTIVE, PIN_INCORRECT, PIN_LOCKED = 0x90, 0xA0, 0xA4
SESSION_COUNT, SESSION_HANDLE_INVALID = 0xB1, 0xB3
TOKEN_NOT_PRESENT, USER_NOT_LOGGED_IN = 0xE0, 0x101
VENDOR_ERROR = 0x80000042

HUGE: Final = 600 << 20
"""Bytes that a lie claims."""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """What one function does instead of its work. `logout` logs everybody out, then does the work;
    `late crash` does the work, and nobody hears of it; `says` does it, and answers with `code` where it fails;
    `huge` does the work of `C_GetAttributeValue`, and says that the first attribute has 600 MiB;
    `prints` writes the PIN of `C_Login` on both outputs, then does the work.
    """

    function: str
    kind: Literal["code", "says", "delay", "hang", "crash", "late crash", "wrong", "logout", "prints", "huge"]
    code: int = GENERAL_ERROR
    """The answer of `code` and `says`: a `CKR_…`."""
    seconds: float = 0.05
    """How long `delay` takes before it does the work."""
    times: int | None = None
    """How many calls it spoils, over all processes; None: every one."""
    every: int = 1
    """It spoils the calls whose number is a multiple of this."""


class FaultPlan:
    """The faults in force, and the calls counted, in a folder that both sides see."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._file = folder / "plan.json"
        self._seen: tuple[int, int] = (0, 0)
        self._faults: dict[str, Fault] = {}

    def put(self, *faults: Fault) -> None:
        """Replace what is in force; what was counted is forgotten."""
        for counted in self.folder.glob("count-*"):
            counted.unlink()
        new = self.folder / "plan.new"
        new.write_bytes(msgspec.json.encode(faults))
        os.replace(new, self._file)

    def calls(self, function: str) -> int:
        """How often a function was called since the last `put`, by all processes together."""
        return self._count(f"count-{function}")

    def faults(self) -> list[Fault]:
        """What is in force."""
        return msgspec.json.decode(self._file.read_bytes(), type=list[Fault])

    def reach(self, function: str) -> None:
        """Count a call that the module itself worked on (for the process with the module)."""
        self._add(f"reached-{function}")

    def reached(self, function: str) -> int:
        """How many calls the module itself worked on, since the folder was made."""
        return self._count(f"reached-{function}")

    def called(self) -> set[str]:
        """Names of the functions that the module worked on, since the folder was made."""
        return {path.name.removeprefix("reached-") for path in self.folder.glob("reached-*")}

    def take(self, function: str) -> Fault | None:
        """Count a call and return the fault that it meets, if any (for the process with the module)."""
        self._add(f"count-{function}")
        fault = self._current().get(function)
        if fault is not None and self._count(f"count-{function}") % fault.every:
            return None
        if fault is None or fault.times is None:
            return fault
        spoiled = f"count-spoiled-{function}"
        if self._count(spoiled) >= fault.times:
            return None
        self._add(spoiled)
        return fault

    def _current(self) -> dict[str, Fault]:
        try:
            stat = self._file.stat()
        except FileNotFoundError:
            return {}
        if (stat.st_ino, stat.st_mtime_ns) != self._seen:
            self._faults = {fault.function: fault for fault in self.faults()}
            self._seen = (stat.st_ino, stat.st_mtime_ns)
        return self._faults

    def _count(self, name: str) -> int:
        path = self.folder / name
        return path.stat().st_size if path.exists() else 0

    def _add(self, name: str) -> None:
        opened = os.open(self.folder / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(opened, b".")
        finally:
            os.close(opened)


FALSIFIED: Final = frozenset(
    {
        "C_GetSlotList",
        "C_GetTokenInfo",
        "C_OpenSession",
        "C_FindObjects",
        "C_GetAttributeValue",
        "C_Encrypt",
        "C_Decrypt",
        "C_Sign",
        "C_GenerateRandom",
    }
)
"""Functions whose answers `wrong` changes."""

_kept: list[object] = []  # what C code points to must outlive the call that made it
_real: dict[str, Callable[..., int]] = {}


def install(library: Path, plan: FaultPlan) -> None:
    """Make every function of the module at `library` ask `plan` first, in this process, for good."""
    module = ctypes.CDLL(str(library))
    table = ctypes.c_void_p()
    assert module.C_GetFunctionList(ctypes.byref(table)) == OK
    tables = {table.value, _newest_table(module)} - {None}
    for base in tables:
        for index, (name, count) in enumerate(FUNCTIONS):
            entry = ctypes.c_void_p.from_address(int(base or 0) + _FIRST_ENTRY + index * 8)
            if entry.value:
                entry.value = _wrapped(name, count, entry.value, plan)
    _kept.append(module)


def _newest_table(module: ctypes.CDLL) -> int | None:
    """The table of a module with interfaces (PKCS#11 3.0), which may be another; it starts with the same entries."""

    class Interface(ctypes.Structure):
        _fields_ = (("name", ctypes.c_char_p), ("table", ctypes.c_void_p), ("flags", ctypes.c_ulong))

    try:
        ask = module.C_GetInterface
    except AttributeError:
        return None
    found = ctypes.POINTER(Interface)()
    if ask(None, None, ctypes.byref(found), ctypes.c_ulong(0)) != OK:
        return None
    address: int | None = found.contents.table
    return address


def _wrapped(name: str, count: int, address: int, plan: FaultPlan) -> int:
    shape = ctypes.CFUNCTYPE(ctypes.c_ulong, *[ctypes.c_void_p] * count)
    real = shape(address)
    _real[name] = real

    def call(*arguments: int | None) -> int:
        def work(*given: int | None) -> int:
            answer = int(real(*given))
            if answer != SESSION_HANDLE_INVALID:  # which the module says before it looks at anything
                plan.reach(name)
            return answer

        fault = plan.take(name)
        return work(*arguments) if fault is None else _spoiled(fault, work, arguments)

    ours = shape(call)
    _kept.append(ours)
    pointer = ctypes.cast(ours, ctypes.c_void_p).value
    assert pointer is not None
    return pointer


def _spoiled(fault: Fault, real: Callable[..., int], arguments: tuple[int | None, ...]) -> int:
    if fault.kind == "code":
        return fault.code
    if fault.kind == "delay":
        time.sleep(fault.seconds)
        return int(real(*arguments))
    if fault.kind == "hang":
        time.sleep(3600)
    if fault.kind == "crash":
        signal.raise_signal(signal.SIGSEGV)  # in this very thread, so that nothing is answered any more
    if fault.kind == "prints":
        for descriptor in (1, 2):
            os.write(descriptor, ctypes.string_at(int(arguments[2] or 0), int(arguments[3] or 0)) + b"\n")
        return int(real(*arguments))
    if fault.kind == "logout":
        _real["C_Logout"](arguments[0])
        return int(real(*arguments))
    answer = int(real(*arguments))
    if fault.kind == "late crash":
        signal.raise_signal(signal.SIGSEGV)
    if fault.kind == "huge" and answer == OK:
        _number(int(arguments[2] or 0) + 16).value = HUGE
    elif fault.kind == "says":
        return fault.code if answer else OK
    elif answer == OK:
        _falsify(fault.function, arguments)
    return answer


def _falsify(function: str, arguments: tuple[int | None, ...]) -> None:
    """Change what the function wrote for its caller, as a broken device or a hostile library would."""
    if function in {"C_GetSlotList", "C_FindObjects"}:
        _number(arguments[-1]).value = 0
    elif function == "C_OpenSession":
        _number(arguments[-1]).value += 4711
    elif function in ("C_Encrypt", "C_Decrypt", "C_Sign"):
        _flip(arguments[3], 0)
    elif function == "C_GenerateRandom":
        ctypes.memset(int(arguments[1] or 0), 0, int(arguments[2] or 0))
    elif function == "C_GetTokenInfo":
        _flip(arguments[1], 0)  # the label
        _flip(arguments[1], 80)  # the serial number
    elif function == "C_GetAttributeValue":
        _flip(_number(int(arguments[2] or 0) + 8).value, 0)


def _number(address: int | None) -> ctypes.c_ulong:
    return ctypes.c_ulong.from_address(int(address or 0))


def _flip(address: int | None, offset: int) -> None:
    if address:
        ctypes.c_ubyte.from_address(address + offset).value ^= 1
