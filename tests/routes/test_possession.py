# SPDX-License-Identifier: EUPL-1.2
"""Tokens that are of no use to a thief: bound to a certificate, to a key that signs each request, to an approval."""

from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from nhi.biscuit.credential import possession
from nhi.holder.approvals import approved, asked
from tests.routes.issuer import DB, LOOK, OTHER, READS, Issuer
from tests.tokens import EDWARDS, KEY, jwk, pem, token
from tests.tokens import OTHER as OTHER_KEY
from tests.unit.outbound.authority import Authority
from vault.server.compose.groups.capacities import Capacities

CA = Authority("trusted")
MINE, THIEF = CA.issue("mine"), CA.issue("thief")
HOST = "http://127.0.0.1:1"


def _b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _register(issuer: Issuer, **fields: object) -> str:
    issuer.root("nhi/registrations/r1", {"workload": "w1", "policies": "app,default", **fields})
    secret: str = issuer.root("nhi/registrations/r1/secret")["data"]["client_secret"]
    return secret


def _login(issuer: Issuer, secret: str, dpop: str = "") -> Any:
    body = {"client_id": "r1", "client_secret": secret}
    headers = {"dpop": dpop} if dpop else {}
    return issuer.application.request("POST", "/v1/nhi/login", body, headers=headers)


def test_a_token_that_is_bound_to_a_certificate_is_good_with_it_alone(issuer: Issuer) -> None:
    secret = _register(issuer, pop="mtls")
    assert _login(issuer, secret).status == 400
    issuer.application.certificate = MINE.der
    held = _login(issuer, secret).json()["auth"]["client_token"]
    narrow = issuer.narrow(held, READS)
    assert [issuer.status(one, DB) for one in (held, narrow, held)] == [200] * 3
    for certificate in (THIEF.der, None):
        issuer.application.certificate = certificate
        assert [issuer.status(one, path) for one in (held, narrow) for path in (DB, LOOK)] == [403] * 4
        assert issuer.status(held, "auth/token/renew-self", "POST", {}) == 403
    issuer.application.certificate = MINE.der
    renewed = issuer.application.request("POST", "/v1/auth/token/renew-self", {}, token=held)
    again = renewed.json()["auth"]["client_token"]
    assert issuer.status(again, DB) == 200
    issuer.application.certificate = None
    assert issuer.status(again, DB) == 403
    loose = issuer.narrow(held, 'pop("x5t", "x");')
    assert issuer.status(loose, DB) == 403


def _proof(issuer: Issuer, held: str, path: str, method: str = "GET", **changes: Any) -> str:
    key = changes.pop("key", KEY)
    shown = changes.pop("jwk", jwk(key))
    kind = changes.pop("typ", "dpop+jwt")
    said = {
        "jti": changes.pop("jti", f"{path}{method}{len(changes)}{_proof.count}"),  # type: ignore[attr-defined]  # its own
        "htm": method,
        "htu": f"{HOST}/v1/{path}",
        "iat": issuer.application.clock.millis() // 1000,
        **({"ath": _b64(sha256(held.encode()).digest())} if held else {}),
        **changes,
    }
    _proof.count += 1  # type: ignore[attr-defined]  # its own
    algorithm = "EdDSA" if key is EDWARDS else "ES256"
    return token(
        {name: one for name, one in said.items() if one is not None}, key, algorithm, typ=kind, jwk=shown
    )


_proof.count = 0  # type: ignore[attr-defined]  # every proof has another name


def _with(issuer: Issuer, held: str, path: str, proof: str, method: str = "GET", body: object = None) -> int:
    headers = {"dpop": proof}
    return issuer.application.request(method, f"/v1/{path}", body, token=held, headers=headers).status


