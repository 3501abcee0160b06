# SPDX-License-Identifier: EUPL-1.2
"""What an entity is worth: the policies that it, its groups and templates give, at the request; and to whom."""

from tests.conformance.scenario import Scenario, Step, delete, get, post
from tests.conformance.scenarios.identity import alias, entity, group, home
from tests.conformance.scenarios.jwt import STATIC, claims, mount, role
from tests.conformance.scenarios.userpass import hashed
from tests.tokens import token as signed

P = "idp/identity/"


def may(token: str, *paths: str) -> Step:
    """Asks what a token may do, which says what its entity gives it now."""
    return post("idp/sys/capabilities-self", {"paths": list(paths)}, token=token)


def grants(name: str, path: str, capability: str = "read") -> Step:
    """Writes a policy with one rule."""
    text = f'path "{path}" {{ capabilities = ["{capability}"] }}'
    return post(f"idp/sys/policies/acl/{name}", {"policy": text})


WORTH = [
    *home("idp", "pa", "pb"),
    post("idp/auth/pa/users/ann", {**hashed("p"), "token_policies": "own"}),
    post(
        "idp/auth/pa/login/ann", {"password": "p"}, token="", save=("t:auth.client_token", "e:auth.entity_id")
    ),
    grants("own", "kv/own"),
    grants("by-entity", "kv/entity"),
    grants("by-group", "kv/group"),
    grants("by-outer", "kv/outer"),
    grants("by-id", "kv/id/{{identity.entity.id}}"),
    grants("by-name", "kv/name/{{identity.entity.name}}/*"),
    grants("by-meta", "kv/meta/{{identity.entity.metadata.team}}"),
    post(
        "idp/sys/policies/acl/by-alias",
        {"policy": 'path "kv/alias/{{identity.entity.aliases.{pa}.name}}" { capabilities = ["read"] }'},
    ),
    get("idp/auth/token/lookup-self", token="{t}"),
    may("{t}", "kv/own", "kv/entity"),
    post(
        P + "entity/id/{e}",
        {"name": "ann", "policies": "by-entity,by-id,by-name,by-meta,by-alias", "metadata": {"team": "red"}},
    ),
    get("idp/auth/token/lookup-self", token="{t}"),
    may(
        "{t}", "kv/own", "kv/entity", "kv/group", "kv/id/{e}", "kv/name/ann/x", "kv/meta/red", "kv/alias/ann"
    ),
    may("{t}", "kv/id/other", "kv/name/bob/x", "kv/meta/blue", "kv/alias/bob"),
    post(P + "entity/id/{e}", {"metadata": {"team": "blue"}}),
    may("{t}", "kv/meta/red", "kv/meta/blue"),
    post(
        P + "group",
        {"name": "inner", "member_entity_ids": "{e}", "policies": "by-group"},
        save=("inner:data.id",),
    ),
    may("{t}", "kv/group", "kv/outer"),
    post(
        P + "group",
        {"name": "outer", "member_group_ids": "{inner}", "policies": "by-outer"},
        save=("outer:data.id",),
    ),
    may("{t}", "kv/group", "kv/outer"),
    get("idp/auth/token/lookup-self", token="{t}", unordered=("data.identity_policies",)),
    post("idp/auth/token/renew-self", {}, token="{t}", pick=("auth",)),
    post("idp/auth/pa/login/ann", {"password": "p"}, token=""),
    post(P + "group/id/{inner}", {"member_entity_ids": []}),
    may("{t}", "kv/group", "kv/outer", "kv/entity"),
    post(P + "entity-alias", {"name": "anna", "mount_accessor": "{pb}", "canonical_id": "{e}"}),
    post("idp/auth/pb/users/anna", hashed("q")),
    post("idp/auth/pb/login/anna", {"password": "q"}, token="", save=("u:auth.client_token",)),
    may("{u}", "kv/entity", "kv/own"),
    post(P + "entity/id/{e}", {"disabled": True}),
    get("idp/auth/token/lookup-self", token="{t}"),
    may("{u}", "kv/entity"),
    post("idp/auth/pa/login/ann", {"password": "p"}, token=""),
    post("idp/auth/token/lookup", {"token": "{t}"}),
    post("idp/sys/capabilities", {"token": "{t}", "paths": ["kv/own"]}),
    post(P + "entity/id/{e}", {"disabled": False}),
    may("{t}", "kv/entity", "kv/own"),
    delete(P + "entity/id/{e}"),
    get("idp/auth/token/lookup-self", token="{t}"),
    may("{u}", "kv/own"),
    post("idp/auth/token/lookup", {"token": "{t}"}),
    post("idp/sys/capabilities", {"token": "{t}", "paths": ["kv/own"]}),
    post("idp/auth/pa/login/ann", {"password": "p"}, token="", save=("n:auth.entity_id",)),
    get(P + "entity/id/{n}"),
]

