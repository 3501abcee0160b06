# SPDX-License-Identifier: EUPL-1.2
"""The members of a JSON Schema, one by one, as a table of the text has them."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from tests.api_spec.derived import record_schema
from tests.api_spec.requirements import FOLDER

Schema = Mapping[str, Any]
_REFERENCE: Final = "#/$defs/"
_TYPES: Final = {bool: "boolean", int: "integer", str: "string", type(None): "null"}


def schema(name: str, folder: Path = FOLDER) -> Schema:
    """A schema by its name, with what it refers to in its place."""
    text = (
        record_schema() if name == "log-record" else (folder / "schemas" / f"{name}.json").read_text("utf-8")
    )
    whole = json.loads(text)
    found: Schema = _resolved(whole, whole.get("$defs", {}))
    return found


def members(of: Schema, within: str = "") -> Iterator[tuple[str, Schema, bool]]:
    """Each member of a schema by its path, what is said of it, and whether it is always there.

    `a[].b` is a member of each thing in a list, `a.*.b` of each thing in an object whose names are free.
    """
    if "items" in of:
        yield from members(of["items"], f"{within.removesuffix('.')}[].")
    if isinstance(of.get("additionalProperties"), dict):
        yield from members(of["additionalProperties"], f"{within}*.")
    for name, each in of.get("properties", {}).items():
        yield f"{within}{name}", each, name in of.get("required", ())
        yield from members(each, f"{within}{name}.")


def type_of(each: Schema) -> str:
    """What kind of value a member has, with its bounds, in words."""
    if "anyOf" in each:
        return " or ".join(map(type_of, each["anyOf"]))
    given = each.get("type", _TYPES[type(_example(each))])
    kind = " or ".join([given] if isinstance(given, str) else given)
    bounds = [f"{word} {each[key]}" for key, word in (("minimum", "from"), ("maximum", "to")) if key in each]
    form = ", of a form" if "pattern" in each else ""
    return " ".join([*([each["format"]] if "format" in each else ()), kind, *bounds]) + form


def meaning_of(each: Schema) -> str:
    """What a member says, in Markdown, with its values where these are few."""
    text = str(each.get("description", ""))
    values = each.get("enum", [each["const"]] if "const" in each else [])
    if not values:
        return text
    listed = ", ".join(f"`{one}`" for one in values)
    return f"{text} {'One of' if len(values) > 1 else 'Always'} {listed}.".strip()


def _example(each: Schema) -> object:
    """A value of it, where only values are said."""
    return each["const"] if "const" in each else each["enum"][0] if "enum" in each else ""


def _resolved(part: Any, definitions: Schema) -> Any:
    if isinstance(part, list):
        return [_resolved(each, definitions) for each in part]
    if not isinstance(part, dict):
        return part
    reference = part.get("$ref", "")
    if reference.startswith(_REFERENCE):
        said = {name: each for name, each in part.items() if name != "$ref"}
        return {**_resolved(definitions[reference.removeprefix(_REFERENCE)], definitions), **said}
    return {name: _resolved(each, definitions) for name, each in part.items() if name != "$defs"}
