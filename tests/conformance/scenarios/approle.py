# SPDX-License-Identifier: EUPL-1.2
"""AppRole: roles and their fields, secret ids, logins, and what becomes of the tokens."""

from tests.conformance.scenario import Scenario, Step, delete, get, login, lst, patch, policy, post, put, scan

AUTH = ("auth", "warnings", "wrap_info", "data", "errors")
"""All of a login's answer but what is the request's own."""
TOKEN = tuple(
    f"data.{name}"
    for name in (
        "accessor",
        "bound_cidrs",
        "creation_ttl",
        "display_name",
        "entity_id",
        "explicit_max_ttl",
        "external_namespace_policies",
        "identity_policies",
        "id",
        "meta",
        "num_uses",
        "orphan",
        "path",
        "period",
        "policies",
        "renewable",
        "type",
    )
)
ROLE = tuple(
    f"data.{name}"
    for name in (
        "bind_secret_id",
        "local_secret_ids",
        "period",
        "policies",
        "secret_id_bound_cidrs",
        "secret_id_num_uses",
        "secret_id_ttl",
        "token_bound_cidrs",
        "token_explicit_max_ttl",
        "token_max_ttl",
        "token_no_default_policy",
        "token_num_uses",
        "token_period",
        "token_policies",
        "token_strictly_bind_ip",
        "token_ttl",
        "token_type",
    )
)


def mount(name: str) -> Step:
    """Enables AppRole at `name`."""
    return post(f"sys/auth/{name}", {"type": "approle"})


def enter(at: str, role_id: str, secret_id: str | None = None, **options: object) -> Step:
    """Logs in, and captures the token as `t`."""
    body = {"role_id": role_id} | ({} if secret_id is None else {"secret_id": secret_id})
    options = {"token": "", "pick": AUTH, "save": ("t:auth.client_token",), **options}
    return post(f"auth/{at}/login", body, **options)


def role(at: str, name: str, **body: object) -> list[Step]:
    """Writes a role whose role id is its name, registers a secret id that is its name too."""
    return [
        post(f"auth/{at}/role/{name}", {"role_id": name, **body}),
        post(f"auth/{at}/role/{name}/custom-secret-id", {"secret_id": name}),
    ]