TOKENS = [
    *home("idt", "ta"),
    post(
        "idt/sys/policies/acl/mk",
        {"policy": 'path "auth/token/create*" { capabilities = ["update", "sudo"] }'},
    ),
    post("idt/auth/ta/users/ann", hashed("p")),
    post(
        "idt/auth/ta/login/ann", {"password": "p"}, token="", save=("t:auth.client_token", "e:auth.entity_id")
    ),
    post("idt/identity/entity/id/{e}", {"policies": "mk"}),
    post("idt/auth/token/create", {}, token="{t}", save=("c:auth.client_token",)),
    post("idt/auth/token/create", {"policies": ["default"]}, token="{t}"),
    post("idt/auth/token/create", {"policies": ["mk"]}, token="{t}"),
    post("idt/auth/token/create", {"no_parent": True, "policies": ["default"]}, token="{t}"),
    post("idt/auth/token/create", {"type": "batch"}, token="{t}", save=("b:auth.client_token",)),
    get(
        "idt/auth/token/lookup-self",
        token="{b}",
        pick=("data.entity_id", "data.identity_policies", "data.policies"),
    ),
    post("idt/auth/token/create-orphan", {}, token="{t}"),
    post("idt/auth/token/roles/tr", {"allowed_entity_aliases": "Foo,ba*"}),
    post("idt/auth/token/create/tr", {"entity_alias": "foo"}, token="{t}", save=("f:auth.entity_id",)),
    post("idt/auth/token/create/tr", {"entity_alias": "foo"}, token="{t}"),
    post("idt/auth/token/create/tr", {"entity_alias": "BAR"}, token="{t}", save=("bar:auth.entity_id",)),
    post("idt/auth/token/create/tr", {"entity_alias": "bar"}, token="{t}"),
    get("idt/identity/entity/id/{bar}"),
    post("idt/auth/token/create/tr", {"entity_alias": "nope"}, token="{t}"),
    post("idt/auth/token/create", {"entity_alias": "foo"}, token="{t}"),
    post("idt/auth/token/create/tr", {}, token="{t}"),
    post("idt/identity/entity/id/{bar}", {"disabled": True}),
    post("idt/auth/token/create/tr", {"entity_alias": "bar"}, token="{t}"),
    post("idt/identity/entity/id/{e}", {"disabled": True}),
    get("idt/auth/token/lookup-self", token="{c}"),
    get("idt/auth/token/lookup-self", token="{b}"),
    delete("idt/identity/entity/id/{e}"),
    get("idt/auth/token/lookup-self", token="{c}"),
]


def enters(mount_: str, name: str) -> Step:
    """Logs in, and captures token and entity by the name."""
    save = (f"t{name}:auth.client_token", f"e{name}:auth.entity_id")
    return post(f"idy/auth/{mount_}/login/{name}", {"password": "p"}, token="", save=save)


