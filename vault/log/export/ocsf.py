# SPDX-License-Identifier: EUPL-1.2
"""Records as events of OCSF 1.9, with the profiles for times as texts, integrity of records, controls and traces.

What OCSF has no attribute for is in `unmapped`, as in the record. `attestation_list` has the chain of the log: the
fingerprint of an event is the leaf hash of the record, over the line that `record_of` leads back to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from vault.log.export.kinds import nanoseconds
from vault.log.export.meaning import Severity, record_id, said, severity
from vault.log.export.ocsf_classes import (
    API,
    AUTHENTICATION,
    BASE,
    GROUPS,
    IDENTITY,
    LIFECYCLE,
    OTHER,
    ROLES,
    SESSION,
    EventClass,
    event_class,
    granted_policies,
    issued,
)
from vault.log.export.ocsf_rows import ALL, table_of
from vault.log.export.table import Json

VERSION: Final = "1.9.0"
SERIALIZATION: Final = "RFC 6962 leaf of the RFC 8785 form of the native record"
"""What a fingerprint is computed over: a zero byte, and the line."""
_SESSIONS: Final = frozenset({AUTHENTICATION.uid, SESSION.uid})
_PRODUCT: Final = {"name": "Coffre", "vendor_name": "Coffre"}
_SERVICE: Final = {"name": "Coffre"}
_SEVERITIES: Final = {
    Severity.INFO: (1, "Informational"), Severity.WARN: (2, "Low"), Severity.ERROR: (3, "Medium"),
}  # fmt: skip
_ACTORS: Final = {
    "person": (1, "User"),
    "root": (2, "Admin"),
    "server": (3, "System"),
    "workload": (4, "Service"),
}
_ACTORS_BACK: Final = {number: name for name, (number, _) in _ACTORS.items()}
_OUTCOMES: Final = {"success": (1, "Success"), "denied": (2, "Failure"), "failed": (2, "Failure")}
_UNDECIDED: Final = [{"decision": ""}]
_DENIED: Final = 2
"""`action_id` of what a control refused."""


def event(record: Mapping[str, Any], leaf: str) -> Json:
    """Return a record as an event; `leaf` is the hash of its line in the tree, in base64."""
    kind, activity, called = event_class(record)
    number, caption = _SEVERITIES[severity(record)]
    document: Json = {
        "activity_id": activity,
        "activity_name": called,
        "category_uid": kind.category,
        "class_name": kind.name,
        "class_uid": kind.uid,
        "metadata": {
            "product": _PRODUCT,
            "uid": record_id(record.get("log"), record.get("seq")),
            "version": VERSION,
        },
        "severity": caption,
        "severity_id": number,
        "type_uid": kind.uid * 100 + activity,
    }
    rest = table_of(kind).move(record, document)
    _write_outcome(document, rest)
    _write_times(document)
    _write_attestation(document, rest, leaf)
    if kind.uid in IDENTITY or kind is API:
        _write_request(document, rest, kind)
    _write_subject(document, record, kind)
    if "resources" in document:
        document["resources"] = [{**document["resources"], "role_id": 1}]
    document["metadata"]["profiles"] = _profiles(document)
    if rest:
        document["unmapped"] = rest
    return document


def _write_outcome(document: Json, rest: Json) -> None:
    """Write how it ended. A refusal by a rule is a failure here, and what the control did says that it was refused."""
    outcome = rest.get("outcome")
    if isinstance(outcome, str):
        del rest["outcome"]
        document["status_id"], document["status"] = _OUTCOMES.get(outcome, (OTHER, outcome))
    else:
        document["status_id"], document["status"] = 0, "Unknown"
    if outcome == "denied":
        document["action_id"], document["action"] = _DENIED, "Denied"
    elif document.get("authorizations", _UNDECIDED)[0]["decision"] == "allow":
        document["action_id"], document["action"] = 1, "Allowed"


def _write_times(document: Json) -> None:
    metadata = document["metadata"]
    logged = nanoseconds(metadata.get("logged_time_dt"))
    happened = nanoseconds(document.get("time_dt"))
    if logged is not None:
        metadata["logged_time"] = logged // 1_000_000
    document["time"] = (happened or logged or 0) // 1_000_000


def _write_attestation(document: Json, rest: Json, leaf: str) -> None:
    """Write the record's place in the chain of its log. A first record has none before it."""
    metadata = document["metadata"]
    log, seq, before = metadata.get("log_name"), metadata.get("sequence"), rest.get("prev_hash")
    said_of_it: Json = {"fingerprint": _fingerprint(leaf)}
    if log is not None:
        said_of_it["chain_uid"] = log
    if log is not None and seq and isinstance(before, str):
        del rest["prev_hash"]
        said_of_it["prev_event"] = {"fingerprint": _fingerprint(before), "uid": record_id(log, seq - 1)}
    document["attestation_list"] = [said_of_it]


def _fingerprint(value: str) -> Json:
    return {
        "algorithm": "SHA-256",
        "algorithm_id": 3,
        "encoding": "Base64",
        "encoding_id": 2,
        "serialization": SERIALIZATION,
        "serialization_id": OTHER,
        "value": value,
    }


