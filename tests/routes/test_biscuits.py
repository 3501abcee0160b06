# SPDX-License-Identifier: EUPL-1.2
"""Biscuits as credentials of the whole application: issued, narrowed offline, obeyed, revoked."""

import base64
import json
import re
from time import thread_time
from typing import Any

import pytest

from nhi.biscuit.format.chain import read_chain, write_chain
from nhi.biscuit.offline.attenuate import seal
from nhi.biscuit.offline.verify import from_text, to_text
from nhi.biscuit.records import store
from nhi.biscuit.records.model import IssuedToken, MountRef
from tests.routes.driver import Application
from tests.routes.holdings import is_over, new_lease
from tests.routes.issuer import DB, LOOK, OTHER, READS, TO_DB, Issuer
from tests.unit.nhi.biscuit.tokens import HOSTILE
from vault.barrier.view import View
from vault.values.ids import ROOT_ID


def test_a_biscuit_does_what_its_policies_allow_and_nothing_else(issuer: Issuer) -> None:
    token = issuer.issue()
    assert issuer.status(token, DB) == 200
    assert issuer.status(token, DB, "POST", {"data": {}}) == 200
    assert issuer.status(token, "secret/data/x") == 403
    assert issuer.status(token, "sys/mounts") == 403
    bearer = {"authorization": f"Bearer {token}"}
    assert issuer.application.request("GET", f"/v1/{DB}", headers=bearer).status == 200


def test_p256_issues_as_well() -> None:
    application = Application()
    issuer = Issuer(application, "p256")
    issuer.root(DB, {"data": {}})
    token = issuer.issue()
    assert issuer.status(issuer.narrow(token, READS), DB) == 200
    application.close()


def test_what_was_narrowed_offline_is_refused_elsewhere_and_cannot_be_widened(issuer: Issuer) -> None:
    narrow = issuer.narrow(issuer.issue(), TO_DB, READS)
    assert issuer.status(narrow, DB) == 200
    assert issuer.status(narrow, OTHER) == 403
    assert issuer.status(narrow, DB, "POST", {"data": {}}) == 403
    assert issuer.status(narrow, "secret/metadata/app", "LIST") == 403
    wider = issuer.narrow(narrow, 'check if resource($r), $r.starts_with("secret/");')
    assert issuer.status(wider, OTHER) == 403
    for block in ('policy("root");', 'resource("secret/data/app/db");', f'operation("read"); {READS}'):
        assert issuer.status(issuer.narrow(narrow, block), DB) == 403


def test_a_check_tells_create_from_update_where_the_policy_does_not(issuer: Issuer) -> None:
    token = issuer.issue()
    for _ in range(3):  # who calls, and by which rules, is known
        assert issuer.status(token, DB, "POST", {"data": {}}) == 200
    creates, updates = (
        issuer.narrow(token, READS.replace('"read"', f'"{one}"')) for one in ("create", "update")
    )
    new = DB.replace("/db", "/new")
    for _ in range(2):
        assert issuer.status(updates, new, "POST", {"data": {}}) == 403
        assert issuer.status(creates, DB, "POST", {"data": {}}) == 403
        assert issuer.status(updates, DB, "POST", {"data": {}}) == 200
    assert issuer.status(creates, new, "POST", {"data": {}}) == 200
    assert issuer.status(creates, new, "POST", {"data": {}}) == 403
    assert issuer.status(updates, new, "POST", {"data": {}}) == 200


def test_a_narrower_end_is_kept_to_and_shown(issuer: Issuer) -> None:
    token = issuer.issue()
    past = issuer.narrow(token, "check if time($t), $t < 2020-01-01T00:00:00Z;")
    for path in (DB, LOOK):
        assert issuer.status(past, path) == 403
    soon = issuer.narrow(token, "check if time($t), $t <= 2100-01-01T00:00:00Z;")
    whole = issuer.application.request("GET", f"/v1/{LOOK}", token=token).json()["data"]
    shown = issuer.application.request("GET", f"/v1/{LOOK}", token=soon).json()["data"]
    assert (shown["type"], shown["policies"], shown["ttl"] > 3590) == ("biscuit", ["app", "default"], True)
    assert shown["expire_time"] == whole["expire_time"]
    assert shown["meta"]["blocks"] == "2"
    assert shown["accessor"] != whole["accessor"]