Q = "idy/identity/"
MERGED = [
    *home("idy", "qa", "qb", "qc"),
    post(
        "idy/sys/policies/acl/child",
        {"policy": 'path "auth/token/create" { capabilities = ["update"] }'},
    ),
    *(
        post(f"idy/auth/q{name[0]}/users/{name}", {**hashed("p"), "token_policies": "child"})
        for name in ("ann", "bob", "cay")
    ),
    *(enters(f"q{name[0]}", name) for name in ("ann", "bob", "cay")),
    post(Q + "entity/id/{eann}", {"policies": "of-ann", "name": "ann"}),
    post(Q + "entity/id/{ebob}", {"policies": "of-bob"}),
    post(Q + "entity/merge", {"to_entity_id": "{ebob}", "from_entity_ids": ["{ecay}"]}),
    get("idy/auth/token/lookup-self", token="{tcay}"),
    post(Q + "entity/merge", {"to_entity_id": "{eann}", "from_entity_ids": ["{ebob}"]}),
    *(
        one
        for token in ("{tbob}", "{tcay}")
        for one in (
            get("idy/auth/token/lookup-self", token=token),
            post("idy/auth/token/renew-self", {}, token=token, pick=("auth",)),
            post("idy/sys/capabilities-self", {"paths": [Q + "entity/name/ann"]}, token=token),
        )
    ),
    post("idy/auth/token/lookup", {"token": "{tbob}"}),
    post("idy/auth/token/create", {}, token="{tbob}", divergence="DV-61"),
    get(Q + "entity/id/{ebob}"),
    post(Q + "lookup/entity", {"id": "{ebob}"}),
    enters("qb", "bob"),
    get("idy/auth/token/lookup-self", token="{tbob}"),
    post(Q + "entity/id/{eann}", {"disabled": True}),
    get("idy/auth/token/lookup-self", token="{tcay}"),
    post(Q + "entity/id/{eann}", {"disabled": False}),
    get("idy/auth/token/lookup-self", token="{tcay}", pick=("data.identity_policies",)),
    delete(Q + "entity/id/{eann}"),
    get("idy/auth/token/lookup-self", token="{tcay}"),
]

TENANTS = [
    *home("id1", "n1"),
    *home("id2", "n2"),
    entity("id1", "mine"),
    entity("id2", "theirs"),
    get("id2/identity/entity/id/{mine}"),
    get("identity/entity/id/{mine}"),
    post("id2/identity/entity/id/{mine}", {"name": "z"}),
    delete("id2/identity/entity/id/{mine}"),
    post("id2/identity/entity/batch-delete", {"entity_ids": ["{mine}"]}),
    get("id1/identity/entity/id/{mine}"),
    post("id2/identity/entity/merge", {"to_entity_id": "{theirs}", "from_entity_ids": ["{mine}"]}),
    post("id2/identity/lookup/entity", {"id": "{mine}"}),
    post("id2/identity/group", {"name": "g", "member_entity_ids": ["{mine}"]}, divergence="DV-07"),
    post("id2/identity/entity-alias", {"name": "x", "mount_accessor": "{n1}"}, divergence="DV-66"),
    post("id2/identity/entity-alias", {"name": "x", "mount_accessor": "{n2}", "canonical_id": "{mine}"}),
    group("id1", "grp", policies="p"),
    get("id2/identity/group/id/{grp}"),
    post("id2/identity/group/id/{grp}", {"policies": "root2"}),
    delete("id2/identity/group/id/{grp}"),
    get("id1/identity/group/id/{grp}"),
    alias("id1", "al", "n1", "mine"),
    get("id2/identity/entity-alias/id/{al}"),
    delete("id2/identity/entity-alias/id/{al}"),
    post("id2/identity/entity-alias/id/{al}", {"name": "stolen"}),
    get("id1/identity/entity-alias/id/{al}"),
]


def brought(by: str, **options: object) -> Step:
    """Logs alice in at a mount, which says that she is in `admins`."""
    body = {"role": "r", "jwt": signed(claims(groups=["admins"]))}
    return post(f"auth/{by}/login", body, token="", pick=("auth.identity_policies",), **options)


