# SPDX-License-Identifier: EUPL-1.2
"""How workloads prove themselves: every method, and what comes close to a proof and is none."""

import base64
import json
from collections.abc import Generator
from typing import Any
from urllib.parse import urlencode

import pytest
from cryptography import x509

from nhi.biscuit.records import store
from nhi.biscuit.routes.oauth_client import ASSERTION
from nhi.biscuit.routes.oauth_exchange import BISCUIT_TYPE, EXCHANGE
from tests.routes.driver import Application
from tests.routes.issuer import DB, OTHER, READS, Issuer
from tests.tokens import KEY, pem, token
from tests.tokens import OTHER as OTHER_KEY
from tests.unit.outbound.authority import Authority
from tests.unit.outbound.service import service
from vault.framework.call import ROOT
from vault.server.compose.groups.capacities import Capacities
from vault.values.ids import ROOT_ID

ISSUER = "https://issuer.example"
JWT = "urn:ietf:params:oauth:token-type:jwt"
CA = Authority("trusted")


@pytest.fixture
def issuer(capacities: Capacities) -> Generator[Issuer]:
    application = Application(outbound=("127.0.0.0/8",), capacities=capacities)
    made = Issuer(application)
    for path in (DB, OTHER):
        made.root(path, {"data": {"a": "1"}})
    yield made
    application.close()


def _register(issuer: Issuer, **fields: object) -> None:
    issuer.root("nhi/registrations/r", {"workload": "w1", "policies": "app", **fields})


def _login(issuer: Issuer, token: str = "", **body: object) -> int:
    answer = issuer.application.request("POST", "/v1/nhi/login", {"client_id": "r", **body}, token=token)
    if answer.status == 200:
        made = answer.json()["auth"]["client_token"]
        assert issuer.status(made, DB) == 200
    return answer.status


def _jwt_registration(issuer: Issuer, **fields: object) -> None:
    good = {
        "method": "jwt",
        "pubkeys": [pem(KEY)],
        "bound_issuer": ISSUER,
        "bound_subject": "repo:a/b:ref:refs/heads/main",
        "bound_audiences": "vault",
    }
    _register(issuer, **{**good, **fields})


def _claims(issuer: Issuer, **changes: object) -> dict[str, Any]:
    now = issuer.application.clock.millis() // 1000
    good = {
        "iss": ISSUER,
        "sub": "repo:a/b:ref:refs/heads/main",
        "aud": "vault",
        "iat": now,
        "exp": now + 600,
        **changes,
    }
    return {name: value for name, value in good.items() if value is not None}


def test_a_jwt_is_taken_as_a_whole_or_not_at_all(issuer: Issuer) -> None:
    _jwt_registration(issuer, bound_claims={"environment": ["prod", "test"]})
    env = {"environment": "prod"}
    assert _login(issuer, jwt=token(_claims(issuer, **env))) == 200
    now = issuer.application.clock.millis() // 1000
    for changes in (
        {"sub": "repo:a/b:ref:refs/heads/main2"},
        {"sub": None},
        {"iss": f"{ISSUER}/"},
        {"aud": "other"},
        {"aud": None},
        {"environment": "dev"},
        {"environment": None},
        {"environment": ["prod"]},
        {"exp": None},
        {"exp": now - 3600},
        {"iat": now - 4000},
        {"iat": None},
    ):
        assert (changes, _login(issuer, jwt=token({**_claims(issuer, **{**env, **changes})}))) == (
            changes,
            403,
        )
    assert _login(issuer, jwt=token(_claims(issuer, **env), OTHER_KEY)) == 403
    assert _login(issuer, jwt=token(_claims(issuer, **env), b"secret", "HS256")) == 403
    for body in (
        {},
        {"jwt": "x"},
        {"client_secret": "x"},
        {"client_assertion": token(_claims(issuer, **env))},
    ):
        assert (body, _login(issuer, **body)) == (body, 403)
    assert _login(issuer, jwt="x", client_secret="y") == 400
    assert issuer.root("nhi/report", method="GET")["data"]["registrations"][0]["methods"]["jwt"]["count"] == 1


