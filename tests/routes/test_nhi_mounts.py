# SPDX-License-Identifier: EUPL-1.2
"""What an `nhi` mount, and one below `auth/`, is tuned to counts for their tokens, which end with either."""

from typing import Any

import pytest

from nhi.biscuit.credential.children import end_children
from nhi.biscuit.records import store
from nhi.biscuit.records.model import MountRef
from nhi.identity.records import mfa as model
from nhi.identity.records.mfa import Enforcement
from tests.routes.driver import Application
from tests.routes.holdings import entries_left, is_over, new_lease
from tests.routes.issuer import DB, LOOK, POLICY, Issuer
from vault.values.ids import ROOT_ID

MORE = (
    POLICY
    + """
path "cubbyhole/*" { capabilities = ["create", "update", "read", "delete"] }
path "auth/token/create" { capabilities = ["update"] }
"""
)


@pytest.fixture
def door(issuer: Issuer) -> Issuer:
    """An issuer with `auth/nhi`, unless the application has it, whose tokens may make others."""
    issuer.application.request("POST", "/v1/sys/auth/nhi", {"type": "nhi"}, token="root")
    issuer.root("sys/policies/acl/app", {"policy": MORE})
    return issuer


def login(issuer: Issuer) -> Any:
    """Return the answer to a login below `auth/`."""
    secret = issuer.root("nhi/registrations/r1/secret")["data"]["client_secret"]
    body = {"client_id": "r1", "client_secret": secret}
    return issuer.application.request("POST", "/v1/auth/nhi/login", body)


def logged_in(issuer: Issuer) -> str:
    """Return the Biscuit of a login below `auth/`."""
    token: str = login(issuer).json()["auth"]["client_token"]
    return token


def child(issuer: Issuer, token: str) -> str:
    """Return a service token that somebody made."""
    answer = issuer.application.request("POST", "/v1/auth/token/create", {}, token=token)
    made: str = answer.json()["auth"]["client_token"]
    return made


def test_a_token_lasts_no_longer_than_its_mounts_allow(door: Issuer) -> None:
    door.root("sys/auth/nhi/tune", {"max_lease_ttl": "10m"})
    auth = login(door).json()["auth"]
    assert (auth["lease_duration"], auth["renewable"]) == (600, False)
    assert 3590 <= door.root("nhi/issue/r1", {})["auth"]["lease_duration"] <= 3600
    door.root("sys/mounts/nhi/tune", {"max_lease_ttl": "5m"})
    assert login(door).json()["auth"]["lease_duration"] == 300
    assert door.root("nhi/issue/r1", {"ttl": "8h"})["auth"]["lease_duration"] == 300
    secret = door.root("nhi/registrations/r1/secret")["data"]["client_secret"]
    body = {"grant_type": "client_credentials", "client_id": "r1", "client_secret": secret}
    answer = door.application.request("POST", "/v1/nhi/oauth2/token", body)
    assert answer.json()["expires_in"] == 300


def test_a_renewal_reaches_no_further_than_the_mounts_allow_by_then(door: Issuer) -> None:
    token = logged_in(door)
    door.root("sys/auth/nhi/tune", {"max_lease_ttl": "2h"})
    door.application.clock.sleep(3000)
    renewed = door.application.request(
        "POST", "/v1/auth/token/renew-self", {"increment": "5h"}, token=token
    ).json()["auth"]
    assert 4190 <= renewed["lease_duration"] <= 4200


@pytest.mark.parametrize("path", ["auth/nhi", "mounts/nhi"])
def test_what_such_a_mount_would_not_heed_is_refused(door: Issuer, path: str) -> None:
    for body in (
        {"default_lease_ttl": "10m"},
        *([{"token_type": "batch"}, {"token_type": "default-service"}] if path == "auth/nhi" else ()),
    ):
        ask = door.application.request
        refused = ask("POST", f"/v1/sys/{path}/tune", body, token="root")
        assert (refused.status, next(iter(body)) in refused.json()["errors"][0]) == (400, True)
        refused = ask("POST", f"/v1/sys/{path}2", {"type": "nhi", "config": body}, token="root")
        assert (refused.status, next(iter(body)) in refused.json()["errors"][0]) == (400, True)
    door.root(f"sys/{path}/tune", {"default_lease_ttl": "system", "max_lease_ttl": "2h", "description": "d"})


