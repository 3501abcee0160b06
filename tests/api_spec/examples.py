# SPDX-License-Identifier: EUPL-1.2
"""One example of each thing that has a schema, with every member that there is; and what no such member may be."""

from typing import Any, Final

_HASH: Final = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
_KEY: Final = "vault.example.eu/log/1+7c8e0f62+ARdI9pERIdcxsX2QvDCGwXlprMm8qYs64Y+kcq/7uouO"
_RULE: Final = {"policy": "readers", "rule": "secret/*", "$omitted": 1}
WHOLE: Final[dict[str, Any]] = {
    "discovery": {
        "spec": "https://w3id.org/european-secrets-api/1.0",
        "implementation": {
            "project": "example", "version": "1.4.0", "support_until": "2031-12-31", "sbom_sha256": "0" * 64,
            "advisories": "https://example.org/advisories.json",
        },
        "conformsTo": ["https://w3id.org/european-secrets-api/1.0/kv-consume"],
        "bindings": [{"name": "compat", "base": "/v1"}],
        "features": ["etag"],
        "limits": {
            "body": 1, "value": 65536, "page": 1, "credential": 1, "clock_tolerance_s": 30, "idempotency_s": 86400, "login_s": 0.05,
        },
        "links": {"health": "/v1/sys/health"},
        "log": {
            "formats": ["esa-1"], "retention": {"min": "P6M", "max": "P1Y"}, "durable": "synced", "checkpoint_s": 1,
            "witness_s": 60, "policy": "all",
        },
        "environment": "test",
    },
    "problem": {
        "type": "urn:example:problem:forbidden", "title": "forbidden", "status": 403, "detail": "no right", "instance": "urn:x:1",
        "path": "secret/data/a", "capability": "read", "retry_after": 1,
        "sources": [{"pointer": "/data"}, {"parameter": "version"}],
    },
    "log-record": {
        "actor": {"type": "workload", "id": "e1"}, "client.address": "192.0.2.1",
        "credential": {"kind": "service", "accessor": "a1", "blocks": ["b1"]}, "error_type": "urn:x:forbidden",
        "event_name": "esa.kv.read", "fields": {}, "http.request.method": "GET", "log": "l1",
        "observed_timestamp": "2026-11-28T09:00:00.000000001Z", "outcome": "denied", "phase": "outcome",
        "policy": {"by": [_RULE], "grant": [_RULE], "reason": "policy"}, "prev_hash": _HASH, "request.id": "r1",
        "resource": {"id": "secret/a", "type": "kv.secret", "version": 1}, "schema": "https://example.org/log/v1", "seq": 7,
        "span_id": "b7ad6b7169203331", "status_code": 403, "supersedes": 5, "tenant": "root", "tenant_prev_hash": _HASH,
        "tenant_seq": 7, "timestamp": "2026-11-28T09:00:00.000000000Z", "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "url.path": "secret/data/a",
    },
    "manifest": {
        "spec": "1.0",
        "implementation": {
            "organization": "Example SA", "project": "example", "url": "https://example.org", "version": "1.4.0",
            "contact": ["mailto:a@example.org"],
        },
        "target": {
            "address": "https://vault.example:8200", "ca_file": "ca.pem", "environment": "test",
            "expect": {"product": "example", "version": "1.4.0", "cluster_id": "5f0c", "tls_sha256": "00"},
        },
        "bindings": {"compat": {"base": "/v1", "mount": "secret", "prefix": "team-a"}},
        "credentials": {"kv": "env:ESA", "admin": "env:ESA", "denied": "env:ESA_DENIED"},
        "claim": ["kv-consume"],
        "features": ["etag"],
        "allow": ["read-only"],
        "hooks": {"seal_key": "env:ESA", "openssl": "openssl"},
        "artefacts": {"records": ["audit.log"], "checkpoints": ["log"], "checkpoint_keys": [_KEY]},
        "isolation": {"mode": "prefix", "ttl_s": 600},
        "limits": {"rps": 50.0, "request_s": 10.0, "run_s": 900.0, "settle_s": 20.0},
        "expected_failures": "expected.toml",
    },
}  # fmt: skip


def wrong(each: dict[str, Any]) -> object:
    """A value that a member of this schema must not have."""
    if "anyOf" in each or "enum" in each or "const" in each:
        return {"no": "such"}
    kinds = each.get("type", "string")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    return 7.5 if not {"number", "integer"} & {*kinds} else {"no": "such"}


def replaced(whole: Any, path: str, value: object) -> Any:
    """The example with another value at the path of a member, as `members.members` names them."""
    if path.startswith("[]."):
        return [replaced(one, path[3:], value) if has(one, path[3:]) else one for one in whole]
    for name in sorted(whole, key=len, reverse=True):
        if path == name:
            return {**whole, name: value}
        if path.startswith((f"{name}.", f"{name}[].")):
            rest = path.removeprefix(name).removeprefix(".")
            return {**whole, name: replaced(whole[name], rest, value)}
    raise KeyError(path)


def has(whole: Any, path: str) -> bool:
    """Whether the example has a member at this path."""
    if path.startswith("[]."):
        return any(has(one, path[3:]) for one in whole)
    for name in sorted(whole if isinstance(whole, dict) else (), key=len, reverse=True):
        if path == name:
            return True
        if path.startswith((f"{name}.", f"{name}[].")):
            return has(whole[name], path.removeprefix(name).removeprefix("."))
    return False