R = "auth/ar-roles/role/"
WRITES: list[dict[str, object]] = [
    {"bind_secret_id": False, "token_bound_cidrs": "127.0.0.1/32"},
    {"bind_secret_id": False, "secret_id_bound_cidrs": "127.0.0.1/32"},
    {"token_ttl": "1h", "token_max_ttl": "2h", "token_num_uses": 3, "secret_id_num_uses": 5},
    {"token_bound_cidrs": "10.0.0.1"},
    {"token_bound_cidrs": "10.1.2.3/8,::1/128,fe80::1/64,2001:DB8::/32"},
    {"secret_id_bound_cidrs": "10.1.2.3/8, ::1/128"},
    {"secret_id_bound_cidrs": ""},
    {"local_secret_ids": True},
    {"role_id": "roles-custom"},
    {"role_id": 5},
    {"token_policies": ["root"]},
    {"token_policies": [""]},
    {"token_policies": "a, B ,c"},
    {"token_policies": "b,a,a"},
    {"token_policies": None},
    {"token_type": ""},
    {"token_type": "default"},
    {"token_type": "default-service"},
    {"token_type": "default-batch"},
    {"token_type": "batch"},
    {"token_max_ttl": "9000h"},
    {"token_period": "9000h"},
    {"token_strictly_bind_ip": True, "token_no_default_policy": True, "token_explicit_max_ttl": "3h"},
    {"policies": "x,y", "period": "1h", "bound_cidr_list": "10.0.0.0/8"},
    {"token_policies": ["q"], "policies": "x,y", "period": "1h", "token_period": "2h"},
    {"unknown_field": 1},
]
REFUSED: list[tuple[dict[str, object], str]] = [
    ({"token_ttl": "3h", "token_max_ttl": "1h"}, ""),
    ({"token_type": "batch", "token_period": "1h"}, ""),
    ({"token_type": "batch", "token_num_uses": 1}, ""),
    ({"token_num_uses": -1}, ""),
    ({"secret_id_num_uses": -1}, ""),
    ({"role_id": ""}, ""),
    ({"token_num_uses": "abc"}, ""),
    ({"bind_secret_id": "x"}, ""),
    ({"secret_id_num_uses": "z"}, ""),
    ({"token_strictly_bind_ip": True, "token_bound_cidrs": "10.0.0.0/8"}, ""),
    ({"token_type": "foo"}, "DV-02"),
    ({"token_ttl": "-1h"}, "DV-02"),
    ({"token_max_ttl": "-1h"}, "DV-02"),
    ({"token_period": -1}, "DV-02"),
    ({"token_explicit_max_ttl": -1}, "DV-02"),
    ({"secret_id_ttl": -5}, "DV-02"),
    ({"token_bound_cidrs": "nonsense"}, "DV-02"),
    ({"token_policies": {"a": 1}}, "DV-02"),
    ({"bind_secret_id": False}, "DV-07"),
    ({"secret_id_bound_cidrs": "nonsense"}, "DV-07"),
    ({"secret_id_bound_cidrs": "10.0.0.1"}, "DV-07"),
]
ROLES = [
    mount("ar-roles"),
    lst(R[:-1]),
    scan(R[:-1]),
    get(R + "r1"),
    post(R + "r1", {}),
    get(R + "r1", pick=ROLE),
    *(one for body in WRITES for one in (post(R + "w", body), get(R + "w", pick=ROLE), delete(R + "w"))),
    *(one for body, known in REFUSED for one in (post(R + "w", body, divergence=known), get(R + "w"))),
    post(R + "leg", {"policies": "x,y", "period": "1h"}),
    post(R + "leg", {"token_policies": "z"}),
    get(R + "leg", pick=ROLE),
    post(R + "leg", {"role_id": "roles-taken"}),
    post(R + "leg", {"role_id": "roles-taken"}),
    post(R + "dup", {"role_id": "roles-taken"}, divergence="DV-07"),
    post(R + "r1", {"local_secret_ids": True}),
    post(R + "UPPER", {}),
    get(R + "upper", pick=ROLE),
    get(R + "UPPER", pick=ROLE),
    lst(R[:-1]),
    lst(R[:-1] + "?limit=1"),
    post(R + "a.b-c@d", {}),
    post(R + "-bad", {}),
    post(R + "a%20b", {}),
    patch(R + "r1", {"token_ttl": "5m"}),
    delete(R + "r1"),
    delete(R + "r1"),
    get(R + "r1/policies"),
    post(R[:-1], {}),
    get("auth/ar-roles"),
    get("auth/ar-roles/nope"),
]

F = "auth/ar-fields/role/"
FIELDS: list[tuple[str, str, object]] = [
    ("policies", "token_policies", "x,y"),
    ("token-ttl", "token_ttl", "1h"),
    ("token-max-ttl", "token_max_ttl", "2h"),
    ("token-num-uses", "token_num_uses", 3),
    ("token-bound-cidrs", "token_bound_cidrs", "10.0.0.0/8"),
    ("period", "token_period", "1h"),
    ("secret-id-ttl", "secret_id_ttl", "10m"),
    ("secret-id-num-uses", "secret_id_num_uses", 4),
    ("secret-id-bound-cidrs", "secret_id_bound_cidrs", "10.0.0.0/8"),
    ("bound-cidr-list", "bound_cidr_list", "10.0.0.0/8"),
    ("role-id", "role_id", "fields-id"),
    ("local-secret-ids", "local_secret_ids", True),
    ("token-period", "token_period", "1h"),
    ("token-type", "token_type", "batch"),
]


def field_steps(path: str, name: str, value: object) -> list[Step]:
    """Plays every verb on a field of a role that is there, and of one that is not."""
    here, there = f"{F}s1/{path}", f"{F}none/{path}"
    return [
        get(here),
        post(here, {}),
        post(here, {name: value}),
        get(here),
        delete(here),
        get(here),
        lst(here),
        patch(here, {name: value}),
        get(there),
        post(there, {name: value}),
        delete(there),
    ]