def test_an_enforcement_of_second_factors_is_refused_and_one_that_is_there_ends_logins(door: Issuer) -> None:
    made = door.root("identity/mfa/method/totp", {"issuer": "x"})["data"]["method_id"]
    accessor = door.root("sys/auth/nhi", method="GET")["data"]["accessor"]
    for body in ({"auth_method_accessors": accessor}, {"auth_method_types": "userpass,nhi"}):
        path = "/v1/identity/mfa/login-enforcement/e"
        refused = door.application.request("POST", path, {"mfa_method_ids": made, **body}, token="root")
        assert (refused.status, "nhi" in refused.json()["errors"][0]) == (400, True)
    for old in (
        Enforcement(id="i", name="e", methods=(made,), accessors=(accessor,)),
        Enforcement(id="i", name="e", methods=(made,), types=("nhi",)),
    ):
        assert login(door).status == 200
        before = door.root("nhi/report", method="GET")["data"]["registrations"][0]["methods"]
        door.application.run(_enforce(door.application, old))
        answer = login(door)
        assert (answer.status, "second factor" in answer.json()["errors"][0]) == (400, True)
        assert door.root("nhi/report", method="GET")["data"]["registrations"][0]["methods"] == before
        door.root("identity/mfa/login-enforcement/e", method="DELETE")


@pytest.mark.parametrize("path", ["auth/nhi", "mounts/nhi"])
@pytest.mark.parametrize("how", ["disabled", "moved"])
def test_what_a_mount_has_given_ends_with_it_and_is_removed(door: Issuer, path: str, how: str) -> None:
    application = door.application
    biscuit, spared = logged_in(door), door.issue()
    first = child(door, biscuit)
    second, other = child(door, first), child(door, spared)
    leases = [application.run(new_lease(application, one)) for one in (biscuit, second, spared, other)]
    assert [door.status(one, "cubbyhole/a", "POST", {"b": "c"}) for one in (second, other)] == [204, 204]
    assert [door.status(one, DB) for one in (biscuit, first, second, spared, other)] == [200] * 5
    if how == "disabled":
        door.root(f"sys/{path}", method="DELETE")
    else:
        name = path.removeprefix("mounts/")
        door.root("sys/remount", {"from": name, "to": f"{name}-elsewhere"})
    rest = 200 if path == "auth/nhi" else 403
    for where in (DB, LOOK):
        found = [door.status(one, where) for one in (biscuit, first, second, spared, other)]
        assert found == [403, 403, 403, rest, rest]
    application.settle()
    left = rest == 200
    assert application.run(entries_left(application, first, second, other)) == [False, False, left]
    assert application.run(_held(application, second, other)) == [False, left]
    assert [application.run(is_over(application, one)) for one in leases] == [True, True, not left, not left]
    if left:
        shown = door.root(f"nhi/credentials/{door.token_id(spared)}", method="GET")["data"]
        assert (shown["credential"]["state"], len(shown["tokens"])) == ("active", 1)
        shown = door.root("nhi/credentials", method="GET")["data"]["credentials"]
        assert sorted(one["state"] for one in shown) == ["active", "mount-gone"]


def test_a_mount_that_was_moved_gives_tokens_and_its_old_ones_do_not_come_back(door: Issuer) -> None:
    old = door.issue()
    door.root("sys/remount", {"from": "nhi", "to": "elsewhere"})
    new = door.root("elsewhere/issue/r1", {})["auth"]["client_token"]
    assert [door.status(one, DB) for one in (old, new)] == [403, 200]
    assert door.root("elsewhere/introspect", {"token": old})["data"]["active"] is False
    door.root("sys/remount", {"from": "elsewhere", "to": "nhi"})
    assert [door.status(one, DB) for one in (old, new, door.issue())] == [403, 403, 200]


