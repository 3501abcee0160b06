# SPDX-License-Identifier: EUPL-1.2
"""userpass: users and their fields, logins, and what becomes of the tokens."""

from functools import cache

import bcrypt

from tests.conformance.scenario import Scenario, Step, delete, get, login, lst, patch, policy, post, put, scan
from tests.conformance.scenarios.approle import AUTH, TOKEN

HASH = "$2a$05$bvIG6Nmid91Mu9RcmmWZfO5HJIMCT8riNW0hEp8f6/FuA2/mHZFpe"
"""bcrypt of ``correctPassword``."""


@cache
def hashed(password: str) -> dict[str, object]:
    """A user's password by a hash that is soon compared with, where logins are many and hashing is not what they show."""
    return {"password_hash": bcrypt.hashpw(password.encode(), b"$2b$05$" + b"C" * 21 + b"u").decode()}


def mount(name: str, **config: object) -> Step:
    """Enables userpass at `name`."""
    return post(f"sys/auth/{name}", {"type": "userpass", "config": config})


def enter(at: str, name: str, password: object, **options: object) -> Step:
    """Logs in, and captures the token as `t`."""
    options = {"token": "", "pick": AUTH, "save": ("t:auth.client_token",), **options}
    return post(f"auth/{at}/login/{name}", {"password": password}, **options)


U = "auth/up-users/users/"
WRITES: list[tuple[dict[str, object], str]] = [
    ({"password_hash": HASH}, ""),
    ({"password_hash": "zz"}, ""),
    ({"password": "a", "password_hash": HASH}, ""),
    ({"password": ""}, ""),
    ({"password": "a" * 72}, ""),
    ({"password": "a", "token_type": "batch", "token_period": "1h"}, ""),
    ({"password": "a", "token_type": "batch", "token_num_uses": 1}, ""),
    ({"password": "a", "token_ttl": "3h", "token_max_ttl": "1h"}, ""),
    ({"password": "a", "token_num_uses": -2}, ""),
    ({"password": "a", "token_policies": "b,a,B"}, ""),
    ({"password": "a", "token_policies": ["root"]}, ""),
    ({"password": "a", "token_max_ttl": "9000h"}, ""),
    ({"password": "a", "token_type": "default-batch"}, "DV-02"),
    ({"password": "a", "policies": "pp", "ttl": "1h", "max_ttl": "2h", "bound_cidrs": "127.0.0.0/8"}, ""),
    ({"password": "a", "token_strictly_bind_ip": True, "token_bound_cidrs": "10.0.0.0/8"}, ""),
    ({"password": 5}, ""),
    ({"password": 0}, ""),
    ({"password": False}, ""),
    ({"password": None}, ""),
    ({"password": []}, ""),
    ({"password": "a", "token_ttl": "-1"}, "DV-02"),
    ({"password": "a", "token_bound_cidrs": "zz"}, "DV-02"),
    ({"password": {"a": 1}}, ""),
]
WRITES += [
    ({"password_hash": HASH.replace("$05$", f"${cost:02}$")}, "") for cost in (3, 4, 12, 13, 16, 17, 31, 32)
]
USERS = [
    mount("up-users"),
    lst(U[:-1]),
    scan(U[:-1]),
    get(U + "u1"),
    post(U + "u1", {}),
    post(U + "u1", {"password": "pw1", "token_policies": "a,b", "token_ttl": "1h"}),
    get(U + "u1"),
    post(U + "u1", {"token_ttl": "2h"}),
    get(U + "u1"),
    *(
        one
        for body, known in WRITES
        for one in (post(U + "w1", body, divergence=known), get(U + "w1"), delete(U + "w1"))
    ),
    post(U + "Mixed", {"password": "x", "ttl": "1h"}),
    get(U + "mixed"),
    get(U + "MIXED"),
    lst(U[:-1]),
    lst(U[:-1] + "?limit=1"),
    lst(U[:-1] + "?after=mixed&limit=1"),
    post(U + "u1/password", {"password": "pw2"}),
    post(U + "u1/password", {}),
    post(U + "u1/password", {"password": None}),
    post(U + "u1/password", {"password": ""}),
    post(U + "u1/password", {"password": []}),
    post(U + "u1/password", {"password": False}),
    post(U + "u1/password", {"password": 0}),
    post(U + "u1/password", {"password_hash": HASH}),
    post(U + "u1/password", {"password": "x", "password_hash": HASH}),
    post(U + "u1/password", {"password_hash": "x"}),
    post(U + "unk/password", {"password": "x"}, divergence="DV-07"),
    post(U + "unk/password", {}, divergence="DV-07"),
    get(U + "u1/password"),
    delete(U + "u1/password"),
    post(U + "u1/policies", {"token_policies": "n,m,M"}),
    get(U + "u1"),
    post(U + "u1/policies", {"policies": "o"}),
    get(U + "u1"),
    post(U + "u1/policies", {}),
    get(U + "u1"),
    post(U + "unk/policies", {"token_policies": "x"}, divergence="DV-07"),
    get(U + "u1/policies"),
    delete(U + "u1/policies"),
    post(U + "a%20b", {"password": "x"}),
    post(U + "-x", {"password": "x"}),
    post(U + "x-", {"password": "x"}),
    post(U + "a@b.c", {"password": "x"}),
    post(U + "%C3%89a", {"password": "x"}),
    post(U + "a/b", {"password": "x"}),
    patch(U + "u1", {"token_ttl": "1m"}),
    delete(U + "u1"),
    delete(U + "u1"),
    get("auth/up-users/nope"),
    get("auth/up-users/nope", token=""),
]

