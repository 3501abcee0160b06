# SPDX-License-Identifier: EUPL-1.2
"""What a client puts anywhere into a request is repeated nowhere but where it must be (SL-50, SL-51).

A marker stands in turn in each field, header, query, path and body of each route, alone and among plausible fields,
in every JSON type and in the shapes that parsers look into. It is looked for in refusals, warnings, the log, the
metrics, the traces, the audit file and the log of what was done. The answer of a success is what the server is for. What else may
repeat it:

- a refusal, a warning and the audit record of it: a *name* that stands in the request's path;
- the name of a parameter that is unknown, in a warning, and of a policy, a mount or a key of metadata (`NAMED`);
- `state` of an authentication request, which comes back with its error (RFC 6749, 4.1.2.1).

A record of the log repeats the path of a request, and the value of a field that is declared clear; nothing else.
"""

import json

import pytest

from tests.routes.canary import (
    ANSWERED,
    MARKER,
    Furnished,
    is_clear,
    plantings,
    said,
    values,
    without_paths,
)
from tests.routes.driver import TARGETS, Target
from tests.routes.traced import said as said_of_spans
from tests.routes.traced import traced, waiting

NAMED = {
    ("POST auth/token/create", "policies"),
    ("POST auth/token/create-orphan", "policies"),
    ("POST auth/token/create/{role_name}", "policies"),
    ("POST nhi/registrations/{name:name}", "policies"),
    ("POST secret/metadata/{path:any}", "custom_metadata"),
    ("PATCH secret/metadata/{path:any}", "custom_metadata"),
    ("POST sys/plugins/reload/backend", "mounts"),
    ("POST sys/quotas/rate-limit/{name:name}", "path"),
    ("POST sys/remount", "from"),
    ("POST sys/remount", "to"),
}
"""Route and field whose refusals and warnings repeat names: of policies, mounts, keys of metadata."""
ASKED_BACK = {
    (f"{method} identity/oidc/provider/{{name:word}}/authorize", "state") for method in ("GET", "POST")
}
_LEFT_OUT = {"seal", "revoke-self", "step-down", "monitor"}
"""They end the vault, the token that asks, or do not end."""
_MOUNTS = sorted({target.mount for target in TARGETS})


def routes(mount: str) -> list[Target]:
    """The routes of a mount, those last that take away what others need."""
    found = [t for t in TARGETS if t.mount == mount and t.route.template not in _LEFT_OUT]
    return sorted(found, key=lambda target: target.method == "DELETE")


def leaks(mount: str, *, whole: bool) -> str:
    """What of the requests to one mount was repeated where, a line for each."""
    with traced(Furnished) as application:
        found, places, clear, shown = set[str](), {}, set[str](), set[str]()
        spans = []
        for target in routes(mount):
            for planted in plantings(target, whole=whole):
                token = "" if "x-vault-token" in (planted.headers or {}) else "root"
                answer = application.request(
                    target.method, planted.path, planted.body, token=token, headers=planted.headers
                )
                key = str(target), planted.place
                places[planted.marker] = key
                if is_clear(target, "ttl" if planted.place == "body" else planted.place):
                    shown.add(planted.marker)
                if planted.place in {"path", "a parameter's name"} or key in NAMED | ASKED_BACK | ANSWERED:
                    clear.add(planted.marker)
                elif planted.marker in (text := said(answer)):
                    found.add(f"{key}: {text.replace(planted.marker, 'MARKER')[:300]}")
            spans.append(said_of_spans(waiting(application)))
            application.reopen()
        assert places
        assert any(spans)
        recorded = [text for record in application.records(MARKER) for text in values(record)]
        sinks = {"audit": "\n".join(recorded), "server log": application.log.getvalue()}
        sinks["traces"] = "\n".join(spans)
        sinks["log"] = json.dumps([without_paths(record) for record in application.logged(MARKER)])
        for path in ("sys/metrics", "sys/metrics?format=prometheus"):
            metrics = application.request("GET", f"/v1/{path}", token="root")
            assert metrics.status == 200
            sinks[path] = metrics.body.decode()
        for sink, text in sinks.items():
            held = set(MARKER.findall(text)) - {"audit": clear, "log": shown}.get(sink, set())
            found |= {f"{sink}: {places[one]}" for one in held}
    return "\n".join(sorted(found))


@pytest.mark.parametrize("mount", _MOUNTS)
def test_sl_51_no_value_is_repeated_by_refusals_warnings_log_metrics_or_audit(mount: str) -> None:
    assert leaks(mount, whole=False) == ""


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("mount", _MOUNTS)
def test_sl_51_no_value_is_repeated_in_whatever_shape_it_comes(mount: str) -> None:
    assert leaks(mount, whole=True) == ""
