# SPDX-License-Identifier: EUPL-1.2
"""python-pkcs11's exceptions by what to do about them, one by one."""

import pkcs11
import pkcs11.exceptions
import pytest

from hsm.agent.session.exceptions import SessionLost, UnclearFault, classify
from hsm.errors import (
    BadConfig,
    HsmError,
    IntegrityError,
    KeyAmbiguous,
    KeyMissing,
    PinBlocked,
    SlotUnavailable,
)

_TABLE: list[tuple[type[HsmError], str]] = [
    (
        SessionLost,
        "SessionHandleInvalid SessionClosed OperationActive OperationNotInitialized UserNotLoggedIn",
    ),
    (SessionLost, "ObjectHandleInvalid KeyHandleInvalid"),
    (
        SlotUnavailable,
        "DeviceError DeviceRemoved DeviceMemory TokenNotPresent TokenNotRecognised NoSuchToken",
    ),
    (SlotUnavailable, "GeneralError FunctionFailed HostMemory SessionCount FunctionCancelled"),
    (SlotUnavailable, "EncryptedDataInvalid EncryptedDataLenRange"),
    (KeyMissing, "NoSuchKey"),
    (KeyAmbiguous, "MultipleObjectsReturned MultipleTokensReturned"),
    (PinBlocked, "PinIncorrect PinLocked PinExpired PinInvalid PinLenRange UserPinNotInitialized"),
    (
        BadConfig,
        "MechanismInvalid MechanismParamInvalid ArgumentsBad KeyTypeInconsistent TemplateInconsistent",
    ),
    (
        BadConfig,
        "DataInvalid DataLenRange KeySizeRange AttributeReadOnly FunctionNotSupported SessionReadOnly",
    ),
]
_ROWS = [(kind, name) for kind, names in _TABLE for name in names.split()]


@pytest.mark.parametrize(("kind", "name"), _ROWS, ids=[name for _, name in _ROWS])
def test_an_exception_becomes_what_to_do(kind: type[HsmError], name: str) -> None:
    found = classify(getattr(pkcs11.exceptions, name)(), "token a, key kek: wrap")
    assert type(found) is kind
    assert found.ckr == name
    assert str(found).startswith("token a, key kek: wrap: ")


@pytest.mark.parametrize(
    "name", ["EncryptedDataInvalid", "EncryptedDataLenRange", "DataInvalid", "DataLenRange"]
)
def test_bad_data_while_decrypting_is_an_integrity_error(name: str) -> None:
    assert type(classify(getattr(pkcs11, name)(), "", decrypting=True)) is IntegrityError


@pytest.mark.parametrize("name", ["GeneralError", "FunctionFailed"])
def test_a_general_error_while_decrypting_is_undecided(name: str) -> None:
    assert type(classify(getattr(pkcs11, name)(), "", decrypting=True)) is UnclearFault


@pytest.mark.parametrize(
    ("text", "decrypting", "kind"),
    [
        ("Unmapped error code 0x42", True, IntegrityError),
        ("Unmapped error code 0x42", False, SlotUnavailable),
        ("Unmapped error code 0x68", True, BadConfig),
        ("Unmapped error code 0x1b", False, BadConfig),
        ("Unmapped error code 0xa", False, BadConfig),
        ("Unmapped error code 0x1a0", False, SlotUnavailable),
        ("Unmapped error code 0x80000042", True, SlotUnavailable),
        ("Initialisation error (not initialized). Should never see this.", False, SlotUnavailable),
    ],
)
def test_a_code_without_a_class_is_read_from_the_text(
    text: str, *, decrypting: bool, kind: type[HsmError]
) -> None:
    assert type(classify(pkcs11.PKCS11Error(text), "", decrypting=decrypting)) is kind


def test_a_key_without_the_method_is_a_matter_of_configuration() -> None:
    assert type(classify(AttributeError("encrypt"), "")) is BadConfig


def test_every_exception_of_the_library_has_a_kind() -> None:
    for found in vars(pkcs11.exceptions).values():
        if isinstance(found, type) and issubclass(found, pkcs11.PKCS11Error):
            assert isinstance(classify(found(), "wrap"), HsmError)