SUBPATHS = [
    mount("ar-fields"),
    post(F + "s1", {"role_id": "fields-s1"}),
    post(F + "s2", {"role_id": "fields-s2"}),
    *(one for field in FIELDS for one in field_steps(*field)),
    get(F + "s1", pick=ROLE),
    post(F + "s1/policies", {"policies": "p,q"}),
    get(F + "s1/policies"),
    get(F + "s1", pick=ROLE),
    post(F + "s1/policies", {"token_policies": "y,x,X,x"}),
    get(F + "s1/policies"),
    post(F + "s1/policies", {"token_policies": "root"}),
    post(F + "s1/policies", {"token_policies": ""}),
    get(F + "s1/policies"),
    post(F + "s1/period", {"period": "2h"}),
    get(F + "s1/period"),
    delete(F + "s1/period"),
    get(F + "s1", pick=ROLE),
    post(F + "s1/token-max-ttl", {"token_max_ttl": "9000h"}),
    post(F + "s1/token-ttl", {"token_ttl": "9h"}),
    post(F + "s1/token-max-ttl", {"token_max_ttl": "1m"}),
    post(F + "s1/secret-id-num-uses", {"secret_id_num_uses": -1}),
    post(F + "s1/role-id", {"role_id": ""}),
    post(F + "s1/role-id", {"role_id": "fields-s2"}, divergence="DV-07"),
    post(F + "s1/token-ttl", {"token_ttl": "-1h"}, divergence="DV-02"),
    post(F + "s1/token-ttl", {"token_ttl": "abc"}, divergence="DV-02"),
    post(F + "s1/period", {"token_period": "9000h"}, divergence="DV-02"),
    post(F + "s1/secret-id-bound-cidrs", {"secret_id_bound_cidrs": "zz"}, divergence="DV-02"),
    post(F + "s1/token-bound-cidrs", {"token_bound_cidrs": "zz"}, divergence="DV-02"),
    post(F + "s1/token-num-uses", {"token_num_uses": -1}, divergence="DV-06"),
    get(F + "s1/bind-secret-id"),
    post(F + "s1/bind-secret-id", {"bind_secret_id": True}),
    delete(F + "s1/bind-secret-id"),
    post(F + "s1/bind-secret-id", {}),
    get(F + "none/bind-secret-id"),
    lst(F + "s1/bind-secret-id"),
]

