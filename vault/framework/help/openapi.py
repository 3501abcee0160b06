# SPDX-License-Identifier: EUPL-1.2
"""OpenAPI 3.1, rendered from routes."""

from __future__ import annotations

import inspect
import types
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any, Final, Union, get_args, get_origin

import msgspec

from vault.framework.reply import Reply
from vault.framework.request.operation import Operation
from vault.framework.route import Parameter, Route

_VERBS: Final = {
    Operation.READ: "get",
    Operation.LIST: "get",
    Operation.SCAN: "get",
    Operation.UPDATE: "post",
    Operation.DELETE: "delete",
    Operation.PATCH: "patch",
}
_REFERENCE: Final = "#/components/schemas/"
_FILTER: Final[Mapping[str, object]] = {
    "name": "X-Vault-List-Filter",
    "in": "header",
    "description": "`readable`: show only names that the caller may read, and folders with something to read.",
    "schema": {"type": "string", "enum": ["readable"]},
}
_KEY: Final[Mapping[str, object]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": (
        "A text in double quotes that the client makes up. The same request with the same key has the effect of one, for a "
        "day; what is answered again says `Idempotency-Replayed: ?1`, and another request with that key is refused with 422."
    ),
    "schema": {"type": "string"},
}
_CONDITIONS: Final = tuple(
    {"name": name, "in": "header", "description": text, "schema": {"type": "string"}}
    for name, text in (
        (
            "If-Match",
            "Entity tags of the secret, or `*`: with another tag it is refused with 412 (RFC 9110, section 13.1.1).",
        ),
        (
            "If-None-Match",
            "Entity tags of the secret, or `*`: with such a tag a read is 304, a write 412 (RFC 9110, 13.1.2).",
        ),
    )
)
_SCHEMAS: Final[Mapping[str, Mapping[str, object]]] = {
    "string": {"type": "string"},
    "lower": {"type": "string"},
    "int": {"type": "integer"},
    "bool": {"type": "boolean"},
    "duration": {"type": ["integer", "string"], "format": "seconds"},
    "span": {"type": ["integer", "string"], "format": "seconds"},
    "strings": {"type": "array", "items": {"type": "string"}},
    "commas": {"type": "array", "items": {"type": "string"}},
    "ints": {"type": "array", "items": {"type": "integer"}},
    "map": {"type": "object"},
    "pairs": {"type": "object", "additionalProperties": {"type": "string"}},
    "any": {},
}


def document(
    mounts: Mapping[str, Sequence[Route]],
    *,
    title: str = "Coffre",
    version: str = "1",
    generic: Collection[str] = (),
) -> dict[str, Any]:
    """Return the document of these mounts' routes, paths in order.

    Mounts named in `generic` get a parameter for their path; its default is their present path.
    """
    paths: dict[str, dict[str, Any]] = {}
    components: dict[str, Any] = {}
    names: set[str] = set()
    for mount, routes in mounts.items():
        place = mount.rstrip("/").replace("/", "_")
        shared = [_mount_parameter(place, mount)] if mount in generic else []
        prefix = f"/{{{place}_mount_path}}/" if shared else f"/{mount}"
        for route in routes:
            item = paths.setdefault(prefix + route.shown, {})
            if shared:
                item["parameters"] = shared
            _add(item, route, components, names, place)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "description": "HTTP API. All routes are under `/v1/`.", "version": version},
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": dict(sorted(components.items())),
            "securitySchemes": {"token": {"type": "apiKey", "in": "header", "name": "X-Vault-Token"}},
        },
    }


def _mount_parameter(place: str, mount: str) -> dict[str, Any]:
    return {
        "name": f"{place}_mount_path",
        "in": "path",
        "description": "Where the mount is.",
        "required": True,
        "schema": {"type": "string", "default": mount.rstrip("/")},
    }


def _unique(wanted: str, names: set[str]) -> str:
    """Return `wanted`, with a number appended where it is taken: operation identifiers are unique in a document."""
    name, number = wanted, 2
    while name in names:
        name, number = f"{wanted}-{number}", number + 1
    names.add(name)
    return name


def _add(item: dict[str, Any], route: Route, components: dict[str, Any], names: set[str], place: str) -> None:
    verb = _VERBS[route.operation]
    operation = item.get(verb)
    if operation is None:
        operation = item[verb] = _operation(route, components, place)
        operation["operationId"] = _unique(f"{place}-{route.handler}".replace("_", "-"), names)
    if route.operation in {Operation.LIST, Operation.SCAN}:
        known = {parameter["name"] for parameter in operation["parameters"]}
        more = [_parameter(p) for p in route.parameters.values() if p.name not in known]
        operation["parameters"] += more if _FILTER["name"] in known else [*more, _FILTER]
        operation["parameters"].append(
            {
                "name": route.operation.value,
                "in": "query",
                "description": f"Must be `true` to {route.operation.value}.",
                "schema": {"type": "string"},
            }
        )