def _write_request(document: Json, rest: Json, kind: EventClass) -> None:
    """Write what OCSF asks of a request beside what the table moved."""
    user = document.setdefault("actor", {}).setdefault("user", {})
    _write_actor_type(user, rest)
    if "uid" not in user:
        user["name"] = user["type"]
    request_id = document["metadata"].get("correlation_uid") or document["metadata"]["uid"]
    if "http_request" in document:
        document["http_request"]["uid"] = request_id
    if kind is API:
        document.setdefault("src_endpoint", {"name": "unknown"})
        api = document.setdefault("api", {})
        api["operation"] = document["metadata"].get("event_code", "unknown")
        api["service"] = _SERVICE
        api.setdefault("request", {})["uid"] = request_id
        _write_answer(document, api)


def _write_answer(document: Json, api: Json) -> None:
    answer = api.get("response", {})
    if "http_response" in document:
        answer["code"] = document["http_response"]["code"]
    if "status_code" in document:
        answer["error"] = document["status_code"]
    if answer:
        api["response"] = answer


def _write_actor_type(user: Json, rest: Json) -> None:
    actor = rest.get("actor")
    if not isinstance(actor, dict) or not isinstance(actor.get("type"), str):
        user["type_id"], user["type"] = 0, "Unknown"
        return
    user["type_id"], user["type"] = _ACTORS.get(actor["type"], (OTHER, actor["type"]))
    left = {name: value for name, value in actor.items() if name != "type"}
    if left:
        rest["actor"] = left
    else:
        del rest["actor"]


def _write_subject(document: Json, record: Mapping[str, Any], kind: EventClass) -> None:
    """Write whom or what an event is about, where its class asks for that: derived from what the record says elsewhere."""
    if kind is AUTHENTICATION:
        document["service"] = _SERVICE
        document["user"] = _login_user(record)
    elif kind is SESSION:
        document["privileges"] = granted_policies(record)
        document["user"] = _issued_to(record) or {"name": "unknown"}
    elif kind is LIFECYCLE:
        document["app"] = _PRODUCT
    elif kind.uid in IDENTITY:
        name = {GROUPS.uid: "group", ROLES.uid: "iam_role"}.get(kind.uid, "user")
        path = said(record, "resource", "id")
        document[name] = {"name": path.rpartition("/")[2] or "unknown", "uid": path or "unknown"}
    if kind.uid in _SESSIONS and said(issued(record), "accessor"):
        document["session"] = {"uid": said(issued(record), "accessor")}


def _login_user(record: Mapping[str, Any]) -> Json:
    """Return who logs in: the entity, where the login succeeded, and the name in the path, where there is one."""
    name = said(record, "url.path").partition("/login/")[2]
    return {**_issued_to(record), **({"name": name} if name else {})} or {"name": "unknown"}


def _issued_to(record: Mapping[str, Any]) -> Json:
    entity, accessor = (said(issued(record), name) for name in ("entity_id", "accessor"))
    return {"uid": entity or f"accessor:{accessor}"} if entity or accessor else {}


def _profiles(document: Json) -> list[str]:
    used = ["datetime", "record_integrity"]
    if "action_id" in document:
        used.append("security_control")
    return [*used, "trace"] if "trace" in document else used


def unreadable(line: bytes, problem: str) -> Json:
    """Return an event for a line that is no record: the line, and why."""
    return {
        "activity_id": OTHER,
        "activity_name": "unreadable",
        "category_uid": BASE.category,
        "class_name": BASE.name,
        "class_uid": BASE.uid,
        "metadata": {"product": _PRODUCT, "version": VERSION},
        "raw_data": line.decode("utf-8", "backslashreplace"),
        "severity": "Medium",
        "severity_id": 3,
        "status": "Failure",
        "status_detail": problem,
        "status_id": 2,
        "time": 0,
        "type_uid": OTHER,
    }


def record_of(document: Json) -> Json:
    """Return the record that `event` was given. Raises `ValueError` for what it did not make."""
    try:
        return _record_of(document)
    except (AttributeError, IndexError, KeyError, TypeError) as problem:
        raise ValueError("this is no record as an event of OCSF") from problem


def _record_of(document: Json) -> Json:
    rest = dict(document.get("unmapped", {}))
    chained = document["attestation_list"][0]
    if "prev_event" in chained:
        rest["prev_hash"] = chained["prev_event"]["fingerprint"]["value"]
    number, caption = document["status_id"], document["status"]
    if number == 1:
        rest["outcome"] = "success"
    elif number == 2:
        rest["outcome"] = "denied" if document.get("action_id") == _DENIED else "failed"
    elif number == OTHER:
        rest["outcome"] = caption
    user = document.get("actor", {}).get("user", {})
    if user.get("type_id"):
        kind = _ACTORS_BACK.get(user["type_id"], user["type"])
        rest["actor"] = {**rest.get("actor", {}), "type": kind}
    listed = {"resources": document["resources"][0]} if "resources" in document else {}
    return ALL.take_back({**document, **listed}, rest)