def test_a_narrowed_token_can_look_at_itself_and_ask_what_it_may(issuer: Issuer) -> None:
    token = issuer.issue()
    narrow = issuer.narrow(token, TO_DB, READS)
    paths = {"paths": [DB, OTHER, "secret/metadata/app"]}

    def asked(who: str) -> Any:
        answer = issuer.application.request("POST", "/v1/sys/capabilities-self", paths, token=who)
        return [answer.json()["data"][path] for path in paths["paths"]]

    assert asked(token) == [["create", "read", "update"], ["create", "read", "update"], ["list"]]
    assert asked(narrow) == [["read"], ["deny"], ["deny"]]
    other = issuer.root("sys/capabilities", {**paths, "token": narrow})["data"]
    assert other[DB] == ["read"]
    assert issuer.root("auth/token/lookup", {"token": narrow})["data"]["meta"]["workload"] == "w1"


def test_a_biscuit_needs_no_policy_to_look_at_itself_renew_itself_and_end(issuer: Issuer) -> None:
    issuer.root("nhi/registrations/r1", {"policies": "app"})
    token = issuer.issue()
    asked = {"paths": [DB]}
    for method, path, body in (
        ("GET", LOOK, None),
        ("POST", LOOK, {}),
        ("POST", "sys/capabilities-self", asked),
        ("POST", "sys/internal/policies/explain", {"path": DB}),
    ):
        assert issuer.status(token, path, method, body) == 200, path
    renewed = issuer.application.request("POST", "/v1/auth/token/renew-self", {}, token=token).json()["auth"]
    child = issuer.application.request("POST", "/v1/auth/token/create", {}, token=token).json()["auth"]
    assert issuer.status(child["client_token"], LOOK) == 403  # a service token has what its policies say
    token = renewed["client_token"]
    past = issuer.narrow(token, "check if time($t), $t < 2020-01-01T00:00:00Z;")
    assert issuer.status(past, LOOK) == 403
    issuer.root("sys/policies/acl/app", {"policy": f'path "{LOOK}" {{ capabilities = ["deny"] }}'})
    assert issuer.status(token, LOOK) == 403
    assert issuer.status(token, "auth/token/revoke-self", "POST", {}) == 204
    assert issuer.status(token, LOOK) == 403


def test_renewal_gives_another_token_and_never_undoes_a_narrowing(issuer: Issuer) -> None:
    token = issuer.issue(ttl="10m")
    renewed = issuer.application.request(
        "POST", "/v1/auth/token/renew-self", {"increment": "20m"}, token=token
    ).json()["auth"]
    assert renewed["client_token"] != token
    assert renewed["lease_duration"] == 1200
    assert issuer.status(renewed["client_token"], DB) == 200
    narrow = issuer.narrow(token, READS.replace('"read"', '"read", "update"'))
    assert issuer.status(narrow, "auth/token/renew-self", "POST", {}) == 400


