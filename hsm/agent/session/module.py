# SPDX-License-Identifier: EUPL-1.2
"""Loading a PKCS#11 module so that threads may use it.

python-pkcs11 calls `C_Initialize(NULL)`, which promises the module that one thread at a time will call it, and
then releases the interpreter's lock in every call. SoftHSM crashes on that. Here the module is initialised with
`CKF_OS_LOCKING_OK`, through the function list alone: some modules export `C_GetFunctionList` and nothing else.
"""

from __future__ import annotations

import ctypes
from ctypes import byref, c_char_p, c_ubyte, c_ulong, c_void_p
from typing import Final

import pkcs11
from pkcs11 import _pkcs11

from hsm.errors import BadConfig
from hsm.pin import Pin

_OS_LOCKING_OK: Final = 2
_ALREADY_INITIALIZED: Final = 0x191
_USER: Final = 1
_LOGIN_ERRORS: Final[dict[int, type[pkcs11.PKCS11Error]]] = {
    0x02: pkcs11.HostMemory,
    0x05: pkcs11.GeneralError,
    0x06: pkcs11.FunctionFailed,
    0x07: pkcs11.ArgumentsBad,
    0x30: pkcs11.DeviceError,
    0x31: pkcs11.DeviceMemory,
    0x32: pkcs11.DeviceRemoved,
    0xA0: pkcs11.PinIncorrect,
    0xA1: pkcs11.PinInvalid,
    0xA2: pkcs11.PinLenRange,
    0xA3: pkcs11.PinExpired,
    0xA4: pkcs11.PinLocked,
    0xB0: pkcs11.SessionClosed,
    0xB3: pkcs11.SessionHandleInvalid,
    0xE0: pkcs11.TokenNotPresent,
    0xE1: pkcs11.TokenNotRecognised,
    0x100: pkcs11.UserAlreadyLoggedIn,
    0x102: pkcs11.UserPinNotInitialized,
}


class _InitializeArguments(ctypes.Structure):
    """`CK_C_INITIALIZE_ARGS`, with NSS's parameter string before the reserved pointer (NULL elsewhere)."""

    _fields_ = (
        ("create_mutex", c_void_p),
        ("destroy_mutex", c_void_p),
        ("lock_mutex", c_void_p),
        ("unlock_mutex", c_void_p),
        ("flags", c_ulong),
        ("library_parameters", c_char_p),
        ("reserved", c_void_p),
    )


class _FunctionList(ctypes.Structure):
    """The head of `CK_FUNCTION_LIST` (PKCS#11 v2.40 §5), as far as `C_Logout`."""

    _fields_ = (("version", c_ubyte * 2), ("functions", c_void_p * 20))


_INITIALIZE: Final = 0
_FINALIZE: Final = 1
_LOGIN: Final = 18

_keep: Final[list[object]] = []
"""Modules that were loaded, for the life of the process: python-pkcs11 complains when it lets go of one."""


class _Library(_pkcs11.lib):
    """python-pkcs11's view of a module that is initialised already."""

    def initialize(self) -> None:
        """Do nothing; the base class calls this while it is being built."""


class Module:
    """One loaded and initialised module. Make it with `load`."""

    def __init__(self, path: str, parameters: bytes = b"") -> None:
        self._code = ctypes.CDLL(path)
        self._functions = ctypes.POINTER(_FunctionList)()
        if self._code.C_GetFunctionList(byref(self._functions)):
            raise pkcs11.FunctionFailed
        arguments = _InitializeArguments(flags=_OS_LOCKING_OK, library_parameters=parameters or None)
        code = self._call(_INITIALIZE, c_void_p(ctypes.addressof(arguments)))
        if code not in {0, _ALREADY_INITIALIZED}:
            raise pkcs11.PKCS11Error(f"C_Initialize failed with 0x{code:x}")
        self._library = _Library(path)
        _keep.append(self._library)

    def slots(self) -> list[pkcs11.Slot]:
        """Return all slots, with and without a token. Raises python-pkcs11's exceptions."""
        return self._library.get_slots()

    @property
    def description(self) -> str:
        """Manufacturer and description of the module, as it gives them."""
        return f"{self._library.manufacturer_id} {self._library.library_description}".strip()

    def login(self, session: pkcs11.Session, pin: Pin) -> None:
        """Log the user in through `session`, which a later `close` then closes without logging out.

        python-pkcs11's own way ties the login to the session's object: closing that logs everybody out.
        Raises python-pkcs11's exceptions; `UserAlreadyLoggedIn` among them.
        """
        secret = pin.reveal()
        buffer = ctypes.create_string_buffer(secret, len(secret))
        try:
            handle = c_ulong(session.handle)  # type: ignore[attr-defined]  # its stub forgets the handle
            code = self._call(_LOGIN, handle, c_ulong(_USER), buffer, c_ulong(len(secret)))
        finally:
            ctypes.memset(buffer, 0, len(secret))
        if code:
            known = _LOGIN_ERRORS.get(code)
            raise known() if known else pkcs11.PKCS11Error(f"Unmapped error code 0x{code:x}")

    def finish(self) -> None:
        """Call `C_Finalize`: every session is gone, and only a new `initialize` makes the module work again."""
        self._call(_FINALIZE, None)

    def _call(self, index: int, *arguments: object) -> int:
        """Call an entry of the function list, whatever it points to now."""
        prototype = ctypes.CFUNCTYPE(c_ulong, *(_kind(argument) for argument in arguments))
        return int(prototype(self._functions.contents.functions[index])(*arguments))


def load(path: str, parameters: str = "") -> Module:
    """Load and initialise the module at `path`; `parameters` is for NSS.

    Raises `BadConfig` when there is no such module, and python-pkcs11's exceptions for what it answers.
    """
    try:
        return Module(path, parameters.encode())
    except (OSError, AttributeError) as error:
        raise BadConfig(f"lib {path}: is no PKCS#11 module that this machine can load: {error}") from error


def _kind(argument: object) -> type:
    return c_ulong if isinstance(argument, c_ulong) else c_void_p