S = "auth/ar-secrets/role/"
GENERATED: list[tuple[dict[str, object], str]] = [
    ({}, ""),
    ({"metadata": '{"k":"v"}'}, ""),
    ({"metadata": ""}, ""),
    ({"metadata": "{}"}, ""),
    ({"metadata": "e30="}, ""),
    ({"metadata": "a=b,c=d"}, ""),
    ({"metadata": "bad"}, ""),
    ({"metadata": "[]"}, ""),
    ({"metadata": '{"k":1}'}, ""),
    ({"metadata": {"k": "v"}}, ""),
    ({"metadata": '{"a":""}'}, "DV-02"),
    ({"num_uses": 2}, ""),
    ({"num_uses": 4}, ""),
    ({"num_uses": 0}, ""),
    ({"num_uses": -1}, ""),
    ({"num_uses": "x"}, ""),
    ({"ttl": "10m"}, ""),
    ({"ttl": "2h"}, ""),
    ({"ttl": 0}, ""),
    ({"ttl": "-1"}, "DV-02"),
    ({"cidr_list": "127.0.0.1/32"}, ""),
    ({"cidr_list": ""}, ""),
    ({"cidr_list": ["127.0.0.1/32"], "metadata": '{"a/b":"*"}'}, ""),
    ({"token_bound_cidrs": "10.0.0.0/8"}, ""),
    ({"cidr_list": "10.0.0.0/8"}, "DV-07"),
    ({"cidr_list": "127.0.0.1"}, "DV-07"),
    ({"cidr_list": "127.0.0.1/33"}, "DV-07"),
    ({"token_bound_cidrs": "zz"}, "DV-07"),
]
LOOKUP, BY_ACCESSOR = "/secret-id/lookup", "/secret-id-accessor/lookup"
SECRETS = [
    mount("ar-secrets"),
    post(
        S + "t1",
        {
            "role_id": "secrets-t1",
            "secret_id_num_uses": 3,
            "secret_id_ttl": "1h",
            "secret_id_bound_cidrs": "127.0.0.0/8",
        },
    ),
    post(S + "t2", {"role_id": "secrets-t2"}),
    lst(S + "t1/secret-id"),
    *(post(S + "t1/secret-id", body, divergence=known) for body, known in GENERATED),
    post(S + "t2/secret-id", {"num_uses": 7, "ttl": "3h"}),
    post(S + "t2/secret-id", {"ttl": "9000h"}),
    put(S + "t2/secret-id", save=("sid:data.secret_id", "acc:data.secret_id_accessor")),
    get(S + "t2/secret-id"),
    delete(S + "t2/secret-id"),
    lst(S + "t2/secret-id", shape=4),
    scan(S + "t2/secret-id"),
    post(S + "t2" + LOOKUP, {"secret_id": "{sid}"}),
    post(S + "t2" + LOOKUP, {"secret_id": "{sid}", "usage": True}, divergence="DV-38"),
    get(S + "t2"),
    get(S + "t2?usage=false", divergence="DV-38"),
    get(S + "t2?usage=true", divergence="DV-38"),
    post(S + "t2" + LOOKUP, {}),
    post(S + "t2" + LOOKUP, {"secret_id": "none"}),
    get(S + "t2" + LOOKUP),
    post(S + "t1" + LOOKUP, {"secret_id": "{sid}"}),
    post(S + "none" + LOOKUP, {"secret_id": "{sid}"}, divergence="DV-07"),
    post(S + "t2" + BY_ACCESSOR, {"secret_id_accessor": "{acc}"}),
    post(S + "t2" + BY_ACCESSOR, {"secret_id_accessor": "{acc}", "usage": True}, divergence="DV-38"),
    post(S + "t2" + BY_ACCESSOR, {}),
    post(S + "t2" + BY_ACCESSOR, {"secret_id_accessor": "none"}, divergence="DV-38"),
    post(S + "t1" + BY_ACCESSOR, {"secret_id_accessor": "{acc}"}),
    post(S + "none" + BY_ACCESSOR, {"secret_id_accessor": "{acc}"}, divergence="DV-07"),
    get(S + "t2" + BY_ACCESSOR),
    post(S + "t1/secret-id-accessor/destroy", {"secret_id_accessor": "{acc}"}),
    post(S + "t1/secret-id/destroy", {"secret_id": "{sid}"}),
    post(S + "t2" + BY_ACCESSOR, {"secret_id_accessor": "{acc}"}),
    post(S + "t2" + BY_ACCESSOR, {"secret_id_accessor": "{acc}", "usage": True}, divergence="DV-38"),
    post(S + "t2/secret-id/destroy", {"secret_id": "{sid}"}),
    post(S + "t2/secret-id/destroy", {"secret_id": "{sid}"}),
    post(S + "t2/secret-id/destroy", {}),
    delete(S + "t2/secret-id/destroy"),
    get(S + "t2/secret-id/destroy"),
    put(S + "t2/secret-id", save=("acc:data.secret_id_accessor",)),
    post(S + "t2/secret-id-accessor/destroy", {"secret_id_accessor": "{acc}"}),
    post(S + "t2/secret-id-accessor/destroy", {"secret_id_accessor": "{acc}"}, divergence="DV-07"),
    post(S + "t2/secret-id-accessor/destroy", {}),
    put(S + "t2/secret-id", save=("acc:data.secret_id_accessor", "sid:data.secret_id")),
    delete(S + "t2/secret-id-accessor/destroy?secret_id_accessor={acc}"),
    post(S + "t2" + LOOKUP, {"secret_id": "{sid}"}),
    delete(S + "t2/secret-id-accessor/destroy"),
    get(S + "t2/secret-id-accessor/destroy"),
    put(S + "t2/secret-id", save=("sid:data.secret_id",)),
    delete(S + "t2/secret-id/destroy?secret_id={sid}"),
    post(S + "t2" + LOOKUP, {"secret_id": "{sid}"}),
    post(S + "none/secret-id-accessor/destroy", {"secret_id_accessor": "x"}, divergence="DV-07"),
    post(S + "none/secret-id/destroy", {"secret_id": "x"}, divergence="DV-07"),
    post(S + "t2/custom-secret-id", {}),
    post(S + "t2/custom-secret-id", {"secret_id": ""}),
    post(S + "t2/custom-secret-id", {"secret_id": "mine"}),
    post(S + "t2/custom-secret-id", {"secret_id": "mine"}, divergence="DV-07"),
    post(
        S + "t1/custom-secret-id", {"secret_id": "mine", "metadata": '{"x":"y"}', "ttl": "5m", "num_uses": 1}
    ),
    get(S + "t2/custom-secret-id"),
    post(S + "none/custom-secret-id", {"secret_id": "x"}),
    post(S + "none/custom-secret-id", {"secret_id": "", "num_uses": -1}),
    post(S + "unbound", {"bind_secret_id": False, "token_bound_cidrs": "127.0.0.1/32"}),
    post(S + "unbound/custom-secret-id", {"metadata": "{"}),
    post(S + "unbound/custom-secret-id", {"secret_id": "x", "metadata": "{"}),
    post(S + "none/secret-id", {}),
    lst(S + "none/secret-id"),
    post(S + "t2/secret-id", {}, headers={"X-Vault-Wrap-TTL": "60"}),
    post("auth/ar-secrets/tidy/secret-id"),
    post("auth/ar-secrets/tidy/secret-id", {}, settle=202),  # once the one before has ended
    get("auth/ar-secrets/tidy/secret-id"),
]

