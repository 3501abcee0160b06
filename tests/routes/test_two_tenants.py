# SPDX-License-Identifier: EUPL-1.2
"""Every declared route, asked by one tenant for what is another's: refused, and nothing is learned from how.

Derived from the route table, so that a new route is covered before anybody thinks of it.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from zlib import crc32

import pytest

from tests.routes.driver import TARGETS, Answer, Target, os_truncate
from tests.routes.tenants import (
    BLANK,
    EVERYTHING,
    MARK,
    MINE,
    THEIRS,
    Tenants,
    made_up,
    refusal,
    told,
)
from vault.framework.request.operation import Operation
from vault.framework.route import Parameter
from vault.server.compose.namespace_system import EVERYWHERE, PARTLY

ROOT_ONLY = "operation only available in root namespace"
OUTSIDE = (403, {"errors": ["1 error occurred:\n\t* permission denied\n\n"]})
LOCKS = {"namespaces/api-lock/lock"}
"""Routes that close the caller's own namespace: nothing could be asked after them."""
WRAPPING = {"wrapping/unwrap", "wrapping/rewrap"}
"""Routes that speak of the wrapping token first, which is the caller's own here, and none."""
NO_WRAPPING = (400, {"errors": ["wrapping token is not valid or does not exist"]})
PURE = ("tools/",)
"""Routes whose answer depends on the bytes that they are given, and on nothing else."""
PARSED = {"policy", "rules", "seal", "template"}
"""Parameters whose refusal is about the grammar of what they hold."""
SEEMS = re.compile(r"(^|_)(id|ids|uuid|accessors?|tokens?|leases?|entity|entities|alias|nonce|serial)$")
"""How the parameters are called that seem to hold the identifier of something."""
IDENTIFIERS = {
    "accessor": {"accessor", "wrapping-accessor"},
    "alias_id": {"entity-alias", "group-alias"},
    "alias_mount_accessor": {"mount", "auth-mount"},
    "auth_method_accessors": {"auth-mount"},
    "canonical_id": {"entity", "group"},
    "entity_id": {"entity"},
    "entity_ids": {"entity"},
    "from_entity_ids": {"entity"},
    "actor_token": {"biscuit"},
    "id": {"biscuit-block", "migration", "token", "entity", "entity-alias", "group", "group-alias"},
    "lease_id": {"lease"},
    "group_ids": {"group"},
    "identity_entity_ids": {"entity"},
    "identity_group_ids": {"group"},
    "member_entity_ids": {"entity"},
    "member_group_ids": {"group"},
    "method_id": {"mfa-method"},
    "mfa_method_ids": {"mfa-method"},
    "mfa_request_id": {"mfa-request"},
    "mount_accessor": {"mount", "auth-mount"},
    "role_id": {"role-id"},
    "secret_id": {"secret-id"},
    "secret_id_accessor": {"secret-id-accessor"},
    "to_entity_id": {"entity"},
    "subject_token": {"biscuit"},
    "token": {"token", "batch", "wrapping", "biscuit"},
    "token_id": {"biscuit-token"},
    "url_lease_id": {"lease"},
}
"""What each parameter that holds an identifier can be of: both tenants have one of each, which all routes are
asked for. Whoever adds a parameter adds it here, and to the tenants what it identifies."""
NO_IDENTIFIERS = {
    "allowed_client_ids",  # names of who tokens are for
    "client_id",  # such a name
    "id_token",  # what a provider says of a sign-in
    "client_nonce",  # a text that a client makes for its own sign-in
    "oidc_client_id",  # a name at somebody else's
    "bind_secret_id",  # whether one is needed
    "encoded_token",  # what a calculation is asked to decode, on the root namespace
    "entity_alias",  # a name that a login gives
    "key_id",  # a text that a certificate of SSH shows
    "allow_user_key_ids",  # whether it may be chosen
    "lease",  # how long
    "local_secret_ids",  # whether they are local
    "request_id",  # a filter of the log, of which each tenant sees its own part
    "trace_id",  # such a filter
    "nonce",  # of an attempt at the root namespace's keys
}
"""Parameters that are called so and identify nothing that a tenant has."""
ABSENT = {name: "absent" for target in TARGETS for name in target.route.parameters}
"""A name of nothing for every place in a path."""

every_route = pytest.mark.parametrize("target", TARGETS, ids=str)


@pytest.fixture(scope="module")
def tenants() -> Iterator[Tenants]:
    with Tenants() as tenants:
        yield tenants


