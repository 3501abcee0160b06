# SPDX-License-Identifier: EUPL-1.2
"""Tokens and policies across namespaces: parents act in children, children nowhere else; wrapping and moving."""

from tests.conformance.scenario import Scenario, get, lst, policy, post
from tests.conformance.scenarios.acl import rule
from tests.conformance.scenarios.namespaces import NS, UNORDERED, inside

T = "{t}"
SAVE = ("t:auth.client_token", "t_acc:auth.accessor")


def own(name: str, text: str) -> object:
    """The body of a policy."""
    return {"policy": text, "name": name}


MAKE = [
    post(f"{NS}/tok"),
    post(f"tok/{NS}/inner"),
    post(f"{NS}/tok2"),
    post("tok/sys/mounts/kv", {"type": "kv"}),
    post("tok2/sys/mounts/kv", {"type": "kv"}),
    post("tok/kv/a", {"x": "1"}),
    post(
        "tok/sys/policies/acl/p",
        own(
            "p",
            rule("kv/*", "create", "read", "update", "list")
            + rule("inner/sys/mounts", "read")
            + rule("tok2/kv/*", "read")
            + rule(NS, "list"),
        ),
    ),
]

CHILD = MAKE + [
    post("tok/auth/token/create", {"policies": ["p"]}, save=SAVE),
    get("auth/token/lookup-self", token=T),
    get("auth/token/lookup-self", token=T, headers=inside("tok")),
    get("auth/token/lookup-self", token=T, headers=inside("tok2")),
    get("auth/token/lookup-self", token=T, headers=inside("tok/inner")),
    get("tok/kv/a", token=T),
    get("kv/a", token=T, headers=inside("tok")),
    get("tok/kv/none", token=T),
    *(
        get(path, token=T)
        for path in (
            "kv/a",
            "tok2/kv/a",
            "tok2/kv/none",
            "tok2/none/x",
            "none/x",
            "sys/mounts",
            "tok/sys/mounts",
        )
    ),
    get("tok/inner/sys/mounts", token=T, shape=2),
    get("tok/inner/sys/auth", token=T),
    get("sys/mounts", token=T, headers=inside("tok2")),
    get("sys/mounts", token=T, headers=inside("nowhere")),
    lst(NS, token=T),
    lst(f"tok/{NS}", token=T),
    post("auth/token/renew-self", {"increment": "1h"}, token=T),
    post("auth/token/renew-self", {"increment": "1h"}, token=T, headers=inside("tok2")),
    post("sys/capabilities-self", {"paths": ["kv/a"]}, token=T),
    post("tok/sys/capabilities-self", {"paths": ["kv/a", "tok/kv/a", "inner/sys/mounts"]}, token=T),
    post("sys/capabilities", {"token": T, "paths": ["kv/a", "tok/kv/a", "tok2/kv/a"]}),
    post("tok/sys/capabilities", {"token": T, "paths": ["kv/a", "tok/kv/a"]}),
    post("tok/sys/capabilities-accessor", {"accessor": "{t_acc}", "paths": ["kv/a"]}),
    post("tok/cubbyhole/x", {"a": "1"}, token=T),
    get("tok/cubbyhole/x", token=T),
    get("cubbyhole/x", token=T),
    get("tok2/cubbyhole/x", token=T),
    get(
        "tok/sys/internal/ui/resultant-acl",
        token=T,
        pick=("data.root", "data.exact_paths.tok/sys/namespaces"),
    ),
    get("sys/internal/ui/resultant-acl", token=T),
    get("sys/internal/ui/mounts", token=T, pick=("data.auth",)),
    get("sys/internal/ui/mounts", token=T, headers=inside("tok2")),
    get("sys/internal/ui/mounts", token=T, headers=inside("tok"), shape=3),
    get("sys/internal/ui/mounts/tok/kv/a", token=T),
    get("sys/internal/ui/mounts/kv/a", token=T),
    get("tok/sys/internal/ui/mounts/kv/a", token=T),
    get("tok2/sys/internal/ui/mounts/kv/a", token=T),
    get("sys/internal/ui/namespaces", token=T),
    get("sys/internal/ui/namespaces", token=T, headers=inside("tok")),
    get("sys/internal/ui/namespaces", token=T, headers=inside("tok2")),
    post("tok2/sys/mounts/seen", {"type": "kv", "config": {"listing_visibility": "unauth"}}),
    get("tok2/sys/internal/ui/mounts", token=""),
    get("tok2/sys/internal/ui/mounts", token=T, divergence="DV-66"),
    post("auth/token/lookup", {"token": T}),
    post("tok/auth/token/lookup", {"token": T}),
    post("tok/auth/token/lookup-accessor", {"accessor": "{t_acc}"}),
    post("auth/token/lookup-accessor", {"accessor": "{t_acc}"}, divergence="DV-66"),
    post("tok2/auth/token/renew-accessor", {"accessor": "{t_acc}"}, divergence="DV-66"),
    post("tok2/auth/token/lookup", {"token": T}, divergence="DV-66"),
    post("tok2/auth/token/renew", {"token": T}, divergence="DV-66"),
    post("tok/auth/token/renew-accessor", {"accessor": "{t_acc}", "increment": "1h"}),
    lst("tok/auth/token/accessors", unordered=UNORDERED),
    post("auth/token/revoke", {"token": T}),
    get("auth/token/lookup-self", token=T),
    lst("tok/auth/token/accessors", unordered=UNORDERED),
]

