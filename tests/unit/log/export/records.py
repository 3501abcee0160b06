# SPDX-License-Identifier: EUPL-1.2
"""Records for tests of exports: one that has every member, and others of every shape."""

from typing import Any

from hypothesis import strategies as st

from vault.log.format.canonical import LARGEST_INTEGER, encode_record

Record = dict[str, Any]

READ: Record = {
    "actor": {"chain": ["e-1", "e-2"], "id": "e-3", "type": "workload"},
    "client.address": "192.0.2.7",
    "client.address_source": "proxy",
    "credential": {"accessor": "acc", "blocks": ["b0", "b1"], "bound": "dpop", "kind": "biscuit"},
    "error_type": "urn:coffre:error:internal",
    "event_name": "esa.kv.read",
    "fields": {
        "request": {"ttl": "1h", "$h:h1:bmFtZQ==": {"$h": "h1:dmFsdWU="}},
        "response": {"data": {"count": 3, "open": True, "none": None, "list": [1, "x", {}]}},
    },
    "http.request.method": "GET",
    "log": "0123abcd-0-1",
    "observed_timestamp": "2026-11-29T12:00:01.000000002Z",
    "outcome": "failed",
    "phase": "outcome",
    "policy": {
        "grant": [{"policy": "reader", "rule": "secret/data/*"}, {"policy": "root"}, {"$omitted": 2}],
        "reason": "it broke",
    },
    "prev_hash": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    "request.id": "567e47be-8bd1-4671-a7e5-5ae6bb31d59f",
    "resource": {"id": "secret/équipe/x", "type": "kv.secret", "version": 4},
    "schema": "https://coffre.eu/schemas/log/v1",
    "seq": 45,
    "span_id": "b7ad6b7169203331",
    "status_code": 500,
    "tenant": "root",
    "tenant_prev_hash": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    "tenant_seq": 44,
    "timestamp": "2026-11-29T12:00:00.123456789Z",
    "trace_id": "0af7651916cd43dd8448eb211c80319c",
    "url.path": "secret/data/équipe/x",
}
"""A read that has every member a record may have."""
LINE = encode_record(READ)

TEXTS = st.text(max_size=6) | st.sampled_from(
    [
        "", "success", "denied", "failed", "Unknown", "User", "person", "root", "notice", "attempt", "GET", "LIST", "_OTHER",
        "::1", "fe80::1%eth0", "192.0.2.7", "esa.kv.read", "esa.auth.login", "esa.identity.group.write", "esa.server.start",
        "2026-11-29T12:00:00.123456789Z", "2026-11-29T12:00:60.000000000Z", "2600-01-01T00:00:00.000000000Z",
        "1969-12-31T23:59:59.000000000Z", "2026-W48-6T12:00:00.000000000Z", READ["trace_id"], READ["span_id"], "0" * 32,
        "a\"\\\n\x00é\U0010ffff",
    ]
)  # fmt: skip
INTEGERS = st.integers(-LARGEST_INTEGER, LARGEST_INTEGER) | st.sampled_from([0, 1, 200, 404, 500])
VALUES = st.recursive(
    st.none() | st.booleans() | INTEGERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
_INNER = {name: list(value) for name, value in READ.items() if isinstance(value, dict)}
_INNER["policy"] += ["by"]


def _object(name: str) -> st.SearchStrategy[Any]:
    """The member of that name: with its own members, or others, or something else altogether."""
    own = st.dictionaries(st.sampled_from(_INNER[name]) | TEXTS, VALUES, max_size=4)
    like = st.dictionaries(st.sampled_from(_INNER[name]), TEXTS, max_size=4)
    whole = st.just(READ[name]) | st.just(
        {"by": [{"policy": "p", "rule": "r/*"}, {"$omitted": 3}], "reason": "no"}
    )
    return whole | like | own | VALUES


def _member(name: str) -> st.SearchStrategy[Any]:
    return _object(name) if name in _INNER else st.just(READ[name]) | TEXTS | INTEGERS | VALUES


RECORDS: st.SearchStrategy[Record] = st.builds(
    lambda known, unknown: {**unknown, **known},
    st.fixed_dictionaries({}, optional={name: _member(name) for name in READ}),
    st.dictionaries(
        TEXTS | st.sampled_from(["actor.id", "attributes", "unmapped", "coffre"]), VALUES, max_size=2
    ),
)
"""Records of every shape: members missing, unknown, or of another type than they have."""


def nested(levels: int) -> Any:
    """An object with so many levels."""
    value: Any = "x"
    for _ in range(levels):
        value = {"a": value}
    return value