NOTHING: list[dict[str, object]] = [
    {"password": nothing, "password_hash": one} for nothing in (None, "") for one in (HASH, None, "")
]
NOTHING += [{"password": "p", "password_hash": nothing} for nothing in (None, "")]
NOTHING += [{name: nothing} for name in ("password", "password_hash") for nothing in (None, "")]
"""Passwords and hashes that are null or empty, of which the other counts."""
E = "auth/up-nothing/"
EMPTY = [
    mount("up-nothing"),
    *(
        one
        for body in NOTHING
        for one in (
            post(E + "users/u", hashed("before")),
            post(E + "users/u", body),
            post(E + "users/u/password", body),
            *(post(f"{E}login/u", {"password": word}, token="", pick=AUTH) for word in ("before", "p")),
            post(E + "users/new", body),
            delete(E + "users/new"),
        )
    ),
    post(E + "login/u", {"password": None}, token="", divergence="DV-07"),
    post(E + "login/nobody", {"password": None}, token="", divergence="DV-07"),
    post(E + "login/u", {"password": []}, token="", divergence="DV-07"),
]

N = "auth/up-login/users/"
LOGIN = "auth/up-login/login/"
LOGINS = [
    mount("up-login"),
    post(N + "u1", {"password": "pw1", "token_policies": "a,b", "token_ttl": "2h"}),
    enter("up-login", "u1", "pw1"),
    get("auth/token/lookup-self", token="{t}", pick=TOKEN),
    post("auth/token/renew-self", {}, token="{t}", pick=AUTH),
    enter("up-login", "U1", "pw1"),
    get("auth/token/lookup-self", token="{t}", pick=TOKEN),
    put(LOGIN + "u1", {"password": "pw1"}, token="", pick=AUTH),
    post(LOGIN + "u1", {"password": "pw1"}, token="bad", pick=AUTH),
    post(LOGIN + "u1", {"password": "bad"}, token=""),
    post(LOGIN + "unk", {"password": "bad"}, token=""),
    post(LOGIN + "u1", {"password": 5}, token=""),
    post(LOGIN + "u1", {}, token="", divergence="DV-07"),
    post(LOGIN + "unk", {}, token="", divergence="DV-07"),
    get(LOGIN + "u1", token=""),
    delete(LOGIN + "u1", token=""),
    patch(LOGIN + "u1", {}, token=""),
    post(LOGIN + "-bad-", {"password": "x"}, token=""),
    post(LOGIN + "a%20b", {"password": "x"}, token=""),
    post(LOGIN + "a/b", {"password": "x"}, token=""),
    post(LOGIN[:-1], {"password": "x"}, token=""),
    post(N + "h1", {"password_hash": HASH}),
    enter("up-login", "h1", "correctPassword"),
    post(LOGIN + "h1", {"password": "wrongPassword"}, token=""),
    post(N + "u1/password", {"password": "pw2"}),
    enter("up-login", "u1", "pw2"),
    post(LOGIN + "u1", {"password": "pw1"}, token=""),
    post(LOGIN + "u1", {"password": "pw2"}, token="", headers={"X-Vault-Wrap-TTL": "60"}),
    post(N + "c1", {**hashed("x"), "token_bound_cidrs": "10.0.0.0/8"}),
    post(LOGIN + "c1", {"password": "x"}, token=""),
    post(LOGIN + "c1", {"password": "y"}, token=""),
    post(N + "c2", {**hashed("x"), "token_bound_cidrs": "127.0.0.1,10.0.0.0/8"}),
    enter("up-login", "c2", "x"),
    get("auth/token/lookup-self", token="{t}", pick=TOKEN),
    post(N + "c3", {**hashed("x"), "token_strictly_bind_ip": True}),
    enter("up-login", "c3", "x"),
    get("auth/token/lookup-self", token="{t}", pick=TOKEN),
    post(N + "p1", {**hashed("x"), "token_period": "10m", "token_explicit_max_ttl": "5m"}),
    enter("up-login", "p1", "x"),
    get("auth/token/lookup-self", token="{t}", pick=TOKEN),
    post(N + "p2", {**hashed("x"), "token_max_ttl": "5m"}),
    enter("up-login", "p2", "x"),
    post(N + "rooted", {**hashed("x"), "token_policies": ["root"]}),
    post(LOGIN + "rooted", {"password": "x"}, token=""),
    post(N + "bare", {**hashed("x"), "token_no_default_policy": True}),
    enter("up-login", "bare", "x"),
    mount("up-a/b", max_lease_ttl="1h"),
    post("auth/up-a/b/users/k", hashed("x")),
    enter("up-a/b", "K", "x"),
    get("auth/token/lookup-self", token="{t}", pick=TOKEN),
    delete("sys/auth/up-a/b"),
    get("auth/token/lookup-self", token="{t}"),
    mount("up-batch", token_type="batch", default_lease_ttl="1h", max_lease_ttl="2h"),
    post("auth/up-batch/users/a", {**hashed("x"), "token_num_uses": 3}),
    enter("up-batch", "a", "x"),
    get("auth/token/lookup-self", token="{t}", pick=TOKEN),
    mount("up-mostly", token_type="default-batch"),
    post("auth/up-mostly/users/a", hashed("x")),
    enter("up-mostly", "a", "x"),
    post("auth/up-mostly/users/a", {"token_type": "service"}),
    enter("up-mostly", "a", "x"),
    mount("up-service", token_type="service"),
    post("auth/up-service/users/a", {**hashed("x"), "token_type": "batch"}),
    enter("up-service", "a", "x"),
]

