# SPDX-License-Identifier: EUPL-1.2
"""A secret that a client sends reaches no log, audit file, metric or error, wherever it was put (SL-50, SL-51).

The marker is random text. It is planted alone in each field, header, query, token and body of each route. What
may hold it, and why:

- The answer of a success: reading a secret back is what the server is for.
- The audit record's `path`: OpenBao's format has it in the clear, and operators search by it.
- Names in the audit record that are no secrets in OpenBao's format either: display name, policies and metadata of
  a credential, and what derives from a mount's path. They are listed in `NAMES` and removed before the search.
- Paths that a client asks its capabilities on (`ANSWERED`).
- Errors and warnings that repeat a *name* (of a path, a mount, a policy, a role, a parameter), as OpenBao's
  clients match on them. They are listed in `ECHOES`, by route and field.
"""

import json
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz.process import Answer, VaultProcess
from tests.routes.driver import MERGE_PATCH, TARGETS, Target

CREDENTIAL = frozenset({"display_name", "policies", "token_policies", "metadata", "policy_results"})
NAMES: Mapping[str, frozenset[str]] = {
    "auth": CREDENTIAL,
    "request": frozenset({"path", "mount_point"}),
    "response": frozenset({"mount_point", "warnings"}),
    "response.auth": CREDENTIAL,
    "response.wrap_info": frozenset({"creation_path"}),
}
"""Members of an audit record that hold names in the clear, by the part of the record that they are in."""
MARKER = re.compile(r"mark-[0-9a-f]{32}")

ECHOES = {
    ("POST sys/auth/{path:path}", "type"),
    ("POST sys/mounts/{path:path}", "type"),
    ("GET identity/oidc/provider/{name:word}/authorize", "state"),
    ("POST identity/oidc/provider/{name:word}/authorize", "state"),
}
"""Route and field whose refusal repeats what the field holds, to the client and in the record's `error`.

A type is a name. The `state` of an authorisation request comes back with its error, as RFC 6749, 4.1.2.1 demands."""
ANSWERED = {
    (f"POST sys/capabilities{kind}", field)
    for kind in ("", "-self", "-accessor")
    for field in ("path", "paths")
}
"""Route and field whose answer has the field's paths as keys; keys are not hashed, and a path is no secret."""


@dataclass(frozen=True)
class Planted:
    """One request, what was planted in it, and what came back."""

    target: Target
    place: str
    marker: str
    answer: Answer


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[VaultProcess]:
    vault = VaultProcess(tmp_path, more='log_level = "trace"\n')
    try:
        vault.start()
        vault.initialise()
        with vault.client() as client:
            client.request("POST", "/v1/sys/mounts/plain", {"type": "kv"})
        yield vault
    finally:
        vault.stop()


def new_marker() -> str:
    return f"mark-{secrets.token_hex(16)}"


def shapes(marker: str) -> list[Any]:
    """The marker in every JSON type that can hold text, also where it does not belong."""
    return [marker, [marker], {"a": marker}, {"a": {"b": [marker]}}, f"a={marker}", f"{marker},{marker}"]


def requests(target: Target) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Place, marker and how to ask, for each place where a client may put something into one request."""
    for parameter in [*(p.name for p in target.fields), "unknown"]:
        for number in range(len(shapes(""))):
            marker = new_marker()
            yield parameter, marker, {"body": {parameter: shapes(marker)[number]}}
    for name in ("X-Vault-Token", "Authorization", "X-Vault-Wrap-TTL", "X-Vault-Namespace", "X-Vault-Wrap-Format",
                 "Accept", "User-Agent", "X-Secret", "Cookie", "X-Forwarded-For"):  # fmt: skip
        marker = new_marker()
        value = f"Bearer {marker}" if name == "Authorization" else marker
        yield f"header {name}", marker, {"headers": {name: value}}
    for form in (
        "{}",
        "[{}",
        '{{"a": "{}',
        '{{"data": {}}}',
        '"{}"',
        '{{"{}"}}',
        "a={}&b",
        '{{"ttl": "{}"}}x',
    ):
        marker = new_marker()
        text = form.format(marker).encode()
        yield "body", marker, {"body": text}


def plant(vault: VaultProcess, targets: list[Target]) -> list[Planted]:
    """Send every such request of these routes."""
    found: list[Planted] = []
    with vault.client() as client:
        for target in targets:
            for place, marker, how in requests(target):
                headers: Mapping[str, str] = {"Content-Type": MERGE_PATCH, **how.get("headers", {})}
                path, body = target.path(), how.get("body")
                if isinstance(body, dict) and not target.bodied:
                    (text,) = body.values()
                    path, body = f"{path}?{next(iter(body))}={marker if isinstance(text, str) else ''}", None
                answer = client.request(target.method, path, body, headers=headers)
                found.append(Planted(target, place, marker, answer))
    return found


def without_names(record: Any, place: str = "") -> Any:
    """An audit record without the names that it holds in the clear."""
    if not isinstance(record, dict):
        return record
    return {
        key: without_names(item, f"{place}.{key}".strip("."))
        for key, item in record.items()
        if key not in NAMES.get(place, ())
    }


def check(vault: VaultProcess, planted: list[Planted]) -> None:
    """Search everything that the server wrote or said."""
    with vault.client() as client:
        metrics = client.request("GET", "/v1/sys/metrics?format=prometheus").body
        metrics += client.request("GET", "/v1/sys/metrics").body
    lines = [json.loads(line) for line in vault.audit.read_bytes().splitlines()]
    sinks = {
        "log": found(vault.log.read_text(errors="replace")),
        "audit": found(json.dumps([without_names(line) for line in lines])),
        "metrics": found(metrics.decode()),
    }
    leaks = set()
    for one in planted:
        where = f"{one.target} {one.place}"
        key = (str(one.target), one.place)
        known = {"audit"} if key in ECHOES | ANSWERED else set()
        leaks |= {f"{sink}: {where}" for sink in set(sinks) - known if one.marker in sinks[sink]}
        refused = one.answer.status >= 400 and one.marker.encode() in one.answer.body
        if refused and key not in ECHOES:
            leaks.add(f"error: {where}: {one.answer.body.decode().replace(one.marker, 'MARKER')}")
    assert not leaks, "\n".join(sorted(leaks))


def found(text: str) -> set[str]:
    return set(MARKER.findall(text))


def test_a_marker_in_any_field_header_query_or_body_is_found_nowhere(vault: VaultProcess) -> None:
    left_out = {"seal", "revoke-self", "step-down", "monitor"}  # the last answers without an end
    kept = [t for t in TARGETS if t.route.template not in left_out]
    planted = plant(vault, kept)
    assert len(planted) > 2000
    assert vault.alive
    check(vault, planted)
