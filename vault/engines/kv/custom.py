# SPDX-License-Identifier: EUPL-1.2
"""Custom metadata: what a client may attach to a secret, and the words in which more is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from vault.framework.errors import Malformed
from vault.framework.fields import Json, Mismatch, to_string
from vault.framework.quote import quote

MAX_KEYS: Final = 64
"""Keys in one request."""
MAX_KEY_BYTES: Final = 128
"""Bytes of UTF-8 in one key."""
MAX_VALUE_BYTES: Final = 512
"""Bytes of UTF-8 in one value."""

_FAILED: Final = "custom_metadata validation failed: "


def checked(fields: Mapping[str, Json] | None) -> dict[str, str] | None:
    """Return custom metadata as it is stored: numbers and booleans as text, None when empty.

    Raises `Malformed` with every rule that is broken.
    """
    found: dict[str, str] = {}
    for key, value in (fields or {}).items():
        try:
            found[key] = "" if value is None else to_string(value)
        except Mismatch as mismatch:
            raise Malformed(f"{_FAILED}{mismatch}") from None
    _refuse(_faults(found))
    return found or None


def given(patch: Mapping[str, Json] | None) -> Mapping[str, Json]:
    """Return what a merge patch sets, without what it removes."""
    return {key: value for key, value in (patch or {}).items() if value is not None}


def merged(stored: Mapping[str, str] | None, patch: Mapping[str, Json] | None) -> dict[str, str] | None:
    """Return custom metadata after a merge patch: None clears it, a null in it removes a key.

    Raises `Malformed`: unlike a whole replacement, a patch takes strings only.
    """
    if patch is None:
        return None
    for key, value in given(patch).items():
        if not isinstance(value, str):
            kind = "bool" if isinstance(value, bool) else "number"
            raise Malformed(
                f"json: cannot unmarshal {kind} into Go struct field .custom_metadata.{quote(key)} of type string",
                chained=True,
            )
    kept = {key: value for key, value in (stored or {}).items() if key not in patch}
    return {**kept, **given(patch)} or None


def _faults(found: Mapping[str, str]) -> list[str]:
    if len(found) > MAX_KEYS:
        return [f"payload must contain at most {MAX_KEYS} keys, provided {len(found)}"]
    faults: list[str] = []
    for key, value in found.items():
        size = len(key.encode())
        if not 0 < size <= MAX_KEY_BYTES:
            faults.append(
                f'length of key "{_quoted(key)}" is {size} but must be 0 < len(key) <= {MAX_KEY_BYTES}'
            )
        size = len(value.encode())
        if not 0 < size <= MAX_VALUE_BYTES:
            faults.append(
                f'length of value for key "{_quoted(key)}" is {size} but must be 0 < len(value) <= {MAX_VALUE_BYTES}'
            )
        if not key.isprintable():
            faults.append(f'key "{_quoted(key)}" ({quote(key)}) contains unprintable characters')
        if not value.isprintable():
            faults.append(f'value for key "{_quoted(key)}" contains unprintable characters')
    return faults


def _quoted(key: str) -> str:
    """Return a key as OpenBao spells it: with the escapes of Go."""
    escaped = (
        f"\\{char}"
        if char in '"\\'
        else char
        if char.isprintable()
        else char.encode("unicode_escape").decode()
        for char in key
    )
    return quote("".join(escaped))


def _refuse(faults: list[str]) -> None:
    if faults:
        count = "1 error" if len(faults) == 1 else f"{len(faults)} errors"
        lines = "".join(f"\t* {_FAILED}{fault}\n" for fault in faults)
        raise Malformed(f"{count} occurred:\n{lines}\n")
