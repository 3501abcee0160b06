# SPDX-License-Identifier: EUPL-1.2
"""Service tokens that were made with a Biscuit: never worth more than it, and worth nothing once it is not."""

import json
import secrets
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import pytest

from nhi.biscuit.credential.possession import certificate_thumbprint, key_thumbprint
from nhi.biscuit.format.chain import read_chain
from nhi.biscuit.offline.verify import from_text
from nhi.picture.lineage import grown
from nhi.picture.node import walk
from tests.routes.driver import Application
from tests.routes.holdings import entries_left, new_lease
from tests.routes.issuer import DB, LOOK, OTHER, POLICY, TO_DB, Issuer
from tests.tokens import EDWARDS, b64, jwk
from tests.tokens import token as signed
from tests.unit.outbound.authority import Authority
from vault.values.ids import ROOT_ID

MORE = (
    POLICY
    + """
path "secret/data/app/*" { capabilities = ["create", "update", "read"] }
path "auth/token/*" { capabilities = ["create", "update", "read", "sudo"] }
path "cubbyhole/*" { capabilities = ["create", "update", "read", "delete"] }
"""
)
TO_DB_OR_TOKENS = (
    'check if resource($r), $r.starts_with("secret/data/app/db") || $r.starts_with("auth/token/create")'
    ' || $r.starts_with("cubbyhole/");'
)
NO_WRITE = 'check if operation($o), resource($r), $o == "read" || $r.starts_with("auth/token/create");'
SELF = "auth/token/create"
CA = Authority("trusted")
MINE, THIEF = CA.issue("mine"), CA.issue("thief")


@pytest.fixture
def able(issuer: Issuer) -> Issuer:
    """An issuer whose tokens may make others in every way, as far as policies go."""
    issuer.root("sys/policies/acl/app", {"policy": MORE})
    return issuer


def make(issuer: Issuer, token: str, path: str = SELF, **body: Any) -> Any:
    """Return the answer to somebody who makes a token."""
    return issuer.application.request("POST", f"/v1/{path}", body, token=token)


def child(issuer: Issuer, token: str, **body: Any) -> str:
    """Return a token that another one made."""
    answer = make(issuer, token, **body)
    assert answer.status == 200, answer.body
    made: str = answer.json()["auth"]["client_token"]
    return made


def looked(issuer: Issuer, token: str) -> Any:
    """Return what a token is shown as."""
    answer = issuer.application.request("GET", f"/v1/{LOOK}", token=token)
    assert answer.status == 200, answer.body
    return answer.json()["data"]


def test_a_child_may_what_its_biscuit_may_and_says_whose_it_is(able: Issuer) -> None:
    token = able.issue()
    made = make(able, token, meta={"a": "b", "workload": "forged"}).json()["auth"]
    assert (made["token_type"], made["policies"], made["orphan"]) == ("service", ["app", "default"], False)
    held = made["client_token"]
    assert [able.status(held, path) for path in (DB, OTHER, "secret/data/x")] == [200, 200, 403]
    shown = looked(able, held)
    assert (shown["meta"]["workload"], shown["meta"]["a"], shown["type"]) == ("w1", "b", "service")
    assert shown["meta"]["chain"] == shown["chain"] == looked(able, token)["accessor"]
    records = [json.loads(line) for line in able.application.audit.read_text().splitlines()]
    auth = [one["auth"] for one in records if one["request"]["path"] == DB][-1]
    assert {"chain", "token_id", "workload"} <= auth["metadata"].keys()


def test_the_checks_of_a_narrowed_biscuit_narrow_its_child_and_all_below(able: Issuer) -> None:
    narrow = able.narrow(able.issue(), TO_DB_OR_TOKENS, NO_WRITE)
    first = child(able, narrow)
    second = child(able, first, policies=["app"])
    for one in (narrow, first, second):
        assert [able.status(one, path) for path in (DB, OTHER)] == [200, 403]
        assert able.status(one, DB, "POST", {"data": {}}) == 403
        asked = able.application.request(
            "POST", "/v1/sys/capabilities-self", {"paths": [DB, OTHER]}, token=one
        )
        if one is not second:  # which has not the policy to ask
            assert (asked.json()["data"][DB], asked.json()["data"][OTHER]) == (["read"], ["deny"])
    for way in (
        {"token": second},
        {"accessor": able.root("auth/token/lookup", {"token": second})["data"]["accessor"]},
    ):
        path = "sys/capabilities" if "token" in way else "sys/capabilities-accessor"
        assert able.root(path, {**way, "paths": [DB, OTHER]})["data"][OTHER] == ["deny"]
    verdicts = able.root("sys/internal/policies/explain", {"path": OTHER, "token": second})["data"][
        "verdicts"
    ]
    assert not any(one["allowed"] for one in verdicts)


