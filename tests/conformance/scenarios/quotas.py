# SPDX-License-Identifier: EUPL-1.2
"""sys/quotas: rate limits, what is refused of them, which one counts, and what answers say of them."""

from dataclasses import replace

from tests.conformance.scenario import ROOT, Scenario, Step, delete, get, login, lst, patch, policy, post, put
from tests.conformance.scenarios.acl import rule
from tests.conformance.scenarios.seal import init, unseal

Q = "sys/quotas/rate-limit"
C = "sys/quotas/config"
DAY = "24h"
"""An interval that does not end while a scenario is played."""


def _mount(name: str, version: str = "1") -> Step:
    return post(f"sys/mounts/{name}", {"type": "kv", "options": {"version": version}})


CONFIG = [
    get(C),
    post(C, {"enable_rate_limit_audit_logging": True}),
    get(C),
    post(C, {"rate_limit_exempt_paths": ["sys/x", "/v1/sys/y", "sys/*", "secret/+/a", "", "a", "a", " b "]}),
    get(C),
    post(C, {"rate_limit_exempt_paths": "a,b"}),
    get(C),
    post(C, {"rate_limit_exempt_paths": 5}),
    get(C),
    put(C, {"rate_limit_exempt_paths": []}),
    post(C, {"rate_limit_exempt_paths": {"a": 1}}),
    post(C, {"enable_rate_limit_response_headers": "maybe"}),
    post(C, {}),
    get(C),
    post(C, {"zz": 1}),
    delete(C),
    lst(C),
    get("sys/quotas"),
    lst("sys/quotas"),
    get("sys/quotas/lease-count"),
    get(C, token=""),
]

KEEP = [
    _mount("quota-a"),
    _mount("quota-b"),
    lst(Q),
    get(Q),
    get(f"{Q}/x"),
    *(
        post(f"{Q}/x", {"path": "quota-a", **body})
        for body in (
            {},
            {"rate": 0},
            {"rate": -1},
            {"rate": "abc"},
            {"rate": ""},
            {"rate": [1]},
            {"rate": {"a": 1}},
            {"rate": "0x10"},
            {"rate": 5, "inheritable": "x"},
            {"rate": 5, "role": "r"},
            {"rate": 5, "path": ["a"]},
            {"rate": 5, "path": "nope"},
            {"rate": 5, "path": "nope/x"},
            {"rate": 5, "path": "quota-a*"},
            {"rate": 5, "path": "*"},
            {"rate": 5, "path": "quota-a/x", "role": "r"},
            {"rate": 5, "path": "", "role": "r"},
            {"rate": 5, "path": "auth/token", "role": "r"},
            {"rate": 5, "path": "auth/token/create", "role": "r"},
        )
    ),
    *(
        one
        for kind in ("approle", "kubernetes", "cert")
        for one in (
            post(f"sys/auth/quota-{kind}", {"type": kind}),
            post(f"{Q}/role", {"rate": 1000, "path": f"auth/quota-{kind}", "role": "r"}, divergence="DV-64"),
            delete(f"{Q}/role"),
            delete(f"sys/auth/quota-{kind}"),
        )
    ),
    post("sys/auth/quota-userpass", {"type": "userpass"}),
    post(f"{Q}/role", {"rate": 1000, "path": "auth/quota-userpass", "role": "r"}),
    delete("sys/auth/quota-userpass"),
    post(f"{Q}/x", {"path": "quota-a", "rate": 5, "interval": "x"}, divergence="DV-02"),
    post(f"{Q}/x", {"path": "quota-a", "rate": 5, "interval": "-5s"}, divergence="DV-02"),
    post(f"{Q}/x", {"path": "quota-a", "rate": "Inf"}, divergence="DV-07"),
    *(
        one
        for body in (
            {"rate": 1000, "path": "quota-a"},
            {"rate": 1000.5, "path": "/quota-a/", "interval": "2m", "block_interval": "30s"},
            {"rate": "1000.25", "path": "quota-a/x/", "interval": "1m30s", "block_interval": 20},
            {"rate": True, "path": "quota-a/x", "inheritable": True},
            {"rate": 1000, "path": "quota-a/x*", "type": "lease-count"},
            {"rate": 1000, "path": "quota-a/+/y", "interval": "0s"},
            {"rate": 1000, "path": "quota-a/a*b", "interval": "1500ms"},
            {"rate": 1000, "path": "auth/token/create"},
            {"rate": 100000, "path": ""},
            {"rate": 100000, "path": "/", "inheritable": False},
            {"rate": 100000, "path": "sys", "other": 1},
        )
        for one in (post(f"{Q}/x", body), get(f"{Q}/x"))
    ),
    post(f"{Q}/y", {"rate": 1000, "path": "quota-a"}),
    post(f"{Q}/z", {"rate": 1000, "path": "quota-a/"}),
    post(f"{Q}/z", {"rate": 1000, "path": "quota-a/z"}),
    post(f"{Q}/z", {"rate": 1000, "path": "quota-a"}),
    get(f"{Q}/z"),
    lst(Q, unordered=("data.keys",)),
    post(f"{Q}/a.b", {"rate": 1000, "path": "quota-b"}),
    post(f"{Q}/A", {"rate": 1000, "path": "quota-b/A"}),
    post(f"{Q}/a/b", {"rate": 1000, "path": "quota-b/c"}),
    post(f"{Q}/a%20b", {"rate": 1000, "path": "quota-b/c"}),
    post(f"{Q}/-x", {"rate": 1000, "path": "quota-b/c"}),
    lst(Q, unordered=("data.keys",)),
    post("sys/remount", {"from": "quota-b", "to": "quota-c"}, pick=("nothing",)),
    get(f"{Q}/a.b", settle_on="quota-c"),
    get(f"{Q}/A"),
    delete("sys/mounts/quota-c"),
    get(f"{Q}/a.b"),
    lst(Q, unordered=("data.keys",)),
    patch(f"{Q}/x", {"rate": 5}),
    delete(Q),
    delete(f"{Q}/nope"),
    *(delete(f"{Q}/{name}") for name in ("x", "y", "z")),
    lst(Q),
    policy("quotas", rule("sys/quotas/*", "create", "read", "update", "delete", "list")),
    login("w", "quotas"),
    post(f"{Q}/x", {"rate": 1000, "path": "quota-a"}, token="{w}"),
    get(f"{Q}/x", token="{w}"),
    delete(f"{Q}/x", token="{w}"),
    get(f"{Q}/x", token=""),
    lst(Q, token=""),
]