@pytest.mark.asked_alone("each process knows the proofs that it saw itself")
@pytest.mark.parametrize("key", [KEY, EDWARDS], ids=["ES256", "EdDSA"])
def test_a_token_that_is_bound_to_a_key_wants_a_fresh_proof_for_each_request(
    issuer: Issuer, key: Any
) -> None:
    secret = _register(issuer, pop="dpop")
    assert _login(issuer, secret).status == 400
    made = _login(issuer, secret, _proof(issuer, "", "nhi/login", "POST", key=key))
    held = made.json()["auth"]["client_token"]

    def used(path: str = DB, **changes: Any) -> int:
        proof = _proof(issuer, held, DB, **{"key": key, **changes})
        return _with(issuer, held, path, proof)

    assert [used(), used()] == [200, 200]
    assert issuer.status(held, DB) == 403
    now = issuer.application.clock.millis() // 1000
    for changes in (
        {"htm": "POST"},
        {"htu": f"{HOST}/v1/{OTHER}"},
        {"htu": f"https://127.0.0.1:1/v1/{DB}"},
        {"htu": f"http://elsewhere.test:1/v1/{DB}"},
        {"htu": None},
        {"ath": _b64(sha256(b"another").digest())},
        {"ath": None},
        {"iat": now - 120},
        {"iat": now + 120},
        {"iat": None},
        {"iat": True},
        {"jti": ""},
        {"jti": None},
        {"typ": "JWT"},
        {"key": OTHER_KEY},
        {"jwk": jwk(OTHER_KEY)},
        {"jwk": {**jwk(key), "d": "x"}},
        {"jwk": {"kty": "oct", "k": "x"}},
        {"jwk": "x"},
    ):
        assert (changes, used(**changes)) == (changes, 403)
    assert used(OTHER) == 403
    same = _proof(issuer, held, DB, key=key)
    assert [_with(issuer, held, DB, same) for _ in range(3)] == [200, 403, 403]
    for text in ("", "x", "a.b.c", "ä"):
        assert _with(issuer, held, DB, text) == 403
    bearer = {"authorization": f"DPoP {held}", "dpop": _proof(issuer, held, DB, key=key)}
    assert issuer.application.request("GET", f"/v1/{DB}", headers=bearer).status == 200


class _Again(str):
    """The name of a header that comes once more."""

    __slots__ = ()
    __eq__ = object.__eq__
    __hash__ = object.__hash__


def test_two_proofs_are_none(issuer: Issuer) -> None:
    secret = _register(issuer, pop="dpop")
    held = _login(issuer, secret, _proof(issuer, "", "nhi/login", "POST")).json()["auth"]["client_token"]
    for first, second in ((True, True), (True, False), (False, True)):
        proofs = [_proof(issuer, held, DB) if good else "x" for good in (first, second)]
        headers = {"dpop": proofs[0], _Again("dpop"): proofs[1]}
        assert issuer.application.request("GET", f"/v1/{DB}", token=held, headers=headers).status == 403
    assert _with(issuer, held, DB, _proof(issuer, held, DB)) == 200


def _used(issuer: Issuer) -> dict[str, int]:
    """Return how many proofs of which key are remembered."""
    used = issuer.application.vault.credentials.biscuits.possession._spent
    return {thumbprint: len(of.proofs) for thumbprint, of in used.items()}


@pytest.mark.asked_alone("each process knows the proofs that it saw itself")
@pytest.mark.parametrize("capacities", [Capacities(proofs=3)], ids=["three"])
def test_a_full_memory_of_proofs_refuses_its_own_key_until_they_are_too_old_and_never_takes_one_again(
    issuer: Issuer,
) -> None:
    secret = _register(issuer, pop="dpop")
    held, other = (
        _login(issuer, secret, _proof(issuer, "", "nhi/login", "POST", key=key)).json()["auth"][
            "client_token"
        ]
        for key in (KEY, OTHER_KEY)
    )
    ahead = issuer.application.clock.millis() // 1000 + 50
    first = _proof(issuer, held, DB, iat=ahead)
    assert [_with(issuer, held, DB, first), _with(issuer, held, DB, _proof(issuer, held, DB))] == [200, 200]
    assert _with(issuer, held, DB, _proof(issuer, held, DB)) == 403
    assert _with(issuer, other, DB, _proof(issuer, other, DB, key=OTHER_KEY)) == 200
    issuer.application.clock.sleep(62)
    again = [_with(issuer, held, DB, one) for one in (first, _proof(issuer, held, DB), first)]
    assert again == [403, 200, 403]
    issuer.application.clock.sleep(180)
    assert _with(issuer, held, DB, first) == 403
    assert _with(issuer, held, DB, _proof(issuer, held, DB)) == 200
    assert _used(issuer) == {possession.key_thumbprint(jwk(KEY)): 1}