def within(target: Target) -> bool:
    """Whether a namespace below the root one answers on this route."""
    return target.mount != "sys/" or target.route in SERVED


ROOTS_ALONE = frozenset(
    [
        "audit",
        "audit-hash/{path:path}",
        "audit/{path:path}",
        "config/auditing/request-headers",
        "config/auditing/request-headers/{header:path}",
        "config/cors",
        "config/state/sanitized",
        "generate-root/attempt",
        "generate-root/update",
        "health",
        "host-info",
        "in-flight-req",
        "init",
        "internal/counters/tokens",
        "internal/inspect/request",
        "internal/inspect/router/{tag}",
        "log/hash/rotate",
        "log/holds",
        "log/holds/{name}",
        "log/purge",
        "log/segments/{log}",
        "log/segments/{log}/{first}",
        "log/status",
        "log/tiles/{log}/tile/{path:path}",
        "loggers",
        "loggers/{name}",
        "metrics",
        "monitor",
        "plugins/reload/backend",
        "quotas/config",
        "quotas/rate-limit",
        "quotas/rate-limit/{name:name}",
        "rekey-recovery-key/init",
        "rekey-recovery-key/update",
        "rekey-recovery-key/verify",
        "rekey/backup",
        "rekey/init",
        "rekey/recovery-key-backup",
        "rekey/update",
        "rekey/verify",
        "replication/status",
        "seal",
        "seal-slots",
        "seal-slots/{name}",
        "seal-slots/{name}/demote",
        "seal-slots/{name}/promote",
        "seal-slots/{name}/rewrap",
        "seal-slots/{name}/verify",
        "snapshots",
        "step-down",
        "storage/raft/snapshot",
        "unseal",
    ]
)
"""What `sys/` of the root namespace has and of no other: a second list, so that neither grows by a slip."""
SERVED = [route for engine in EVERYWHERE for route in engine.routes] + [
    route for engine, templates in PARTLY.items() for route in engine.routes if route.template in templates
]

PEOPLE = {"entity", "entity-alias", "group", "group-alias", "mfa-method", "mfa-request"}
"""Kinds of ids that the identity store asks for, and the second half of a login; nobody else does."""


def fields(target: Target) -> list[Parameter]:
    """The parameters that can hold an id: neither numbers nor texts in a language of their own."""
    found = target.route.parameters.values()
    return [parameter for parameter in found if parameter.type is not bool and parameter.name not in PARSED]


@every_route
def test_nobody_acts_in_a_siblings_or_a_parents_namespace(tenants: Tenants, target: Target) -> None:
    before = tenants.kept(THEIRS)
    token = tenants.new_token(MINE)["client_token"]
    access = target.route.access
    for place in (THEIRS, "theirs/x/", BLANK, "nowhere/", ""):
        answer = tenants.call(target, place, token)
        assert MARK not in answer.body.decode()
        if access.public or access.own:
            continue
        if target.route.template in WRAPPING and target.mount == "sys/":
            assert told(answer) in (NO_WRAPPING, OUTSIDE)
            continue
        if place not in {"", "nowhere/"} and not within(target):
            assert answer.status in {400, 403}
            continue
        assert told(answer) == OUTSIDE, place
        assert told(tenants.call(target, place, token, captures=ABSENT)) == OUTSIDE
        if place not in {"", "nowhere/"}:
            assert told(tenants.call_by_header(target, place, token)) == OUTSIDE
        help_text = tenants.call(target, place, token, query="?help=1")
        assert target.bodied or target.method != "GET" or told(help_text) == OUTSIDE
    assert tenants.kept(THEIRS) == before


@pytest.mark.parametrize("target", [t for t in TARGETS if t.route.access.public], ids=str)
def test_what_anybody_may_ask_is_answered_as_in_a_namespace_without_anything(
    tenants: Tenants, target: Target
) -> None:
    for token in ("", "s.unknown", tenants.new_token(MINE)["client_token"]):
        answers = [tenants.call(target, place, token) for place in (THEIRS, BLANK)]
        addresses = [
            (status, str(body).replace(place, "<place>/"))
            for place, (status, body) in zip((THEIRS, BLANK), map(told, answers), strict=True)
        ]
        assert addresses[0] == addresses[1]
        assert MARK not in answers[0].body.decode()