L = "auth/ar-login/role/"
LOGIN = "auth/ar-login/login"
LOGINS = [
    mount("ar-login"),
    post(
        L + "t1",
        {
            "role_id": "login-t1",
            "secret_id_num_uses": 3,
            "secret_id_ttl": "1h",
            "token_policies": "pa",
            "token_ttl": "1h",
        },
    ),
    post(L + "t1/custom-secret-id", {"secret_id": "three"}),
    post(
        L + "t1/custom-secret-id",
        {"secret_id": "once", "num_uses": 1, "metadata": '{"x":"y","role_name":"z"}'},
    ),
    post(LOGIN, {"role_id": "login-t1"}, token=""),
    post(LOGIN, {"role_id": "nope", "secret_id": "three"}, token=""),
    post(LOGIN, {"role_id": "nope"}, token="", divergence="DV-41"),
    post(LOGIN, {"role_id": "login-t1", "secret_id": "nope"}, token=""),
    post(LOGIN, {}, token="", divergence="DV-07"),
    post(LOGIN, {"secret_id": "three"}, token="", divergence="DV-07"),
    post(LOGIN, {"role_id": "", "secret_id": ""}, token="", divergence="DV-07"),
    post(LOGIN, {"role_id": {"a": 1}}, token="", divergence="DV-07"),
    enter("ar-login", "login-t1", "three"),
    get("auth/token/lookup-self", token="{t}", pick=TOKEN),
    post("auth/token/renew-self", {}, token="{t}", pick=AUTH),
    post(L + "t1" + LOOKUP, {"secret_id": "three"}),
    put(LOGIN, {"role_id": "login-t1", "secret_id": "three"}, token="", pick=AUTH),
    post(LOGIN, {"role_id": "login-t1", "secret_id": "three"}, token="bad", pick=AUTH),
    enter("ar-login", "login-t1", "three", save=()),
    enter("ar-login", "login-t1", "once"),
    get("auth/token/lookup-self", token="{t}", pick=TOKEN),
    enter("ar-login", "login-t1", "once", save=()),
    post(L + "t1" + LOOKUP, {"secret_id": "once"}),
    get(LOGIN + "?role_id=login-t1", token=""),
    post(
        L + "free", {"role_id": "login-free", "bind_secret_id": False, "secret_id_bound_cidrs": "127.0.0.0/8"}
    ),
    enter("ar-login", "login-free"),
    enter("ar-login", "login-free", "junk"),
    post(L + "free/secret-id", {}),
    post(L + "free/custom-secret-id", {"secret_id": "x1"}),
    post(L + "far", {"role_id": "login-far", "bind_secret_id": False, "secret_id_bound_cidrs": "10.0.0.0/8"}),
    post(LOGIN, {"role_id": "login-far"}, token=""),
    *role("ar-login", "bound", token_bound_cidrs="10.0.0.0/8", secret_id_num_uses=2, token_ttl="1h"),
    enter("ar-login", "bound", "bound"),
    get("auth/token/lookup-self", token="{t}"),
    post("auth/token/lookup", {"token": "{t}"}, pick=TOKEN),
    post("auth/token/renew", {"token": "{t}"}, pick=AUTH),
    post(L + "bound" + LOOKUP, {"secret_id": "bound"}),
    post(L + "near", {"role_id": "near", "secret_id_num_uses": 2, "token_bound_cidrs": "127.0.0.0/8"}),
    post(L + "near/custom-secret-id", {"secret_id": "n1", "cidr_list": "10.0.0.0/8"}),
    post(LOGIN, {"role_id": "near", "secret_id": "n1"}, token=""),
    post(L + "near" + LOOKUP, {"secret_id": "n1"}),
    post(L + "near/custom-secret-id", {"secret_id": "n2", "token_bound_cidrs": "127.0.0.1/32"}),
    enter("ar-login", "near", "n2"),
    get("auth/token/lookup-self", token="{t}", pick=TOKEN),
    post(
        L + "near/custom-secret-id",
        {"secret_id": "n3", "token_bound_cidrs": "10.0.0.0/8"},
        divergence="DV-07",
    ),
    *role("ar-login", "batch", token_type="batch", token_ttl="1h"),
    enter("ar-login", "batch", "batch"),
    get("auth/token/lookup-self", token="{t}", pick=TOKEN),
    *role(
        "ar-login", "used", token_num_uses=2, token_ttl="1h", token_explicit_max_ttl="30m", token_period="10m"
    ),
    enter("ar-login", "used", "used"),
    get("auth/token/lookup-self", token="{t}", pick=TOKEN),
    get("auth/token/lookup-self", token="{t}", pick=TOKEN),
    get("auth/token/lookup-self", token="{t}"),
    post(LOGIN, {"role_id": "used", "secret_id": "used"}, token="", headers={"X-Vault-Wrap-TTL": "60"}),
    *role("ar-login", "long", token_ttl="9000h", token_no_default_policy=True),
    enter("ar-login", "long", "long"),
    post(LOGIN, {"role_id": "long", "secret_id": "long", "colour": "red"}, token="", pick=AUTH),
    *role("ar-login", "rooted", token_policies="root"),
    post(LOGIN, {"role_id": "rooted", "secret_id": "rooted"}, token=""),
    *role("ar-login", "strict", token_strictly_bind_ip=True, token_policies="Foo,BAR, baz"),
    enter("ar-login", "strict", "strict"),
    get("auth/token/lookup-self", token="{t}", divergence="DV-40"),
    *role("ar-login", "both", token_period="1h", token_max_ttl="10m", token_ttl="5m"),
    enter("ar-login", "both", "both"),
    post("auth/token/renew-self", {"increment": "2h"}, token="{t}", pick=AUTH),
    post(L + "t1/role-id", {"role_id": "login-new"}),
    post(L + "t1/custom-secret-id", {"secret_id": "other"}),
    post(LOGIN, {"role_id": "login-t1", "secret_id": "other"}, token=""),
    enter("ar-login", "login-new", "other"),
]

