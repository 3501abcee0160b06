# SPDX-License-Identifier: EUPL-1.2
"""Token roles: their fields, the policies and limits of tokens made with them, and renewal."""

from tests.conformance.scenario import Scenario, Step, delete, get, login, lst, patch, policy, post, scan
from tests.conformance.scenarios.approle import TOKEN

R = "auth/token/roles/"
C = "auth/token/create/"
SEEN = (*TOKEN, "data.role")

WRITES: list[tuple[dict[str, object], str]] = [
    (
        {
            "allowed_policies": "a,b,B",
            "disallowed_policies": "x",
            "orphan": True,
            "period": "1h",
            "path_suffix": "sfx",
            "renewable": False,
            "explicit_max_ttl": "2h",
            "bound_cidrs": "127.0.0.0/8",
            "token_type": "service",
            "allowed_entity_aliases": "e1, E*,Ren\u00c9,e1",
            "allowed_policies_glob": "g*",
            "disallowed_policies_glob": "z*",
            "token_num_uses": 5,
        },
        "",
    ),
    ({"period": "-1"}, "DV-02"),
    ({"path_suffix": "a b"}, ""),
    ({"path_suffix": "/x"}, ""),
    ({"path_suffix": "ab"}, ""),
    ({"path_suffix": "a..b"}, ""),
    ({"token_type": "foo"}, "DV-02"),
    ({"token_type": "default"}, "DV-02"),
    ({"token_type": "default-service"}, ""),
    ({"token_type": "default-batch"}, ""),
    ({"token_type": "batch", "period": "1h"}, ""),
    ({"token_type": "batch", "orphan": True}, ""),
    ({"token_type": "batch", "orphan": True, "renewable": False}, ""),
    ({"token_bound_cidrs": "zz"}, "DV-02"),
    ({"token_period": "1h", "period": "2h"}, ""),
    ({"token_explicit_max_ttl": "1h", "explicit_max_ttl": "2h"}, ""),
    ({"explicit_max_ttl": "9000h"}, ""),
    ({"token_num_uses": -1}, ""),
    ({"renewable": "x"}, ""),
    ({"allowed_policies": ["root"]}, ""),
    ({"allowed_policies": ""}, ""),
    ({"token_no_default_policy": True}, ""),
]
ROLES = [
    get(R + "none"),
    delete(R + "none"),
    post(R + "tr", {}),
    get(R + "tr"),
    *(
        one
        for body, known in WRITES
        for one in (post(R + "tw", body, divergence=known), get(R + "tw"), delete(R + "tw"))
    ),
    lst(R[:-1]),
    scan(R[:-1]),
    post(R + "TRUP", {}),
    get(R + "trup"),
    get(R + "TRUP"),
    delete(R + "TRUP"),
    post(R + "tr", {"token_period": "1h", "bound_cidrs": "127.0.0.0/8"}),
    post(R + "tr", {"period": "3h"}),
    get(R + "tr"),
    post(R + "tr", {"token_period": "1h", "token_bound_cidrs": ""}),
    get(R + "tr"),
    post(R + "a@b.c", {}),
    post(R + "a/b", {}),
    patch(R + "tr", {"period": "2h"}),
    get(C + "tr"),
    lst(C + "tr"),
    delete(R + "tr"),
    post(C + "tr", {}),
]


def made(name: str, role: dict[str, object], *bodies: dict[str, object]) -> list[Step]:
    """Writes a role, and makes and looks up a token for each body."""
    steps = [post(R + name, role)]
    for body in bodies:
        steps += [
            post(C + name, body, save=("t:auth.client_token",)),
            post("auth/token/lookup", {"token": "{t}"}, pick=SEEN),
        ]
    return steps


def refused(name: str, *bodies: dict[str, object], **options: object) -> list[Step]:
    """Asks for tokens that the role does not give."""
    return [post(C + name, body, **options) for body in bodies]


