# SPDX-License-Identifier: EUPL-1.2
"""The JSON Schema of records. Readers keep members that it does not name: later releases add some."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

SCHEMA: Final = "https://coffre.eu/schemas/log/v1"
"""What identifies it: each record names it."""
_TEXT: Final = {"type": "string"}
_HASH: Final = {"type": "string", "pattern": "^[A-Za-z0-9+/]{43}=$"}
_COUNT: Final = {"type": "integer", "minimum": 0}
_TIME: Final = {"type": "string", "pattern": "^[0-9-]{10}T[0-9:]{8}\\.[0-9]{9}Z$"}
_RULE: Final = {
    "type": "object",
    "properties": {
        "policy": {**_TEXT, "description": "The name of the policy."},
        "rule": {**_TEXT, "description": "The path that the rule is for, as the policy has it."},
        "$omitted": {**_COUNT, "description": "How many more there are, where not all are named."},
    },
}
_VALUE: Final = (
    'Values are hashed: {"$h": "<key id>:<base64 of HMAC-SHA-256>"}, with "$size" where they are long, and names of '
    'a client\'s own members "$h:<key id>:<base64>". A boolean or null is {"$t": its type}; {"$omitted": n} stands for '
    "n values. What a route declares clear stands as it came."
)

RECORD_SCHEMA: Final[Mapping[str, Any]] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": SCHEMA,
    "title": "A record of the log",
    "type": "object",
    "required": [
        "actor",
        "event_name",
        "log",
        "observed_timestamp",
        "phase",
        "prev_hash",
        "schema",
        "seq",
        "tenant",
        "tenant_prev_hash",
        "tenant_seq",
        "timestamp",
    ],
    "properties": {
        "actor": {
            "type": "object",
            "required": ["type"],
            "properties": {
                "id": {
                    "type": "string",
                    "description": "The id of an entity, or accessor: and that of a token.",
                },
                "type": {
                    "enum": ["anonymous", "entity", "root", "server", "token"],
                    "description": "What kind of caller it is.",
                },
            },
            "description": "Who did it.",
        },
        "client.address": {**_TEXT, "description": "The address of the client."},
        "credential": {
            "type": "object",
            "properties": {
                "accessor": {**_TEXT, "description": "Its name, which is not good for using it."},
                "blocks": {
                    "type": "array",
                    "items": _TEXT,
                    "description": "Revocation ids of all its blocks, where it has any.",
                },
                "kind": {**_TEXT, "description": "What kind of credential it is."},
            },
            "description": "What the caller showed.",
        },
        "error_type": {**_TEXT, "description": "The kind of refusal, as the type of a problem (RFC 9457)."},
        "event_name": {
            "type": "string",
            "pattern": "^esa(\\.[a-z0-9_-]+)+$",
            "description": "What happened.",
        },
        "fields": {"type": "object", "description": _VALUE},
        "http.request.method": {**_TEXT, "description": "The method of the request."},
        "log": {"type": "string", "pattern": "^[0-9a-f]{8}-[0-9]+-[0-9]+$"},
        "observed_timestamp": {
            **_TIME,
            "description": "When it was appended; it never goes back in one log.",
        },
        "outcome": {"enum": ["success", "denied", "failed"], "description": "How it ended."},
        "phase": {
            "enum": ["attempt", "outcome", "notice"],
            "description": "Before the effect, after it and whole, or of the server itself.",
        },
        "policy": {
            "type": "object",
            "properties": {
                "by": {"type": "array", "items": _RULE, "description": "The rule that refused it."},
                "grant": {"type": "array", "items": _RULE, "description": "The rule that allowed it."},
                "reason": {"type": "string", "description": "Why it was refused."},
            },
            "description": "What decided.",
        },
        "prev_hash": {
            **_HASH,
            "description": "The RFC 6962 leaf hash of the record before, and of nothing for the first.",
        },
        "request.id": {**_TEXT, "description": "The id of the request, which the answer has too."},
        "resource": {
            "type": "object",
            "required": ["id", "type"],
            "properties": {
                "id": {**_TEXT, "description": "Its name or path."},
                "type": {**_TEXT, "description": "What kind of thing it is, as `kv.secret`."},
                "version": {**_COUNT, "description": "Its version."},
            },
            "description": "What it was done to.",
        },
        "schema": {"const": SCHEMA, "description": "Which schema the record has."},
        "seq": {**_COUNT, "description": "The number of the record in its log, without gap: the only order."},
        "span_id": {
            "type": "string",
            "pattern": "^[0-9a-f]{16}$",
            "description": "The span of the caller, by `traceparent`.",
        },
        "status_code": {"type": "integer", "description": "The status of the answer."},
        "supersedes": {
            **_COUNT,
            "description": "The number of an earlier outcome of the request, which did not come about: its commit failed.",
        },
        "tenant": {"type": "string", "description": "The id of the namespace."},
        "tenant_prev_hash": {**_HASH, "description": "As prev_hash, among the records of the tenant."},
        "tenant_seq": {**_COUNT, "description": "As seq, among the records of the tenant."},
        "timestamp": {**_TIME, "description": "When it happened."},
        "trace_id": {
            "type": "string",
            "pattern": "^[0-9a-f]{32}$",
            "description": "The trace of the caller, by `traceparent`.",
        },
        "url.path": {
            "type": "string",
            "description": "The canonical path, from the root namespace, or as it came where it was refused for having none; "
            "`$sha256:<base64>:<bytes>` for one of more than 6 KiB, and for each part that looks like a credential.",
        },
    },
}
