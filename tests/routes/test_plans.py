# SPDX-License-Identifier: EUPL-1.2
"""Reads whose way is remembered: the same answers and records, and never a right that has ended.

Each test reads twice, so that a plan is there, changes one thing that the plan stands on, and reads again.
"""

from typing import Any

import pytest

from tests.routes.driver import Application
from vault.framework.clock import rfc3339
from vault.repeated.plan import Plan
from vault.server.compose.groups.capacities import Capacities
from vault.values.ids import ROOT_ID
from vault.values.times import Seconds, nanos_after, second_of

TARGET = "/v1/secret/data/x"
READER = 'path "secret/*" { capabilities = ["read"] }'


def plans(application: Application) -> dict[Any, Plan]:
    return dict(application.vault._plans._kept._entries)


def planned(application: Application, policy: str = READER) -> str:
    """Return a token with a plan for `TARGET`."""
    token = application.token(policy)
    assert [application.request("GET", TARGET, token=token).status for _ in range(3)] == [200] * 3
    assert len(plans(application)) == 1
    return token


def status(application: Application, token: str) -> int:
    return application.request("GET", TARGET, token=token).status


def test_answers_and_records_are_those_of_a_call_without_a_plan(application: Application) -> None:
    token = application.token(READER)
    application.records()
    answers = [application.request("GET", TARGET, token=token).json() for _ in range(3)]
    assert len({answer.pop("request_id") for answer in answers}) == 3
    assert answers[0] == answers[1] == answers[2]
    records = application.records()
    assert [record["type"] for record in records] == ["request", "response"] * 3
    for record in records:
        del record["time"], record["request"]["id"]
    assert records[:2] == records[2:4] == records[4:]


@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        ("POST", "/v1/auth/token/revoke", {"token": "TOKEN"}),
        ("PUT", "/v1/sys/policies/acl/NAME", {"policy": 'path "secret/*" { capabilities = ["deny"] }'}),
        ("DELETE", "/v1/sys/policies/acl/NAME", None),
    ],
)
def test_a_right_that_ended_is_refused_at_once(
    application: Application, method: str, target: str, body: dict[str, str] | None
) -> None:
    token = planned(application)
    found = application.request("POST", "/v1/auth/token/lookup", {"token": token}, token="root").json()
    name = found["data"]["policies"][0]
    sent = {key: value.replace("TOKEN", token) for key, value in (body or {}).items()} or None
    assert application.request(method, target.replace("NAME", name), sent, token="root").status == 204
    assert status(application, token) == 403


@pytest.mark.asked_alone("counts what one process keeps in memory")
def test_a_token_that_ends_takes_its_own_plan_along_and_nobody_elses(application: Application) -> None:
    token, other = application.token(READER), application.token(READER)
    for reader in (token, other):
        assert [status(application, reader) for _ in range(2)] == [200, 200]
    kept = {one.identity.token.reveal(): one for one in plans(application).values()}

    def held() -> list[bool]:
        return [
            application.vault._plans.holds(kept[one], application.clock.millis()) for one in (token, other)
        ]

    assert held() == [True, True]
    assert application.request("POST", "/v1/auth/token/revoke", {"token": other}, token="root").status == 204
    assert held() == [True, False]
    assert (status(application, token), status(application, other)) == (200, 403)


def test_a_token_whose_identity_made_room_for_another_has_a_plan_that_ends_with_it() -> None:
    with Application(capacities=Capacities(tokens=1)) as application:
        token, other = application.token(READER), application.token(READER)
        for reader in (token, other):
            assert [status(application, reader) for _ in range(2)] == [200, 200]
        assert len(plans(application)) == 2
        gone = application.request("POST", "/v1/auth/token/revoke", {"token": token}, token="root")
        assert gone.status == 204
        assert (status(application, token), status(application, other)) == (403, 200)


def test_a_mount_that_went_is_not_found(application: Application) -> None:
    token = planned(application)
    application.request("DELETE", "/v1/sys/mounts/secret", token="root")
    assert status(application, token) == 404