def test_a_jwt_counts_once_where_the_registration_says_so(issuer: Issuer) -> None:
    _jwt_registration(issuer, one_time=True)
    with_id, without = token(_claims(issuer, jti="a")), token(_claims(issuer))
    assert [_login(issuer, jwt=one) for one in (with_id, with_id, without, without)] == [200, 403, 200, 403]
    again = token(_claims(issuer, jti="a", exp=issuer.application.clock.millis() // 1000 + 500))
    assert _login(issuer, jwt=again) == 403
    assert _login(issuer, jwt=token(_claims(issuer, jti="b"))) == 200


def test_what_would_let_in_many_or_nobody_is_no_registration(issuer: Issuer) -> None:
    jwt = {
        "method": "jwt",
        "pubkeys": [pem(KEY)],
        "bound_issuer": ISSUER,
        "bound_subject": "s",
        "bound_audiences": "a",
    }
    cluster = {
        "method": "kubernetes",
        "kubernetes_host": "https://k",
        "bound_audiences": "a",
        "service_accounts": "n/s",
    }
    for fields in (
        {"method": "magic"},
        {**jwt, "bound_subject": "repo:a/*"},
        {**jwt, "bound_subject": ""},
        {**jwt, "bound_issuer": ""},
        {**jwt, "bound_audiences": ""},
        {**jwt, "pubkeys": []},
        {**jwt, "pubkeys": ["x"]},
        {**jwt, "jwks_url": "https://x"},
        {**jwt, "max_age": 0},
        {**jwt, "bound_claims": {"a": ["b*"]}},
        {**jwt, "bound_claims": {"a": 1}},
        {**jwt, "bound_claims": {"a": []}},
        {**cluster, "kubernetes_host": ""},
        {**cluster, "bound_audiences": ""},
        {**cluster, "service_accounts": ""},
        {**cluster, "service_accounts": "web"},
        {**cluster, "service_accounts": "*/web"},
        {"method": "cert"},
        {"method": "cert", "certificate": "x"},
        {"method": "cert", "certificate": CA.pem},
        {"method": "approle", "approle_role": "x"},
        {"cidrs": "nowhere"},
    ):
        body = {"workload": "w1", "policies": "app", **fields}
        answer = issuer.application.request("POST", "/v1/nhi/registrations/r", body, token="root")
        assert (fields, answer.status) == (fields, 400)
    _register(issuer, **cluster, token_reviewer_jwt="hidden")
    shown = issuer.root("nhi/registrations/r", method="GET")["data"]
    assert "hidden" not in json.dumps(shown)
    assert shown["attestation"]["service_accounts"] == ["n/s"]


def test_a_certificate_of_the_connection_is_a_proof(issuer: Issuer) -> None:
    uri = x509.UniformResourceIdentifier
    good = CA.issue("w", names=[uri("spiffe://x/w")])
    _register(issuer, method="cert", certificate=CA.pem, bound_uri_sans="spiffe://x/w")
    for leaf, status in (
        (good, 200),
        (CA.issue("w", names=[uri("spiffe://x/w2")]), 403),
        (CA.issue("w"), 403),
        (Authority("trusted").issue("w", names=[uri("spiffe://x/w")]), 403),
    ):
        issuer.application.certificate = leaf.der
        assert _login(issuer) == status
        body = "grant_type=client_credentials&client_id=r"
        assert _form(issuer, "token", body).status == (200 if status == 200 else 401)
    issuer.application.certificate = None
    assert _login(issuer) == 403


def test_the_token_of_an_approle_login_is_a_proof(issuer: Issuer) -> None:
    issuer.root("auth/approle/role/ci", {})
    issuer.root("auth/approle/role/other", {})
    _register(issuer, method="approle", approle_mount="approle", approle_role="ci")

    mine = issuer.logged_in("ci")
    assert _login(issuer, mine) == 200
    child = issuer.application.request("POST", "/v1/auth/token/create", {}, token=mine)
    child_token = child.json()["auth"]["client_token"] if child.status == 200 else "root"
    named = issuer.root("auth/token/create", {"meta": {"role_name": "ci"}})["auth"]["client_token"]
    for other in (issuer.logged_in("other"), "root", "", child_token, named):
        assert _login(issuer, other) == 403
    issuer.root("auth/token/revoke", {"token": mine})
    assert _login(issuer, mine) == 403


def test_an_approle_token_of_few_uses_is_a_proof_once(issuer: Issuer) -> None:
    issuer.root("auth/approle/role/ci", {"token_num_uses": 2})
    _register(issuer, method="approle", approle_mount="approle", approle_role="ci")
    first, second = issuer.logged_in("ci"), issuer.logged_in("ci")
    assert [_login(issuer, one) for one in (first, first, second, second)] == [200, 403, 200, 403]


async def _review(issuer: Issuer, verdict: dict[str, Any]) -> tuple[int, bytes]:
    async with service() as one:

        async def answer(writer: Any, head: bytes) -> None:
            status = {"authenticated": True, "user": {"username": "system:serviceaccount:shop:web"}}
            asked = json.loads(one.seen[-1].partition(b"\r\n\r\n")[2])["spec"]
            content = json.dumps({"status": {**status, "audiences": asked["audiences"], **verdict}}).encode()
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content)

        one.behave = answer
        fields = {
            "workload": "w1",
            "policies": "app",
            "method": "kubernetes",
            "kubernetes_host": f"http://127.0.0.1:{one.port}",
            "bound_audiences": "vault",
            "service_accounts": "shop/web",
            "token_reviewer_jwt": "reviewer",
            "kubernetes_ca_cert": "x",
        }
        await issuer.application.ask("POST", "/v1/nhi/registrations/r", fields, token="root")
        body = {"client_id": "r", "jwt": token({"sub": "x"})}
        found = await issuer.application.ask("POST", "/v1/nhi/login", body)
        return found.status, b"".join(one.seen)


@pytest.mark.loopback
def test_a_cluster_vouches_for_exactly_this_service_account(issuer: Issuer) -> None:
    status, seen = issuer.application.run(_review(issuer, {}))
    assert (status, b"Bearer reviewer" in seen) == (200, True)
    for verdict in (
        {"user": {"username": "system:serviceaccount:shop:web2"}},
        {"user": {"username": "system:serviceaccount:shop/web"}},
        {"authenticated": False},
        {"audiences": ["other"]},
        {"audiences": None},
    ):
        assert issuer.application.run(_review(issuer, verdict))[0] == 403


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ({"ttl": 90, "kubernetes_host": "https://k", "kubernetes_ca_cert": "x"}, "reviewer"),
        ({"kubernetes_host": "https://other"}, ""),
        ({"kubernetes_ca_cert": None}, ""),
        ({"kubernetes_host": "https://other", "token_reviewer_jwt": "another"}, "another"),
    ],
)
def test_a_reviewers_token_is_for_no_other_cluster_than_it_was_given_for(
    issuer: Issuer, change: dict[str, object], kept: str
) -> None:
    rest = {"method": "kubernetes", "bound_audiences": "vault", "service_accounts": "shop/web"}
    cluster = {"kubernetes_host": "https://k", "kubernetes_ca_cert": "x", "token_reviewer_jwt": "reviewer"}
    _register(issuer, **rest, **cluster)
    issuer.root("nhi/registrations/r", change)
    vault = issuer.application.vault
    mount = vault.mounts.router.of(ROOT).get("nhi/")
    assert mount is not None
    view = vault.ground.barrier.reader(ROOT_ID, mount.prefix)
    found = issuer.application.run(store.registration(view, "r"))
    assert found.attestation.token_reviewer_jwt == kept


