# SPDX-License-Identifier: EUPL-1.2
"""Headers that the listener's configuration adds to answers: by status, by its class, and to all."""

from tests.conformance.scenario import Scenario, delete, get, lst, post, put, step
from tests.conformance.scenarios.auto_unseal import ask

_LISTENER = """
  custom_response_headers {
    "default" = { "X-Custom-A" = ["one", "two"] "Strict-Transport-Security" = ["max-age=1"] "Cache-Control" = ["private"] }
    "2xx" = { "X-Custom-A" = ["two hundreds"] "X-Custom-B" = ["b"] }
    "204" = { "X-Custom-B" = ["nothing"] }
    "4xx" = { "x-custom-c" = ["c"] }
    "404" = { "X-Custom-A" = ["missing"] }
    "405" = { "X-Custom-C" = [] }
    "503" = { "X-Custom-C" = ["shut"] }
  }
"""

ADDED = [
    ask("GET", "sys/health"),
    ask("GET", "sys/seal-status"),
    get("sys/mounts", token=""),
    ask(
        "POST",
        "sys/init",
        {"secret_shares": 1, "secret_threshold": 1},
        save=("top:root_token", "k:keys.0"),
    ),
    get("sys/mounts", token="{top}"),
    ask("POST", "sys/unseal", {"key": "zz"}),
    ask("POST", "sys/unseal", {"key": "{k}"}),
    get("auth/token/lookup-self", token="{top}", settle=200),
    post("sys/mounts/kv", {"type": "kv"}, token="{top}"),
    post("kv/a", {"x": "1"}, token="{top}"),
    get("kv/a", token="{top}"),
    get("kv/none", token="{top}"),
    lst("kv/none", token="{top}"),
    lst("kv", token="{top}"),
    delete("kv/a", token="{top}"),
    get("kv/a", token="bad"),
    get("kv/a", token=""),
    put("kv/a", b"{", token="{top}"),
    get("sys/none", token="{top}"),
    delete("sys/health", token="{top}"),
    get("nothing/here", token="{top}"),
    get("/v1/", token="{top}"),
    get("/v2/x", token="{top}"),
    get("/", token="{top}"),
    step("OPTIONS", "kv/a", token=""),
    step("HEAD", "sys/health", token=""),
    step("TRACE", "kv/a", token="{top}"),
    post("sys/seal", {}, token="{top}"),
    ask("GET", "sys/health"),
    get("kv/a", token="{top}"),
]

SCENARIOS = [Scenario("response-headers", "added", ADDED, fresh=True, listener=_LISTENER)]
