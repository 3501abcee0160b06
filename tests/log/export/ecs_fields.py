# SPDX-License-Identifier: EUPL-1.2
"""What ECS 9 asks of the documents that we export: its fields, their types, and the values that categories have.

Read from the schema's repository; the fields that we write are listed, and nothing else. `coffre.*` is ours.
"""

import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Any, Final

REQUIRED: Final = ("@timestamp", "ecs.version")
FIELDS: Final[Mapping[str, str]] = {
    "@timestamp": "date",
    "ecs.version": "keyword",
    "error.message": "keyword",
    "error.type": "keyword",
    "event.action": "keyword",
    "event.category": "keywords",
    "event.created": "date",
    "event.dataset": "keyword",
    "event.hash": "keyword",
    "event.id": "keyword",
    "event.kind": "keyword",
    "event.module": "keyword",
    "event.original": "keyword",
    "event.outcome": "keyword",
    "event.reason": "keyword",
    "event.sequence": "long",
    "event.type": "keywords",
    "http.request.id": "keyword",
    "http.request.method": "keyword",
    "http.response.status_code": "long",
    "log.level": "keyword",
    "organization.id": "keyword",
    "service.name": "keyword",
    "service.node.name": "keyword",
    "service.type": "keyword",
    "source.address": "keyword",
    "source.ip": "ip",
    "span.id": "keyword",
    "trace.id": "keyword",
    "url.path": "keyword",
    "user.id": "keyword",
}
"""Fields and their types. What may have several values is a list always."""
TYPES: Final[Mapping[str, frozenset[str]]] = {
    "api": frozenset(
        {
            "access",
            "admin",
            "allowed",
            "change",
            "creation",
            "deletion",
            "denied",
            "end",
            "info",
            "start",
            "user",
        }
    ),
    "authentication": frozenset({"start", "end", "info"}),
    "configuration": frozenset({"access", "change", "creation", "deletion", "info"}),
    "iam": frozenset({"admin", "change", "creation", "deletion", "group", "info", "user"}),
    "process": frozenset({"access", "change", "end", "info", "start"}),
}
"""The types of event that each category expects."""
_VALUES: Final[Mapping[str, frozenset[str]]] = {
    "event.kind": frozenset({"alert", "event", "metric", "state", "pipeline_error", "signal"}),
    "event.outcome": frozenset({"failure", "success", "unknown"}),
}
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z")


def problems(document: Any) -> list[str]:
    """What is wrong with a document; nothing for one that an index by ECS takes."""
    fields = dict(_leaves(document))
    found = [f"{name}: missing" for name in REQUIRED if name not in fields]
    for name, value in fields.items():
        if not name.startswith("coffre.") and not _fits(FIELDS.get(name, ""), value):
            found.append(f"{name}: {value!r}")
        if value not in _VALUES.get(name, [value]):
            found.append(f"{name}: {value!r}")
    expected = set[str]().union(*(TYPES[category] for category in fields.get("event.category", ())))
    return [*found, *(f"event.type: {each}" for each in fields.get("event.type", ()) if each not in expected)]


def _leaves(item: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(item, dict):
        yield name, item
        return
    for key, each in item.items():
        yield from _leaves(each, f"{name}.{key}" if name else key)


def _fits(kind: str, value: Any) -> bool:
    match kind:
        case "keyword":
            return isinstance(value, str)
        case "keywords":
            return isinstance(value, list) and all(isinstance(each, str) for each in value)
        case "long":
            return type(value) is int
        case "date":
            return isinstance(value, str) and _DATE.fullmatch(value) is not None
        case "ip":
            return bool(ip_address(value))
        case _:
            return False