def test_what_was_written_since_is_what_is_read(application: Application) -> None:
    token = planned(application)
    application.request("POST", TARGET, {"data": {"a": "new"}}, token="root")
    assert application.request("GET", TARGET, token=token).json()["data"]["data"] == {"a": "new"}
    application.request("DELETE", TARGET, token="root")
    assert status(application, token) == 404


def test_a_sealed_vault_answers_nobody_and_an_opened_one_by_what_is_true_then(
    application: Application,
) -> None:
    token = planned(application)
    application.request("PUT", "/v1/sys/seal", token="root")
    assert status(application, token) == 503
    application.reopen()
    assert [status(application, token) for _ in range(2)] == [200, 200]


def test_nobody_is_known_from_before_the_vault_was_sealed_until_it_knows_what_happened_since(
    application: Application,
) -> None:
    body = {"policies": ["root"], "no_parent": True}
    made = application.request("POST", "/v1/auth/token/create", body, token="root").json()
    token, vault = made["auth"]["client_token"], application.vault

    def answers() -> list[int]:
        asked = ("in-flight-req", "host-info", "policies/acl/default")
        return [application.request("GET", f"/v1/sys/{path}", token=token).status for path in asked]

    async def opening_slowly() -> None:
        await application.vault._close()
        await vault.key_slots.lifecycle.unseal(application.key)
        await vault.credentials.tokens.load(vault.ground.barrier.reader(ROOT_ID, "ns/root/"))
        async with vault.ground.barrier.write(ROOT_ID, "ns/root/") as core:  # as another process may
            await vault.credentials.tokens.revoke_tree(core, vault.credentials.tokens.key(token))
        vault.credentials.tokens.forget()

    assert answers() == [200] * 3
    application.run(opening_slowly())
    assert 200 not in answers()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("sys/internal/ui/mounts/secret/x", 503),  # public: it finds out by itself who asks
        ("auth/token/lookup-self", 503),
        ("secret/data/x", 503),
        ("sys/seal-status", 200),
    ],
)
def test_while_the_vault_is_being_opened_nobody_is_told_that_he_may_not(
    application: Application, path: str, status: int
) -> None:
    """A client that reads 403 throws a good token away; by 503 it comes again."""
    vault = application.vault

    async def opening_slowly() -> None:
        await vault._close()
        await vault.key_slots.lifecycle.unseal(application.key)

    assert application.request("GET", f"/v1/{path}", token="root").status in {200, 404}
    application.run(opening_slowly())
    answer = application.request("GET", f"/v1/{path}", token="root")
    assert answer.status == status
    assert status == 200 or answer.json()["errors"] == ["Vault is sealed"]


def test_a_token_that_expires_takes_its_plan_along(application: Application) -> None:
    application.token(READER)
    name = application.request("LIST", "/v1/sys/policies/acl", token="root").json()["data"]["keys"]
    policy = next(each for each in name if each.startswith("only-"))
    body = {"policies": [policy], "ttl": "1m", "no_default_policy": True}
    made = application.request("POST", "/v1/auth/token/create", body, token="root").json()
    token = made["auth"]["client_token"]
    assert [status(application, token) for _ in range(2)] == [200, 200]
    assert any(plan.until for plan in plans(application).values())
    application.clock.sleep(60)
    assert status(application, token) == 403


def test_a_rule_that_expires_takes_the_plan_along(application: Application) -> None:
    soon = rfc3339(nanos_after(second_of(application.clock.nanos()), Seconds(60)))
    token = planned(application, f'path "secret/*" {{ capabilities = ["read"] expiration = "{soon}" }}')
    application.clock.sleep(60)
    assert status(application, token) == 403


def test_a_token_of_few_uses_has_no_plan_and_no_more_uses(application: Application) -> None:
    application.token(READER)
    names = application.request("LIST", "/v1/sys/policies/acl", token="root").json()["data"]["keys"]
    policy = next(each for each in names if each.startswith("only-"))
    body = {"policies": [policy], "num_uses": 3, "no_default_policy": True}
    made = application.request("POST", "/v1/auth/token/create", body, token="root").json()
    token = made["auth"]["client_token"]
    assert [status(application, token) for _ in range(5)] == [200, 200, 200, 403, 403]
    assert plans(application) == {}


