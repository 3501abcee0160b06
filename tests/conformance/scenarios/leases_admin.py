# SPDX-License-Identifier: EUPL-1.2
"""sys/leases: tokens as leases, what is refused, and what operators may ask. Engines' own leases are elsewhere."""

from dataclasses import replace

from tests.conformance.scenario import ROOT, Scenario, Step, delete, get, login, lst, policy, post, put
from tests.conformance.scenarios.acl import rule
from tests.conformance.scenarios.seal import init, unseal

L = "sys/leases"
CREATE = "auth/token/create"
SELF = "auth/token/lookup-self"


def _token(name: str, path: str = CREATE, **body: object) -> Step:
    """Creates a token and captures it."""
    return post(path, {"policies": ["default"], **body}, save=(f"{name}:auth.client_token",))


def _fresh(name: str, *steps: Step) -> Scenario:
    """A scenario on servers that nobody else has made tokens on."""
    own = [replace(one, token="{top}") if one.token == ROOT else one for one in steps]
    return Scenario("leases", name, [init(1, 1), unseal("{k0}"), *own], fresh=True)


def _lookup(lease: str, **options: object) -> Step:
    return post(f"{L}/lookup", {"lease_id": lease}, **options)


TOKENS = _fresh(
    "tokens",
    lst(f"{L}/lookup"),
    lst(f"{L}/lookup/auth"),
    _token("one", ttl="1h"),
    lst(f"{L}/lookup"),
    lst(f"{L}/lookup/"),
    lst(f"{L}/lookup/auth"),
    lst(f"{L}/lookup/auth/token/"),
    lst(f"{L}/lookup/auth/token/create", save=("key:data.keys.0",)),
    lst(f"{L}/lookup/auth/token/create/?after=a&limit=1"),
    lst(f"{L}/lookup/auth/token/create/{{key}}"),
    _lookup(f"{CREATE}/{{key}}"),
    put(f"{L}/lookup", {"lease_id": f"{CREATE}/{{key}}"}),
    _lookup(f"{CREATE}/{{key}}/"),
    _lookup(f"/{CREATE}/{{key}}"),
    _lookup("auth/token/create-orphan/{key}"),
    post(f"{L}/lookup/{CREATE}/{{key}}", {}),
    get(f"{L}/lookup/{CREATE}/{{key}}"),
    get(f"{L}/lookup"),
    post(f"{L}/renew", {"lease_id": f"{CREATE}/{{key}}"}),
    post(f"{L}/renew/{CREATE}/{{key}}", {}),
    post(f"{L}/renew/{CREATE}/{{key}}", {"lease_id": "x"}),
    post("auth/token/renew", {"token": "{one}"}),
    _lookup(f"{CREATE}/{{key}}"),
    post(f"{L}/revoke", {"lease_id": "auth/token/create-orphan/{key}"}),
    get(SELF, token="{one}", shape=2),
    post(f"{L}/revoke", {"lease_id": f"{CREATE}/{{key}}", "sync": True}),
    get(SELF, token="{one}"),
    _lookup(f"{CREATE}/{{key}}"),
    lst(f"{L}/lookup/auth"),
)

KINDS = _fresh(
    "kinds-of-tokens",
    post(CREATE, {"policies": ["root"]}),
    lst(f"{L}/lookup/{CREATE}", save=("a:data.keys.0",)),
    _lookup(f"{CREATE}/{{a}}"),
    post(f"{L}/revoke/{CREATE}/{{a}}", {}),
    _token("b", ttl="1h", renewable=False),
    lst(f"{L}/lookup/{CREATE}", save=("b:data.keys.0",)),
    _lookup(f"{CREATE}/{{b}}"),
    post(f"{L}/revoke-prefix/{CREATE}/{{b}}", {"sync": True}),
    _lookup(f"{CREATE}/{{b}}"),
    _token("c", ttl="1h", period="30m"),
    lst(f"{L}/lookup/{CREATE}", save=("c:data.keys.0",)),
    _lookup(f"{CREATE}/{{c}}"),
    post(f"{L}/revoke-force/{CREATE}", {}),
    _token("d", ttl="1h", type="batch"),
    lst(f"{L}/lookup/{CREATE}"),
    get("sys/mounts/sys", headers={"X-Vault-Wrap-TTL": "100"}),
    lst(f"{L}/lookup"),
    lst(f"{L}/lookup/sys/mounts"),
)

