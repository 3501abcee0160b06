# SPDX-License-Identifier: EUPL-1.2
"""JSON values as the typed values of OpenTelemetry (`AnyValue`), in the JSON form of protocol buffers, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

DEEPEST: Final = 16
"""Levels of the deepest value that is written with types. Each takes three messages, and readers allow a hundred."""

AnyValue = dict[str, Any]
_encode: Final = msgspec.json.Encoder().encode


class _TooDeep(Exception):
    """A value has more levels than are written with types."""


def any_value(value: object) -> AnyValue:
    """Return a value with its type, null as one without; an object that is too deep as a text that is JSON.

    Integers are texts there, as 64 bits are more than JSON's readers agree on.
    """
    try:
        return _typed(value, DEEPEST)
    except _TooDeep:
        return {"stringValue": _encode(value).decode()}


def attribute(name: str, value: object) -> dict[str, Any]:
    """Return a value with its name (`KeyValue`)."""
    return {"key": name, "value": {"stringValue": value} if type(value) is str else any_value(value)}


def plain(value: Mapping[str, Any]) -> Any:  # noqa: ANN401 -- whatever JSON has
    """Return the JSON value that `any_value` wrote. Raises `ValueError` for types that it writes never."""
    if not value:
        return None
    ((kind, item),) = value.items()
    match kind:
        case "stringValue" | "boolValue":
            return item
        case "intValue":
            return int(item)
        case "arrayValue":
            return [plain(each) for each in item["values"]]
        case "kvlistValue":
            return {each["key"]: plain(each["value"]) for each in item["values"]}
        case _:
            raise ValueError(f"no record has a value of this type: {kind}")


def plain_object(value: Mapping[str, Any]) -> Any:  # noqa: ANN401 -- an object, if it is what was written
    """Return the object that `any_value` wrote, also if that was a text."""
    found = plain(value)
    return msgspec.json.decode(found) if isinstance(found, str) else found


def _typed(value: object, levels: int) -> AnyValue:
    kind = type(value)
    if kind is str:
        return {"stringValue": value}
    if kind is int:
        return {"intValue": str(value)}
    if kind is bool:
        return {"boolValue": value}
    if value is None:
        return {}
    if not levels:
        raise _TooDeep
    if isinstance(value, dict):
        items = [{"key": name, "value": _typed(item, levels - 1)} for name, item in value.items()]
        return {"kvlistValue": {"values": items}}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_typed(each, levels - 1) for each in value]}}
    raise TypeError(f"no record has a value of this type: {kind.__name__}")
