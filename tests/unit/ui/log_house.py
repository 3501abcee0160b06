# SPDX-License-Identifier: EUPL-1.2
"""A server whose log has what it was told: records, counts and checkpoints for the log's pages."""

from collections.abc import Mapping
from typing import Any

from tests.unit.ui.house import Front

LOG = "0123abcd-0-1"
RECORD: Mapping[str, Any] = {
    "actor": {"id": "e-1", "type": "entity"},
    "client.address": "10.0.0.7",
    "credential": {"accessor": "acc", "kind": "service"},
    "event_name": "esa.kv.read",
    "fields": {"response": {"data": {"$h:h1:AA=": {"$h": "h1:BB="}}}},
    "http.request.method": "GET",
    "log": LOG,
    "observed_timestamp": "2026-11-27T11:00:00.500000001Z",
    "outcome": "success",
    "phase": "outcome",
    "policy": {"grant": [{"policy": "app", "rule": "secret/data/shop/*"}]},
    "request.id": "r-1",
    "resource": {"id": "secret/shop/pin", "type": "kv.secret", "version": 3},
    "seq": 7,
    "status_code": 200,
    "tenant": "root",
    "timestamp": "2026-11-27T11:00:00.123456789Z",
    "trace_id": "t-1",
    "url.path": "secret/data/shop/pin",
}
DENIED: Mapping[str, Any] = {
    **RECORD,
    "actor": {"id": "accessor:acc", "type": "token"},
    "outcome": "denied",
    "policy": {"reason": "the rule does not grant delete", "by": [{"policy": "app", "rule": "secret/*"}]},
    "seq": 8,
}
COUNTS: Mapping[str, Any] = {
    "buckets": [{}, {"success": 20, "denied": 3}, {"failed": 1}, {}],
    "complete": True,
}
FORBIDDEN = {"type": "urn:coffre:error:forbidden", "path": "sys/log/records", "capability": "read"}


def page_of(*records: object, **more: object) -> tuple[int, object]:
    """An answer with records."""
    return 200, {"data": {"records": records, "next": None, **more}}


def log_front(*records: object, **more: object) -> Front:
    """A server with these records on a page of its log."""
    front = Front(sys__log__records=page_of(*records, **more))
    front.answers["sys/log/counts"] = (200, {"data": COUNTS})
    return front


def note_of(size: int) -> bytes:
    """A checkpoint that covers so many records."""
    return f"vault.example/log/{LOG}\n{size}\nAAAA\n\n— vault.example BBBB\n".encode()


def record_front(record: Mapping[str, Any], size: int) -> Front:
    """A server with one record, of which a checkpoint covers so many."""
    front = Front()
    front.answers[f"sys/log/records/{LOG}/{record['seq']}"] = page_of(record)
    front.answers[f"sys/log/checkpoints/{LOG}"] = (200, note_of(size))
    last = {**record, "seq": size - 1, "observed_timestamp": "2026-11-27T11:57:00.5Z"}
    front.answers[f"sys/log/records/{LOG}/{size - 1}"] = page_of(last)
    return front