def test_a_login_comes_from_where_its_registration_says(issuer: Issuer) -> None:
    _register(issuer, cidrs="10.0.0.0/8")
    secret = issuer.root("nhi/registrations/r/secret")["data"]["client_secret"]
    assert _login(issuer, client_secret=secret) == 403
    issuer.application.client = ("10.1.1.1", 1)
    assert _login(issuer, client_secret=secret) == 200


def _form(issuer: Issuer, path: str, body: str, **headers: str) -> Any:
    form = {"content-type": "application/x-www-form-urlencoded", **headers}
    return issuer.application.request("POST", f"/v1/nhi/oauth2/{path}", body.encode(), headers=form)


def _assertion(issuer: Issuer, **changes: object) -> dict[str, str]:
    endpoint = issuer.application.request("GET", "/v1/nhi/.well-known/oauth-authorization-server").json()
    good = _claims(issuer, iss="r", sub="r", aud=endpoint["token_endpoint"], jti="1")
    return {"client_assertion_type": ASSERTION, "client_assertion": token({**good, **changes})}


def test_a_client_signs_its_own_assertion_which_counts_once(issuer: Issuer) -> None:
    _register(issuer, method="private_key_jwt", pubkeys=[pem(KEY)])
    grant = {"grant_type": "client_credentials"}

    def asked(**changes: object) -> int:
        status: int = _form(issuer, "token", urlencode({**grant, **_assertion(issuer, **changes)})).status
        return status

    assert [asked(), asked(), asked(jti="2")] == [200, 401, 200]
    now = issuer.application.clock.millis() // 1000
    for changes in (
        {"aud": "https://elsewhere/token"},
        {"iss": "r1"},
        {"sub": "r1"},
        {"exp": now + 7200},
        {"exp": None},
    ):
        assert (changes, asked(jti="3", **changes)) == (changes, 401)
    twice = {**grant, **_assertion(issuer, jti="4"), "client_id": "r", "client_secret": "x"}
    assert _form(issuer, "token", urlencode(twice)).status == 401
    wrong = {**grant, **_assertion(issuer, jti="5"), "client_assertion_type": "x"}
    assert _form(issuer, "token", urlencode(wrong)).status == 401
    made = _form(issuer, "token", urlencode({**grant, **_assertion(issuer, jti="6")})).json()["access_token"]
    shown = _form(issuer, "introspect", urlencode({"token": made, **_assertion(issuer, jti="7")})).json()
    assert shown["client_id"] == "r"


