# SPDX-License-Identifier: EUPL-1.2
"""sys/config/cors: which origins may call, and what every answer says to browsers from then on."""

from dataclasses import replace

from tests.conformance.scenario import ROOT, Scenario, Step, delete, get, lst, post, put, step
from tests.conformance.scenarios.seal import init, unseal

C = "sys/config/cors"
A = {"Origin": "http://a.example"}


def _asked(method: str, origin: str = "http://a.example", path: str = "sys/leader") -> Step:
    headers = {"Origin": origin, "Access-Control-Request-Method": method}
    return step("OPTIONS", path, token="", headers=headers)


def _from(origin: str, path: str = "sys/leader", **options: object) -> Step:
    return get(path, headers={"Origin": origin}, **options)


SETTINGS = [
    get(C),
    _from("http://a.example"),
    post(C, {}, divergence="DV-07"),
    post(C, {"enable": True}, divergence="DV-07"),
    post(C, {"allowed_origins": ["*", "http://a"]}, divergence="DV-07"),
    post(C, {"enable": "x"}),
    get(C),
    post(C, {"allowed_origins": ["http://a.example"]}),
    get(C),
    put(C, {"allowed_origins": "http://a.example, http://b.example", "allowed_headers": ["X-Foo", "x-bar"]}),
    get(C),
    post(C, {"allowed_origins": "*", "enable": False, "zz": 1}),
    get(C),
    post(C, {"allowed_origins": 5, "allowed_headers": "X-One, x-one", "allow_credentials": True}),
    get(C),
    get(C, token=""),
    lst(C),
    delete(C),
    delete(C),
    get(C),
]

BROWSERS = [
    post(C, {"allowed_origins": ["http://a.example", "http://b*"], "allowed_headers": "X-Foo"}),
    *(
        one
        for origin in ("http://a.example", "http://A.example", "http://b", "http://bx", "null", "")
        for one in (_from(origin), _from(origin, "nope/x"), _from(origin, "sys/mounts/sys", token=""))
    ),
    *(_asked(method) for method in ("GET", "LIST", "POST", "PATCH", "get", "")),
    _asked("GET", "http://zz"),
    _asked("GET", path="nope/x"),
    step("OPTIONS", "sys/leader", token="", headers=A),
    post("sys/mounts/x", b"{bad", headers=A, token="", divergence="DV-03"),
    get("sys/mounts", headers=A, pick=("nothing",)),
    post(C, {"allowed_origins": "*", "allow_credentials": True}),
    _from("http://anything"),
    _asked("PUT"),
    get("sys/leader"),
    delete(C),
    _from("http://zz"),
    _asked("GET"),
]


def _fresh(name: str, steps: list[Step]) -> Scenario:
    own = [replace(one, token="{top}") if one.token == ROOT else one for one in steps]
    return Scenario("sys-config", name, [init(1, 1), unseal("{k0}"), *own], fresh=True)


SCENARIOS = [_fresh("cors", SETTINGS), _fresh("browsers", BROWSERS)]