MAKING = [
    post(f"{NS}/mk"),
    post("mk/sys/policies/acl/p", own("p", rule("*", "read", "update", "create"))),
    post("mk/auth/token/create", {"policies": ["root"]}),
    post("mk/auth/token/create", {"id": "mine", "policies": ["p"]}),
    post("mk/auth/token/create", {}),
    post("mk/auth/token/create-orphan", {"policies": ["p", "none"]}),
    post("mk/auth/token/create", {"policies": ["p"], "type": "batch"}, save=("b:auth.client_token",)),
    get("auth/token/lookup-self", token="{b}"),
    get("mk/auth/token/lookup-self", token="{b}"),
    get("mk/sys/mounts", token="{b}", shape=2),
    get("sys/mounts", token="{b}"),
    post("mk/auth/token/create", {"policies": ["p"]}, save=("p:auth.client_token",)),
    post("mk/auth/token/create", {"policies": ["p"]}, token="{p}", save=("q:auth.client_token",)),
    post("auth/token/create", {"policies": ["p"]}, token="{p}"),
    post("auth/token/revoke-self", token="{p}"),
    get("auth/token/lookup-self", token="{q}"),
    policy("mk-up", rule("mk/auth/token/create", "update") + rule("mk/sys/mounts", "read")),
    post("auth/token/create", {"policies": ["mk-up"]}, save=("u:auth.client_token",)),
    post("mk/auth/token/create", {"policies": ["p"]}, token="{u}"),
    post("mk/auth/token/create", {}, token="{u}"),
    get("mk/sys/mounts", token="{u}", shape=2),
    get("mk/sys/auth", token="{u}"),
    get("mk/auth/token/lookup-self", token="{u}"),
    post("mk/sys/capabilities-self", {"paths": ["sys/mounts"]}, token="{u}"),
    post("sys/capabilities-self", {"paths": ["mk/sys/mounts", "sys/mounts"]}, token="{u}"),
    policy("mk-sudo", rule("mk/auth/token/create", "update", "sudo")),
    post("auth/token/create", {"policies": ["mk-sudo"]}, save=("s:auth.client_token",)),
    post("mk/auth/token/create", {"policies": ["p"]}, token="{s}", save=("c:auth.client_token",)),
    get("auth/token/lookup-self", token="{c}"),
    post("auth/token/revoke-self", token="{s}", headers=inside("mk")),
    get("auth/token/lookup-self", token="{c}"),
]

