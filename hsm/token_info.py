# SPDX-License-Identifier: EUPL-1.2
"""Which token is wanted, and what a token says of itself, as it is shown. Nothing here touches a token."""

from __future__ import annotations

from typing import Final

import msgspec

WRONG_TRIED: Final = 0x10000
"""`CKF_USER_PIN_COUNT_LOW`: a wrong PIN was tried since the last login that worked."""
FINAL_TRY: Final = 0x20000
LOCKED: Final = 0x40000
FLAG_WORDS: Final = {
    0x00002: "write-protected",
    0x00100: "PIN pad",
    WRONG_TRIED: "a wrong PIN was tried",
    FINAL_TRY: "one more wrong PIN locks it",
    LOCKED: "PIN locked",
    0x80000: "PIN to be changed",
}


class WantedToken(msgspec.Struct, frozen=True, kw_only=True):
    """Which token: by serial number and label, or by slot where neither is given."""

    serial: str = ""
    label: str = ""
    slot: int | None = None

    def __str__(self) -> str:
        named = [
            f"{what} {value}" for what, value in (("label", self.label), ("serial", self.serial)) if value
        ]
        return f"token with {' and '.join(named)}" if named else f"token in slot {self.slot}"


class TokenInfo(msgspec.Struct, frozen=True, kw_only=True):
    """`CK_TOKEN_INFO` and the mechanisms of a token; all of it may be shown."""

    slot: int
    label: str
    serial: str
    manufacturer: str
    model: str
    firmware: str
    flags: int
    mechanisms: tuple[str, ...]
    """Names without `CKM_`, or numbers; sorted."""
    software: bool

    @property
    def words(self) -> tuple[str, ...]:
        """The flags that an operator should know of, in words."""
        return tuple(word for bit, word in FLAG_WORDS.items() if self.flags & bit)

    @property
    def description(self) -> str:
        """Manufacturer, model, serial number and label."""
        return f"{self.manufacturer} {self.model}, serial {self.serial}, label {self.label}"