def test_a_jwt_is_exchanged_for_a_biscuit(issuer: Issuer) -> None:
    _jwt_registration(issuer, audiences="vault,billing")
    jwt = token(_claims(issuer))
    asked = {"grant_type": EXCHANGE, "client_id": "r", "subject_token": jwt, "subject_token_type": JWT}
    answer = _form(issuer, "token", urlencode(asked)).json()
    assert answer["issued_token_type"] == BISCUIT_TYPE
    assert issuer.status(answer["access_token"], DB) == 200
    elsewhere = _form(issuer, "token", urlencode({**asked, "audience": "billing"})).json()["access_token"]
    assert issuer.status(elsewhere, DB) == 403
    for changes, error in (
        ({"audience": "other"}, "invalid_target"),
        ({"scope": "root"}, "invalid_scope"),
        ({"subject_token": "x"}, "invalid_client"),
        ({"subject_token_type": "urn:x"}, "invalid_client"),
        ({"client_id": "r1"}, "invalid_client"),
    ):
        assert _form(issuer, "token", urlencode({**asked, **changes})).json()["error"] == error


def test_a_biscuit_is_exchanged_for_a_narrower_one_and_ends_with_it(issuer: Issuer) -> None:
    mine = issuer.issue()
    asked = {
        "grant_type": EXCHANGE,
        "subject_token": mine,
        "subject_token_type": BISCUIT_TYPE,
        "scope": "read list",
        "resource": f"https://vault.test/v1/{DB}",
        "ttl": "60",
    }
    answer = _form(issuer, "token", urlencode(asked)).json()
    assert (answer["expires_in"], answer["token_type"]) == (60, "Bearer")
    narrow = answer["access_token"]
    assert [issuer.status(narrow, path) for path in (DB, OTHER)] == [200, 403]
    assert issuer.status(narrow, DB, "POST", {"data": {}}) == 403
    wider = _form(issuer, "token", urlencode({**asked, "subject_token": narrow, "resource": "secret/"}))
    assert issuer.status(wider.json()["access_token"], OTHER) == 403
    for changes, error in (
        ({"scope": "sudo"}, "invalid_scope"),
        ({"resource": "https://vault.test"}, "invalid_target"),
        ({"audience": "vault"}, "invalid_target"),
        ({"subject_token": "x"}, "invalid_request"),
        ({"actor_token": mine}, "invalid_request"),
        ({"requested_token_type": JWT}, "invalid_request"),
    ):
        assert _form(issuer, "token", urlencode({**asked, **changes})).json()["error"] == error
    issuer.root("nhi/revoke", {"token": mine})
    assert issuer.status(narrow, DB) == 403
    assert READS