PARENT = MAKE + [
    policy(
        "tok-up", rule("tok/kv/*", "read", "list") + rule("kv/*", "list") + rule("+/sys/policies/acl", "list")
    ),
    post("auth/token/create", {"policies": ["tok-up"]}, save=("t:auth.client_token",)),
    get("tok/kv/a", token=T),
    get("kv/a", token=T, headers=inside("tok")),
    lst("tok/kv", token=T),
    lst("tok2/kv", token=T),
    lst("tok2/sys/policies/acl", token=T),
    lst("tok/inner/sys/policies/acl", token=T),
    get("sys/internal/ui/mounts/tok/kv/a", token=T, shape=1),
    get("sys/internal/ui/mounts/kv/a", token=T, headers=inside("tok")),
    get("sys/internal/ui/mounts/tok2/kv/a", token=T),
    get("sys/internal/ui/namespaces", token=T, headers=inside("tok")),
    get("tok/sys/internal/ui/resultant-acl", token=T),
    post("tok/cubbyhole/x", {"a": "1"}),
    get("tok/cubbyhole/x"),
    get("tok2/cubbyhole/x"),
]

WRAPS = {"X-Vault-Wrap-TTL": "60"}

WRAPPING = MAKE + [
    post("tok/auth/token/create", {"policies": ["p"]}, save=SAVE),
    *(
        entry
        for where in ("", "tok/", "tok2/")
        for entry in (
            get("tok/kv/a", token=T, headers=WRAPS, save=("w:wrap_info.token",)),
            post(f"{where}sys/wrapping/lookup", {"token": "{w}"}, token=""),
            post(f"{where}sys/wrapping/unwrap", {}, token="{w}"),
            post(f"{where}sys/wrapping/unwrap", {}, token="{w}"),
        )
    ),
    get("tok/kv/a", headers=WRAPS, save=("w:wrap_info.token",)),
    post("sys/wrapping/unwrap", {"token": "{w}"}),
    get("sys/policies/acl/default", headers=WRAPS, save=("w:wrap_info.token",)),
    post("tok/sys/wrapping/lookup", {"token": "{w}"}, token=""),
    post("tok/sys/wrapping/unwrap", {}, token="{w}", shape=2),
]

MOVING = [
    post(f"{NS}/mv"),
    post(f"mv/{NS}/inner"),
    post("sys/mounts/moving", {"type": "kv"}),
    post("moving/a/b", {"x": "1"}),
    post("sys/remount", {"from": "moving", "to": "mv/moved"}, save=("m:migration_id",)),
    get("sys/remount/status/{m}", settle_on="success"),
    get("mv/moved/a/b"),
    get("moving/a/b"),
    post("mv/sys/remount", {"from": "moved", "to": "inner/kv"}, save=("m:data.migration_id",)),
    get("mv/sys/remount/status/{m}", settle_on="success"),
    *(get(f"{where}sys/remount/status/{{m}}", divergence="DV-66") for where in ("", "mv/inner/")),
    get("mv/inner/kv/a/b", settle=200),
    post("sys/remount", {"from": "mv/inner/kv", "to": "back"}, save=("m:migration_id",)),
    get("sys/remount/status/{m}", settle_on="success"),
    get("back/a/b"),
    post("sys/remount", {"from": "mv/none", "to": "mv/other"}),
    post("sys/remount", {"from": "back", "to": "mv/"}),
    post("sys/remount", {"from": "back", "to": "mv/sys"}),
    post("sys/remount", {"from": "mv/sys", "to": "other"}),
    post("mv/sys/remount", {"from": "back", "to": "other"}),
]

SCENARIOS = (
    Scenario("namespaces", "child-tokens", CHILD),
    Scenario("namespaces", "making-tokens", MAKING),
    Scenario("namespaces", "parent-tokens", PARENT),
    Scenario("namespaces", "wrapping", WRAPPING),
    Scenario("namespaces", "moving", MOVING),
)