@pytest.mark.parametrize("target", [t for t in TARGETS if t.route.access.own], ids=str)
def test_what_is_about_ones_own_token_is_the_same_wherever_it_is_asked(
    tenants: Tenants, target: Target
) -> None:
    for place in (THEIRS, BLANK, "", "mine/x/"):
        token = tenants.new_token(MINE)["client_token"]
        answer = tenants.call(target, place, token)
        assert answer.status in {200, 204} and MARK not in answer.body.decode()
        if answer.body:
            assert answer.json()["data" if answer.json()["data"] else "auth"]["accessor"].endswith(
                tenants.ids[MINE]["namespace"]
            )


def kinds(tenants: Tenants, target: Target, parameter: Parameter) -> list[str]:
    """The kinds of ids that a parameter is asked about: those that it can be of, and what else there is.

    What belongs to people is asked of those who have to do with them; whoever holds a wrapping token may fetch what
    waits, which is what it is for.
    """
    people = target.mount == "identity/" or target.route.template == "mfa/validate"
    unwraps = target.route.template.startswith("wrapping/") or target.route.template == "unwrap"
    asked = {*PEOPLE, "mount", "auth-mount"} if people else tenants.ids[THEIRS].keys() - PEOPLE
    asked -= {"wrapping", "token"} if unwraps else set()
    return [kind for kind in tenants.ids[THEIRS] if kind in asked]


def some(tenants: Tenants, target: Target, parameter: Parameter) -> list[str]:
    """Of the kinds that it cannot be of, one in three: others for another parameter."""
    own = IDENTIFIERS.get(parameter.name, set())
    meant: list[str] = []
    strange: list[str] = []
    for kind in kinds(tenants, target, parameter):
        (meant if kind in own else strange).append(kind)
    return meant + strange[crc32(f"{target} {parameter.name}".encode()) % 3 :: 3]


def ask_of_another(
    tenants: Tenants, target: Target, chosen: Callable[[Tenants, Target, Parameter], list[str]]
) -> None:
    """Ask for another tenant's ids of the chosen kinds, in each parameter, and for made-up ones."""
    if target.route.template in LOCKS or target.route.template.startswith(PURE):
        return
    before, mine = tenants.kept(THEIRS), tenants.another()
    if target.mount == "identity/":
        tenants.call(target, mine, "root")  # what it makes is there from now on
    token = ""
    for parameter in fields(target):
        for kind in chosen(tenants, target, parameter):
            identifier = tenants.ids[THEIRS][kind]
            seen = []
            for value in (made_up(identifier), identifier):
                token = token or tenants.new_token(mine)["client_token"]
                if parameter.in_path:
                    answer = tenants.call(target, mine, token, captures={parameter.field: value})
                elif target.bodied:
                    answer = tenants.call(target, mine, token, {parameter.name: value})
                else:
                    answer = tenants.call(target, mine, token, query=f"?{parameter.name}={value}")
                assert MARK not in answer.body.decode()
                seen.append(refusal(answer, value))
                if answer.status < 400:
                    token = ""  # it may have been about the token itself; what is refused leaves it as it was
            assert seen[0] == seen[1], (parameter.name, kind)
        if token:
            assert tenants.request("GET", f"/v1/{mine}auth/token/lookup-self", token=token).status == 200
    assert tenants.kept(THEIRS) == before


takes_ids = pytest.mark.parametrize("target", [t for t in TARGETS if within(t) and fields(t)], ids=str)


@takes_ids
def test_sl_09_ids_of_another_tenant_are_as_good_as_made_up(tenants: Tenants, target: Target) -> None:
    ask_of_another(tenants, target, some)


@pytest.mark.soak
@takes_ids
def test_sl_09_ids_of_every_kind_are_as_good_as_made_up(tenants: Tenants, target: Target) -> None:
    ask_of_another(tenants, target, kinds)


@pytest.mark.parametrize("target", [t for t in TARGETS if t.mount == "sys/"], ids=str)
def test_sl_10_a_namespace_has_only_what_is_named_and_the_rest_says_so_to_everybody(
    tenants: Tenants, target: Target
) -> None:
    if target.route.template in {route.template for route in SERVED} and not within(target):
        assert tenants.call(target, BLANK, "root").status == 405  # the path is there, with other verbs
    elif not within(target):
        for token in ("root", tenants.new_token(MINE)["client_token"], ""):
            for answer in (tenants.call(target, BLANK, token), tenants.call_by_header(target, BLANK, token)):
                assert answer.status in {400, 405}
                if answer.status == 400:
                    assert answer.json()["errors"][0] in {ROOT_ONLY, "operation unavailable in namespaces"}
    status = tenants.request("GET", "/v1/sys/seal-status").json()
    assert status["sealed"] is False