IN = ("data.group_ids",)
EMPTY = ("data.policies", "data.metadata")
EXTERNAL = [
    *(
        one
        for name in ("grp-a", "grp-b")
        for one in (
            mount(name),
            get(f"sys/auth/{name}", save=(f"{name[-1]}:data.accessor",), pick=("data.type",)),
            post(f"auth/{name}/config", STATIC),
            *role(name, "r", groups_claim="groups"),
        )
    ),
    post("identity/group", {"type": "external", "policies": "ops"}, save=("g:data.id",)),
    post(
        "identity/group-alias",
        {"name": "Admins", "mount_accessor": "{a}", "canonical_id": "{g}"},
        save=("ga:data.id",),
    ),
    brought("grp-a", save=("e:auth.entity_id",), divergence="DV-96"),
    get("identity/entity/id/{e}", pick=IN, divergence="DV-96"),
    post("identity/group-alias/id/{ga}", {"name": "admins", "mount_accessor": "{a}", "canonical_id": "{g}"}),
    brought("grp-a"),
    get("identity/entity/id/{e}", pick=IN),
    delete("identity/group-alias/id/{ga}"),
    get("identity/entity/id/{e}", pick=IN),
    brought("grp-a"),
    get("identity/entity/id/{e}", pick=IN),
    post(
        "identity/group-alias",
        {"name": "admins", "mount_accessor": "{a}", "canonical_id": "{g}"},
        save=("ga:data.id",),
    ),
    brought("grp-a"),
    post("identity/group-alias/id/{ga}", {"name": "admins", "mount_accessor": "{b}", "canonical_id": "{g}"}),
    get("identity/entity/id/{e}", pick=IN),
    brought("grp-a", divergence="DV-40"),
    get("identity/entity/id/{e}", pick=IN, divergence="DV-40"),
    delete("identity/entity/id/{e}"),
    post("identity/group/id/{g}", {"policies": [], "metadata": {}}),
    get("identity/group/id/{g}", pick=EMPTY),
    brought("grp-b"),
    get("identity/group/id/{g}", pick=EMPTY, divergence="DV-40"),
    delete("identity/group/id/{g}"),
    *(delete(f"sys/auth/{name}") for name in ("grp-a", "grp-b")),
]

ROLES = "auth/case-roles/role/"


def known_as(role_id: str, **options: object) -> list[Step]:
    """Log in as the role with this id, and see which entity it is."""
    role_name = "one" if role_id.islower() else "two"
    proof = {"role_id": role_id, "secret_id": "{s}"}
    return [
        post(f"{ROLES}{role_name}/secret-id", {}, save=("s:data.secret_id",)),
        post("auth/case-roles/login", proof, token="", pick=("auth.entity_id",), **options),
    ]


CASE = [
    post("sys/auth/case-roles", {"type": "approle"}),
    post(f"{ROLES}one", {"role_id": "the-role"}),
    post(f"{ROLES}two", {"role_id": "THE-ROLE"}),
    *known_as("the-role"),
    *known_as("the-role"),
    *known_as("THE-ROLE", divergence="DV-96"),
    post("sys/auth/case-people", {"type": "userpass"}),
    get("sys/auth/case-people", save=("people:data.accessor",)),
    get("sys/auth/case-roles", save=("roles:data.accessor",)),
    post("auth/case-people/users/Zoe", hashed("p")),
    post(
        "identity/entity-alias", {"name": "ZOE", "mount_accessor": "{people}"}, save=("z:data.canonical_id",)
    ),
    *(
        post(f"auth/case-people/login/{name}", {"password": "p"}, token="", pick=("auth.entity_id",))
        for name in ("zoe", "ZOE")
    ),
    post(
        "identity/lookup/entity", {"alias_name": "zOe", "alias_mount_accessor": "{people}"}, pick=("data.id",)
    ),
    post(
        "identity/lookup/entity",
        {"alias_name": "The-Role", "alias_mount_accessor": "{roles}"},
        pick=("data.id",),
        divergence="DV-96",
    ),
    delete("identity/entity/id/{z}"),
    delete("sys/auth/case-roles"),
    delete("sys/auth/case-people"),
]

SCENARIOS = [
    Scenario("identity", "case", CASE),
    Scenario("identity", "worth", WORTH),
    Scenario("identity", "tokens", TOKENS),
    Scenario("identity", "merged-tokens", MERGED),
    Scenario("identity", "tenants", TENANTS),
    Scenario("identity", "external-groups", EXTERNAL),
]
