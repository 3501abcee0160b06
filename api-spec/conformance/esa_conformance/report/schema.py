# SPDX-License-Identifier: Apache-2.0
"""The parts of JSON Schema (2020-12) that the schema of reports uses: what else stands in one is an error of this program.

Each value is looked at once for each schema that it is held against, so the cost is that of the value times that of the schema,
which is ours.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Any, Final

from esa_conformance.decoding import shown
from esa_conformance.errors import ConformanceError

Path = tuple[str | int, ...]
_SAYS_NOTHING: Final = frozenset({"$schema", "$id", "$defs", "title", "description"})
_LITERAL: Final = (str, type(None))
"""Of which types a `const` or one of an `enum` may be: equal in Python where they are equal in JSON."""
_REF: Final = re.compile(r"#/\$defs/([A-Za-z0-9_-]+)")
_TIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)
"""A date-time (RFC 3339, section 5.6)."""


class UnknownSchema(ConformanceError):
    """The schema says something that this program does not know."""


class Schema:
    """One schema, all of which was understood."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        """Raises UnknownSchema, also for what no value might ever come to."""
        self._document = document
        self._defs = document.get("$defs", {})
        for one in self._defs.values():
            _known(one, {})
        _known(document, self._defs)

    def faults(self, value: object) -> Iterator[str]:
        """What is wrong in a decoded value, each with the path that it has there; nothing of the value is repeated."""
        for path, what in self._faults(self._document, value, ()):
            yield f"{'/'.join(shown(part) for part in path) or 'it'} {what}"

    def _faults(self, schema: Mapping[str, Any], value: object, path: Path) -> Iterator[tuple[Path, str]]:
        if "$ref" in schema:
            yield from self._faults(self._defs[_name(schema["$ref"])], value, path)
        if "anyOf" in schema and not any(self._holds(one, value) for one in schema["anyOf"]):
            yield path, "is none of the forms that it may have"
        for keyword, holds in _KEYWORDS.items():
            if keyword in schema and not holds(schema[keyword], value):
                yield path, _SAID[keyword]
        if isinstance(value, dict):
            yield from self._members(schema, value, path)
        elif isinstance(value, list) and "items" in schema:
            for place, one in enumerate(value):
                yield from self._faults(schema["items"], one, (*path, place))

    def _members(
        self, schema: Mapping[str, Any], value: Mapping[str, object], path: Path
    ) -> Iterator[tuple[Path, str]]:
        for name in schema.get("required", ()):
            if name not in value:
                yield (*path, name), "is missing"
        known = schema.get("properties", {})
        others = schema.get("additionalProperties", True)
        for name, one in value.items():
            if "propertyNames" in schema and not self._holds(schema["propertyNames"], name):
                yield (*path, name), "is no name of a member here"
            if name in known or others not in (True, False):
                yield from self._faults(known.get(name, others), one, (*path, name))
            elif others is False:
                yield (*path, name), "is no member that there is"

    def _holds(self, schema: Mapping[str, Any], value: object) -> bool:
        return next(self._faults(schema, value, ()), None) is None


@cache
def report_schema() -> Schema:
    """The schema of a report, as this suite makes them."""
    text = resources.files("esa_conformance").joinpath("report-schema.json").read_text(encoding="utf-8")
    return Schema(json.loads(text))


# ------------------------------------------------------------------------------ what a schema may say
def _known(schema: object, defs: Mapping[str, Any]) -> None:
    """Raise UnknownSchema unless all of a schema is known; what is in `defs` refers to nothing, so nothing goes round."""
    if not isinstance(schema, dict):
        raise UnknownSchema("the suite is wrong: a schema is no object")
    for keyword, said in schema.items():
        if keyword not in _SAYS_NOTHING and not (keyword in _FORMS and _FORMS[keyword](said)):
            raise UnknownSchema(
                f"the suite is wrong: it does not know {keyword} in a schema, or this use of it"
            )
    if "$ref" in schema and _name(schema["$ref"]) not in defs:
        raise UnknownSchema("the suite is wrong: a schema refers to what is not there, or to what refers on")
    within = [*schema.get("properties", {}).values(), *schema.get("anyOf", ())]
    within += [schema[name] for name in ("items", "propertyNames") if name in schema]
    if isinstance(schema.get("additionalProperties"), dict):
        within.append(schema["additionalProperties"])
    for one in within:
        _known(one, defs)


def _name(reference: str) -> str:
    found = _REF.fullmatch(reference)
    return found[1] if found else ""


def _is_number(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


_TYPES: Final[Mapping[str, Callable[[object], bool]]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": _is_number,
    "integer": lambda value: value.is_integer() if isinstance(value, float) else _is_number(value),
}


def _types(said: object) -> list[Any]:
    return said if isinstance(said, list) else [said]


def _inner(pattern: str) -> str:
    """What stands between the anchors of a pattern: Python's own `$` would let a line end behind it."""
    return pattern[1:-1]


def _is_time(value: str) -> bool:
    if not _TIME.fullmatch(value):
        return False
    try:
        datetime.fromisoformat(value.upper())
    except ValueError:
        return False
    return True


_KEYWORDS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "type": lambda said, value: any(_TYPES[one](value) for one in _types(said)),
    "const": lambda said, value: isinstance(value, _LITERAL) and value == said,
    "enum": lambda said, value: isinstance(value, _LITERAL) and value in said,
    "pattern": lambda said, value: (
        not isinstance(value, str) or re.fullmatch(_inner(said), value) is not None
    ),
    "format": lambda _, value: not isinstance(value, str) or _is_time(value),
    "minimum": lambda said, value: not _is_number(value) or value >= said,
    "minItems": lambda said, value: not isinstance(value, list) or len(value) >= said,
}
"""By keyword whether a value holds what it says; of a value of another type it says nothing."""
_SAID: Final[Mapping[str, str]] = {
    "type": "is of another type", "const": "is not what it is in all", "enum": "is none of those that there are",
    "pattern": "has another form", "format": "is no time", "minimum": "is too small", "minItems": "is too short",
}  # fmt: skip
_FORMS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "type": lambda said: all(isinstance(one, str) and one in _TYPES for one in _types(said)),
    "const": lambda said: isinstance(said, _LITERAL),
    "enum": lambda said: isinstance(said, list) and all(isinstance(one, _LITERAL) for one in said),
    "pattern": lambda said: said[:1] == "^" and said[-1:] == "$" and "|" not in said and "\\$" not in said,
    "format": lambda said: said == "date-time",
    "minimum": _is_number,
    "minItems": lambda said: isinstance(said, int),
    "$ref": lambda said: isinstance(said, str),
    "anyOf": lambda said: isinstance(said, list) and bool(said),
    "items": lambda said: isinstance(said, dict),
    "properties": lambda said: isinstance(said, dict),
    "propertyNames": lambda said: isinstance(said, dict),
    "additionalProperties": lambda said: isinstance(said, dict | bool),
    "required": lambda said: isinstance(said, list),
}
"""By keyword which uses of it are known."""