def _operation(route: Route, components: dict[str, Any], place: str) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": "",
        "summary": route.summary,
        "parameters": [_parameter(p) for p in route.parameters.values() if p.in_path],
        "responses": _responses(route, components, place),
    }
    if route.description:
        operation["description"] = route.description
    if route.access.public:
        operation["x-vault-unauthenticated"] = True
    else:
        operation["security"] = [{"token": []}]
    if route.access.sudo:
        operation["x-vault-sudo"] = True
    if route.access.exists:
        operation["x-vault-createSupported"] = True
    if route.access.deprecation:
        operation["deprecated"] = True
    if route.access.repeatable:
        operation["parameters"].append(_KEY)
    if route.access.conditional:
        operation["parameters"] += [dict(condition) for condition in _CONDITIONS]
    others = [p for p in route.parameters.values() if not p.in_path]
    if others and _VERBS[route.operation] in {"post", "patch"}:
        properties = {p.name: {**_SCHEMAS[p.kind.name], "description": p.doc, **_leaving(p)} for p in others}
        media = "application/merge-patch+json" if route.operation is Operation.PATCH else "application/json"
        operation["requestBody"] = {
            "content": {media: {"schema": {"type": "object", "properties": properties}}}
        }
    else:
        operation["parameters"] += [_parameter(p) for p in others]
    return operation


def _parameter(parameter: Parameter) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": parameter.name,
        "in": "path" if parameter.in_path else "query",
        "description": parameter.doc,
        "schema": dict(_SCHEMAS[parameter.kind.name]),
    }
    if parameter.in_path:
        found["required"] = True
    return found | _leaving(parameter)


def _leaving(parameter: Parameter) -> dict[str, Any]:
    return {"deprecated": True} if parameter.deprecation else {}


def _responses(route: Route, components: dict[str, Any], place: str) -> dict[str, Any]:
    found: dict[str, Any] = _answer(_result(route.result), components, place)
    if _optional(route.result):
        found["204"] = {"description": "Done; no content."}
    return found


def _answer(result: Any, components: dict[str, Any], place: str) -> dict[str, Any]:
    if result is None:
        return {"204": {"description": "Done; no content."}}
    if result is object:
        return {"200": {"description": "OK"}}
    try:
        schema, found = _schema(result)
    except TypeError:
        return {"200": {"description": "OK"}}
    taken = [name for name, one in found.items() if components.get(name, one) != one]
    if taken:
        schema, found = _renamed(schema, found, taken, place)
    components.update(found)
    return {"200": {"description": "OK", "content": {"application/json": {"schema": schema}}}}


def _renamed(
    schema: Mapping[str, Any], found: Mapping[str, Any], taken: Collection[str], place: str
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Put the name of the mount before names that other schemas of the document have."""
    text = msgspec.json.encode([schema, found]).decode()
    before = "".join(word.capitalize() for word in place.split("_"))
    for name in taken:
        text = text.replace(f'"{_REFERENCE}{name}"', f'"{_REFERENCE}{before}{name}"')
    plain, others = msgspec.json.decode(text)
    return plain, {before + name if name in taken else name: one for name, one in others.items()}


@cache
def _schema(result: Any) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return the schema of a type and the components that it names; every document has the same ones."""
    (schema,), found = msgspec.json.schema_components([result], ref_template=f"{_REFERENCE}{{name}}")
    for described in found.values():
        if "description" in described:  # some versions of Python keep the indentation of docstrings
            described["description"] = inspect.cleandoc(described["description"])
    return schema, found


def _optional(hint: object) -> bool:
    """Whether a handler may also answer nothing at all."""
    return get_origin(hint) in (Union, types.UnionType) and type(None) in get_args(hint)


def _result(hint: object) -> Any:
    """Return the declared data type of an answer: None for no answer, `object` where none is declared."""
    if hint is None or hint is type(None):
        return None
    if get_origin(hint) in (Union, types.UnionType):
        parts = [part for part in get_args(hint) if part is not type(None)]
        return _result(parts[0]) if len(parts) == 1 else object
    if get_origin(hint) is Reply:
        return _result(get_args(hint)[0]) or object
    return object if hint is Reply else hint