@pytest.mark.asked_alone("each process knows the proofs that it saw itself")
def test_whoever_has_a_token_and_not_its_key_uses_up_no_memory_of_proofs(issuer: Issuer) -> None:
    secret = _register(issuer, pop="dpop")
    held = _login(issuer, secret, _proof(issuer, "", "nhi/login", "POST")).json()["auth"]["client_token"]
    before = _used(issuer)
    assert before == {possession.key_thumbprint(jwk(KEY)): 1}
    thieves = [_with(issuer, held, DB, _proof(issuer, held, DB, key=OTHER_KEY)) for _ in range(3)]
    assert thieves == [403] * 3
    wrong = _proof(issuer, "", "nhi/login", "POST", key=OTHER_KEY)
    assert _login(issuer, "wrong", wrong).status == 403
    assert _with(issuer, "", "sys/health", _proof(issuer, "", "sys/health", key=OTHER_KEY)) == 200
    assert _with(issuer, "root", DB, _proof(issuer, "root", DB, key=OTHER_KEY)) < 500
    assert _used(issuer) == before
    assert _login(issuer, secret, wrong).status == 200  # it has not counted yet


@pytest.mark.asked_alone("each process knows the proofs that it saw itself")
def test_a_check_that_a_holder_made_of_a_key_wants_a_proof_that_did_not_count_yet(issuer: Issuer) -> None:
    thumbprint = possession.key_thumbprint(jwk(OTHER_KEY))
    narrow = issuer.narrow(issuer.issue(), f'check if pop_proved("jkt", "{thumbprint}");')
    thief = _proof(issuer, narrow, DB)
    assert _with(issuer, narrow, DB, thief) == 403
    assert _used(issuer) == {}
    mine = _proof(issuer, narrow, DB, key=OTHER_KEY)
    assert [_with(issuer, narrow, DB, mine) for _ in range(2)] == [200, 403]
    assert _used(issuer) == {thumbprint: 1}


def test_oauth_clients_bind_their_tokens_and_resource_servers_see_to_what(issuer: Issuer) -> None:
    secret = _register(issuer)
    form = {"content-type": "application/x-www-form-urlencoded"}
    own = {"client_id": "r1", "client_secret": secret}
    asking = urlencode({"grant_type": "client_credentials", **own}).encode()
    proof = _proof(issuer, "", "nhi/oauth2/token", "POST")
    made = issuer.application.request(
        "POST", "/v1/nhi/oauth2/token", asking, headers={**form, "dpop": proof}
    ).json()
    assert made["token_type"] == "DPoP"
    held = made["access_token"]
    assert issuer.status(held, DB) == 403
    assert _with(issuer, held, DB, _proof(issuer, held, DB)) == 200
    told = urlencode({**own, "token": held}).encode()
    shown = issuer.application.request("POST", "/v1/nhi/oauth2/introspect", told, headers=form).json()
    thumbprint = possession.key_thumbprint(jwk(KEY))
    assert (shown["cnf"], shown["token_type"]) == ({"jkt": thumbprint}, "DPoP")
    issued = issuer.root("nhi/issue/r1", {"jkt": thumbprint})["auth"]["client_token"]
    assert issuer.status(issued, DB) == 403
    assert _with(issuer, issued, DB, _proof(issuer, issued, DB)) == 200
    for wrong in ({"jkt": "x"}, {"jkt": thumbprint, "x5t": thumbprint}):
        assert issuer.application.request("POST", "/v1/nhi/issue/r1", wrong, token="root").status == 400