@pytest.mark.parametrize("path", ["nhi/login", "nhi/oauth2/token"])
def test_a_login_that_a_request_brings_along_makes_no_token(
    issuer: Issuer, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, kept = store.put_issued, []

    async def seen(view: View, owner: MountRef, new: IssuedToken) -> None:
        kept.append(new.token_id)
        await put(view, owner, new)

    monkeypatch.setattr(store, "put_issued", seen)
    secret = issuer.root("nhi/registrations/r1/secret")["data"]["client_secret"]
    given = {"client_id": "r1", "client_secret": secret, "grant_type": "client_credentials"}
    headers = {"x-vault-inline-auth-path": path}
    for name, value in given.items():
        pair = base64.urlsafe_b64encode(json.dumps({"key": name, "value": value}).encode())
        headers[f"x-vault-inline-auth-parameter-{name.replace('_', '-')}"] = pair.decode().rstrip("=")

    assert issuer.application.request("GET", f"/v1/{DB}", headers=headers).status == 403
    assert kept == []
    assert issuer.application.request("POST", f"/v1/{path}", given).status == 200
    assert len(kept) == 1


@pytest.mark.parametrize("body", [{}, {"block": None}])
def test_a_block_that_is_null_is_the_last_as_one_that_is_not_given(
    issuer: Issuer, body: dict[str, object]
) -> None:
    token = issuer.issue()
    child = issuer.narrow(token, READS)
    issuer.root("nhi/revoke", {"token": child, **body})
    assert [issuer.status(one, DB) for one in (token, child)] == [200, 403]


def test_revoking_a_block_ends_its_subtree_and_spares_its_siblings(issuer: Issuer) -> None:
    token = issuer.issue()
    first, second = issuer.narrow(token, TO_DB), issuer.narrow(token, READS)
    child = issuer.narrow(first, READS)
    for one in (token, first, second, child):
        assert issuer.status(one, DB) == 200
    issuer.root("nhi/revoke", {"token": child, "block": 1})
    assert [issuer.status(one, DB) for one in (token, first, second, child)] == [200, 403, 200, 403]
    assert issuer.status(issuer.narrow(first, "check if true;"), DB) == 403
    assert issuer.status(second, "auth/token/revoke-self", "POST") == 204
    assert [issuer.status(one, DB) for one in (token, second)] == [200, 403]
    issuer.root("auth/token/revoke", {"token": token})
    assert issuer.status(token, DB) == 403


def test_a_workload_ends_with_all_its_tokens_and_none_comes_back(issuer: Issuer) -> None:
    token = issuer.issue()
    assert issuer.status(token, DB) == 200
    issuer.root("nhi/workloads/w1/revoke")
    assert issuer.status(token, DB) == 403
    assert issuer.root("nhi/workloads/w1", method="GET")["data"]["disabled"] is True
    refused = issuer.application.request("POST", "/v1/nhi/issue/r1", {}, token="root")
    assert (refused.status, "disabled" in refused.json()["errors"][0]) == (400, True)
    issuer.root("nhi/workloads/w1", {"owner": "team-a", "ttl": "1d"})
    assert issuer.status(token, DB) == 403
    again = issuer.issue()
    assert issuer.status(again, DB) == 200
    issuer.root("nhi/workloads/w1", method="DELETE")
    assert issuer.status(again, DB) == 403


def test_keys_are_staged_activated_retired_and_destroyed(issuer: Issuer) -> None:
    old = issuer.issue()
    staged = issuer.root("nhi/keys", {"algorithm": "p256", "staged": True})["data"]
    assert (staged["state"], staged["algorithm"], staged["held"]) == ("staged", "secp256r1", "safe")
    kid = read_chain(from_text(old)).root_key_id
    assert read_chain(from_text(issuer.issue())).root_key_id == kid
    issuer.root(f"nhi/keys/{staged['kid']}", {"state": "active"})
    new = issuer.issue()
    assert read_chain(from_text(new)).root_key_id == staged["kid"]
    issuer.root(f"nhi/keys/{kid}", {"state": "retired"})
    assert [issuer.status(one, DB) for one in (old, new)] == [200, 200]
    gone = issuer.root(f"nhi/keys/{kid}", {"state": "destroyed"})["data"]
    assert gone["held"] == ""
    assert [issuer.status(one, DB) for one in (old, new)] == [403, 200]
    back = issuer.application.request("POST", f"/v1/nhi/keys/{kid}", {"state": "active"}, token="root")
    assert back.status == 400
    known = {key["key_id"] for key in issuer.root("nhi/public-keys", method="GET")["data"]["keys"]}
    assert known == {staged["kid"]}


def test_a_client_secret_logs_in_and_a_wrong_one_does_not(issuer: Issuer) -> None:
    secret = issuer.root("nhi/registrations/r1/secret")["data"]

    def login(body: object) -> Any:
        return issuer.application.request("POST", "/v1/nhi/login", body)

    assert issuer.status(login(secret).json()["auth"]["client_token"], DB) == 200
    for wrong in ({**secret, "client_secret": "x"}, {**secret, "client_id": "r2"}, {"client_id": "r1"}, {}):
        assert login(wrong).status == 403
    other = issuer.root("nhi/registrations/r1/secret")["data"]
    assert [login(one).status for one in (secret, other)] == [403, 200]
    shown = issuer.root("nhi/registrations/r1", method="GET")["data"]
    assert (shown["has_secret"], "client_secret" in shown) == (True, False)


def test_a_token_of_another_issuer_or_without_record_is_refused_and_noticed(issuer: Issuer) -> None:
    token = issuer.issue()
    elsewhere = Application()
    stranger = Issuer(elsewhere)
    assert issuer.status(stranger.issue(), DB) == 403
    elsewhere.close()
    chain = read_chain(from_text(token))
    kid = chain.root_key_id or 0
    assert issuer.status(to_text(write_chain(chain)).replace("C", "D", 1), DB) == 403
    record = f"issued/{issuer.root('nhi/introspect', {'token': token})['data']['token_id']}"
    issuer.application.run(_forget(issuer.application, record))
    assert kid
    assert issuer.status(issuer.narrow(token, "check if true;"), DB) == 403
    assert "no record of its issuance" in issuer.application.log.getvalue()


async def _forget(application: Application, record: str) -> None:
    """Remove a record as somebody would who has made a token past this server."""
    barrier = application.vault.ground.barrier
    table = application.vault.mounts.router.root
    mount = next(mount for mount in table if mount.entry.path == "nhi/")
    async with barrier.write(ROOT_ID, f"ns/root/mnt/{mount.entry.uuid}/") as view:
        await view.delete(record)


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_token_is_refused_soon(issuer: Issuer, case: str) -> None:
    def asked(text: str, status: int) -> float:
        token = issuer.narrow(issuer.issue(), text)
        spent = []
        for _ in range(2):  # when it is seen for the first time, and again
            began = thread_time()
            assert issuer.status(token, DB) == status
            spent.append(thread_time() - began)
        return max(spent)

    # Beyond what any new one costs. What else a machine does comes into some, and not into all.
    assert any(asked(HOSTILE[case], 403) - asked(READS, 200) < 0.004 for _ in range(30))


def test_a_sealed_token_is_taken(issuer: Issuer) -> None:
    sealed = to_text(write_chain(seal(read_chain(from_text(issuer.narrow(issuer.issue(), READS))))))
    assert issuer.status(sealed, DB) == 200
    assert issuer.status(sealed, DB, "POST", {"data": {}}) == 403
    assert issuer.root("nhi/introspect", {"token": sealed})["data"]["sealed"] is True


def test_checks_may_ask_about_everything_that_the_server_says_of_a_request(issuer: Issuer) -> None:
    token = issuer.issue()
    for check, status in (
        ('check if method("GET");', 200),
        ('check if method("POST");', 403),
        ("check if client_ip4($i), $i & 4278190080 === 2130706432;", 200),
        ("check if client_ip4($i), $i & 4278190080 === 167772160;", 403),
        ('check if client_nets($n), $n.contains("127.0.0.0/8");', 200),
        ('check if client_nets($n), $n.contains("10.0.0.0/8");', 403),
        ('check if namespace_req("");', 200),
        ('check if body_sha256("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");', 200),
        ('check if audience_srv("vault");', 200),
        ('check if pop_proved("x5t", "a");', 403),
    ):
        assert (check, issuer.status(issuer.narrow(token, check), DB)) == (check, status)


def test_a_biscuit_stays_in_its_namespace() -> None:
    application = Application()
    application.request("POST", "/v1/sys/namespaces/a", {}, token="root")
    application.request("POST", "/v1/sys/namespaces/b", {}, token="root")
    inner = Issuer(application, within="a/")
    for path in ("a", "b"):
        application.request(
            "POST", f"/v1/{path}/sys/mounts/secret", {"type": "kv", "options": {"version": "2"}}, token="root"
        )
        application.request("POST", f"/v1/{path}/{DB}", {"data": {"n": path}}, token="root")
    application.request("POST", f"/v1/{DB}", {"data": {}}, token="root")
    token = inner.issue()
    assert [inner.status(token, f"{path}{DB}") for path in ("a/", "b/", "")] == [200, 403, 403]
    narrow = inner.narrow(token, TO_DB)
    assert inner.status(narrow, f"a/{DB}") == 200
    assert (
        application.request("GET", "/v1/auth/token/lookup-self", token=narrow).json()["data"][
            "namespace_path"
        ]
        == "a/"
    )
    foreign = {"token": token, "paths": [DB]}
    assert application.request("POST", "/v1/a/sys/capabilities", foreign, token="root").status == 200
    for path in ("b/sys/capabilities", "b/auth/token/lookup"):
        assert application.request("POST", f"/v1/{path}", foreign, token="root").status >= 400
    application.request("DELETE", "/v1/a/sys/mounts/nhi", token="root")
    assert inner.status(token, f"a/{DB}") == 403
    application.close()


def test_what_makes_no_sense_is_refused(issuer: Issuer) -> None:
    good = {"workload": "w1", "policies": "app"}
    for path, body in (
        ("nhi/workloads/w2", {"ttl": "1d"}),
        ("nhi/workloads/w2", {"owner": "a"}),
        ("nhi/registrations/r2", {**good, "workload": "none"}),
        ("nhi/registrations/r2", {**good, "policies": "root"}),
        ("nhi/registrations/r2", {**good, "policies": ""}),
        ("nhi/registrations/r2", {**good, "ttl": "48h", "max_ttl": "96h"}),
        ("nhi/registrations/r2", {**good, "ttl": "2h", "max_ttl": "1h"}),
        ("nhi/registrations/r2", {**good, "max_depth": 17}),
        ("nhi/registrations/r2", {**good, "audiences": ""}),
        ("nhi/keys", {"algorithm": "rsa"}),
        ("nhi/keys", {"external": "none:none"}),
        ("nhi/revoke", {"id": "x"}),
        ("nhi/revoke", {"token": "x"}),
        ("nhi/revoke", {"token": issuer.issue(), "block": 1}),
    ):
        answer = issuer.application.request("POST", f"/v1/{path}", body, token="root")
        assert (path, body, answer.status) == (path, body, 400)
    for text, why in (
        ("not!!base64", "it is no Biscuit: the token is not base64 for URLs"),
        ("x", "it is no Biscuit: the token is not base64 for URLs"),
        ("a" * 11000, "it is no Biscuit: the token has more than 8192 bytes"),
        ("abcdabcd", "it is no Biscuit"),
    ):
        told = issuer.root("nhi/introspect", {"token": text})["data"]
        assert told == {"active": False, "refusal": why}
        refused = issuer.application.request("POST", "/v1/nhi/revoke", {"token": text}, token="root")
        assert refused.json() == {"errors": [f"token: {why}"]}


def test_depth_is_what_the_registration_says(issuer: Issuer) -> None:
    issuer.root("nhi/registrations/r1", {"workload": "w1", "policies": "app", "max_depth": 2})
    token = issuer.issue()
    once, twice = issuer.narrow(token, READS), issuer.narrow(token, READS, READS)
    assert [issuer.status(one, DB) for one in (token, once, twice)] == [200, 200, 403]


@pytest.mark.asked_alone("counts what one process keeps in memory")
def test_a_read_that_comes_again_is_planned_until_its_token_ends_or_is_revoked(issuer: Issuer) -> None:
    token = issuer.issue()
    narrow = issuer.narrow(token, TO_DB)
    moody = issuer.narrow(token, "check if time($t), $t > 2020-01-01T00:00:00Z;")
    kept = issuer.application.vault._plans._kept
    for one, planned in ((narrow, 1), (moody, 1), (token, 2)):
        assert [issuer.status(one, DB) for _ in range(3)] == [200, 200, 200]
        assert len(kept) == planned
    assert issuer.status(narrow, OTHER) == 403
    assert min(plan.until for plan in kept._entries.values()) > 0
    issuer.root("nhi/revoke", {"token": narrow})
    assert [issuer.status(one, DB) for one in (narrow, token)] == [403, 200]


def test_what_is_presented_once_leaves_no_plan_behind(issuer: Issuer) -> None:
    kept = issuer.application.vault._plans._kept
    token = issuer.issue()
    for narrow in [issuer.narrow(token, TO_DB) for _ in range(4)]:
        assert issuer.status(narrow, DB) == 200
        assert len(kept) == 0


def _form(issuer: Issuer, path: str, body: str, **headers: str) -> Any:
    form = {"content-type": "application/x-www-form-urlencoded", **headers}
    return issuer.application.request("POST", f"/v1/nhi/oauth2/{path}", body.encode(), headers=form)


def test_an_oauth_client_gets_a_biscuit_by_changing_a_url(issuer: Issuer) -> None:
    secret = issuer.root("nhi/registrations/r1/secret")["data"]["client_secret"]
    own = f"client_id=r1&client_secret={secret}"
    answer = _form(issuer, "token", f"grant_type=client_credentials&{own}")
    made = answer.json()
    assert (answer.status, made["token_type"], made["expires_in"], made["scope"]) == (
        200,
        "Bearer",
        3600,
        "app default",
    )
    assert answer.headers["cache-control"] == "no-store"
    assert issuer.status(made["access_token"], DB) == 200
    basic = base64.b64encode(f"r1:{secret}".encode()).decode()
    less = _form(
        issuer, "token", "grant_type=client_credentials&scope=default", authorization=f"Basic {basic}"
    )
    assert less.json()["scope"] == "default"
    assert issuer.status(less.json()["access_token"], DB) == 403
    described: dict[str, set[str]] = {}
    for body, status, error in (
        ("grant_type=client_credentials", 401, "invalid_client"),
        ("grant_type=client_credentials&client_id=r1&client_secret=x", 401, "invalid_client"),
        ("grant_type=client_credentials&client_id=r9&client_secret=", 401, "invalid_client"),
        (f"grant_type=password&{own}", 400, "unsupported_grant_type"),
        (own, 400, "invalid_request"),
        (f"grant_type=client_credentials&scope=root&{own}", 400, "invalid_scope"),
    ):
        refused = _form(issuer, "token", body)
        told = refused.json()
        assert (body, refused.status, told["error"]) == (body, status, error)
        described.setdefault(error, set()).add(told["error_description"])
        assert re.fullmatch(r"[ !#-\[\]-~]+", told["error_description"])  # RFC 6749, section 5.2
    assert len(described["invalid_client"]) == 1  # it does not tell what is wrong
    assert _form(issuer, "token", "grant_type=client_credentials", authorization="Basic é").status == 401
    issuer.root("nhi/workloads/w1/revoke")
    assert _form(issuer, "token", f"grant_type=client_credentials&{own}").status == 401


def test_an_oauth_client_asks_about_a_token_and_gives_it_back(issuer: Issuer) -> None:
    secret = issuer.root("nhi/registrations/r1/secret")["data"]["client_secret"]
    issuer.root("nhi/registrations/r2", {"workload": "w1", "policies": "app"})
    own, token = f"client_id=r1&client_secret={secret}", issuer.issue()
    other = issuer.root("nhi/registrations/r2/secret")["data"]["client_secret"]
    shown = _form(issuer, "introspect", f"{own}&token={token}").json()
    assert (shown["active"], shown["client_id"], shown["sub"], shown["scope"]) == (
        True,
        "r1",
        "w1",
        "app default",
    )
    assert shown["aud"] == ["vault"]
    assert [text.partition(" 2")[0] for text in shown["narrowing"]] == ["audience: vault", "until"]
    narrow = issuer.narrow(token, READS, TO_DB)
    shown = _form(issuer, "introspect", f"{own}&token={narrow}").json()
    assert shown["narrowing"][2:] == ["operations: read", "below: secret/data/app/db"]
    assert _form(issuer, "introspect", f"{own}&token=x").json() == {"active": False}
    assert _form(issuer, "introspect", f"token={token}").status == 401
    assert _form(issuer, "revoke", f"client_id=r2&client_secret={other}&token={token}").status == 200
    assert issuer.status(token, DB) == 200
    assert _form(issuer, "revoke", f"token={token}").status == 401
    assert _form(issuer, "revoke", f"{own}&token={token}").status == 200
    assert issuer.status(token, DB) == 403
    assert _form(issuer, "introspect", f"{own}&token={token}").json() == {"active": False}


def test_templates_of_policies_see_whose_biscuit_it_is(issuer: Issuer) -> None:
    rights = (
        'path "secret/data/{{identity.entity.name}}/*" { capabilities = ["read"] }\n'
        'path "secret/data/reg/{{identity.entity.metadata.registration}}" { capabilities = ["read"] }'
    )
    issuer.root("sys/policies/acl/app", {"policy": rights})
    issuer.root("nhi/workloads/w2", {"owner": "team-b", "ttl": "30d"})
    issuer.root("nhi/registrations/r2", {"workload": "w2", "policies": "app"})
    for path in ("w1/a", "w2/a", "reg/r1"):
        issuer.root(f"secret/data/{path}", {"data": {}})
    one, two = issuer.issue(), issuer.root("nhi/issue/r2", {})["auth"]["client_token"]
    asked = ("w1/a", "w2/a", "reg/r1")
    assert [issuer.status(one, f"secret/data/{path}") for path in asked] == [200, 403, 200]
    assert [issuer.status(two, f"secret/data/{path}") for path in asked] == [403, 200, 403]


@pytest.mark.parametrize("how", ["block", "workload", "key"])
def test_what_was_made_for_a_biscuit_is_taken_back_with_it(issuer: Issuer, how: str) -> None:
    application = issuer.application
    token = issuer.issue()
    reads, to_db = issuer.narrow(token, READS), issuer.narrow(token, TO_DB)
    below = issuer.narrow(reads, TO_DB)
    leases = [application.run(new_lease(application, one)) for one in (token, reads, below, to_db)]
    kid = read_chain(from_text(token)).root_key_id
    body = {"block": {"token": reads}, "workload": {"workload": "w1"}, "key": {"kid": kid}}[how]
    issuer.root("nhi/revoke", body)
    application.settle()
    over = [application.run(is_over(application, lease)) for lease in leases]
    assert over == ([False, True, True, False] if how == "block" else [True] * 4)