def test_several_resources_and_audiences_are_asked_for_as_oauth_has_it(issuer: Issuer) -> None:
    def given(*pairs: tuple[str, str]) -> Any:
        return _form(issuer, "token", urlencode(pairs)).json()

    exchange = (
        ("grant_type", EXCHANGE),
        ("subject_token", issuer.issue()),
        ("subject_token_type", BISCUIT_TYPE),
    )
    third = "secret/data/app/a,b"
    issuer.root(third, {"data": {"a": "1"}})
    for resources, may in (
        ((DB, OTHER), [200, 200, 403]),
        ((DB, f"https://vault.test/v1/{third}"), [200, 403, 200]),
        (("secret/data/app/a%2Cb", ""), [403, 403, 403]),
        (("https://vault.test/v1/secret/data/app/a%2Cb",), [403, 403, 200]),
        (("", ""), [200, 200, 200]),
    ):
        held = given(*exchange, *(("resource", one) for one in resources))["access_token"]
        assert [issuer.status(held, path) for path in (DB, OTHER, third)] == may
    many = [("resource", f"secret/data/app/{place:x<80}") for place in range(16)]
    held = given(*exchange, *many, ("resource", ""))["access_token"]
    assert [issuer.status(held, path) for path in (DB, many[0][1])] == [403, 404]
    assert given(*exchange, *many, ("resource", DB))["error"] == "invalid_target"
    assert given(*exchange, *((name, one + "x" * 400) for name, one in many))["error"] == "invalid_request"
    for bad in ("https://[", "https://vault.test/v1/%FF"):
        assert given(*exchange, ("resource", DB), ("resource", bad))["error"] == "invalid_target"

    fields = {"workload": "w1", "policies": "app,default", "audiences": "vault,billing,mail"}
    issuer.root("nhi/registrations/r2", fields)
    secret = issuer.root("nhi/registrations/r2/secret")["data"]["client_secret"]
    grant = (("grant_type", "client_credentials"), ("client_id", "r2"), ("client_secret", secret))
    both = given(*grant, ("audience", "vault"), ("resource", "mail"), ("audience", "billing"))["access_token"]
    said = issuer.root("nhi/introspect", {"token": both})["data"]["blocks"][0]["narrowing"][0]
    assert said == "audience: billing, mail, vault"
    assert given(*grant, ("resource", "vault"), ("resource", "x"))["error"] == "invalid_target"
    twice = given(*grant, ("client_id", "r2"))
    assert twice["error"] == "invalid_client"


