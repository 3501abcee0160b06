# SPDX-License-Identifier: EUPL-1.2
"""Of a server as a process: a secret that a client sends reaches no log, audit file, metric or error (SL-50, SL-51).

`tests/routes/test_canary.py` puts markers into every field of every route, within its own process. What a process has
beside it is the HTTP parser, its connections, and what libraries write to standard output and error: so here a few
routes of each kind are asked over HTTP.
"""

import json
from collections.abc import Iterator

from tests.fuzz.process import VaultProcess
from tests.routes.canary import MARKER, Planted, plantings, said, values
from tests.routes.driver import MERGE_PATCH, TARGETS, Target

_FEW = (
    "POST auth/token/create",
    "GET secret/data/{path:any}",
    "POST secret/data/{path:any}",
    "PATCH secret/data/{path:any}",
    "LIST secret/metadata/{path:any}",
    "DELETE plain/{path:any}",
    "POST sys/policies/acl/{name:path}",
    "POST sys/unseal",
    "GET sys/health",
)


def plant(vault: VaultProcess, target: Target) -> Iterator[tuple[Planted, str]]:
    """Send every request of a route that has a marker in it; yield it and what is said beside data."""
    with vault.client() as client:
        for planted in plantings(target):
            headers = {"Content-Type": MERGE_PATCH, **(planted.headers or {})}
            answer = client.request(target.method, planted.path, planted.body, headers=headers)
            yield planted, said(answer)


def test_a_marker_in_any_field_header_query_or_body_is_found_nowhere(vault: VaultProcess) -> None:
    chosen = [target for target in TARGETS if str(target) in _FEW]
    assert len(chosen) == len(_FEW)
    places, leaks = dict[str, str](), set[str]()
    for target in chosen:
        for planted, text in plant(vault, target):
            if planted.place in {"path", "a parameter's name", "policies"}:
                continue
            places[planted.marker] = f"{target} {planted.place}"
            if planted.marker in text:
                leaks.add(f"error: {target} {planted.place}: {text[:300]}")
    assert len(places) > 300
    assert vault.alive
    with vault.client() as client:
        metrics = client.request("GET", "/v1/sys/metrics?format=prometheus").body.decode()
    records = [json.loads(line) for line in vault.audit.read_bytes().splitlines()]
    sinks = {
        "log": vault.log.read_text(errors="replace"),
        "audit": "\n".join(text for record in records for text in values(record)),
        "metrics": metrics,
    }
    for sink, text in sinks.items():
        leaks |= {f"{sink}: {places[one]}" for one in MARKER.findall(text) if one in places}
    assert not leaks, "\n".join(sorted(leaks))
