# SPDX-License-Identifier: EUPL-1.2
"""jwt: what a role makes of claims, and keys that come from a key set or a provider."""

from collections.abc import Sequence

from tests.conformance.scenario import Scenario, get, post
from tests.conformance.scenarios.jwt import DEAD, GOOD, STATIC, claims, enter, mount, role
from tests.tokens import EDWARDS, OTHER, token

AUDIENCE: dict[str, object] = {"bound_audiences": [], "bound_subject": "alice"}
BOUND: list[tuple[str, dict[str, object], Sequence[dict[str, object]]]] = [
    (
        "aud",
        AUDIENCE,
        [
            {},
            {"aud": None},
            {"aud": []},
            {"aud": ""},
            {"aud": None, "sub": "bob"},
            {"aud": None, "sub": None},
        ],
    ),
    (
        "bound",
        {"bound_claims": {"g": ["x", "y"]}},
        [{}, {"g": "x"}, {"g": "z"}, {"g": ["z", "y"]}, {"g": []}, {"g": [["x"]]}, {"g": 5}, {"g": ""}],
    ),
    (
        "number",
        {"bound_claims": {"n": 5}},
        [{"n": 5}, {"n": 5.0}, {"n": "5"}, {"n": 6}, {"n": True}, {"n": [4, 5]}],
    ),
    (
        "truth",
        {"bound_claims": {"t": True}},
        [{"t": True}, {"t": "true"}, {"t": 1}, {"t": [True]}, {"t": False}],
    ),
    ("empty", {"bound_claims": {"e": []}}, [{}, {"e": "x"}, {"e": []}, {"e": ""}]),
    ("blank", {"bound_claims": {"e": ""}}, [{}, {"e": "x"}, {"e": ""}]),
    (
        "pointer",
        {"bound_claims": {"/a/b": "q"}},
        [{}, {"a": {"b": "q"}}, {"a": {"b": ["r", "q"]}}, {"a": {"c": "q"}}, {"a": "q"}, {"/a/b": "q"}],
    ),
    ("index", {"bound_claims": {"/a/1": "q"}}, [{"a": ["p", "q"]}, {"a": ["q"]}, {"a": {"1": "q"}}]),
    (
        "glob",
        {"bound_claims": {"g": ["a*", "*b*", "x?z", "[c]"]}, "bound_claims_type": "glob"},
        [
            {"g": "abc"},
            {"g": "zbz"},
            {"g": "zz"},
            {"g": "xyz"},
            {"g": "x?z"},
            {"g": "c"},
            {"g": "[c]"},
            {"g": 5},
            {"g": [5, "ab"]},
        ],
    ),
    (
        "and",
        {"bound_claims": {"g": "x", "h": "y"}},
        [{"g": "x", "h": "y"}, {"g": "x", "h": "z"}, {"g": "z", "h": "y"}],
    ),
    (
        "map",
        {"claim_mappings": {"m": "mm", "/a/b": "ab"}},
        [
            {},
            {"m": "x"},
            {"m": ""},
            {"m": 5},
            {"m": True},
            {"m": ["x"]},
            {"m": {"a": 1}},
            {"m": "x", "a": {"b": "q"}},
        ],
    ),
    (
        "group",
        {"groups_claim": "g"},
        [{}, {"g": ["x", "y"]}, {"g": "x"}, {"g": []}, {"g": {"a": 1}}, {"g": [""]}],
    ),
    ("deep", {"groups_claim": "/a/b"}, [{"a": {"b": ["g"]}}, {"a": {}}, {"/a/b": ["g"]}]),
    (
        "user",
        {"user_claim": "/a/b", "user_claim_json_pointer": True},
        [{"a": {"b": "u"}}, {}, {"a": {"b": ["u"]}}],
    ),
    ("plain", {"user_claim": "/a/b"}, [{"a": {"b": "u"}}, {"/a/b": "u"}]),
    ("escaped", {"user_claim": "/a~1b/0", "user_claim_json_pointer": True}, [{"a/b": ["u"]}, {"a/b": []}]),
    ("id", {"user_claim": "id"}, [{"id": 5}, {"id": ["x"]}, {"id": "Ünï/cödé"}, {"id": " x "}]),
    (
        "order",
        {"user_claim": "u", "bound_claims": {"g": "x"}, "groups_claim": "gr", "claim_mappings": {"m": "mm"}},
        [{}, {"u": "u", "m": 5}, {"u": "u"}, {"u": "u", "gr": []}, {"u": "u", "gr": [], "g": "x"}],
    ),
    (
        "templated",
        {"token_policies_template_claims": True, "token_policies": ["p-{{.sub}}", "x-{{ .a.b }}", "z"]},
        [{"a": {"b": "q"}}, {"a": {"b": 5}}, {"a": {"b": "Q"}}],
    ),
    (
        "become",
        {"token_policies_template_claims": True, "token_policies": "{{.sub}}"},
        [{}, {"sub": "root"}, {"sub": "ROOT"}],
    ),
]
CLAIMS = [
    mount("jwt-claims"),
    post("auth/jwt-claims/config", STATIC),
    *(
        one
        for name, fields, several in BOUND
        for one in (
            *role("jwt-claims", name, **fields),
            *(enter("jwt-claims", name, token(claims(**change))) for change in several),
        )
    ),
    enter("jwt-claims", "bound", token(claims(g={"x": 1})), divergence="DV-02"),
    enter("jwt-claims", "group", token(claims(g=["x", 5])), divergence="DV-02"),
    enter("jwt-claims", "templated", token(GOOD), divergence="DV-44"),
    enter("jwt-claims", "templated", token(claims(a={"b": ["x"]})), divergence="DV-44"),
    enter("jwt-claims", "templated", token(claims(a={"b": "x*"})), divergence="DV-44"),
]

