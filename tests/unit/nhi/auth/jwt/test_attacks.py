# SPDX-License-Identifier: EUPL-1.2
"""The attack table of JWT logins: each forged, confused, stale or oversized token is refused, and says why."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from nhi.jose import signature
from tests.tokens import EDWARDS, KEY, OTHER, b64, jwk, pem, token
from tests.unit.nhi.auth.house import auth, play
from tests.unit.nhi.auth.jwt.house import JwtHouse, opened
from tests.unit.outbound.service import Service, service

UNSIGNED = "error validating token: error verifying token signature: "
NO_KEY = UNSIGNED + "no known key successfully validated the token signature"
Forge = Callable[[dict[str, Any]], str]


def _swapped(claims: dict[str, Any]) -> str:
    head, _, signature = token(claims).split(".")
    return f"{head}.{b64(json.dumps({**claims, 'sub': 'root'}).encode())}.{signature}"


def _as_json(claims: dict[str, Any]) -> str:
    head, body, signature = token(claims).split(".")
    return json.dumps({"payload": body, "protected": head, "signature": signature})


FORGED: dict[str, tuple[Forge, str]] = {
    "unsigned": (lambda claims: token(claims, algorithm="none"), NO_KEY),
    "unsigned in other letters": (lambda claims: token(claims, algorithm="None"), NO_KEY),
    "the public key as a shared secret": (lambda claims: token(claims, pem(KEY).encode(), "HS256"), NO_KEY),
    "the public key without its end as a shared secret": (
        lambda claims: token(claims, pem(KEY).strip().encode(), "HS256"),
        NO_KEY,
    ),
    "another key": (lambda claims: token(claims, OTHER), NO_KEY),
    "another kind of key": (lambda claims: token(claims, EDWARDS, "EdDSA"), NO_KEY),
    "another kind of key under the expected algorithm": (lambda claims: token(claims, EDWARDS), NO_KEY),
    "an algorithm that the key does not have": (lambda claims: token(claims, algorithm="ES384"), NO_KEY),
    "a key brought along": (lambda claims: token(claims, OTHER, jwk=jwk(OTHER)), NO_KEY),
    "certificates brought along": (lambda claims: token(claims, OTHER, x5c=["AAAA"]), NO_KEY),
    "the signature of another payload": (_swapped, NO_KEY),
    "no signature": (lambda claims: token(claims).rpartition(".")[0] + ".", NO_KEY),
    "a critical extension": (lambda claims: token(claims, crit=["exp"]), NO_KEY),
    "a payload that is not encoded": (lambda claims: token(claims, crit=["b64"], b64=False), NO_KEY),
    "an algorithm that is a list": (lambda claims: token(claims, alg=["ES256"]), NO_KEY),
    "claims that are no object": (lambda _: token(b"[]"), NO_KEY),
    "claims that are no JSON": (lambda _: token(b"\xff\xfe"), NO_KEY),
    "claims nested too deep": (lambda _: token(b'{"a":' * 500 + b"1" + b"}" * 500), NO_KEY),
    "a header that is no object": (
        lambda claims: b64(b"[1]") + "." + token(claims).partition(".")[2],
        UNSIGNED + "the token's header cannot be read",
    ),
    "padding": (lambda claims: token(claims) + "=", UNSIGNED + "illegal base64 data"),
    "the JSON serialization": (
        _as_json,
        UNSIGNED + "go-jose/go-jose: compact JWS format must have three parts",
    ),
    "five parts": (
        lambda claims: token(claims) + ".a.b",
        UNSIGNED + "go-jose/go-jose: compact JWS format must have three parts",
    ),
    "more than may be": (
        lambda claims: token({**claims, "pad": "x" * 70_000}),
        UNSIGNED + "the token is larger than 65536 bytes",
    ),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_token_is_refused(name: str) -> None:
    async def scenario() -> None:
        house = await opened()
        assert (await house.present()).status == 200
        forge, reason = FORGED[name]
        answer = await house.present(forge(house.claims()))
        assert (answer.status, answer.error) == (400, reason)

    play(scenario)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "another issuer": ({"iss": "https://issuer.example/"}, "invalid issuer (iss) claim"),
    "no issuer": ({"iss": None}, "invalid issuer (iss) claim"),
    "another audience": ({"aud": "b"}, "does not match any expected audience"),
    "no audience": ({"aud": None}, "does not match any expected audience"),
    "an empty audience": ({"aud": ""}, "does not match any expected audience"),
    "an empty list of audiences": ({"aud": []}, "does not match any expected audience"),
    "a list with an empty audience": ({"aud": [""]}, "does not match any expected audience"),
    "an audience that is a number": ({"aud": 1}, "expected string or array value"),
    "an audience that is an object": ({"aud": {"a": "a"}}, "expected string or array value"),
    "a list with a number": ({"aud": ["a", 1]}, "expected string or array value"),
    "one that has expired": ({"exp": 1}, "token is expired"),
    "one that is not valid yet": ({"nbf": 1 << 40}, "token not yet valid"),
    "one from the future": ({"iat": 1 << 40, "nbf": 1}, "token issued in the future"),
    "one without any time": ({"iat": None, "exp": None}, "no issued at (iat)"),
    "a time that is text": ({"exp": "9999999999"}, "expected number value"),
    "a time that is truth": ({"exp": True}, "expected number value"),
    "a time without end": ({"exp": 1e300}, "token is expired"),
    "a time that is no number": ({"exp": float("nan")}, "no known key"),
    "nobody": ({"sub": None}, 'claim "sub" not found in token'),
    "somebody who is a number": ({"sub": 5}, "the sub claim must be a string"),
    "an issuer that is a number": ({"iss": 5}, "the iss claim must be a string"),
    "somebody without a name": ({"sub": ""}, "missing name in alias"),
}


@pytest.mark.parametrize("name", WRONG)
def test_sl_26_a_token_that_says_the_wrong_thing_is_refused(name: str) -> None:
    async def scenario() -> None:
        house = await opened()
        changes, reason = WRONG[name]
        given = house.claims()
        given |= changes
        answer = await house.present(token({key: value for key, value in given.items() if value is not None}))
        assert answer.status == 400
        assert reason in answer.error

    play(scenario)


def test_what_is_no_name_is_refused_though_the_role_asks_for_another_claim() -> None:
    async def scenario() -> None:
        house = await opened()
        body = {"role_type": "jwt", "user_claim": "email", "bound_audiences": "a"}
        await house.good("POST", "auth/jwt/role/mail", body)
        assert (await house.present(role="mail", email="a@b.example")).status == 200
        for changes in ({"sub": 5}, {"sub": ["a"]}, {"sub": False}):
            answer = await house.present(role="mail", email="a@b.example", **changes)
            assert (answer.status, "the sub claim must be a string" in answer.error) == (400, True)

    play(scenario)


def test_sl_26_one_audience_is_as_good_as_a_list_of_it_and_an_unbound_one_is_refused() -> None:
    async def scenario() -> None:
        house = await opened()
        assert [(await house.present(aud=one)).status for one in ("a", ["a"], ["b", "a"])] == [200] * 3
        await house.jwt_role("unbound", bound_audiences=[], bound_subject="alice")
        for one in ("a", ["a"], "", [""]):
            answer = await house.present(role="unbound", aud=one)
            assert answer.error == "audience claim found in JWT but no audiences bound to the role"
        refused = await house("POST", "auth/jwt/role/none", {"role_type": "jwt", "user_claim": "sub"})
        assert refused.error == "must have at least one bound constraint when creating/updating a role"

    play(scenario)


def test_sl_26_claims_are_compared_as_texts_unless_the_newest_write_says_otherwise() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.jwt_role("globs", bound_claims={"group": "a*"}, bound_claims_type="glob")
        assert (await house.present(role="globs", group="abc")).status == 200
        await house.jwt_role("globs")
        assert (await house.good("GET", "auth/jwt/role/globs")).data["bound_claims_type"] == "string"
        assert (await house.present(role="globs", group="abc")).status == 400
        assert (await house.present(role="globs", group="a*")).status == 200

    play(scenario)


def test_sl_36_an_empty_list_of_values_lets_nobody_in() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.jwt_role("empty", bound_claims={"group": []})
        for one in ("x", [], ["x"], ""):
            assert (await house.present(role="empty", group=one)).status == 400

    play(scenario)


def test_sl_27_what_counts_is_what_the_token_says_and_not_what_the_caller_adds() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.jwt_role("bound", bound_claims={"group": "admins"})
        body = {"role": "bound", "jwt": token(house.claims()), "group": "admins", "sub": "root", "claims": {}}
        answer = await house("POST", "auth/jwt/login", body, token="")
        assert answer.error == 'error validating claims: claim "group" is missing'

    play(scenario)


def test_sl_21_the_alias_is_the_name_that_the_provider_gave_and_not_one_that_looks_like_it() -> None:
    async def scenario() -> None:
        house = await opened()
        names = (
            "alice",
            " alice",
            "\u0430lice",
            "alice/",
            "al\u0131ce",
            "kim",
            "\u212aim",
            "\u2126",
            "\u03c9",
            "ALICE",
            "Kim",
            "\u03a9",
        )
        made = [auth(await house.present(sub=name))["entity_id"] for name in names]
        assert len(set(made)) == len(names)
        assert [auth(await house.present(sub=name))["entity_id"] for name in names] == made

    play(scenario)


def test_sl_04_a_claim_fills_its_place_in_a_policy_as_text_and_as_nothing_else() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.jwt_role("team", token_policies_template_claims=True, token_policies="team-{{.team}}")
        assert "team-blue" in auth(await house.present(role="team", team="blue"))["policies"]
        unfit: list[object] = [
            None,
            "",
            "*",
            "a,b",
            "a b",
            "+",
            "{{.sub}}",
            "x\x00",
            "x\n",
            "x" * 300,
            ["a"],
            {},
        ]
        for value in [*unfit, True]:
            answer = await house.present(role="team", team=value)
            assert answer.status == 400
            assert "failed to template policy [0]" in answer.error
        for path in ("../root", "./x", "a/../b"):
            assert (await house.present(role="team", team=f"/{path}")).status == 400
        await house.jwt_role("become", token_policies_template_claims=True, token_policies="{{.sub}}")
        for name in ("root", "ROOT", "\uff52\uff4f\uff4f\uff54"):
            answer = await house.present(role="become", sub=name)
            assert answer.status == 400 or "root" not in auth(answer)["policies"]

    play(scenario)


@pytest.mark.loopback
def test_sl_77_a_token_cannot_make_the_server_ask_anybody() -> None:
    async def scenario() -> None:
        house = await opened()
        async with service() as one:
            one.body = json.dumps({"keys": [jwk(OTHER, kid="evil")]}).encode()
            for name in ("jku", "x5u", "iss", "kid"):
                forged = token(house.claims(iss=one.url), OTHER, **{name: one.url})
                assert (await house.present(forged)).error == NO_KEY
            assert one.connections == 0

    play(scenario)


@pytest.mark.loopback
def test_a_key_id_chooses_among_the_keys_of_the_set_and_reaches_nothing_else() -> None:
    async def scenario() -> None:
        house = await opened()
        async with service() as one:
            one.body = json.dumps({"keys": [jwk(KEY, kid="one"), jwk(OTHER, kid="two")]}).encode()
            await house.configure(jwks_url=one.url)
            assert (await house.present(token(house.claims(), KEY, kid="one"))).status == 200
            for kid in ("two", "../../one", "one' OR 1=1", "/dev/null", "", 5, ["one"], {"one": 1}, None):
                answer = await house.present(token(house.claims(), EDWARDS, "EdDSA", kid=kid))
                assert answer.error == UNSIGNED + "failed to verify id token signature"
            assert {head.split(b" ")[1] for head in one.seen} == {b"/keys"}

    play(scenario)


@pytest.mark.loopback
def test_only_public_keys_that_may_sign_are_taken_from_a_set() -> None:
    weak = rsa.generate_private_key(65537, 1024)  # noqa: S505 -- it is to be refused
    secret = b"a secret of the provider's clients"

    async def refused(house: JwtHouse, one: Service, keys: object, given: str) -> None:
        one.body = json.dumps({"keys": keys}).encode()
        house.clock.sleep(1000)
        assert (await house.present(given)).status == 400

    async def scenario() -> None:
        house = await opened()
        async with service() as one:
            one.body = b'{"keys":[]}'
            await house.configure(jwks_url=one.url)
            shared = {"kty": "oct", "k": b64(secret)}
            await refused(house, one, [shared], token(house.claims(), secret, "HS256"))
            await refused(house, one, [jwk(weak)], token(house.claims(), weak, "RS256"))
            await refused(house, one, [jwk(KEY, use="enc")], token(house.claims()))
            await refused(house, one, [jwk(KEY, alg="ES384")], token(house.claims()))
            await refused(house, one, [{**jwk(KEY), "y": b64(bytes(32))}], token(house.claims()))
            await refused(house, one, [jwk(KEY)] * 101, token(house.claims()))
            await refused(house, one, {"kty": "EC"}, token(house.claims()))
            one.body = json.dumps({"keys": [shared, {"kty": "new"}, 5, jwk(weak), jwk(KEY)]}).encode()
            house.clock.sleep(1000)
            await house.present()
            assert (await house.present()).status == 200

    play(scenario)


def test_a_token_that_was_good_once_is_looked_at_again_in_all_that_may_have_changed() -> None:
    async def scenario() -> None:
        house = await opened()
        good = token(house.claims())
        assert [(await house.present(good)).status for _ in range(2)] == [200, 200]
        head, body, signed = good.split(".")
        forged = b64(json.dumps(house.claims(sub="mallory")).encode())
        first = "A" if signed[0] != "A" else "B"
        for other in (f"{head}.{forged}.{signed}", f"{head}.{body}.{first}{signed[1:]}", f"{head}.{body}."):
            assert (await house.present(other)).status == 400
        await house.configure(jwt_validation_pubkeys=pem(KEY), jwt_supported_algs="RS256")
        assert (await house.present(good)).status == 400
        await house.configure(jwt_validation_pubkeys=pem(OTHER))
        assert (await house.present(good)).status == 400
        await house.configure(jwt_validation_pubkeys=pem(KEY))
        assert (await house.present(good)).status == 200
        house.clock.sleep(3600)
        assert (await house.present(good)).status == 400

    play(scenario)


def test_what_is_remembered_of_a_signed_token_is_what_it_said_the_first_time() -> None:
    text = token({"sub": "somebody"}, kid="one", extra="more")
    mine, other = (signature.from_pem([pem(key)]) for key in (KEY, OTHER))
    seen = []
    for _ in range(2):
        read = signature.read(text)
        assert read.claims(other) is None
        seen.append((read.algorithm, read.kid, read.header()["extra"], read.claims(mine)))
    assert seen == [("ES256", "one", "more", {"sub": "somebody"})] * 2
    critical = token({"sub": "somebody"}, crit=["exp"], exp=1)
    assert [signature.read(critical).claims(mine) for _ in range(2)] == [None, None]