PREFIXES = _fresh(
    "prefixes",
    _token("one", ttl="1h"),
    _token("two", ttl="1h"),
    _token("orphan", "auth/token/create-orphan", ttl="1h"),
    lst(f"{L}/lookup/auth/token"),
    post(f"{L}/revoke-prefix/auth/token/cre", {"sync": True}),
    lst(f"{L}/lookup/auth/token"),
    post(f"{L}/revoke-prefix/{CREATE}", {"sync": True}),
    get(SELF, token="{one}"),
    get(SELF, token="{two}"),
    get(SELF, token="{orphan}", shape=2),
    lst(f"{L}/lookup/auth/token"),
    post(f"{L}/revoke-force/auth", {}),
    get(SELF, token="{orphan}"),
    lst(f"{L}/lookup"),
    get("sys/mounts", pick=("nothing",)),
)

REFUSED = [
    *(
        post(f"{L}/{verb}", body)
        for verb in ("lookup", "renew", "revoke")
        for body in (
            {},
            {"lease_id": ""},
            {"lease_id": None},
            {"lease_id": "x"},
            {"lease_id": "x/y"},
            {"lease_id": 5},
            {"lease_id": ["a"]},
            {"lease_id": True},
        )
    ),
    post(f"{L}/renew", {"lease_id": "x", "increment": "abc"}, divergence="DV-02"),
    post(f"{L}/renew", {"lease_id": "x", "increment": -1}, divergence="DV-02"),
    post(f"{L}/renew", {"url_lease_id": "x"}),
    post(f"{L}/renew/x/y", {}),
    post(f"{L}/renew/x", {"lease_id": 5}),
    post(f"{L}/renew/", {}),
    get(f"{L}/renew"),
    post(f"{L}/revoke/x", {}),
    *(
        post(f"{L}/{tail}", {"lease_id": "a/b", "sync": sync})
        for tail in ("revoke", "revoke/a/b", "revoke-prefix/a/b")
        for sync in (False, "false", 0, None)
    ),
    post(f"{L}/revoke/x", {"lease_id": "y", "sync": True}),
    post(f"{L}/revoke", {"lease_id": "x", "sync": "maybe"}),
    post(f"{L}/revoke", {"lease_id": "x"}, token=""),
    post(f"{L}/revoke-prefix", {}),
    post(f"{L}/revoke-prefix/", {}),
    post(f"{L}/revoke-prefix/nope", {}),
    post(f"{L}/revoke-prefix/nope", {"sync": "q"}),
    get(f"{L}/revoke-prefix/nope"),
    post(f"{L}/revoke-force", {}),
    post(f"{L}/revoke-force/nope", {}),
    post(f"{L}/revoke-force/nope", {"sync": True}),
    delete(f"{L}/lookup"),
    *(post(f"sys/{name}", {}) for name in ("renew", "revoke", "revoke-prefix/x", "revoke-force/x")),
]

OPERATORS = [
    get(L),
    lst(L),
    get(f"{L}?type=x"),
    get(f"{L}?type=irrevocable"),
    get(f"{L}?type=irrevocable&limit=1"),
    get(f"{L}?type=irrevocable&limit=none"),
    get(f"{L}?type=irrevocable&limit=20000"),
    get(f"{L}?type=irrevocable&limit=abc", divergence="DV-07"),
    get(f"{L}?type=irrevocable&limit=-1", divergence="DV-07"),
    get(f"{L}?type=irrevocable&include_child_namespaces=true"),
    get(f"{L}?type=irrevocable&include_child_namespaces=maybe"),
    post(L, {"type": "irrevocable"}),
    get(f"{L}/count"),
    get(f"{L}/count?type=x"),
    get(f"{L}/count?type=irrevocable"),
    get(f"{L}/count?type=irrevocable&include_child_namespaces=true"),
    post(f"{L}/count", {}),
    post(f"{L}/tidy", {}),
    get(f"{L}/tidy"),
    policy("leases-all", rule("sys/leases*", "create", "read", "update", "list")),
    policy("leases-sudo", rule("sys/leases*", "create", "read", "update", "list", "sudo")),
    login("w", "leases-all"),
    login("s", "leases-sudo"),
    *(
        step
        for token in ("{w}", "{s}", "")
        for step in (
            lst(f"{L}/lookup/nope", token=token),
            post(f"{L}/lookup", {"lease_id": "x"}, token=token),
            post(f"{L}/revoke", {"lease_id": "x"}, token=token),
            post(f"{L}/revoke-prefix/nope", {}, token=token),
            post(f"{L}/revoke-force/nope", {}, token=token),
            get(f"{L}?type=irrevocable", token=token),
            get(f"{L}/count?type=irrevocable", token=token),
        )
    ),
    post(f"{L}/tidy", {}, token="{w}", pick=("data",)),
    post(f"{L}/tidy", {}, token=""),
]

SCENARIOS = [
    Scenario("leases", "refused", REFUSED),
    Scenario("leases", "operators", OPERATORS),
    TOKENS,
    KINDS,
    PREFIXES,
]