def test_a_mount_stays_in_its_namespace(door: Issuer) -> None:
    door.root("sys/namespaces/away", {})
    body = {"from": "nhi", "to": "away/nhi"}
    answer = door.application.request("POST", "/v1/sys/remount", body, token="root")
    assert (answer.status, "namespace" in answer.json()["errors"][0]) == (400, True)
    assert door.status(door.issue(), DB) == 200


def test_as_with_any_token_what_one_has_wrapped_waits_for_whoever_has_the_wrapping_token(
    door: Issuer,
) -> None:
    token = door.issue()
    wrapped = []
    for one in (token, child(door, token)):
        headers = {"x-vault-wrap-ttl": "60"}
        answer = door.application.request(
            "POST", "/v1/sys/wrapping/wrap", {"a": "b"}, token=one, headers=headers
        )
        wrapped.append(answer.json()["wrap_info"]["token"])
    door.root("nhi/revoke", {"token": token})
    door.application.settle()
    for one in wrapped:
        answer = door.application.request("POST", "/v1/sys/wrapping/unwrap", token=one)
        assert (answer.status, answer.json()["data"]) == (200, {"a": "b"})


def test_what_was_made_with_chains_that_end_is_removed_by_rounds_of_tokens(door: Issuer) -> None:
    application = door.application
    held = [child(door, token) for token in (door.issue(), door.issue()) for _ in range(40)]
    door.root("nhi/workloads/w1/revoke")
    assert application.run(_ended(application)) is False
    assert application.run(entries_left(application, *held)) == [True] * 80
    application.settle()
    assert application.run(entries_left(application, *held)) == [False] * 80


def test_credentials_count_the_service_tokens_that_were_made_with_them_and_live(door: Issuer) -> None:
    token, idle = door.issue(), door.issue()
    held = child(door, token)
    child(door, held)
    child(door, door.narrow(token, 'check if operation($o), $o == "update";'))
    assert door.status(idle, DB) == 200
    names = [door.token_id(one) for one in (token, idle)]

    def counted() -> list[int]:
        rows = door.root("nhi/credentials", method="GET")["data"]["credentials"]
        found = {one["token_id"]: one["tokens"] for one in rows}
        return [found[name] for name in names]

    assert counted() == [3, 0]
    assert door.tree(token)["credential"]["tokens"] == 3
    assert door.status(held, "auth/token/revoke-self", "POST") == 204
    assert counted() == [1, 0]
    door.root("nhi/revoke", {"token": token, "block": 0})
    assert counted() == [0, 0]


async def _ended(application: Application) -> bool:
    """End what was made with the chains of the one workload, as its timer does; return whether there is more."""
    vault = application.vault
    mount = vault.mounts.router.root.get("nhi/")
    assert mount is not None
    owner = MountRef(ROOT_ID, mount.entry.uuid)
    async with vault.ground.barrier.write(ROOT_ID, "ns/root/") as core:
        view = core.mount(mount.entry.uuid)
        tags = {name.rpartition("/")[0] for name in await view.scan(store.HANGING)}
        tag = next(one for one in tags if one.startswith("workload/"))
        return await end_children(core, vault.credentials.tokens, owner, tag)


async def _enforce(application: Application, one: Enforcement) -> None:
    async with application.vault.ground.barrier.write(ROOT_ID, "ns/root/") as core:
        await model.put_enforcement(core, one)


async def _held(application: Application, *tokens: str) -> list[bool]:
    """Return which tokens still have something in their cubbyholes."""
    vault = application.vault
    mount = vault.mounts.router.root.get("cubbyhole/")
    assert mount is not None
    names = await vault.ground.barrier.reader(ROOT_ID, mount.prefix).scan("")
    return [any(vault.credentials.tokens.key(one) in name for name in names) for one in tokens]