def test_a_read_that_is_planned_is_planned_narrowed(able: Issuer) -> None:
    held = child(able, able.narrow(able.issue(), TO_DB_OR_TOKENS))
    assert [able.status(held, DB) for _ in range(3)] == [200] * 3
    kept = able.application.vault._plans._kept
    assert len(kept) == 1
    assert [able.status(held, OTHER) for _ in range(3)] == [403] * 3
    moody = child(able, able.narrow(able.issue(), "check if time($t), $t > 2020-01-01T00:00:00Z;"))
    assert [able.status(moody, OTHER) for _ in range(3)] == [200] * 3
    assert len(kept) == 1


def test_a_narrowed_biscuit_that_may_not_make_tokens_makes_none(able: Issuer) -> None:
    assert make(able, able.narrow(able.issue(), TO_DB)).status == 403


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"no_parent": True}, SELF),
        ({"period": "1h"}, SELF),
        ({"id": "mine"}, SELF),
        ({"type": "batch"}, SELF),
        ({"policies": ["root"]}, SELF),
        ({"policies": ["app", "other"]}, SELF),
        ({}, "auth/token/create-orphan"),
        ({}, "auth/token/create/orphans"),
        ({}, "auth/token/create/periodic"),
        ({}, "auth/token/create/more"),
        ({}, "auth/token/create/batch"),
        ({"entity_alias": "somebody"}, "auth/token/create/alias"),
    ],
)
def test_what_would_outlive_or_exceed_a_biscuit_is_refused(able: Issuer, body: Any, path: str) -> None:
    able.root("sys/policies/acl/other", {"policy": MORE})
    for name, role in (
        ("orphans", {"orphan": True}),
        ("periodic", {"token_period": "1h"}),
        ("more", {"allowed_policies": "app,other"}),
        ("batch", {"token_type": "batch", "orphan": True, "renewable": False}),
        ("alias", {"allowed_entity_aliases": "somebody"}),
    ):
        able.root(f"auth/token/roles/{name}", role)
    token = able.issue()
    for one in (token, child(able, token)):
        answer = make(able, one, path, **body)
        assert (answer.status, "auth" in answer.json()) == (400, False), answer.body


def test_a_role_may_narrow_further(able: Issuer) -> None:
    able.root(
        "auth/token/roles/less",
        {"allowed_policies": "app", "token_no_default_policy": True, "token_num_uses": 2},
    )
    held = make(able, able.narrow(able.issue(), TO_DB_OR_TOKENS), "auth/token/create/less").json()["auth"]
    assert held["policies"] == ["app"]
    token = held["client_token"]
    assert [able.status(token, path) for path in (OTHER, DB, DB, DB)] == [403, 200, 200, 403]
    once = make(able, able.issue(), "auth/token/create/less").json()["auth"]["client_token"]
    assert make(able, once).status == 400


def test_a_child_ends_with_the_earliest_end_of_its_chain_and_is_never_renewed_beyond(able: Issuer) -> None:
    token = able.issue(ttl="1h")
    held = make(able, token, ttl="10h").json()
    assert 3590 <= held["auth"]["lease_duration"] <= 3600
    assert any("capped" in text for text in held["warnings"])
    short = child(able, token, ttl="10m", explicit_max_ttl="30h")
    for path, body in (("renew-self", {"increment": "20h"}), ("renew", {"token": short, "increment": "20h"})):
        renewed = able.application.request("POST", f"/v1/auth/token/{path}", body, token=short)
        assert 3500 <= renewed.json()["auth"]["lease_duration"] <= 3600
    by_accessor = {"accessor": looked(able, short)["accessor"], "increment": "20h"}
    assert able.root("auth/token/renew-accessor", by_accessor)["auth"]["lease_duration"] <= 3600
    below = child(able, short, ttl="5h")
    assert looked(able, below)["ttl"] <= 3600
    able.application.clock.sleep(3601)
    for one in (token, held["auth"]["client_token"], short, below):
        assert [able.status(one, path) for path in (DB, LOOK)] == [403, 403]


