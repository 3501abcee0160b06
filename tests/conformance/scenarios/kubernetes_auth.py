# SPDX-License-Identifier: EUPL-1.2
"""kubernetes: the cluster, roles, and logins of service accounts that an API server vouches for, or does not."""

import time
from typing import Any

from tests.conformance.scenario import Scenario, Step, delete, get, lst, patch, post
from tests.conformance.scenarios.approle import AUTH, TOKEN
from tests.conformance.scenarios.jwt import mount
from tests.tokens import KEY, OTHER, pem, token
from tests.unit.outbound.authority import Authority

NOW = int(time.time())
CA = Authority("cluster").pem
C = "auth/k8s-config/config"
CLUSTER = {"kubernetes_host": "{service}", "kubernetes_ca_cert": CA, "disable_local_ca_jwt": True}
CONFIGS: list[dict[str, object]] = [
    {},
    {"kubernetes_host": "x"},
    {"kubernetes_host": "https://x", "pem_keys": "zz"},
    {"kubernetes_host": "https://x", "disable_local_ca_jwt": True},
    {"kubernetes_host": "https://x", "kubernetes_ca_cert": CA},
    {**CLUSTER, "pem_keys": [pem(KEY), pem(OTHER)]},
    {**CLUSTER, "token_reviewer_jwt": "reviewer", "issuer": "iss", "disable_iss_validation": False},
    {**CLUSTER, "disable_iss_validation": "maybe"},
    CLUSTER,
]
CONFIG = [
    mount("k8s-config", "kubernetes"),
    get(C),
    *(one for body in CONFIGS for one in (post(C, body), get(C))),
    delete(C),
    lst(C),
    get(C, token=""),
    get("auth/k8s-config/nope"),
    get("auth/k8s-config/login", token=""),
]

R = "auth/k8s-roles/role/"
BOTH: dict[str, object] = {"bound_service_account_names": "a", "bound_service_account_namespaces": "b"}
ROLES: list[tuple[dict[str, object], str]] = [
    ({}, ""),
    ({"bound_service_account_names": "a"}, ""),
    ({"bound_service_account_namespaces": "a"}, ""),
    (BOTH, ""),
    ({**BOTH, "bound_service_account_names": "a,*"}, ""),
    ({**BOTH, "bound_service_account_namespaces": ["*", "x"]}, ""),
    ({**BOTH, "bound_service_account_names": "*", "bound_service_account_namespaces": "*"}, ""),
    ({**BOTH, "bound_service_account_names": ["a*", "b"], "bound_service_account_namespaces": ["x*"]}, ""),
    ({"bound_service_account_names": "a", "bound_service_account_namespace_selector": "{}"}, ""),
    (
        {
            "bound_service_account_names": "a",
            "bound_service_account_namespace_selector": '{"matchLabels":{"a":"b"}}',
        },
        "",
    ),
    ({**BOTH, "bound_service_account_namespace_selector": "zz"}, ""),
    ({**BOTH, "bound_service_account_namespace_selector": '{"matchLabels":5}'}, ""),
    ({**BOTH, "alias_name_source": "x"}, ""),
    ({**BOTH, "alias_name_source": "serviceaccount_name", "audience": "aa"}, ""),
    ({**BOTH, "audience": ""}, ""),
    ({**BOTH, "token_policies": "B,a", "token_ttl": "1h"}, ""),
    ({**BOTH, "policies": "x", "ttl": "1h", "num_uses": 2, "bound_cidrs": "10.0.0.0/8", "max_ttl": "3h"}, ""),
    ({**BOTH, "period": "1m"}, ""),
    ({**BOTH, "token_type": "default-batch"}, "DV-02"),
    ({**BOTH, "token_type": "batch", "token_period": "1m"}, ""),
    ({**BOTH, "token_bound_cidrs": "zz"}, "DV-02"),
    ({**BOTH, "token_max_ttl": "9000h"}, ""),
    ({**BOTH, "token_ttl": "2h", "token_max_ttl": "1h"}, ""),
    ({**BOTH, "bound_service_account_names": {"a": 1}}, "DV-02"),
    ({**BOTH, "unknown": 1}, ""),
]
ROLE = [
    mount("k8s-roles", "kubernetes"),
    lst(R[:-1]),
    get(R + "r"),
    *(
        one
        for body, known in ROLES
        for one in (delete(R + "w"), post(R + "w", body, divergence=known), get(R + "w"))
    ),
    post(R + "AbC", BOTH),
    post(R + "aBc", {"token_policies": "z"}),
    get(R + "ABC"),
    lst(R[:-1]),
    lst(R[:-1] + "?limit=1"),
    post(R + "a%20b", BOTH),
    post(R + "a/b", BOTH),
    delete(R + "abc"),
    delete(R + "abc"),
    patch(R + "w", {}),
]

A = "kubernetes.io/serviceaccount/"


def secret(**changes: object) -> str:
    """A token as secrets hold them, with changes; None leaves a claim out."""
    usual: dict[str, Any] = {
        "iss": "kubernetes/serviceaccount",
        A + "namespace": "ns1",
        A + "secret.name": "sa1-token",
        A + "service-account.name": "sa1",
        A + "service-account.uid": "u-1",
        "sub": "system:serviceaccount:ns1:sa1",
    }
    claims = {**usual, **changes}
    return token({name: value for name, value in claims.items() if value is not None})


def projected(key: Any = KEY, **changes: object) -> str:
    """A token as pods get them, with changes; None leaves a claim out."""
    usual: dict[str, Any] = {
        "iss": "https://kubernetes.default.svc",
        "aud": ["api"],
        "exp": NOW + 7200,
        "iat": NOW,
        "nbf": NOW,
        "kubernetes.io": {"namespace": "ns1", "serviceaccount": {"name": "sa1", "uid": "u-1"}},
        "sub": "system:serviceaccount:ns1:sa1",
    }
    claims = {**usual, **changes}
    return token({name: value for name, value in claims.items() if value is not None}, key)


