# SPDX-License-Identifier: EUPL-1.2
"""Records as OpenTelemetry logs, in the JSON form of OTLP 1.x (`ExportLogsServiceRequest`).

What OpenTelemetry has a name for has that name; `audit.*` are names of its draft for audit logs, which the signing
processor of its Collector uses too, and are used in their meaning there only. The rest is called `coffre.*`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from vault.log.export.any_value import AnyValue, any_value, attribute, plain, plain_object
from vault.log.export.kinds import NANOS, NUMBER, RULES, TEXT, TEXTS, Kind, same
from vault.log.export.meaning import Severity, action, record_id, severity
from vault.log.export.table import Json, Row, Table
from vault.log.format.canonical import NotCanonical, decode_record

REST: Final = "coffre.unmapped"
"""The attribute with what has none of its own."""
PROBLEM: Final = "coffre.problem"
"""The attribute that says why a line is no record."""
_METHODS: Final = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"}
)
_ATTRIBUTES: Final = "attributes"
_METHOD: Final = "http.request.method"
_TRACE: Final = re.compile(r"(?!0+$)[0-9a-f]{32}")
_SPAN: Final = re.compile(r"(?!0+$)[0-9a-f]{16}")


def _name(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _trace(value: object) -> str | None:
    return value if isinstance(value, str) and _TRACE.fullmatch(value) else None


def _span(value: object) -> str | None:
    return value if isinstance(value, str) and _SPAN.fullmatch(value) else None


def _body(value: object) -> AnyValue | None:
    return any_value(value) if isinstance(value, dict) else None


def _known(value: object) -> str | None:
    return value if isinstance(value, str) and value in _METHODS else None


TABLE: Final = Table(
    (
        Row(("actor", "chain"), (_ATTRIBUTES, "coffre.actor.chain"), TEXTS),
        Row(("actor", "id"), (_ATTRIBUTES, "audit.actor.id"), TEXT),
        Row(("actor", "type"), (_ATTRIBUTES, "coffre.actor.type"), TEXT),
        Row(("client.address",), (_ATTRIBUTES, "client.address"), TEXT),
        Row(("client.address_source",), (_ATTRIBUTES, "coffre.client.address_source"), TEXT),
        Row(("credential", "accessor"), (_ATTRIBUTES, "coffre.credential.accessor"), TEXT),
        Row(("credential", "blocks"), (_ATTRIBUTES, "coffre.credential.blocks"), TEXTS),
        Row(("credential", "bound"), (_ATTRIBUTES, "coffre.credential.bound"), TEXT),
        Row(("credential", "kind"), (_ATTRIBUTES, "coffre.credential.kind"), TEXT),
        Row(("error_type",), (_ATTRIBUTES, "error.type"), TEXT),
        Row(("event_name",), ("eventName",), Kind(_name, same)),
        Row(("fields",), ("body",), Kind(_body, plain_object)),
        Row(("http.request.method",), (_ATTRIBUTES, _METHOD), Kind(_known, _known)),
        Row(("log",), (_ATTRIBUTES, "audit.sequence.stream_id"), TEXT),
        Row(("observed_timestamp",), ("observedTimeUnixNano",), NANOS),
        Row(("outcome",), (_ATTRIBUTES, "coffre.outcome"), TEXT),
        Row(("phase",), (_ATTRIBUTES, "coffre.phase"), TEXT),
        Row(("policy", "by"), (_ATTRIBUTES, "coffre.policy.by"), RULES),
        Row(("policy", "grant"), (_ATTRIBUTES, "coffre.policy.grant"), RULES),
        Row(("policy", "reason"), (_ATTRIBUTES, "coffre.policy.reason"), TEXT),
        Row(("prev_hash",), (_ATTRIBUTES, "audit.sequence.prev_hash"), TEXT),
        Row(("request.id",), (_ATTRIBUTES, "coffre.request.id"), TEXT),
        Row(("resource", "id"), (_ATTRIBUTES, "audit.target.id"), TEXT),
        Row(("resource", "type"), (_ATTRIBUTES, "audit.target.type"), TEXT),
        Row(("resource", "version"), (_ATTRIBUTES, "coffre.resource.version"), NUMBER),
        Row(("schema",), (_ATTRIBUTES, "audit.schema.version"), TEXT),
        Row(("seq",), (_ATTRIBUTES, "audit.sequence.number"), NUMBER),
        Row(("span_id",), ("spanId",), Kind(_span, same)),
        Row(("status_code",), (_ATTRIBUTES, "http.response.status_code"), NUMBER),
        Row(("tenant",), (_ATTRIBUTES, "coffre.tenant.id"), TEXT),
        Row(("tenant_prev_hash",), (_ATTRIBUTES, "coffre.tenant.prev_hash"), TEXT),
        Row(("tenant_seq",), (_ATTRIBUTES, "coffre.tenant.seq"), NUMBER),
        Row(("timestamp",), ("timeUnixNano",), NANOS),
        Row(("trace_id",), ("traceId",), Kind(_trace, same)),
        Row(("url.path",), (_ATTRIBUTES, "url.path"), TEXT),
    )
)
"""What is not an attribute is a field of a `LogRecord`."""
_OUTCOMES: Final = {"success": "success", "denied": "failure", "failed": "failure"}
_SEVERITIES: Final = {Severity.INFO: 9, Severity.WARN: 13, Severity.ERROR: 17}
_encode: Final = msgspec.json.Encoder().encode


def log_record(record: Mapping[str, Any]) -> Json:
    """Return a record as a `LogRecord`. What it says of its log is in it too, so that it may be moved to any resource."""
    level = severity(record)
    attributes = _derived(record)
    document: Json = {
        _ATTRIBUTES: attributes, "severityNumber": _SEVERITIES[level], "severityText": level.name,
    }  # fmt: skip
    rest = TABLE.move(record, document)
    _write_other_method(rest, attributes)
    if rest:
        attributes[REST] = rest
    document[_ATTRIBUTES] = [attribute(name, value) for name, value in attributes.items()]
    return document


def _derived(record: Mapping[str, Any]) -> Json:
    """Return what the draft for audit logs asks for beside what a record says itself."""
    name = record.get("event_name")
    return {
        "audit.action": action(name)[1].upper() if isinstance(name, str) else "",
        "audit.outcome": _OUTCOMES.get(str(record.get("outcome")), "unknown"),
        "audit.record.id": record_id(record.get("log"), record.get("seq")),
    }


def _write_other_method(rest: Json, attributes: Json) -> None:
    """Write a method that OpenTelemetry does not know, as LIST, as its conventions for HTTP say."""
    if isinstance(rest.get(_METHOD), str):
        attributes[_METHOD] = "_OTHER"
        attributes[f"{_METHOD}_original"] = rest.pop(_METHOD)


def record_of(document: Json) -> Json:
    """Return the record that `log_record` was given. Raises `ValueError` for what it did not make."""
    try:
        written = {each["key"]: each["value"] for each in document[_ATTRIBUTES]}
        rest = plain_object(written.pop(REST)) if REST in written else {}
        attributes = {name: plain(value) for name, value in written.items()}
        if f"{_METHOD}_original" in attributes:
            rest[_METHOD] = attributes[f"{_METHOD}_original"]
        return TABLE.take_back({**document, _ATTRIBUTES: attributes}, rest)
    except (AttributeError, KeyError, TypeError, ValueError) as problem:
        raise ValueError("this is no record as a LogRecord") from problem


def records_of(request: Json) -> list[Json]:
    """Return the records of a request, in its order. Raises `ValueError` as `record_of`."""
    try:
        scopes = [scope for each in request["resourceLogs"] for scope in each["scopeLogs"]]
        return [record_of(each) for scope in scopes for each in scope["logRecords"]]
    except (KeyError, TypeError) as problem:
        raise ValueError("this is no request with LogRecords") from problem


def export_request(lines: Iterable[bytes]) -> bytes:
    """Return records as one `ExportLogsServiceRequest`; each log is a resource. Lines have no newlines.

    A line that is no record is delivered too: as bytes, with the reason.
    """
    logs: dict[str, list[msgspec.Raw]] = {}
    for line in lines:
        log, made = _log_and_record(line)
        logs.setdefault(log, []).append(msgspec.Raw(_encode(made)))  # so that few objects live at a time
    return _encode({"resourceLogs": [_resource_logs(log, records) for log, records in logs.items()]})


def _log_and_record(line: bytes) -> tuple[str, Json]:
    try:
        record = decode_record(line)
    except NotCanonical as problem:
        return "", _unreadable(line, problem)
    log = record.get("log")
    return log if isinstance(log, str) else "", log_record(record)


def _unreadable(line: bytes, problem: NotCanonical) -> Json:
    return {
        "severityNumber": _SEVERITIES[Severity.ERROR],
        "severityText": Severity.ERROR.name,
        "body": {"bytesValue": line},
        "attributes": [attribute(PROBLEM, str(problem))],
    }


def _resource_logs(log: str, records: list[msgspec.Raw]) -> Json:
    named = {"service.name": "coffre"}
    if log:
        named["service.instance.id"] = log
    return {
        "resource": {"attributes": [attribute(name, value) for name, value in named.items()]},
        "scopeLogs": [{"scope": {"name": "coffre.log"}, "logRecords": records}],
    }
