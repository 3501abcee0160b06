# SPDX-License-Identifier: EUPL-1.2
"""Finding one token among a module's slots, and what it says of itself."""

from __future__ import annotations

from typing import Final

import pkcs11

from hsm.agent.session.exceptions import classify
from hsm.agent.session.module import Module
from hsm.agent.session.quirks import Quirks, quirks_of
from hsm.errors import KeyAmbiguous, SlotUnavailable
from hsm.token_info import TokenInfo, WantedToken

_INITIALIZED: Final = 0x400


def serial_of(token: pkcs11.Token) -> str:
    """Return the serial number as text: python-pkcs11 has it as bytes, and a `str` matches none of them."""
    return token.serial.decode("utf-8", "replace").strip("\0 ")


def present(module: Module) -> list[pkcs11.Token]:
    """Return all initialised tokens. Raises python-pkcs11's exceptions."""
    found = []
    for slot in module.slots():
        try:
            token = slot.get_token()
        except (pkcs11.TokenNotPresent, pkcs11.TokenNotRecognised):
            continue
        if token.flags & _INITIALIZED:
            found.append(token)
    return found


def find(module: Module, wanted: WantedToken) -> pkcs11.Token:
    """Return the one token that is wanted.

    Raises `SlotUnavailable` when it is not there, and `KeyAmbiguous` when two could be meant.
    """
    try:
        tokens = present(module)
    except pkcs11.PKCS11Error as error:
        raise classify(error, f"{wanted}: listing slots") from error
    matching = [token for token in tokens if _matches(wanted, token)]
    if len(matching) > 1:
        matching = [token for token in matching if _slot(token) == wanted.slot] or matching
    if len(matching) == 1:
        return matching[0]
    if matching:
        serials = ", ".join(serial_of(token) for token in matching)
        raise KeyAmbiguous(f"{wanted}: there is more than one (serials {serials}); set token_serial")
    seen = ", ".join(f"{token.label.strip()} (serial {serial_of(token)})" for token in tokens) or "none"
    raise SlotUnavailable(f"{wanted}: not present; the module shows {seen}", ckr="NoSuchToken")


def flags_now(token: pkcs11.Token) -> int:
    """Ask a token for its `CKF_…` again: it tells there what has become of its PIN. Raises python-pkcs11's exceptions."""
    return int(token.slot.get_token().flags)


def info_of(token: pkcs11.Token) -> TokenInfo:
    """Read what the token says of itself. Raises python-pkcs11's exceptions."""
    mechanisms = token.slot.get_mechanisms()
    return TokenInfo(
        slot=_slot(token),
        label=token.label.strip(),
        serial=serial_of(token),
        manufacturer=token.manufacturer_id.strip(),
        model=token.model.strip(),
        firmware=".".join(map(str, token.firmware_version)),
        flags=int(token.flags),
        mechanisms=tuple(sorted(getattr(m, "name", hex(m)) for m in mechanisms)),
        software=quirks(token).software,
    )


def quirks(token: pkcs11.Token) -> Quirks:
    """Return what is known of this product."""
    return quirks_of(token.manufacturer_id.strip(), token.model.strip())


def _slot(token: pkcs11.Token) -> int:
    return int(token.slot.slot_id)


def _matches(wanted: WantedToken, token: pkcs11.Token) -> bool:
    """Tell whether `token` bears the wanted names, or sits in the wanted slot if no name is wanted."""
    if not (wanted.serial or wanted.label):
        return _slot(token) == wanted.slot
    return wanted.serial in {"", serial_of(token)} and wanted.label in {"", token.label.strip()}
