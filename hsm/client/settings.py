# SPDX-License-Identifier: EUPL-1.2
"""What a stanza `seal "pkcs11"` says, checked. Names and aliases are OpenBao's; a few are ours."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Final

import msgspec

from hsm.errors import BadConfig
from hsm.pin import PinSource, pin_source

MECHANISMS: Final = ("AES_GCM", "RSA_PKCS_OAEP", "AES_CBC_HMAC")
"""Ways to wrap; `AES_CBC_HMAC` is `CKM_AES_CBC_PAD`, then `CKM_SHA256_HMAC` over IV and ciphertext."""
OAEP_HASHES: Final = ("sha256", "sha384", "sha512", "sha1")

_NUMBERS: Final = {0x1087: "AES_GCM", 0x0009: "RSA_PKCS_OAEP"}
_ALIASES: Final = {"module": "lib", "token": "token_label", "label": "key_label"}
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m)?")
_UNITS: Final = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0}
_LARGEST_SLOT: Final = (1 << 64) - 1


class Pkcs11Settings(msgspec.Struct, frozen=True, kw_only=True):
    """One key slot on a PKCS#11 token. Raises `BadConfig` when built with values that cannot work."""

    lib: str
    """Path of the PKCS#11 module."""
    pin: PinSource
    name: str = "default"
    """The key slot's own name, unique within the seal."""
    priority: int = 1
    """Slots are asked in this order, lowest first."""
    slot: int | None = None
    """PKCS#11 slot number (64 bits); used only where neither label nor serial number is given."""
    token_label: str = ""
    token_serial: str = ""
    key_label: str = ""
    key_id: bytes = b""
    """`CKA_ID` of the version that wraps; empty for the newest."""
    mechanism: str = ""
    """One of `MECHANISMS`; empty to choose by what the token and the key can do."""
    rsa_oaep_hash: str = "sha256"
    timeout: float = 2.0
    """Seconds that one operation may take before the agent is killed."""
    max_sessions: int = 4
    """How many operations run at once; a session is open for each, and one more holds the login."""
    library_parameters: str = ""
    """What `C_Initialize` gets as NSS's parameter string; empty for every other module."""
    force_pin_final_try: bool = False
    """Log in although the token says that one more wrong PIN locks it."""

    def __post_init__(self) -> None:
        for wrong, problem in (
            (not self.lib.startswith("/"), "lib: must be the absolute path of a PKCS#11 module"),
            ("spy" in self.lib.rsplit("/", 1)[-1].lower(), "lib: a spy module writes the PIN into its log"),
            (not self.name, "name: must not be empty"),
            (
                not (self.token_label or self.token_serial) and self.slot is None,
                "token_label: name the token by token_label or token_serial (or, as a last resort, by slot)",
            ),
            (self.slot is not None and not 0 <= self.slot <= _LARGEST_SLOT, "slot: must fit 64 bits"),
            (not self.key_label and not self.key_id, "key_label: name the key that wraps"),
            (
                self.mechanism not in {"", *MECHANISMS},
                f"mechanism: must be one of {', '.join(MECHANISMS)}, or empty to choose",
            ),
            (
                self.rsa_oaep_hash not in OAEP_HASHES,
                f"rsa_oaep_hash: must be one of {', '.join(OAEP_HASHES)}",
            ),
            (
                not (math.isfinite(self.timeout) and 0.05 <= self.timeout <= 300),
                "timeout: must be between 50ms and 300s",
            ),
            (not 1 <= self.max_sessions <= 128, "max_sessions: must be between 1 and 128"),
        ):
            if wrong:
                raise BadConfig(f'seal "pkcs11" {self.name or "?"}: {problem}')


def settings_from(
    stanza: Mapping[str, str | int | float | bool],
    *,
    literal_pin: bool,
    environment: Mapping[str, str] | None = None,
) -> Pkcs11Settings:
    """Read a stanza whose values are as the configuration file has them; unknown keys are errors.

    `literal_pin` and `environment` are as in `hsm.pin.pin_source`. Raises `BadConfig` naming key and fix.
    """
    values: dict[str, object] = {}
    for key, value in stanza.items():
        field = _ALIASES.get(key, key)
        if field not in _READERS:
            raise BadConfig(f'seal "pkcs11": {key}: is not a setting; check the spelling')
        if field in values:
            raise BadConfig(f'seal "pkcs11": {key}: is given twice, once as {field}; keep one')
        values[field] = _READERS[field](key, str(value))
    for field in ("lib", "pin"):
        if field not in values:
            raise BadConfig(f'seal "pkcs11": {field}: is missing')
    values["pin"] = pin_source(str(stanza["pin"]), literal=literal_pin, environment=environment)
    return Pkcs11Settings(**values)  # type: ignore[arg-type]  # each reader gives its field's type


def slot_number(key: str, text: str) -> int:
    """Read a slot number, decimal or `0x…`. Raises `BadConfig` naming `key`."""
    try:
        return int(text, 16) if text.lower().startswith("0x") else int(text, 10)
    except ValueError:
        raise BadConfig(f'seal "pkcs11": {key}: must be a number, decimal or 0x…') from None


def key_id(key: str, text: str) -> bytes:
    """Read a `CKA_ID` in hexadecimal, with or without `0x`. Raises `BadConfig` naming `key`."""
    digits = text[2:] if text.lower().startswith("0x") else text
    if len(digits) % 2 or not re.fullmatch(r"[0-9A-Fa-f]*", digits):
        raise BadConfig(f'seal "pkcs11": {key}: must be an even number of hexadecimal digits')
    return bytes.fromhex(digits)


def _mechanism(key: str, text: str) -> str:
    """Read a mechanism's name, with or without `CKM_`, or its number."""
    if re.fullmatch(r"0[xX][0-9A-Fa-f]+|\d+", text):
        number = slot_number(key, text)
        if number not in _NUMBERS:
            raise BadConfig(f'seal "pkcs11": {key}: must be one of {", ".join(MECHANISMS)}')
        return _NUMBERS[number]
    return text.upper().removeprefix("CKM_")


def _seconds(key: str, text: str) -> float:
    match = _DURATION.fullmatch(text)
    if match is None:
        raise BadConfig(f'seal "pkcs11": {key}: must be a duration like 2s or 500ms')
    return float(match[1]) * _UNITS[match[2] or ""]


def _whole(key: str, text: str) -> int:
    if not re.fullmatch(r"-?\d{1,9}", text):
        raise BadConfig(f'seal "pkcs11": {key}: must be a whole number')
    return int(text)


def _boolean(key: str, text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise BadConfig(f'seal "pkcs11": {key}: must be true or false')
    return text.lower() == "true"


def _text(_key: str, text: str) -> str:
    return text


def _hash(_key: str, text: str) -> str:
    return text.lower().replace("-", "")


_READERS: Final = {
    "lib": _text,
    "pin": _text,
    "name": _text,
    "priority": _whole,
    "slot": slot_number,
    "token_label": _text,
    "token_serial": _text,
    "key_label": _text,
    "key_id": key_id,
    "mechanism": _mechanism,
    "rsa_oaep_hash": _hash,
    "timeout": _seconds,
    "max_sessions": _whole,
    "library_parameters": _text,
    "force_pin_final_try": _boolean,
}
