# SPDX-License-Identifier: EUPL-1.2
"""Records as documents of the Elastic Common Schema (ECS 9).

What ECS has no field for is called `coffre.*`. Data of requests and answers are one text that is JSON, and so is all
that has no field of its own: a name that a client chose would be a field of the index, and a value that is now a text,
now an object, would have the index refuse the document.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from vault.log.export.kinds import JSON_TEXT, NUMBER, RULES, TEXT, TEXTS, TIME, address
from vault.log.export.meaning import Action, Severity, action, record_id, said, severity
from vault.log.export.table import Json, Row, Table

VERSION: Final = "9.4.0"
_TIME: Final = "@timestamp"
NO_TIME: Final = "1970-01-01T00:00:00Z"
"""The time of what has none: an index refuses a document without one."""
TABLE: Final = Table(
    (
        Row(("actor", "chain"), ("coffre", "actor", "chain"), TEXTS),
        Row(("actor", "id"), ("user", "id"), TEXT),
        Row(("actor", "type"), ("coffre", "actor", "type"), TEXT),
        Row(("client.address",), ("source", "address"), TEXT),
        Row(("client.address_source",), ("coffre", "client", "address_source"), TEXT),
        Row(("credential", "accessor"), ("coffre", "credential", "accessor"), TEXT),
        Row(("credential", "blocks"), ("coffre", "credential", "blocks"), TEXTS),
        Row(("credential", "bound"), ("coffre", "credential", "bound"), TEXT),
        Row(("credential", "kind"), ("coffre", "credential", "kind"), TEXT),
        Row(("error_type",), ("error", "type"), TEXT),
        Row(("event_name",), ("event", "action"), TEXT),
        Row(("fields",), ("coffre", "fields"), JSON_TEXT),
        Row(("http.request.method",), ("http", "request", "method"), TEXT),
        Row(("log",), ("service", "node", "name"), TEXT),
        Row(("observed_timestamp",), ("event", "created"), TIME),
        Row(("outcome",), ("coffre", "outcome"), TEXT),
        Row(("phase",), ("coffre", "phase"), TEXT),
        Row(("policy", "by"), ("coffre", "policy", "by"), RULES),
        Row(("policy", "grant"), ("coffre", "policy", "grant"), RULES),
        Row(("policy", "reason"), ("event", "reason"), TEXT),
        Row(("prev_hash",), ("coffre", "prev_hash"), TEXT),
        Row(("request.id",), ("http", "request", "id"), TEXT),
        Row(("resource", "id"), ("coffre", "resource", "id"), TEXT),
        Row(("resource", "type"), ("coffre", "resource", "type"), TEXT),
        Row(("resource", "version"), ("coffre", "resource", "version"), NUMBER),
        Row(("schema",), ("coffre", "schema"), TEXT),
        Row(("seq",), ("event", "sequence"), NUMBER),
        Row(("span_id",), ("span", "id"), TEXT),
        Row(("status_code",), ("http", "response", "status_code"), NUMBER),
        Row(("tenant",), ("organization", "id"), TEXT),
        Row(("tenant_prev_hash",), ("coffre", "tenant", "prev_hash"), TEXT),
        Row(("tenant_seq",), ("coffre", "tenant", "seq"), NUMBER),
        Row(("timestamp",), (_TIME,), TIME),
        Row(("trace_id",), ("trace", "id"), TEXT),
        Row(("url.path",), ("url", "path"), TEXT),
    )
)
REST: Final = "unmapped"
"""The member of `coffre` with what has none of its own."""
_DATASET: Final = "coffre.log"
_LEVELS: Final = {Severity.INFO: "info", Severity.WARN: "warning", Severity.ERROR: "error"}
_OUTCOMES: Final = {"success": "success", "denied": "failure", "failed": "failure"}
_TYPES: Final = {
    Action.CREATE: "creation", Action.READ: "access", Action.UPDATE: "change", Action.DELETE: "deletion",
    Action.OTHER: "info",
}  # fmt: skip
_IDENTITY: Final = frozenset(
    {"approle", "auth", "cert", "identity", "jwt", "kubernetes", "nhi", "policy", "userpass"}
)
_SETTINGS: Final = frozenset({"config", "external_key", "log", "mount", "namespace", "seal"})
_PROCESS: Final = {"esa.server.start": "start", "esa.server.stop": "end"}

_encode: Final = msgspec.json.Encoder().encode


def document(record: Mapping[str, Any], leaf: str) -> Json:
    """Return a record as a document; `leaf` is the hash of its line in the tree, in base64."""
    categories, types = _categories(said(record, "event_name"), said(record, "phase"))
    if record.get("outcome") == "denied" and "api" in categories:
        types = [*types, "denied"]
    made: Json = {
        "ecs": {"version": VERSION},
        "event": {
            "category": categories,
            "dataset": _DATASET,
            "hash": leaf,
            "id": record_id(record.get("log"), record.get("seq")),
            "kind": "event",
            "module": "coffre",
            "outcome": _OUTCOMES.get(str(record.get("outcome")), "unknown"),
            "type": types,
        },
        "log": {"level": _LEVELS[severity(record)]},
        "service": {"name": "coffre", "type": "coffre"},
    }
    rest = TABLE.move(record, made)
    made.setdefault(_TIME, NO_TIME)
    if rest:
        made.setdefault("coffre", {})[REST] = _encode(rest).decode()
    host = address(record.get("client.address"))
    if host is not None and "%" not in host:  # an index knows no zones
        made["source"]["ip"] = host
    return made


def _categories(event: str, phase: str) -> tuple[list[str], list[str]]:
    """Return the categories of an event, and its types: those that ECS expects in one of these."""
    if event in _PROCESS:
        return ["process"], [_PROCESS[event]]
    area = event.split(".", 2)[1] if event.startswith("esa.") else ""
    if phase == "notice":
        return ["configuration" if area in _SETTINGS else "process"], ["info"]
    if event.startswith("esa.auth.login"):
        return ["api", "authentication"], ["start"]
    more = ["iam"] if area in _IDENTITY else ["configuration"] if area in _SETTINGS else []
    return ["api", *more], [_TYPES[action(event)[0]]]


def unreadable(line: bytes, problem: str) -> Json:
    """Return a document for a line that is no record: the line, and why."""
    return {
        _TIME: NO_TIME,
        "ecs": {"version": VERSION},
        "error": {"message": problem},
        "event": {
            "dataset": _DATASET,
            "kind": "pipeline_error",
            "module": "coffre",
            "original": line.decode("utf-8", "backslashreplace"),
        },
        "log": {"level": "error"},
        "service": {"name": "coffre", "type": "coffre"},
    }


def record_of(made: Json) -> Json:
    """Return the record that `document` was given. Raises `ValueError` for what it did not make."""
    try:
        if made["event"]["kind"] != "event":
            raise ValueError("this is a line that was no record")
        rest = made.get("coffre", {}).get(REST)
        return TABLE.take_back(made, msgspec.json.decode(rest) if rest else {})
    except (AttributeError, KeyError, TypeError, msgspec.DecodeError) as problem:
        raise ValueError("this is no record as a document of ECS") from problem