SET = [
    mount("jwt-sets"),
    *role("jwt-sets", "r"),
    post("auth/jwt-sets/config", {"jwks_url": "{service}/keys"}),
    enter("jwt-sets", "r", token(GOOD, kid="one")),
    enter("jwt-sets", "r", token(GOOD)),
    enter("jwt-sets", "r", token(GOOD, kid="two")),
    enter("jwt-sets", "r", token(GOOD, OTHER, kid="one")),
    enter("jwt-sets", "r", token(GOOD, algorithm="none", kid="one"), divergence="DV-02"),
    post("auth/jwt-sets/config", {"jwks_url": "{service}/two-keys"}),
    enter("jwt-sets", "r", token(GOOD, OTHER, kid="o")),
    enter("jwt-sets", "r", token(GOOD, EDWARDS, "EdDSA")),
    enter("jwt-sets", "r", token(GOOD)),
    post("auth/jwt-sets/config", {"jwks_url": "{service}/two-keys", "jwt_supported_algs": ["EdDSA"]}),
    enter("jwt-sets", "r", token(GOOD, OTHER, kid="o")),
    enter("jwt-sets", "r", token(GOOD, EDWARDS, "EdDSA")),
    post("auth/jwt-sets/config", {"jwks_url": "{service}/no-keys"}),
    enter("jwt-sets", "r", token(GOOD)),
    post("auth/jwt-sets/config", {"jwks_url": f"{DEAD}/keys", "skip_jwks_validation": True}),
    enter("jwt-sets", "r", token(GOOD), divergence="DV-02"),
    post("auth/jwt-sets/config", {"oidc_discovery_url": "{service}"}),
    enter("jwt-sets", "r", token(GOOD)),
    post("auth/jwt-sets/config", {"oidc_discovery_url": "{service}", "bound_issuer": "other"}),
    enter("jwt-sets", "r", token(GOOD)),
    enter("jwt-sets", "r", token(claims(iss="other"))),
    post(
        "auth/jwt-sets/config",
        {"oidc_discovery_url": "{service}/keyless", "skip_jwks_validation": True},
        divergence="DV-43",
    ),
    enter("jwt-sets", "r", token(GOOD), divergence="DV-02"),
    post("auth/jwt-sets/config", {"oidc_discovery_url": DEAD, "skip_jwks_validation": True}),
    get("auth/jwt-sets/config", divergence="DV-43"),
    enter("jwt-sets", "r", token(GOOD), divergence="DV-02"),
]

SCENARIOS = [
    Scenario("jwt", "jwt-claims", CLAIMS),
    Scenario("jwt", "jwt-sets", SET),
]