V = "auth/up-renew/users/"
RENEWAL = [
    mount("up-renew"),
    post(V + "r1", {"password": "x", "token_ttl": "1h"}),
    enter("up-renew", "r1", "x"),
    post(V + "r1", {"token_policies": "zzz"}),
    post("auth/token/renew-self", {}, token="{t}"),
    post(V + "r1", {"token_policies": [], "token_ttl": "2h"}),
    post("auth/token/renew-self", {}, token="{t}", pick=AUTH),
    post("auth/token/renew-self", {"increment": "5h"}, token="{t}", pick=AUTH),
    delete(V + "r1"),
    post("auth/token/renew-self", {}, token="{t}"),
    post("auth/token/renew", {"token": "{t}"}),
    get("auth/token/lookup-self", token="{t}", pick=TOKEN),
]

MAY = [
    post("sys/auth/up-may", {"type": "userpass"}),
    post("auth/up-may/users/there", {"password": "pw"}),
    *(
        policy(f"may-{may}", f'path "auth/up-may/*" {{ capabilities = ["{may}"] }}')
        for may in ("create", "update")
    ),
    *(login(may, f"may-{may}") for may in ("create", "update")),
    *(
        post(
            f"auth/up-may/users/{name}/password", {"password": "x"}, token=f"{{{may}}}", divergence=divergence
        )
        for name, may, divergence in (
            ("there", "create", ""),
            ("there", "update", ""),
            ("none", "create", ""),
            ("none", "update", "DV-07"),
        )
    ),
]

SCENARIOS = [
    Scenario("userpass", "userpass-users", USERS),
    Scenario("userpass", "userpass-nothing", EMPTY),
    Scenario("userpass", "userpass-logins", LOGINS),
    Scenario("userpass", "userpass-renewal", RENEWAL),
    Scenario("userpass", "userpass-may", MAY),
]