@pytest.mark.parametrize(
    ("method", "query", "headers"),
    [
        ("GET", "?version=1", {}),
        ("GET", "?help=1", {}),
        ("GET", "", {"x-vault-wrap-ttl": "60"}),
        ("GET", "", {"x-vault-namespace": "root"}),
        ("GET", "", {"authorization": "Bearer x"}),
        ("HEAD", "", {}),
        ("LIST", "", {}),
    ],
)
def test_whatever_says_more_than_path_and_token_goes_the_whole_way(
    application: Application, method: str, query: str, headers: dict[str, str]
) -> None:
    token = application.token('path "secret/*" { capabilities = ["read", "list"] }')
    plain = application.request(method, TARGET + query, token=token, headers=headers)
    application.request("GET", TARGET, token=token)
    before = plans(application)
    after = application.request(method, TARGET + query, token=token, headers=headers)
    assert (after.status, set(after.headers)) == (plain.status, set(plain.headers))
    if plain.body:
        one, two = plain.json(), after.json()
        assert [name for name in one if one[name]] == [name for name in two if two[name]]
    assert plans(application) == before


def test_refusals_and_what_is_not_audited_have_no_plan(application: Application) -> None:
    token = application.token(READER)
    for target in ("/v1/sys/health", "/v1/secret/data/none", "/v1/plain/x", "/v1/none/x"):
        for _ in range(2):
            application.request("GET", target, token=token)
    assert plans(application) == {}


def test_a_long_target_has_no_plan(application: Application) -> None:
    long = "/v1/secret/data/" + "x" * 600
    application.request("POST", long, {"data": {"a": 1}}, token="root")
    assert [application.request("GET", long, token="root").status for _ in range(2)] == [200, 200]
    assert plans(application) == {}


def test_no_token_is_among_what_is_kept(application: Application) -> None:
    token = planned(application)
    assert token not in repr(plans(application))


@pytest.mark.parametrize("target", ["/v1/sys/namespaces/api-lock/lock/team", "/v1/sys/namespaces/team"])
def test_a_namespace_that_was_locked_or_removed_refuses_at_once(
    application: Application, target: str
) -> None:
    secret = "/v1/team/secret/data/x"
    for path, body in (
        ("/v1/sys/namespaces/team", {}),
        ("/v1/team/sys/mounts/secret", {"type": "kv", "options": {"version": "2"}}),
        (secret, {"data": {"a": 1}}),
    ):
        assert application.request("POST", path, body, token="root").status < 300
    token = application.token('path "team/secret/*" { capabilities = ["read"] }')
    assert [application.request("GET", secret, token=token).status for _ in range(3)] == [200] * 3
    assert plans(application)
    method = "POST" if "lock" in target else "DELETE"
    assert application.request(method, target, token="root").status < 300
    assert application.request("GET", secret, token=token).status in {403, 404, 503}


@pytest.mark.asked_alone("each node counts by itself for a rate limit", nodes=True)
def test_a_planned_read_counts_for_its_rate_limit(application: Application) -> None:
    token = planned(application)
    limit = {"rate": 1, "interval": "60s", "path": "secret/"}
    assert application.request("POST", "/v1/sys/quotas/rate-limit/few", limit, token="root").status == 204
    assert [status(application, token) for _ in range(3)] == [200, 429, 429]


def test_a_token_that_is_bound_to_addresses_is_refused_from_elsewhere(application: Application) -> None:
    application.token(READER)
    names = application.request("LIST", "/v1/sys/policies/acl", token="root").json()["data"]["keys"]
    policy = next(each for each in names if each.startswith("only-"))
    user = {"password": "pw", "token_policies": [policy], "token_bound_cidrs": ["127.0.0.1/32"]}
    assert application.request("POST", "/v1/auth/userpass/users/a", user, token="root").status == 204
    made = application.request("POST", "/v1/auth/userpass/login/a", {"password": "pw"})
    token = made.json()["auth"]["client_token"]
    assert [status(application, token) for _ in range(2)] == [200, 200]
    application.client = ("127.0.0.2", 4711)
    assert [status(application, token) for _ in range(2)] == [403, 403]