@pytest.mark.parametrize("what", ["used", "old", "elsewhere", "garbage"])
def test_whoever_sends_a_proof_that_is_not_good_gets_no_token_that_is_good_without_one(
    issuer: Issuer, what: str
) -> None:
    secret = _register(issuer)
    form = {"content-type": "application/x-www-form-urlencoded"}
    own = {"client_id": "r1", "client_secret": secret}
    asking = urlencode({"grant_type": "client_credentials", **own}).encode()
    old = issuer.application.clock.millis() // 1000 - 120

    def bad(path: str) -> str:
        wrong: dict[str, dict[str, Any]] = {"old": {"iat": old}, "elsewhere": {"htu": f"{HOST}/v1/{DB}"}}
        return "garbage" if what == "garbage" else _proof(issuer, "", path, "POST", **wrong.get(what, {}))

    def asked(proof: str) -> Any:
        headers = {**form, "dpop": proof}
        return issuer.application.request("POST", "/v1/nhi/oauth2/token", asking, headers=headers)

    login, grant = bad("nhi/login"), bad("nhi/oauth2/token")
    if what == "used":
        assert (_login(issuer, secret, login).status, asked(grant).status) == (200, 200)
    refused = _login(issuer, secret, login)
    assert refused.status == 400
    assert refused.json()["errors"][0].startswith("DPoP: the proof is not good for this request: ")
    assert login not in refused.body.decode()
    again = asked(grant)
    assert (again.status, again.json()["error"]) == (400, "invalid_dpop_proof")


@pytest.mark.parametrize(("pop", "error"), [("dpop", "invalid_dpop_proof"), ("mtls", "invalid_request")])
def test_an_oauth_client_that_does_not_prove_to_have_a_key_is_told_so_and_spends_nothing(
    issuer: Issuer, pop: str, error: str
) -> None:
    _register(issuer, pop=pop, method="private_key_jwt", pubkeys=[pem(KEY)])
    now = issuer.application.clock.millis() // 1000
    claims = {"iss": "r1", "sub": "r1", "aud": f"{HOST}/v1/nhi", "exp": now + 60, "jti": "one"}
    asked = {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": token(claims),
    }

    def ask(dpop: str = "", **changes: str) -> Any:
        headers = {"content-type": "application/x-www-form-urlencoded", **({"dpop": dpop} if dpop else {})}
        body = urlencode({**asked, **changes}).encode()
        return issuer.application.request("POST", "/v1/nhi/oauth2/token", body, headers=headers)

    for _ in range(2):
        answer = ask()
        assert (answer.status, answer.json()["error"]) == (400, error)
    assert ask(client_assertion="x.y.z").json()["error"] == "invalid_client"
    issuer.application.certificate = MINE.der
    good = ask(_proof(issuer, "", "nhi/oauth2/token", "POST") if pop == "dpop" else "")
    assert (good.status, good.json()["token_type"]) == (200, "DPoP" if pop == "dpop" else "Bearer")
    assert ask().status == (401 if pop == "mtls" else 400)


def test_a_narrower_token_in_exchange_for_one_that_is_bound_is_bound_and_says_so(issuer: Issuer) -> None:
    bound = issuer.issue(jkt=possession.key_thumbprint(jwk(KEY)))
    asked = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token_type": "urn:coffre:params:oauth:token-type:biscuit",
        "subject_token": bound,
    }
    form = {"content-type": "application/x-www-form-urlencoded"}
    made = issuer.application.request(
        "POST", "/v1/nhi/oauth2/token", urlencode(asked).encode(), headers=form
    ).json()
    assert made["token_type"] == "DPoP"
    held = made["access_token"]
    assert issuer.status(held, DB) == 403
    assert _with(issuer, held, DB, _proof(issuer, held, DB)) == 200


