# SPDX-License-Identifier: EUPL-1.2
"""python-pkcs11's exceptions, turned into what to do about them.

They are flat, and what it has no class for is only a number in a text. Two modules disagree on the simplest
of all: for a wrong AES-GCM tag SoftHSM says `GeneralError`, openCryptoki `EncryptedDataInvalid`. So a general
error while decrypting is `UnclearFault` until something fresh was wrapped and unwrapped.
"""

from __future__ import annotations

import re
from typing import Final

import pkcs11

from hsm.errors import (
    BadConfig,
    HsmError,
    IntegrityError,
    KeyAmbiguous,
    KeyMissing,
    PinBlocked,
    SlotUnavailable,
)


class SessionLost(SlotUnavailable):
    """The session, the login or the handle is gone: open anew, log in once, try once more."""


class UnclearFault(HsmError):
    """Decrypting failed, and only a canary can tell whether the data or the device is at fault."""


_ENCRYPTED: Final = (pkcs11.EncryptedDataInvalid, pkcs11.EncryptedDataLenRange)
_DATA: Final = (
    *_ENCRYPTED,
    pkcs11.DataInvalid,
    pkcs11.DataLenRange,
)
_GENERAL: Final = (pkcs11.GeneralError, pkcs11.FunctionFailed)
_LOST: Final = (
    pkcs11.SessionHandleInvalid,
    pkcs11.SessionClosed,
    pkcs11.OperationActive,
    pkcs11.OperationNotInitialized,
    pkcs11.UserNotLoggedIn,
    pkcs11.ObjectHandleInvalid,
    pkcs11.KeyHandleInvalid,
)
_PIN: Final = {
    pkcs11.PinIncorrect: "the PIN is wrong",
    pkcs11.PinLocked: "the PIN is locked; the security officer must set it anew",
    pkcs11.PinExpired: "the PIN has expired; set a new one on the token",
    pkcs11.PinInvalid: "the token takes no such PIN",
    pkcs11.PinLenRange: "the PIN is too short or too long for the token",
    pkcs11.UserPinNotInitialized: "the token has no user PIN yet; initialise it",
}
_CONFIG: Final = (
    pkcs11.MechanismInvalid,
    pkcs11.MechanismParamInvalid,
    pkcs11.ArgumentsBad,
    pkcs11.KeyTypeInconsistent,
    pkcs11.KeySizeRange,
    pkcs11.TemplateInconsistent,
    pkcs11.TemplateIncomplete,
    pkcs11.AttributeReadOnly,
    pkcs11.AttributeTypeInvalid,
    pkcs11.AttributeValueInvalid,
    pkcs11.AttributeSensitive,
    pkcs11.DomainParamsInvalid,
    pkcs11.FunctionNotSupported,
    pkcs11.SessionReadOnly,
    pkcs11.TokenWriteProtected,
    pkcs11.RandomNoRNG,
    pkcs11.KeyUnextractable,
    pkcs11.KeyNotWrappable,
    AttributeError,
)
_NUMBER: Final = re.compile(r"0x([0-9a-f]+)", re.IGNORECASE)
_BY_NUMBER: Final[dict[int, type[HsmError]]] = {
    0x42: IntegrityError,  # CKR_AEAD_DECRYPT_FAILED
    0x68: BadConfig,  # CKR_KEY_FUNCTION_NOT_PERMITTED
    0x0A: BadConfig,  # CKR_CANT_LOCK
    0x1B: BadConfig,  # CKR_ACTION_PROHIBITED
}


def classify(error: Exception, doing: str, *, decrypting: bool = False) -> HsmError:
    """Return our error for one of python-pkcs11's; `doing` names token, key and operation.

    `decrypting` says that the token was working on data that somebody may have changed.
    """
    name = type(error).__name__
    number = _NUMBER.search(str(error)) if type(error) is pkcs11.PKCS11Error else None
    if number:
        name = f"0x{int(number[1], 16):X}"
        kind = _BY_NUMBER.get(int(number[1], 16), SlotUnavailable)
        if kind is IntegrityError and not decrypting:
            kind = SlotUnavailable
        return kind(f"{doing}: the module says {name}", ckr=name)
    for pin_error, said in _PIN.items():
        if isinstance(error, pin_error):
            return PinBlocked(f"{doing}: {said}", ckr=name)
    return _kind(error, decrypting=decrypting)(f"{doing}: the module says {name}", ckr=name)


def _kind(error: Exception, *, decrypting: bool) -> type[HsmError]:
    if isinstance(error, _DATA):
        if decrypting:
            return IntegrityError
        return SlotUnavailable if isinstance(error, _ENCRYPTED) else BadConfig
    if isinstance(error, _GENERAL):
        return UnclearFault if decrypting else SlotUnavailable
    if isinstance(error, _LOST):
        return SessionLost
    if isinstance(error, pkcs11.NoSuchKey):
        return KeyMissing
    if isinstance(error, (pkcs11.MultipleObjectsReturned, pkcs11.MultipleTokensReturned)):
        return KeyAmbiguous
    if isinstance(error, _CONFIG):
        return BadConfig
    return SlotUnavailable