def test_a_resource_may_name_the_namespace_that_it_is_in() -> None:
    application = Application()
    application.request("POST", "/v1/sys/namespaces/a", {}, token="root")
    inner = Issuer(application, within="a/")
    application.request(
        "POST", "/v1/a/sys/mounts/secret", {"type": "kv", "options": {"version": "2"}}, token="root"
    )
    for path in (DB, OTHER):
        inner.root(path, {"data": {"a": "1"}})
    asked = {"grant_type": EXCHANGE, "subject_token": inner.issue(), "subject_token_type": BISCUIT_TYPE}
    for named in (f"https://vault.test/v1/a/{DB}", f"https://vault.test/v1/{DB}", DB):
        answer = application.request("POST", "/v1/a/nhi/oauth2/token", {**asked, "resource": [named]})
        held = answer.json()["access_token"]
        assert [inner.status(held, f"a/{path}") for path in (DB, OTHER)] == [200, 403]
    application.close()


def test_the_metadata_names_what_there_is(issuer: Issuer) -> None:
    found = issuer.application.request("GET", "/v1/nhi/.well-known/oauth-authorization-server").json()
    assert found["issuer"].endswith("/v1/nhi")
    assert found["token_endpoint"] == f"{found['issuer']}/oauth2/token"
    assert "private_key_jwt" in found["token_endpoint_auth_methods_supported"]
    before = "/.well-known/oauth-authorization-server"
    assert issuer.application.request("GET", f"{before}/v1/nhi", token="root").json() == found
    for path in (f"{before}/v1/secret", f"{before}/v1/nhi/keys", f"{before}/nhi", before):
        assert issuer.application.request("GET", path, token="root").status >= 400
    assert issuer.application.request("POST", f"{before}/v1/nhi", {}, token="root").status == 405


def test_a_refused_client_learns_nothing_of_who_exists(issuer: Issuer) -> None:
    _register(issuer)
    issuer.root("nhi/registrations/r/secret")
    answers = set()
    for body in ({"client_id": "r"}, {"client_id": "none"}, {"client_id": "r", "client_secret": "x"}, {}):
        refused = issuer.application.request("POST", "/v1/nhi/login", body)
        answers.add((refused.status, refused.body))
    assert len(answers) == 1
    basic = base64.b64encode(b"none:x").decode()
    assert (
        _form(issuer, "token", "grant_type=client_credentials", authorization=f"Basic {basic}").status == 401
    )


def test_a_renewed_token_may_no_more_than_the_one_that_was_asked_for(issuer: Issuer) -> None:
    issuer.root("sys/policies/acl/more", {"policy": f'path "{OTHER}" {{ capabilities = ["read"] }}'})
    issuer.root("sys/policies/acl/less", {"policy": f'path "{DB}" {{ capabilities = ["read"] }}'})
    fields = {"workload": "w1", "policies": "less,more,default", "audiences": "vault,elsewhere"}
    issuer.root("nhi/registrations/rx", fields)
    secret = issuer.root("nhi/registrations/rx/secret", {})["data"]["client_secret"]
    asked = {"grant_type": "client_credentials", "client_id": "rx", "client_secret": secret}
    for narrower, can in (({"scope": "less default"}, [200, 403]), ({"audience": "elsewhere"}, [403, 403])):
        given = _form(issuer, "token", urlencode({**asked, **narrower})).json()["access_token"]
        assert [issuer.status(given, path) for path in (DB, OTHER)] == can
        renewed = issuer.application.request("POST", "/v1/auth/token/renew-self", {}, token=given)
        again = renewed.json()["auth"]["client_token"]
        assert [issuer.status(again, path) for path in (DB, OTHER)] == can
    issuer.root("nhi/registrations/rx", {**fields, "policies": "more"})
    given = _form(issuer, "token", urlencode(asked)).json()["access_token"]
    issuer.root("nhi/registrations/rx", {**fields, "policies": "less"})
    assert issuer.status(given, "auth/token/renew-self", "POST", {}) in {400, 403}


def test_a_token_ends_with_its_workload_also_where_it_is_remembered(issuer: Issuer) -> None:
    token = issuer.issue()
    assert issuer.status(token, DB) == 200
    issuer.root("nhi/workloads/w1", {"owner": "team-a", "ttl": 50})
    assert [issuer.status(token, DB) for _ in range(3)] == [200] * 3
    issuer.application.clock.sleep(60)
    assert issuer.status(token, DB) == 403
