# SPDX-License-Identifier: EUPL-1.2
"""Configs and keys of the plugin `pkcs11`, checked. Fields and their forms are those of OpenBao's plugin.

A client names a module by an alias that the operator configured, never by a path: choosing a module means choosing
code that runs on the server.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from hsm.client.signers import OAEP_HASHES, Mechanism
from vault.framework.errors import Malformed
from vault.framework.fields import Json

_CONFIG: Final = frozenset({"lib", "slot", "serial", "token_label", "pin", "disable_software_encryption"})
_KEY: Final = frozenset({"label", "id", "mechanism", "rsa_oaep_hash"})
_LONGEST: Final = 255
"""Characters in a field: no label, serial number or PIN of PKCS#11 is longer."""
_SOURCES: Final = ("file://", "env://", "credential://")
_LARGEST_SLOT: Final = (1 << 64) - 1
_NUMBER: Final = re.compile(r"0[xX][0-9a-fA-F]{1,16}|[0-9]{1,20}")
_HEXADECIMAL: Final = re.compile(r"(?:0[xX])?((?:[0-9a-fA-F]{2})+)")
_NUMBERS: Final = {
    0x0001: Mechanism.RSA_PKCS,
    0x0009: Mechanism.RSA_PKCS_OAEP,
    0x000D: Mechanism.RSA_PKCS_PSS,
    0x1041: Mechanism.ECDSA,
    0x1057: Mechanism.EDDSA,
    0x1087: Mechanism.AES_GCM,
}


_USUAL_OAEP: Final = "sha256"


class TokenConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A token, its module, and its PIN."""

    lib: str
    """Path of the module."""
    slot: int | None
    serial: str
    label: str
    pin: bytes

    def __repr__(self) -> str:
        """Name the token without its PIN."""
        return f"<Token {self.label or self.serial or self.slot} of {self.lib}>"


class TokenKeyConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Which key of a token. `key_id` None is whatever id the label has, `mechanism` None any."""

    label: str
    key_id: bytes | None
    mechanism: Mechanism | None
    oaep_hash: str = _USUAL_OAEP
    """Of RSA-OAEP: the hash, also of its mask."""


def read_token(config: Mapping[str, Json], modules: Mapping[str, str]) -> TokenConfig:
    """Read a config; `modules` are the paths by alias. Raises `Malformed` that names the field."""
    fields = _texts(config, _CONFIG)
    for required in ("lib", "pin"):
        if not fields.get(required):
            raise Malformed(f"missing required parameter '{required}'")
    if not any(fields.get(name) for name in ("slot", "serial", "token_label")):
        raise Malformed("one of 'slot', 'serial' and 'token_label' is required")
    if fields["pin"].startswith(_SOURCES):
        raise Malformed("parameter 'pin' must be the PIN itself: nothing of the server is read for a client")
    path = modules.get(fields["lib"])
    if path is None:
        known = ", ".join(sorted(modules)) or "none is set"
        raise Malformed(f"parameter 'lib' must be an alias that the server's operator set: {known}")
    slot = _number("slot", fields["slot"]) if fields.get("slot") else None
    if slot is not None and slot > _LARGEST_SLOT:
        raise Malformed("parameter 'slot' must fit 64 bits")
    return TokenConfig(
        lib=path,
        slot=slot,
        serial=fields.get("serial", ""),
        label=fields.get("token_label", ""),
        pin=fields["pin"].encode(),
    )


def read_key(key: Mapping[str, Json]) -> TokenKeyConfig:
    """Read a key. Raises `Malformed` that names the field."""
    fields = _texts(key, _KEY)
    label, identifier = fields.get("label", ""), fields.get("id", "")
    if not label and not identifier:
        raise Malformed("one of 'label' and 'id' is required")
    match = _HEXADECIMAL.fullmatch(identifier)
    if identifier and match is None:
        raise Malformed("parameter 'id' must be an even number of hexadecimal digits")
    mechanism = fields.get("mechanism", "")
    return TokenKeyConfig(
        label=label,
        key_id=bytes.fromhex(match[1]) if match else None,
        mechanism=_mechanism(mechanism) if mechanism else None,
        oaep_hash=_oaep_hash(fields.get("rsa_oaep_hash", "") or _USUAL_OAEP),
    )


def _texts(given: Mapping[str, Json], known: frozenset[str]) -> dict[str, str]:
    """Return the fields as text. Raises `Malformed` for unknown fields, and for values that are no text."""
    if given.keys() - known:
        raise Malformed(
            f"decoding failed due to the following error(s):\n\n'config' has invalid keys; it has {', '.join(sorted(known))}"
        )
    found: dict[str, str] = {}
    for name, value in given.items():
        if isinstance(value, bool):
            found[name] = str(value).lower()
        elif isinstance(value, str):
            found[name] = value
        elif value is not None:
            raise Malformed(f"parameter '{name}' must be a string")
        if len(found.get(name, "")) > _LONGEST:
            raise Malformed(f"parameter '{name}' must have at most {_LONGEST} characters")
    return found


def _number(name: str, text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise Malformed(f"parameter '{name}' must be a number, decimal or 0x…")
    return int(text, 16 if text[:2].lower() == "0x" else 10)


def _mechanism(text: str) -> Mechanism:
    """Read a mechanism's name, with or without `CKM_`, or its number."""
    if text[:1].isdigit():
        found = _NUMBERS.get(_number("mechanism", text))
    else:
        name = text.upper().replace("-", "_").removeprefix("CKM_")
        found = next((one for one in Mechanism if one.value == name), None)
    if found is None:
        raise Malformed(f"parameter 'mechanism' must be one of {', '.join(Mechanism)}")
    return found


def _oaep_hash(text: str) -> str:
    """Read the name of a hash, with or without a hyphen."""
    found = text.lower().replace("-", "")
    if found not in OAEP_HASHES:
        raise Malformed(f"parameter 'rsa_oaep_hash' must be one of {', '.join(OAEP_HASHES)}")
    return found