def _limited(name: str, *steps: Step) -> Scenario:
    """A scenario on servers of its own, as what it limits is everybody's."""
    own = [replace(one, token="{top}") if one.token == ROOT else one for one in steps]
    return Scenario("quotas", name, [init(1, 1), unseal("{k0}"), *own], fresh=True)


LIMITS = _limited(
    "limits",
    _mount("kv"),
    _mount("kv2", "2"),
    post(f"{Q}/m", {"rate": 3, "path": "kv", "interval": DAY}),
    get("kv/a"),
    get("kv/a", token="bad"),
    post("kv/a", {"x": 1}),
    get("kv/a"),
    lst("kv/a"),
    get("kv/a", token="bad"),
    post("kv/a", b"{bad"),
    get("kv2/config"),
    post(C, {"enable_rate_limit_response_headers": True}),
    post(f"{Q}/m", {"rate": 2, "path": "kv", "interval": DAY}),
    get("kv/a"),
    get("kv/nothing"),
    get("kv/a"),
    get("kv/a", headers={"X-Vault-Namespace": "root"}),
    delete(f"{Q}/m"),
    get("kv/a"),
    post(f"{Q}/m", {"rate": 1.5, "path": "kv", "interval": DAY, "block_interval": "48h"}),
    get("kv/a"),
    get("kv/a"),
    get("kv/a"),
    get("kv/a", settle_on="exceeded"),
    delete(f"{Q}/m"),
    post(f"{Q}/m", {"rate": 0.5, "path": "kv", "interval": DAY}),
    get("kv/a"),
    get("kv/a"),
    delete("sys/mounts/kv"),
    _mount("kv"),
    get("kv/a"),
)

SPECIFIC = _limited(
    "most-specific",
    _mount("kv", "2"),
    post(C, {"enable_rate_limit_response_headers": True}),
    post(f"{Q}/global", {"rate": 1000, "interval": DAY}),
    post(f"{Q}/mount", {"rate": 900, "path": "kv", "interval": DAY}),
    post(f"{Q}/exact", {"rate": 800, "path": "kv/data/foo", "interval": DAY}),
    post(f"{Q}/some", {"rate": 700, "path": "kv/data/*", "interval": DAY}),
    post(f"{Q}/few", {"rate": 600, "path": "kv/data/fo*", "interval": DAY}),
    *(
        get(f"kv/{path}")
        for path in ("data/foo", "data/fox", "data/foo/bar", "data/x", "data", "config", "metadata/foo")
    ),
    get("kv/data/foo/"),
    get("nope/x"),
    get("sys/health", token=""),
    get("sys/seal-status", token=""),
    get("sys/mounts/kv"),
    get("sys/nothing"),
    get("kv/data/x", headers={"X-Vault-Wrap-TTL": "100"}),
    post("kv/data/x", {}),
    post("sys/wrapping/unwrap", {"token": "x"}),
)

EXEMPT = _limited(
    "exempt-paths",
    post(f"{Q}/global", {"rate": 100000, "interval": DAY}),
    *(
        one
        for exempt, paths in (
            (["sys/mo"], ("sys/mounts", "sys/auth")),
            (["sys/mounts"], ("sys/mounts", "sys/mounts/sys", "sys/auth")),
            (["sys/mo*"], ("sys/mounts", "sys/auth")),
            (["sys/*/sys"], ("sys/mounts/sys",)),
            (["sys/+/sys"], ("sys/mounts/sys",)),
            (["/sys/mounts"], ("sys/mounts",)),
            (["*"], ("sys/mounts", "nope")),
            (["/", ""], ("sys/mounts", "nope")),
            (["sys*", "!sys/mounts"], ("sys/mounts", "sys/auth", "sys/mounts/sys")),
            (["sys/mounts/"], ("sys/mounts", "sys/mounts/sys")),
            (["SYS/mounts"], ("sys/mounts",)),
            (["sys/policies/acl"], ("sys/policies/acl?list=true", "sys/policies/acl/default")),
        )
        for one in (
            post(
                C,
                {
                    "enable_rate_limit_response_headers": True,
                    "rate_limit_exempt_paths": [*exempt, "sys/quotas"],
                },
            ),
            *(get(path, pick=("nothing",)) for path in paths),
        )
    ),
    get("nope", token="bad"),
)

SCENARIOS = [
    Scenario("quotas", "config", CONFIG),
    Scenario("quotas", "keep", KEEP),
    LIMITS,
    SPECIFIC,
    EXEMPT,
]