L = "auth/k8s-login/login"


def enter(given: str, role: str = "r", **options: object) -> Step:
    """Logs in, and captures the token as `t`."""
    options = {"token": "", "pick": AUTH, "save": ("t:auth.client_token",), **options}
    return post(L, {"role": role, "jwt": given}, **options)


def role(**fields: object) -> list[Step]:
    """Writes the role `r` anew."""
    usual = {"bound_service_account_names": "sa1", "bound_service_account_namespaces": "ns1"}
    where = "auth/k8s-login/role/r"
    return [delete(where), post(where, {**usual, **fields})]


def cluster(**fields: object) -> Step:
    """Writes the configuration."""
    return post("auth/k8s-login/config", {**CLUSTER, **fields})


VARIANTS = ("other", "elsewhere", "uid", "person", "refused", "error", "unauthorized", "broken", "junk")
NS2 = {"namespace": "ns2", "serviceaccount": {"name": "sa1", "uid": "u-1"}}
GIVEN = [
    "x",
    "a.b.c",
    "....",
    secret(),
    projected(),
    projected(OTHER),
    token({}, algorithm="none"),
    projected(exp=NOW - 5000, iat=NOW - 9000, nbf=NOW - 9000),
    projected(nbf=NOW + 5000),
    secret(**{A + "namespace": "ns2"}),
    secret(**{A + "service-account.name": "sa2"}),
    secret(**{A + "service-account.uid": "u-2"}),
    secret(**{A + "service-account.uid": None}),
    token({"a": 1}),
    token({"sub": "system:serviceaccount:ns1:sa1"}),
    projected(**{"kubernetes.io": NS2}),
    projected(sub="system:serviceaccount:ns1:other"),
]
LOGIN = [
    mount("k8s-login", "kubernetes"),
    post(L, {}, token=""),
    post(L, {"role": "r"}, token=""),
    post(L, {"role": "none", "jwt": "x"}, token="", divergence="DV-02"),
    *role(token_policies="p", token_ttl="1h"),
    post(L, {"role": "r", "jwt": secret()}, token=""),
    cluster(),
    post(L, {}, token=""),
    post(L, {"role": "r"}, token=""),
    post(L, {"jwt": "x"}, token=""),
    post(L, {"role": "none", "jwt": "x"}, token="", divergence="DV-02"),
    post(L, {"role": "R", "jwt": secret()}, token="", pick=AUTH, divergence="DV-05"),
    *(enter(given) for given in GIVEN),
    enter(secret()),
    get("auth/token/lookup-self", token="{t}", pick=TOKEN),
    *(enter(secret(review=variant)) for variant in VARIANTS),
    *(enter(projected(review=variant)) for variant in ("audience", "blind")),
    cluster(pem_keys=pem(KEY)),
    *(enter(given) for given in GIVEN),
    cluster(),
    *role(audience="aa"),
    enter(secret()),
    enter(projected(aud=["aa"])),
    enter(projected(aud="aa"), divergence="DV-07"),
    enter(projected()),
    enter(projected(aud=["aa"], review="audience")),
    enter(projected(aud=["aa"], review="blind")),
    *role(alias_name_source="serviceaccount_name"),
    enter(secret()),
    *role(bound_service_account_names="s*"),
    enter(secret()),
    *role(bound_service_account_names="x*"),
    enter(secret()),
    *role(bound_service_account_names="*", bound_service_account_namespaces="*"),
    enter(secret()),
    *role(bound_service_account_namespaces=["x", "n*"]),
    enter(secret()),
    *role(token_bound_cidrs="10.0.0.0/8"),
    enter(secret()),
    enter("x"),
    *role(token_type="batch"),
    enter(secret()),
    *role(bound_service_account_namespaces="", bound_service_account_namespace_selector="{}"),
    enter(secret()),
    *(
        one
        for reviewer in ("reviewer\n", " reviewer ", "rev\niewer", "reviewer")
        for one in (
            cluster(token_reviewer_jwt=reviewer),
            enter(secret(), divergence="DV-02" if reviewer == "rev\niewer" else ""),
        )
    ),
    *role(
        bound_service_account_namespaces="",
        bound_service_account_namespace_selector='{"matchLabels":{"a":"b"}}',
    ),
    enter(secret()),
    *role(
        bound_service_account_namespaces="",
        bound_service_account_namespace_selector='{"matchLabels":{"a":"c"}}',
    ),
    enter(secret()),
    *role(),
    cluster(disable_iss_validation=False),
    enter(secret()),
    enter(secret(iss="x")),
    cluster(disable_iss_validation=False, issuer="zz"),
    enter(secret()),
    enter(secret(iss="zz")),
    post("auth/k8s-login/config", {**CLUSTER, "kubernetes_host": "http://127.0.0.1:1"}),
    enter(secret()),
    post("auth/k8s-login/config", {**CLUSTER, "kubernetes_host": "{service}/"}),
    *role(token_ttl="1h"),
    enter(secret()),
    post("auth/k8s-login/role/r", {"token_ttl": "2h"}),
    post("auth/token/renew-self", {}, token="{t}", pick=AUTH),
    delete("auth/k8s-login/role/r"),
    post("auth/token/renew-self", {}, token="{t}"),
]

SCENARIOS = [
    Scenario("kubernetes", "kubernetes-config", CONFIG),
    Scenario("kubernetes", "kubernetes-roles", ROLE),
    Scenario("kubernetes", "kubernetes-logins", LOGIN),
]