P: dict[str, object] = {"policies": ["p"]}
POLICIES = [
    *made("tp1", {}, {}, P, {"policies": ["root"]}, {"no_default_policy": True, **P}),
    *made("tp2", {"allowed_policies": "a,b"}, {}, {"policies": ["a"]}, {"policies": ["default"]}),
    *refused("tp2", {"policies": ["c"]}, {"policies": ["a", "c"]}, {"policies": ["root"]}),
    *made("tp3", {"disallowed_policies": "x,default"}, {}, P, {"no_default_policy": True, **P}),
    *refused("tp3", {"policies": ["x"]}),
    *made("tp4", {"allowed_policies_glob": "g*"}, {}, {"policies": ["g1"]}),
    *refused("tp4", {"policies": ["h"]}),
    *made("tp5", {"disallowed_policies_glob": "z*"}, P, {}),
    *refused("tp5", {"policies": ["z1"]}),
    *made("tp6", {"allowed_policies": "a", "allowed_policies_glob": "g*"}, {}, {"policies": ["a", "g2"]}),
    *made("tp7", {"allowed_policies": "a", "disallowed_policies": "a"}),
    *refused("tp7", {"policies": ["a"]}),
    *made("tp8", {"disallowed_policies": "root"}),
    *refused("tp8", {}, {"policies": ["root"]}),
    *made("tp9", {"token_no_default_policy": True, "allowed_policies": "a"}, {}, {"policies": ["a"]}),
    *refused("tp9", {"policies": ["a", "default"]}),
    *made("tp10", {"token_no_default_policy": True, "allowed_policies_glob": "a*"}, {}, {"policies": ["a"]}),
    *made("tp11", {"allowed_policies_glob": "*", "path_suffix": "abc"}, {"policies": ["root"]}, P, {}),
    post(R + "tp12", {"token_no_default_policy": True}),
    post(C + "tp12", P, divergence="DV-40"),
]
LIMITS = [
    *made(
        "tl1",
        {
            "orphan": True,
            "token_period": "1h",
            "path_suffix": "sf-x",
            "token_explicit_max_ttl": "30m",
            "renewable": False,
            "token_bound_cidrs": "127.0.0.0/8",
            "token_num_uses": 3,
        },
        P,
        {"ttl": "5m", **P},
        {"period": "2h", **P},
        {"period": "10m", **P},
        {"explicit_max_ttl": "10m", **P},
        {"num_uses": 7, **P},
        {"num_uses": 2, **P},
        {"renewable": True, **P},
        {"no_parent": True, **P},
    ),
    *made("tl2", {"explicit_max_ttl": "30m"}, {"ttl": "1h", **P}, {"explicit_max_ttl": "2h", **P}),
    *made("tl3", {"token_type": "batch", "orphan": True, "renewable": False}, P, {"type": "service", **P}),
    *made("tl4", {"token_type": "default-batch"}, P, {"type": "service", **P}),
    *refused("tl4", {}),
    *made("tl5", {"token_type": "service"}, {"type": "batch", **P}),
    *refused("tl5", {"entity_alias": "e2", **P}),
    post(R + "tl6", {"token_bound_cidrs": "10.0.0.0/8"}),
    post(C + "tl6", P, save=("t:auth.client_token",)),
    get("auth/token/lookup-self", token="{t}"),
]
RENEWAL = [
    post(R + "tn1", {"token_period": "1h"}),
    post(C + "tn1", {"policies": ["default"]}, save=("t:auth.client_token",)),
    post(R + "tn1", {"token_period": "2h"}),
    post("auth/token/renew-self", {}, token="{t}"),
    delete(R + "tn1"),
    post("auth/token/renew-self", {}, token="{t}"),
    post("auth/token/lookup", {"token": "{t}"}, pick=SEEN),
    post(R + "tn2", {"token_explicit_max_ttl": "1h"}),
    post(C + "tn2", {"policies": ["default"]}, save=("t:auth.client_token",)),
    post("auth/token/renew-self", {"increment": "30m"}, token="{t}"),
    post(R + "tn2", {"token_explicit_max_ttl": "2h"}),
    post("auth/token/renew-self", {"increment": "30m"}, token="{t}"),
]
RIGHTS = [
    policy("token-roles", 'path "auth/token/create/*" { capabilities = ["update"] }'),
    login("maker", "default", "token-roles", ttl="1h"),
    post(R + "tu1", {"allowed_policies": "a", "orphan": True}),
    *refused("tu1", {}, {"policies": ["a"]}, {"policies": ["b"]}, {"no_parent": True}, token="{maker}"),
    *refused("tu1", {"period": "1h"}, {"id": "zz"}, token="{maker}"),
    post(R + "tu2", {}),
    *refused("tu2", {"policies": ["b"]}, {}, token="{maker}"),
    post(R + "tu3", {"disallowed_policies": "x"}),
    *refused("tu3", {"policies": ["b"]}, {}, {"policies": ["root"]}, token="{maker}"),
    post(R + "tu4", {"allowed_policies_glob": "*"}),
    *refused("tu4", {"policies": ["root"]}, {"policies": ["other"]}, token="{maker}"),
    post(R + "tu5", {"allowed_policies": "root"}),
    *refused("tu5", {"policies": ["root"]}, {}, token="{maker}"),
]

SCENARIOS = [
    Scenario("token-roles", "token-roles-fields", ROLES),
    Scenario("token-roles", "token-roles-policies", POLICIES),
    Scenario("token-roles", "token-roles-limits", LIMITS),
    Scenario("token-roles", "token-roles-renewal", RENEWAL),
    Scenario("token-roles", "token-roles-rights", RIGHTS),
]