def test_sl_10_what_is_the_root_namespaces_alone_is_named_here_too() -> None:
    whole = {target.route.template for target in TARGETS if target.mount == "sys/"}
    assert whole - {route.template for route in SERVED} == ROOTS_ALONE


def test_whatever_takes_an_identifier_says_of_what() -> None:
    named = {parameter.name for target in TARGETS for parameter in target.route.parameters.values()}
    seeming = {name for name in named if SEEMS.search(name)}
    assert seeming == (IDENTIFIERS.keys() | NO_IDENTIFIERS) & named, "name it in one of the two tables"


def test_there_is_something_for_every_identifier_to_be_of(tenants: Tenants) -> None:
    for path in (MINE, THEIRS):
        assert {kind for kinds in IDENTIFIERS.values() for kind in kinds} <= tenants.ids[path].keys()
    assert not set(tenants.ids[MINE].values()) & set(tenants.ids[THEIRS].values())


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "auth/token/lookup", {"token": "token"}),
        ("POST", "auth/token/lookup", {"token": "batch"}),
        ("POST", "auth/token/lookup-accessor", {"accessor": "accessor"}),
        ("POST", "auth/token/renew-accessor", {"accessor": "accessor"}),
        ("POST", "sys/capabilities", {"token": "token", "path": "plain/x"}),
        ("POST", "sys/capabilities-accessor", {"accessor": "accessor", "path": "plain/x"}),
        ("POST", "sys/leases/lookup", {"lease_id": "lease"}),
        ("POST", "sys/leases/renew", {"lease_id": "lease"}),
        ("POST", "auth/approle/role/x/secret-id/lookup", {"secret_id": "secret-id"}),
        (
            "POST",
            "auth/approle/role/x/secret-id-accessor/lookup",
            {"secret_id_accessor": "secret-id-accessor"},
        ),
        ("POST", "auth/approle/login", {"role_id": "role-id", "secret_id": "secret-id"}),
        ("GET", "sys/remount/status/<migration>", None),
    ],
)
def test_ones_own_identifiers_lead_somewhere(
    tenants: Tenants, method: str, path: str, body: dict[str, str] | None
) -> None:
    token = tenants.new_token(MINE)["client_token"]

    def ask(ids: Mapping[str, str]) -> Answer:
        sent = None if body is None else {name: ids.get(value, value) for name, value in body.items()}
        place = re.sub("<(.+)>", lambda found: ids[found[1]], path)
        return tenants.request(method, f"/v1/{MINE}{place}", sent, token=token)

    mine, theirs = ask(tenants.ids[MINE]), ask(tenants.ids[THEIRS])
    nobodys = ask({kind: made_up(identifier) for kind, identifier in tenants.ids[THEIRS].items()})
    assert mine.status == 200, mine.body
    assert theirs.status != 200
    assert (theirs.status, refusal(theirs)) == (nobodys.status, refusal(nobodys))


def test_there_are_routes_on_both_sides() -> None:
    inner = [target for target in TARGETS if target.mount == "sys/" and within(target)]
    assert 40 < len(inner) < len([target for target in TARGETS if target.mount == "sys/"]) - 40
    assert {target.route.operation for target in inner} >= {Operation.READ, Operation.UPDATE, Operation.LIST}


def test_sl_06_names_of_policies_lead_nowhere_else(tenants: Tenants) -> None:
    for name in ("../x", "..%2fx", "root/x", "mine/x", "\0x", "x\\..\\y"):
        for place in (MINE, ""):
            answer = tenants.request(
                "POST", f"/v1/{place}auth/token/create", {"policies": [name]}, token="root"
            )
            if name != "mine/x":
                assert answer.status == 400, name
                continue
            token = answer.json()["auth"]["client_token"]
            assert tenants.request("GET", f"/v1/{place}sys/mounts", token=token).status == 403
    theirs = tenants.request("POST", "/v1/mine/auth/token/create", {"policies": ["root"]}, token="root")
    assert theirs.status == 400