def test_an_end_that_a_holder_set_ends_the_child(able: Issuer) -> None:
    clock = able.application.clock
    end = clock.millis() // 1000 + 300
    text = datetime.fromtimestamp(end, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    held = child(able, able.narrow(able.issue(), f"check if time($t), $t < {text};"))
    assert looked(able, held)["ttl"] <= 300
    assert [able.status(held, DB) for _ in range(2)] == [200, 200]
    clock.sleep(301)
    assert able.status(held, DB) == 403


def test_a_workload_whose_end_comes_closer_takes_its_children_along(able: Issuer) -> None:
    held = child(able, able.issue())
    assert able.status(held, DB) == 200
    able.root("nhi/workloads/w1", {"owner": "team-a", "ttl": "60s"})
    assert able.status(held, DB) == 200
    able.application.clock.sleep(61)
    assert able.status(held, DB) == 403


@pytest.mark.parametrize("how", ["block", "parent", "self", "workload", "removed", "key", "mount"])
def test_revocation_at_each_level_ends_the_children_at_the_next_request(able: Issuer, how: str) -> None:
    token = able.issue()
    middle = able.narrow(token, TO_DB_OR_TOKENS)
    leaf = able.narrow(middle, NO_WRITE)
    first = child(able, leaf)
    second = child(able, first)
    other = child(able, token)
    for one in (first, second, other):
        assert [able.status(one, DB) for _ in range(2)] == [200, 200]
    kid = read_chain(from_text(token)).root_key_id
    if how == "block":
        able.root("nhi/revoke", {"token": leaf})
    elif how == "parent":
        able.root("nhi/revoke", {"token": middle})
    elif how == "self":
        assert able.status(leaf, "auth/token/revoke-self", "POST") == 204
    elif how == "workload":
        able.root("nhi/workloads/w1/revoke")
    elif how == "removed":
        able.root("nhi/workloads/w1", method="DELETE")
    elif how == "key":
        able.root(f"nhi/keys/{kid}", {"state": "destroyed"})
    else:
        able.root("sys/mounts/nhi", method="DELETE")
    rest = 200 if how in {"block", "parent", "self"} else 403
    assert [able.status(one, DB) for one in (first, second, other)] == [403, 403, rest]
    for one in (first, second):
        assert able.status(one, LOOK) == 403
        assert (
            able.application.request("POST", "/v1/auth/token/lookup", {"token": one}, token="root").status
            == 403
        )
        assert (
            able.application.request("POST", "/v1/auth/token/renew", {"token": one}, token="root").status
            == 400
        )
    if how != "mount":
        able.application.settle()
        kept = able.application.run(entries_left(able.application, first, second))
        assert kept == [False, False]


def test_a_revoked_biscuit_ends_what_was_made_with_one_that_was_renewed_from_it(able: Issuer) -> None:
    token = able.issue(ttl="10m")
    renewed = able.application.request("POST", "/v1/auth/token/renew-self", {}, token=token)
    held = child(able, renewed.json()["auth"]["client_token"])
    assert able.status(held, DB) == 200
    able.root("nhi/revoke", {"token": token})
    assert able.status(held, DB) == 403
    able.application.settle()
    assert able.application.run(entries_left(able.application, held)) == [False]


def test_the_tree_shows_children_and_a_preview_counts_them(able: Issuer) -> None:
    token = able.issue()
    narrow = able.narrow(token, TO_DB_OR_TOKENS)
    first = child(able, narrow, display_name="job")
    second, other = child(able, first), child(able, token)
    accessor = {one: looked(able, one)["accessor"] for one in (first, second, other)}
    about = able.root("nhi/introspect", {"token": narrow})["data"]
    tree = able.root(f"nhi/credentials/{about['token_id']}", method="GET")["data"]
    made = {one["accessor"]: one for one in tree["tokens"]}
    ids = [one["id"] for one in about["blocks"]]
    assert {name: one["parent"] for name, one in made.items()} == {
        accessor[first]: ids[1],
        accessor[second]: accessor[first],
        accessor[other]: ids[0],
    }
    assert made[accessor[first]]["display_name"] == "token-job"
    drawn = grown(tree)
    assert drawn is not None
    assert set(accessor.values()) <= {node.id for node, _ in walk(drawn)}
    kid = read_chain(from_text(token)).root_key_id
    for body, tokens in (
        ({"token": narrow}, 2),
        ({"token": token}, 3),
        ({"workload": "w1"}, 3),
        ({"kid": kid}, 3),
        ({"token": able.issue()}, 0),
    ):
        assert (body, able.root("nhi/revoke/preview", body)["data"]["tokens"]) == (body, tokens)
    assert able.root("nhi/revoke", {"token": narrow})["data"]["tokens"] == 2
    able.application.settle()
    left = able.root(f"nhi/credentials/{about['token_id']}", method="GET")["data"]["tokens"]
    assert [one["accessor"] for one in left] == [accessor[other]]


def test_revoking_a_child_spares_its_biscuit(able: Issuer) -> None:
    token = able.issue()
    first, other = child(able, token), child(able, token)
    below = child(able, first)
    assert able.status(first, "auth/token/revoke-self", "POST") == 204
    assert [able.status(one, DB) for one in (first, below, other, token)] == [403, 403, 200, 200]


def test_an_orphaned_grandchild_stays_narrowed_and_ends_with_the_biscuit(able: Issuer) -> None:
    narrow = able.narrow(able.issue(), TO_DB_OR_TOKENS)
    first = child(able, narrow)
    second = child(able, first)
    able.root("auth/token/revoke-orphan", {"token": first})
    assert [able.status(first, DB), able.status(second, DB), able.status(second, OTHER)] == [403, 200, 403]
    able.application.settle()
    assert looked(able, second)["orphan"] is True
    assert able.status(second, OTHER) == 403
    able.root("nhi/revoke", {"token": narrow})
    assert able.status(second, DB) == 403
    able.application.settle()
    assert able.application.run(entries_left(able.application, second)) == [False]


def test_a_wrapped_child_and_its_cubbyhole_end_with_the_biscuit(able: Issuer) -> None:
    token = able.issue()
    answer = able.application.request(
        "POST", f"/v1/{SELF}", {}, token=token, headers={"x-vault-wrap-ttl": "60"}
    )
    wrapping = answer.json()["wrap_info"]["token"]
    held = able.application.request("POST", "/v1/sys/wrapping/unwrap", token=wrapping).json()["auth"][
        "client_token"
    ]
    assert able.status(held, "cubbyhole/a", "POST", {"b": "c"}) == 204
    assert able.status(held, "cubbyhole/a") == 200
    later = able.application.request(
        "POST", f"/v1/{SELF}", {}, token=token, headers={"x-vault-wrap-ttl": "60"}
    )
    able.root("nhi/revoke", {"token": token})
    assert able.status(held, "cubbyhole/a") == 403
    wrapped = able.application.request(
        "POST", "/v1/sys/wrapping/unwrap", token=later.json()["wrap_info"]["token"]
    ).json()["auth"]["client_token"]
    assert able.status(wrapped, DB) == 403
    able.application.settle()
    assert able.application.run(_cubbyholes(able.application, held)) == []


def test_what_was_made_for_a_child_is_taken_back_with_its_biscuit(able: Issuer) -> None:
    application, token = able.application, able.issue()
    held = child(able, child(able, token))
    spared = child(able, able.issue())
    leases = [application.run(new_lease(application, one)) for one in (held, spared)]
    able.root("nhi/revoke", {"token": token})
    application.settle()
    vault = application.vault
    core = vault.ground.barrier.reader(ROOT_ID, "ns/root/")
    found = [application.run(vault.leases.store.get(core, one)) for one in leases]
    now = vault.ground.clock.nanos()
    assert [one is None or one.expires <= now for one in found] == [True, False]


def test_children_survive_a_restart_narrowed(able: Issuer) -> None:
    narrow = able.narrow(able.issue(), TO_DB_OR_TOKENS)
    held = child(able, narrow)
    again = Application(like=able.application)
    other = Issuer.__new__(Issuer)
    other.application, other.within = again, ""
    assert [other.status(held, path) for path in (DB, OTHER)] == [200, 403]
    assert other.status(child(other, held), OTHER) == 403
    other.root("nhi/revoke", {"token": narrow})
    assert other.status(held, DB) == 403
    again.close()


def test_children_stay_in_the_namespace_of_their_biscuit() -> None:
    application = Application()
    for name in ("a", "a/b"):
        application.request(
            "POST",
            f"/v1/sys/namespaces/{name}" if "/" not in name else "/v1/a/sys/namespaces/b",
            {},
            token="root",
        )
    inner = Issuer(application, within="a/")
    inner.root(
        "sys/policies/acl/app",
        {"policy": MORE + 'path "b/auth/token/create" { capabilities = ["update", "sudo"] }'},
    )
    inner.root("sys/mounts/secret", {"type": "kv", "options": {"version": "2"}})
    for path in (DB, OTHER):
        inner.root(path, {"data": {}})
    narrow = inner.narrow(inner.issue(), TO_DB_OR_TOKENS)
    made = application.request("POST", f"/v1/a/{SELF}", {}, token=narrow).json()["auth"]["client_token"]
    assert [inner.status(made, f"a/{path}") for path in (DB, OTHER)] == [200, 403]
    assert inner.status(made, DB) == 403
    assert application.request("POST", f"/v1/a/b/{SELF}", {}, token=inner.issue()).status == 400
    inner.root("nhi/revoke", {"token": narrow})
    assert inner.status(made, f"a/{DB}") == 403
    application.close()


def test_a_child_is_bound_to_the_certificate_that_its_biscuit_is_bound_to(able: Issuer) -> None:
    able.application.certificate = MINE.der
    bound = able.issue(x5t=certificate_thumbprint(MINE.der))
    held = child(able, bound)
    assert [able.status(held, path) for path in (DB, LOOK)] == [200, 200]
    below = child(able, held)
    for certificate in (THIEF.der, None):
        able.application.certificate = certificate
        assert [able.status(one, path) for one in (held, below) for path in (DB, LOOK)] == [403] * 4
        assert make(able, held).status == 403


@pytest.mark.asked_alone("each process knows the proofs that it saw itself")
def test_a_child_is_bound_to_the_key_that_signs_each_request(able: Issuer) -> None:
    bound = able.issue(jkt=key_thumbprint(jwk(EDWARDS)))

    def proof(method: str, path: str, held: str) -> str:
        said = {"jti": secrets.token_hex(8), "htm": method, "htu": f"http://127.0.0.1:1/v1/{path}"}
        now = able.application.clock.millis() // 1000
        ath = b64(sha256(held.encode()).digest())
        return signed({**said, "iat": now, "ath": ath}, EDWARDS, "EdDSA", typ="dpop+jwt", jwk=jwk(EDWARDS))

    headers = {"dpop": proof("POST", SELF, bound)}
    answer = able.application.request("POST", f"/v1/{SELF}", {}, token=bound, headers=headers)
    held = answer.json()["auth"]["client_token"]
    own, others = proof("GET", DB, held), proof("GET", DB, bound)

    def read(**headers: str) -> int:
        return able.application.request("GET", f"/v1/{DB}", token=held, headers=headers).status

    assert [read(), read(dpop=others), read(dpop=own), read(dpop=own)] == [403, 403, 200, 403]


def test_whoever_does_not_prove_to_have_the_key_takes_no_use_off_a_child(able: Issuer) -> None:
    able.application.certificate = MINE.der
    held = child(able, able.issue(x5t=certificate_thumbprint(MINE.der)), num_uses=2)
    for certificate in (THIEF.der, None):
        able.application.certificate = certificate
        stolen = [able.status(held, path) for path in (DB, LOOK, "secret/data/x", "cubbyhole/x")]
        assert stolen == [403] * 4
        assert able.status(held, DB, "POST", {"data": {}}) == 403
        assert make(able, held).status == 403
        assert able.status(held, "sys/health") == 200
    able.application.certificate = MINE.der
    assert [able.status(held, DB) for _ in range(3)] == [200, 200, 403]


@pytest.mark.parametrize("where", ["address", "key"])
def test_a_request_that_the_checks_of_a_chain_refuse_takes_no_use_off_a_child(
    able: Issuer, where: str
) -> None:
    checks = {
        "address": 'check if client_nets($n), $n.contains("10.0.0.0/8");',
        "key": f'check if pop_proved("x5t", "{certificate_thumbprint(MINE.der)}");',
    }
    application = able.application

    def at_home(there: bool) -> None:
        application.certificate = MINE.der if there else THIEF.der
        application.client = ("10.0.0.1" if there else "192.0.2.1", 1)

    at_home(there=True)
    held = child(able, able.narrow(able.issue(), checks[where]), num_uses=3)
    at_home(there=False)
    assert [able.status(held, DB) for _ in range(4)] == [403] * 4
    assert able.status(held, DB, "POST", {"data": {}}) == 403
    at_home(there=True)
    assert able.status(held, "secret/data/none-of-its") == 403  # what policies refuse counts, as anywhere
    assert able.status(held, DB, "POST", {"data": {}}) == 200
    assert [able.status(held, DB) for _ in range(2)] == [200, 403]


async def _cubbyholes(application: Application, token: str) -> list[str]:
    vault = application.vault
    mount = vault.mounts.router.root.get("cubbyhole/")
    assert mount is not None
    view = vault.ground.barrier.reader(ROOT_ID, mount.prefix)
    key = vault.credentials.tokens.key(token)
    return [name for name in await view.scan("") if key in name]