def test_a_thumbprint_is_that_of_rfc_7638() -> None:
    modulus = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3okn"
        "jhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qM"
        "QvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJz"
        "KnqDKgw"
    )
    key = {"kty": "RSA", "n": modulus, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"}
    assert possession.key_thumbprint(key) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


@pytest.mark.parametrize("algorithm", ["ed25519", "p256"])
def test_a_token_that_wants_an_approval_is_good_for_nothing_without_a_fresh_one(
    issuer: Issuer, algorithm: str
) -> None:
    key = issuer.root("nhi/approvers/lead", {"algorithm": algorithm})["data"]["public_key"]
    issuer.root("nhi/approvers/other", {"algorithm": algorithm})
    _register(issuer, approvers="lead")
    held, second = issuer.issue(), issuer.issue()
    assert [issuer.status(one, path) for one, path in ((held, DB), (held, LOOK))] == [403, 200]

    def approval(name: str = "lead", of: str = held, **fields: object) -> str:
        body = {"request": asked(of), "change": "CHG-1", **fields}
        block: str = issuer.root(f"nhi/approve/{name}", body)["data"]["block"]
        return block

    block = approval()
    good = approved(held, block)
    assert issuer.status(good, DB) == 200
    assert issuer.status(issuer.narrow(good, READS), DB) == 200
    assert issuer.status(approved(held, approval("other")), DB) == 403
    with pytest.raises(Exception, match="was not made for this token"):
        approved(second, block)
    assert issuer.status(issuer.narrow(held, 'approved("CHG-1", 2100-01-01T00:00:00Z);'), DB) == 403
    found = issuer.root(f"nhi/credentials/{_token_id(issuer, good)}", method="GET")["data"]["nodes"]
    assert key in {node["approver"] for node in found}
    issuer.application.clock.sleep(301)
    assert issuer.status(good, DB) == 403
    assert issuer.status(approved(good, approval(of=good)), DB) == 200
    for body in (
        {"request": "x", "change": "c"},
        {"request": "", "change": "c"},
        {"request": "A" * 8192, "change": "c"},
        {"request": _b64(b"\x1a\x49" + b"x" * 73), "change": "c"},
        {"request": asked(held)},
        {"request": asked(held), "change": "c", "ttl": "2h"},
        {"request": asked(held), "change": "c" * 201},
    ):
        assert issuer.application.request("POST", "/v1/nhi/approve/lead", body, token="root").status == 400
    assert issuer.application.request("POST", "/v1/nhi/approve/nobody", {}, token="root").status == 404
    assert issuer.application.request("POST", "/v1/nhi/approvers/lead", {}, token="root").status == 400
    issuer.root("nhi/approvers/lead", method="DELETE")
    assert issuer.application.request("POST", "/v1/nhi/issue/r1", {}, token="root").status == 400


def _token_id(issuer: Issuer, held: str) -> str:
    found: str = issuer.root("nhi/introspect", {"token": held})["data"]["token_id"]
    return found


def test_a_registration_names_what_there_is(issuer: Issuer) -> None:
    for fields in ({"pop": "password"}, {"approvers": "nobody"}, {"policies": "app,response-wrapping"}):
        body = {"workload": "w1", "policies": "app", **fields}
        assert (
            issuer.application.request("POST", "/v1/nhi/registrations/r9", body, token="root").status == 400
        )
    assert isinstance(KEY, ec.EllipticCurvePrivateKey)


def test_writing_a_registration_again_changes_what_is_given_and_nothing_else(issuer: Issuer) -> None:
    path = "nhi/registrations/again"
    issuer.root("nhi/workloads/again", {"owner": "team-a", "ttl": "30d"})
    issuer.root("nhi/approvers/lead")

    def shown() -> Any:
        return issuer.root(path, method="GET")["data"]

    whole = {
        "policies": ["app", "default"],
        "audiences": ["elsewhere", "vault"],
        "ttl": 60,
        "max_ttl": 120,
        "max_depth": 3,
        "cidrs": ["192.0.2.0/24"],
        "pop": "dpop",
        "approvers": ["lead"],
        "offline": True,
        "method": "kubernetes",
    }
    demanded: dict[str, Any] = {
        "max_age": 3600,
        "kubernetes_host": "https://k",
        "service_accounts": ["n/s"],
        "bound_audiences": ["us"],
        "bound_claims": {"team": ["a", "b"]},
    }
    issuer.root(path, {**whole, **demanded, "token_reviewer_jwt": "reviewer"})
    issuer.root(f"{path}/secret")
    first = shown()
    assert {name: first[name] for name in whole} == whole
    assert first["attestation"] == demanded
    assert (first["workload"], first["has_secret"]) == ("again", True)
    issuer.root(path, {"ttl": 90})
    assert shown() == {**first, "ttl": 90}
    issuer.root(path, {"cidrs": "", "bound_claims": None, "method": "kubernetes"})
    del demanded["bound_claims"]
    changed = {**first, "ttl": 90, "cidrs": [], "attestation": demanded}
    assert shown() == changed
    issuer.root(path, {"method": "approle", "approle_mount": "a", "approle_role": "b", "workload": "w1"})
    other = {"max_age": 3600, "approle_mount": "a", "approle_role": "b"}
    assert shown() == {**changed, "workload": "w1", "method": "approle", "attestation": other}


def test_a_registration_that_gets_other_keys_loses_those_that_it_had(issuer: Issuer) -> None:
    path = "nhi/registrations/r9"
    own = {"method": "private_key_jwt", "workload": "w1", "policies": "app"}
    issuer.root(path, {**own, "jwks_url": "https://keys"})
    issuer.root(path, {"pubkeys": [pem(KEY)]})
    assert issuer.root(path, method="GET")["data"]["attestation"] == {"pubkeys": [pem(KEY)], "max_age": 3600}


@pytest.mark.parametrize("jump", [600, -600])
@pytest.mark.asked_alone("each process knows the proofs that it saw itself")
def test_a_proof_counts_once_although_the_wall_clock_is_set_and_set_right_again(
    issuer: Issuer, jump: int
) -> None:
    secret = _register(issuer, pop="dpop")
    held = _login(issuer, secret, _proof(issuer, "", "nhi/login", "POST")).json()["auth"]["client_token"]
    clock = issuer.application.clock
    first = _proof(issuer, held, DB)
    assert _with(issuer, held, DB, first) == 200
    clock.set_wall(jump)
    _with(issuer, held, DB, _proof(issuer, held, DB))
    clock.set_wall(-jump)
    assert _with(issuer, held, DB, first) == 403
    assert _with(issuer, held, DB, _proof(issuer, held, DB)) == 200


@pytest.mark.asked_alone("each process knows the proofs that it saw itself")
def test_a_proof_that_became_too_old_counts_no_more_when_the_wall_clock_is_set_back(issuer: Issuer) -> None:
    secret = _register(issuer, pop="dpop")
    mine, other = (
        _login(issuer, secret, _proof(issuer, "", "nhi/login", "POST", key=key)).json()["auth"][
            "client_token"
        ]
        for key in (KEY, OTHER_KEY)
    )
    clock = issuer.application.clock
    first = _proof(issuer, mine, DB)
    assert _with(issuer, mine, DB, first) == 200
    clock.sleep(150)
    clock.set_wall(-140)
    for _ in range(2):
        assert _with(issuer, mine, DB, first) == 403
        assert _with(issuer, other, DB, _proof(issuer, other, DB, key=OTHER_KEY)) == 200
    assert _with(issuer, mine, DB, _proof(issuer, mine, DB)) == 200