def test_sl_07_a_policy_says_nothing_of_siblings_parents_and_namespaces_of_another_time(
    tenants: Tenants,
) -> None:
    for name in ("team", "team2"):
        tenants.root("POST", f"sys/namespaces/{name}", {})
        tenants.root("POST", f"{name}/sys/mounts/kv", {"type": "kv"})
        tenants.root("POST", f"{name}/kv/a", {"of": name})
    tenants.root("POST", "team/sys/policies/acl/wide", {"policy": EVERYTHING})
    wide = tenants.new_token("team/", policies=("wide",))["client_token"]
    assert tenants.request("GET", "/v1/team/kv/a", token=wide).status == 200
    for path in ("team2/kv/a", "secret/data/x", "mine/plain/x", "sys/mounts"):
        assert told(tenants.request("GET", f"/v1/{path}", token=wide)) == OUTSIDE
    for identifier in ("team", "team2"):
        policy = f'path "{identifier}/kv/*" {{ capabilities = ["read"] }}'
        tenants.root("POST", f"sys/policies/acl/of-{identifier}", {"policy": policy})
    narrow = tenants.new_token("", policies=("of-team",))["client_token"]
    assert tenants.request("GET", "/v1/team/kv/a", token=narrow).status == 200
    assert told(tenants.request("GET", "/v1/team2/kv/a", token=narrow)) == OUTSIDE
    tenants.root("DELETE", "sys/namespaces/team")
    tenants.settle()
    tenants.root("POST", "sys/namespaces/team", {})
    tenants.root("POST", "team/sys/policies/acl/wide", {"policy": EVERYTHING})
    assert tenants.request("GET", "/v1/team/sys/mounts", token=wide).status == 403
    assert tenants.request("GET", "/v1/auth/token/lookup-self", token=wide).status == 403


@pytest.mark.parametrize(
    "name",
    [
        "root",
        "ROOT",
        "Root",
        "root/",
        "./root",
        "sys",
        "SYS",
        "auth",
        "audit",
        "identity",
        "cubbyhole",
        "%2e",
        "%2e%2e",
        "%2e/root",
    ],
)
def test_sl_08_no_name_leads_to_the_namespace_that_holds_it(tenants: Tenants, name: str) -> None:
    before = tenants.root("LIST", "mine/sys/namespaces")["data"]["keys"]
    for method in ("GET", "POST", "PATCH", "DELETE"):
        body = {"custom_metadata": {"a": "b"}} if method in {"POST", "PATCH"} else None
        for place in ("", "mine/"):
            answer = tenants.request(method, f"/v1/{place}sys/namespaces/{name}", body, token="root")
            assert answer.status in {307, 400}
    assert tenants.root("LIST", "mine/sys/namespaces")["data"]["keys"] == before
    for header in (name, f"mine/{name}", f"mine/{name}/x", "mine/../theirs", "mine//x", "mine/./x"):
        answer = tenants.request("GET", "/v1/sys/mounts", token="root", headers={"x-vault-namespace": header})
        assert answer.status == 404 or header in {"root", "root/"}


def test_whoever_is_above_acts_below_by_the_policies_of_its_own_namespace(tenants: Tenants) -> None:
    policy = 'path "mine/plain/*" { capabilities = ["read"] }'
    tenants.root("POST", "sys/policies/acl/above", {"policy": policy})
    token = tenants.new_token("", policies=("above",))["client_token"]
    assert tenants.request("GET", "/v1/mine/plain/x", token=token).status == 200
    assert told(tenants.request("GET", "/v1/theirs/plain/x", token=token)) == OUTSIDE
    assert told(tenants.request("GET", "/v1/mine/sys/mounts", token=token)) == OUTSIDE
    headers = {"x-vault-namespace": "mine"}
    assert tenants.request("GET", "/v1/plain/x", token=token, headers=headers).status == 200
    assert tenants.request("GET", "/v1/plain/x", token=token).status == 403


def test_a_strangers_token_shows_no_more_than_none(tenants: Tenants) -> None:
    config = {"listing_visibility": "unauth"}
    tenants.root("POST", "theirs/sys/mounts/seen", {"type": "kv", "config": config})
    stranger = tenants.new_token(MINE)["client_token"]
    for place in (THEIRS, BLANK):
        path = f"/v1/{place}sys/internal/ui/mounts"
        assert told(tenants.request("GET", path, token=stranger)) == told(tenants.request("GET", path))
    shown = tenants.request("GET", "/v1/theirs/sys/internal/ui/mounts", token=stranger).json()["data"]
    assert list(shown["secret"]) == ["seen/"] and "accessor" not in shown["secret"]["seen/"]
    tenants.root("DELETE", "theirs/sys/mounts/seen")


def test_records_name_the_namespace_and_the_path_in_it(tenants: Tenants) -> None:
    os_truncate(tenants.audit)
    tenants.root("GET", "mine/plain/x")
    tenants.request("GET", "/v1/plain/x", token="root", headers={"x-vault-namespace": "mine"})
    for record in tenants.records():
        assert record["request"]["namespace"] == {"id": tenants.ids[MINE]["namespace"], "path": "mine/"}
        assert record["request"]["path"] == "plain/x"
