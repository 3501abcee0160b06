# SPDX-License-Identifier: EUPL-1.2
"""Which member of a record is which attribute of OCSF 1.9, for each group of its classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from vault.log.export.kinds import ADDRESS, NUMBER, OMITTED, TEXT, TIME, Kind, rules, same
from vault.log.export.ocsf_classes import API, AUTHENTICATION, IDENTITY, SESSION, EventClass
from vault.log.export.table import Json, Row, Table

_METHODS: Final = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
"""The methods of requests to a vault that OCSF lists. It has neither LIST nor SCAN."""


def _method(value: object) -> str | None:
    return value if isinstance(value, str) and value in _METHODS else None


def _decisions(decision: str) -> Kind:
    """Return the kind for the policies that allowed something, or refused it."""

    def there(value: object) -> object:
        decided = rules(value)
        return (
            None if decided is None else [{"decision": decision, "policy": _policy(each)} for each in decided]
        )

    def back(value: Any) -> object:  # noqa: ANN401 -- whatever JSON has
        if any(each["decision"] != decision for each in value):
            return None
        return [_rule(each["policy"]) for each in value]

    return Kind(there, back)


def _policy(rule: Mapping[str, Any]) -> Json:
    """Return a policy and its rule, or how many are left out, as OCSF has policies."""
    if OMITTED in rule:
        return {"type": "omitted", "data": {**rule}}
    return {"name": rule["policy"], **({"data": {"rule": rule["rule"]}} if "rule" in rule else {})}


def _rule(policy: Mapping[str, Any]) -> Json:
    named = {"policy": policy["name"]} if "name" in policy else {}
    return {**named, **policy.get("data", {})}


def _present(value: object) -> object:
    """Return a value of any kind. Null stays in the rest, for a place without a value is none."""
    return value


_COMMON: Final = (
    Row(("error_type",), ("status_code",), TEXT),
    Row(("event_name",), ("metadata", "event_code"), TEXT),
    Row(("log",), ("metadata", "log_name"), TEXT),
    Row(("observed_timestamp",), ("metadata", "logged_time_dt"), TIME),
    Row(("phase",), ("metadata", "type"), TEXT),
    Row(("policy", "by"), ("authorizations",), _decisions("deny")),
    Row(("policy", "grant"), ("authorizations",), _decisions("allow")),
    Row(("policy", "reason"), ("status_detail",), TEXT),
    Row(("request.id",), ("metadata", "correlation_uid"), TEXT),
    Row(("schema",), ("metadata", "log_version"), TEXT),
    Row(("seq",), ("metadata", "sequence"), NUMBER),
    Row(("tenant",), ("metadata", "tenant_uid"), TEXT),
    Row(("timestamp",), ("time_dt",), TIME),
)
_REQUESTS: Final = (
    *_COMMON,
    Row(("actor", "id"), ("actor", "user", "uid"), TEXT),
    Row(("client.address",), ("src_endpoint", "ip"), ADDRESS),
    Row(("credential", "accessor"), ("actor", "session", "uid"), TEXT),
    Row(("http.request.method",), ("http_request", "http_method"), Kind(_method, same)),
    Row(("status_code",), ("http_response", "code"), NUMBER),
    Row(("url.path",), ("http_request", "url", "path"), TEXT),
)
_RESOURCES: Final = (
    Row(("resource", "id"), ("resources", "uid"), TEXT),
    Row(("resource", "type"), ("resources", "type"), TEXT),
    Row(
        ("resource", "version"),
        ("resources", "version"),
        Kind(lambda value: str(value) if type(value) is int else None, int),
    ),
)
_EVENT: Final = Table(_COMMON)
_LOGIN: Final = Table(_REQUESTS)
_CHANGE: Final = Table((*_REQUESTS, *_RESOURCES))
ALL: Final = Table(
    (
        *_REQUESTS,
        *_RESOURCES,
        Row(("fields", "request"), ("api", "request", "data"), Kind(_present, same)),
        Row(("fields", "response"), ("api", "response", "data"), Kind(_present, same)),
        Row(("trace_id",), ("trace", "uid"), TEXT),
    )
)
"""Every row. API Activity has all of them; the other classes lack some, and what these would hold is in `unmapped`."""


def table_of(kind: EventClass) -> Table:
    """Return the rows that a class has."""
    if kind is API:
        return ALL
    if kind is AUTHENTICATION or kind is SESSION:
        return _LOGIN
    return _CHANGE if kind.uid in IDENTITY else _EVENT
