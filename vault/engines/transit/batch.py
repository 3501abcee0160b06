# SPDX-License-Identifier: EUPL-1.2
"""What is asked for at once: one item, or each of a batch, in the form that OpenBao reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import msgspec

from vault.framework.errors import Malformed
from vault.framework.fields import Json, go_type

MISSING: Final = "missing batch input to process"
NO_PLAINTEXT: Final = "missing plaintext to encrypt"
NO_CIPHERTEXT: Final = "missing ciphertext to decrypt"
CONTEXTS: Final = "context should be set either in all the request blocks or in none"
_INT64: Final = 1 << 63
_Version = Annotated[int, msgspec.Meta(ge=-_INT64, le=_INT64 - 1)]
_PROBLEM: Final = "failed to parse batch input: "
_SEVERAL: Final = "decoding failed due to the following error(s):\n\n"


class Item(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One plaintext or ciphertext (`text`), and what goes with it."""

    text: str | None
    context: str = ""
    associated_data: str = ""
    key_version: _Version = 0
    reference: str = ""

    def __repr__(self) -> str:
        """Show nothing of it."""
        return "Item(…)"


class _PlaintextItem(Item, frozen=True, kw_only=True, gc=False, rename={"text": "plaintext"}):
    text: str


class _CiphertextItem(Item, frozen=True, kw_only=True, gc=False, rename={"text": "ciphertext"}):
    text: str


def read_plaintexts(batch: Json) -> Sequence[Item]:
    """Return the items of a batch whose values must have their types, and none of which may lack its plaintext.

    Raises `Malformed` in OpenBao's words.
    """
    try:
        return msgspec.convert(_list(batch, ""), list[_PlaintextItem])
    except msgspec.ValidationError:
        return _read_strict(batch, "plaintext", NO_PLAINTEXT)


def read_ciphertexts(batch: Json) -> Sequence[Item]:
    """As `read_plaintexts`, of ciphertexts."""
    try:
        return msgspec.convert(_list(batch, ""), list[_CiphertextItem])
    except msgspec.ValidationError:
        return _read_strict(batch, "ciphertext", NO_CIPHERTEXT)


def _read_strict(batch: Json, field: str, missing: str) -> Sequence[Item]:
    """Say what is wrong with a batch: return its items where nothing is. Raises `Malformed`."""
    items = []
    for at, given in enumerate(_list(batch, "")):
        if not isinstance(given, Mapping):
            raise Malformed(_PROBLEM + f"[{at}] expected a map, got '{_kind(given)}'")
        if field not in given:
            raise Malformed(_PROBLEM + f"'[{at}].{field}' {missing}")
        items.append(
            Item(
                text=_text(given, field, at),
                context=_text(given, "context", at),
                associated_data=_text(given, "associated_data", at),
                key_version=_number(given, at),
                reference=_text(given, "reference", at),
            )
        )
    return items


def read_weak(batch: Json, field: str) -> Sequence[Item]:
    """Return the items of a batch whose numbers count as texts, and in which the text may be missing.

    Raises `Malformed` in OpenBao's words.
    """
    items = []
    for at, given in enumerate(_list(batch, "'' ")):
        if not isinstance(given, Mapping):
            kind = _kind(given)
            raise Malformed(_PROBLEM + f"{_SEVERAL}'[{at}]' expected a map or struct, got \"{kind}\"")
        text = {
            name: _weak_text(given, name, at) for name in (field, "context", "associated_data", "reference")
        }
        items.append(
            Item(
                text=text[field],
                context=text["context"],
                associated_data=text["associated_data"],
                key_version=_weak_number(given, at),
                reference=text["reference"],
            )
        )
    return items


class SignItem(msgspec.Struct, frozen=True, kw_only=True):
    """One input to be signed or to make a MAC of, and where it is verified the signature or MAC."""

    input: str | None
    context: str = ""
    signature: str = ""
    hmac: str = ""
    reference: str = ""

    def __repr__(self) -> str:
        """Show nothing of it."""
        return "SignItem(…)"


def read_signatures(batch: Json, kind: str) -> Sequence[SignItem]:
    """Return the items of a batch whose numbers count as texts; `kind` is what OpenBao calls one.

    Raises `Malformed` in OpenBao's words.
    """
    items = []
    for at, given in enumerate(_list(batch, "'' ")):
        if not isinstance(given, Mapping):
            wrong = f"'[{at}]' expected type '{kind}', got unconvertible type '{_kind(given)}'"
            raise Malformed(f"{_PROBLEM}{_SEVERAL}{wrong}")
        items.append(
            SignItem(
                input=_weak_text(given, "input", at) if "input" in given else None,
                context=_weak_text(given, "context", at),
                signature=_weak_text(given, "signature", at),
                hmac=_weak_text(given, "hmac", at),
                reference=_weak_text(given, "reference", at),
            )
        )
    return items


def check_contexts(items: Sequence[Item]) -> None:
    """Make sure that all items have a context, or none. Raises `Malformed`."""
    if len({bool(item.context) for item in items}) > 1:
        raise Malformed(CONTEXTS)


def _list(batch: Json, prefix: str) -> Sequence[Json]:
    if not isinstance(batch, list):
        raise Malformed(_PROBLEM + f"{prefix}source data must be an array or slice, got {_kind(batch)}")
    if not batch:
        raise Malformed(MISSING)
    return batch


def _text(given: Mapping[str, Any], name: str, at: int) -> str:
    value = given.get(name, "")
    if not isinstance(value, str):
        raise Malformed(
            _PROBLEM + f"'[{at}].{name}' expected type 'string', got unconvertible type '{_kind(value)}'"
        )
    return value


def _weak_text(given: Mapping[str, Any], name: str, at: int) -> str:
    value = given.get(name)
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, int | float):
        return repr(value)
    if value is None or isinstance(value, str):
        return value or ""
    raise Malformed(
        _PROBLEM
        + f"{_SEVERAL}'[{at}].{name}' expected type 'string', got unconvertible type '{_kind(value)}'"
    )


def _number(given: Mapping[str, Any], at: int) -> int:
    value = given.get("key_version", 0)
    if isinstance(value, float):
        raise Malformed(_PROBLEM + f"error decoding json.Number into [{at}].key_version: invalid syntax")
    if isinstance(value, bool) or not isinstance(value, int):
        raise Malformed(
            _PROBLEM + f"'[{at}].key_version' expected type 'int', got unconvertible type '{_kind(value)}'"
        )
    return _fitting(value, at)


def _weak_number(given: Mapping[str, Any], at: int) -> int:
    value = given.get("key_version")
    if value is None or value is True or value is False:
        return int(value or 0)
    if not isinstance(value, int):
        raise Malformed(
            _PROBLEM
            + f"{_SEVERAL}'[{at}].key_version' expected type 'int', got unconvertible type '{_kind(value)}'"
        )
    return _fitting(value, at)


def _fitting(number: int, at: int) -> int:
    if not -_INT64 <= number < _INT64:
        raise Malformed(_PROBLEM + f"error decoding json.Number into [{at}].key_version: value out of range")
    return number


def _kind(value: Json) -> str:
    return "<nil>" if value is None else go_type(value)