RENEWAL = [
    mount("ar-renew"),
    *role("ar-renew", "renew-a", token_ttl="1h"),
    enter("ar-renew", "renew-a", "renew-a"),
    post("auth/ar-renew/role/renew-a", {"token_policies": "zz", "token_ttl": "2h"}),
    post("auth/token/renew-self", {}, token="{t}", pick=AUTH),
    post("auth/token/renew-self", {"increment": "5h"}, token="{t}", pick=AUTH),
    post("auth/ar-renew/role/renew-a/secret-id/destroy", {"secret_id": "renew-a"}),
    post("auth/token/renew-self", {}, token="{t}", pick=AUTH),
    delete("auth/ar-renew/role/renew-a"),
    post("auth/token/renew-self", {}, token="{t}"),
    get("auth/token/lookup-self", token="{t}", pick=TOKEN),
    post("auth/ar-renew/login", {"role_id": "renew-a", "secret_id": "renew-a"}, token=""),
    *role("ar-renew", "renew-b", token_period="10m"),
    enter("ar-renew", "renew-b", "renew-b"),
    post("auth/ar-renew/role/renew-b", {"token_period": "20m", "token_explicit_max_ttl": "15m"}),
    post("auth/token/renew-self", {}, token="{t}", pick=AUTH),
    post("auth/ar-renew/role/renew-b", {"token_period": 0, "token_ttl": "3m", "token_max_ttl": "5m"}),
    post("auth/token/renew-self", {}, token="{t}", pick=AUTH),
    delete("sys/auth/ar-renew"),
    get("auth/token/lookup-self", token="{t}"),
]

MAY = [
    post("sys/auth/ar-may", {"type": "approle"}),
    *(
        policy(f"may-{may}", f'path "auth/ar-may/*" {{ capabilities = ["{may}"] }}')
        for may in ("create", "update")
    ),
    *(login(may, f"may-{may}") for may in ("create", "update")),
    post("auth/ar-may/role/there", {}, token="{update}"),
    post("auth/ar-may/role/there", {}, token="{create}"),
    *(
        post(f"auth/ar-may/role/{name}/{field}", {}, token=who)
        for name in ("there", "none")
        for field in ("policies", "token-ttl", "period", "secret-id-num-uses", "bound-cidr-list", "role-id")
        for who in ("{create}", "{update}")
    ),
]

SCENARIOS = [
    Scenario("approle", "approle-roles", ROLES),
    Scenario("approle", "approle-fields", SUBPATHS),
    Scenario("approle", "approle-secret-ids", SECRETS),
    Scenario("approle", "approle-logins", LOGINS),
    Scenario("approle", "approle-renewal", RENEWAL),
    Scenario("approle", "approle-may", MAY),
]
