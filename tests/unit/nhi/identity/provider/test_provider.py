# SPDX-License-Identifier: EUPL-1.2
"""The OpenID Connect provider: a code is worth something once, to its client; an access token, claims alone."""

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import pytest

from nhi.identity.provider.oauth import fits, half, proves
from nhi.identity.records.provider import CODE_KIND, CODE_LIFE, forget_code
from tests.unit.engines.system.house import CORE, Answer
from tests.unit.nhi.auth.house import AuthHouse, auth, opened, together
from tests.unit.token.house import play
from vault.framework.secret import Secret
from vault.values.ids import ROOT_ID
from vault.values.times import Millis

OIDC = "identity/oidc/"
BACK = "https://them.example/back"


class Signing:
    """A vault with a client, and ada, who may sign in to it."""

    def __init__(self, house: AuthHouse, token: str, entity: str, client: Mapping[str, Any]) -> None:
        self.house, self.token, self.entity, self.client = house, token, entity, client

    async def code(self, provider: str = "default", **more: str) -> str:
        """Consent, and return the code."""
        asked = {
            "client_id": self.client["client_id"],
            "redirect_uri": BACK,
            "response_type": "code",
            "scope": "openid who",
            **more,
        }
        answer = await self.house("POST", f"{OIDC}provider/{provider}/authorize", asked, token=self.token)
        return str(json.loads(answer.text)["code"])

    async def redeem(self, code: str, provider: str = "default", **more: str) -> Answer:
        """Redeem a code."""
        body = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": BACK,
            "client_id": self.client["client_id"],
            "client_secret": self.client["client_secret"],
            **more,
        }
        return await self.house("POST", f"{OIDC}provider/{provider}/token", body, token="")

    async def access(self) -> str:
        """Return a new access token."""
        return str(json.loads((await self.redeem(await self.code())).text)["access_token"])

    async def userinfo(self, access: str, provider: str = "default") -> Answer:
        """Ask what an access token is for."""
        self.house.bearer = True
        answer = await self.house("GET", f"{OIDC}provider/{provider}/userinfo", token=access)
        self.house.bearer = False
        return answer


async def signing(**client: Any) -> Signing:
    """Return a vault with a client, and ada, who may sign in to it."""
    house = await opened()
    await house.policy("consent", f'path "{OIDC}provider/+/authorize" {{ capabilities = ["update"] }}')
    await house.user(token_policies="consent")
    found = auth(await house.log_in())
    await house.good("POST", OIDC + "scope/who", {"template": '{"who":{{identity.entity.name}}}'})
    await house.good("POST", OIDC + "provider/default", {"scopes_supported": ["who"]})
    fields = {"redirect_uris": [BACK], "assignments": ["allow_all"], **client}
    await house.good("POST", OIDC + "client/them", fields)
    made = (await house.good("GET", OIDC + "client/them")).data
    return Signing(house, found["client_token"], found["entity_id"], made)


def claims(token: str) -> Mapping[str, Any]:
    """Return the claims of a JWT, unverified."""
    found: Mapping[str, Any] = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    return found


def test_a_code_becomes_an_identity_token_that_binds_code_and_access_token() -> None:
    async def scenario() -> None:
        it = await signing()
        code = await it.code(nonce="n")
        answer = await it.redeem(code)
        body = json.loads(answer.text)
        said = claims(body["id_token"])
        assert said["sub"] == it.entity and said["aud"] == it.client["client_id"] and said["nonce"] == "n"
        assert said["iss"] == "https://vault.example:8200/v1/identity/oidc/provider/default"
        assert said["at_hash"] == half(body["access_token"], "RS256") and said["c_hash"] == half(
            code, "RS256"
        )
        shown = json.loads((await it.userinfo(body["access_token"])).text)
        ours = await it.house("GET", f"{OIDC}provider/default/userinfo", token=body["access_token"])
        assert (ours.status, b"must be sent as a Bearer token" in ours.text) == (401, True)
        assert shown == {"sub": it.entity, "who": said["who"]}

    play(scenario)


def test_a_code_is_redeemed_once_and_soon_and_leaves_nothing() -> None:
    async def scenario() -> None:
        it = await signing()
        code = await it.code()
        assert code.encode() not in await it.house.everything()
        assert (await it.redeem(code)).status == 200
        assert (await it.redeem(code)).status == 400
        late = await it.code()
        it.house.clock.sleep(CODE_LIFE + 1)
        assert (await it.redeem(late)).status == 400
        timers = await it.house.storage.claim(it.house.clock.millis(), 100, hold=Millis(0))
        async with it.house.barrier.write(ROOT_ID, CORE) as core:
            for timer in timers:
                if timer.kind == CODE_KIND:
                    await forget_code(core, timer.key)
        assert b"oidc/code/" not in await it.house.everything()

    play(scenario)


def test_a_code_is_worth_nothing_to_another_client_or_at_another_provider_and_is_burnt_by_trying() -> None:
    async def scenario() -> None:
        it = await signing()
        await it.house.good(
            "POST", OIDC + "client/other", {"redirect_uris": [BACK], "assignments": ["allow_all"]}
        )
        other = (await it.house.good("GET", OIDC + "client/other")).data
        await it.house.good("POST", OIDC + "provider/second", {"allowed_client_ids": ["*"]})
        code = await it.code()
        stolen = {"client_id": other["client_id"], "client_secret": other["client_secret"]}
        assert (await it.redeem(code, **stolen)).status == 400
        assert (await it.redeem(code)).status == 400
        assert (await it.redeem(await it.code(), provider="second")).status == 400

    play(scenario)


@pytest.mark.parametrize("more", [{"client_secret": "x"}, {"client_secret": ""}, {"client_id": "x"}])
def test_a_client_that_does_not_prove_itself_gets_nothing(more: dict[str, str]) -> None:
    async def scenario() -> None:
        it = await signing()
        assert (await it.redeem(await it.code(), **more)).status == 401

    play(scenario)


def test_a_key_signs_for_the_clients_alone_that_it_lists_and_a_code_that_it_does_not_is_left() -> None:
    async def scenario() -> None:
        it = await signing(client_credentials=True)
        code = await it.code()
        itself = {"grant_type": "client_credentials", "scope": "openid"}
        await it.house.good("POST", OIDC + "key/default", {"allowed_client_ids": ["other"]})
        for refused in (await it.redeem(code), await it.redeem("", **itself)):
            assert (refused.status, b"not authorized to use the key" in refused.text) == (401, True)
        mine = {"allowed_client_ids": [it.client["client_id"]]}
        await it.house.good("POST", OIDC + "key/default", mine)
        assert [(await it.redeem(code)).status, (await it.redeem("", **itself)).status] == [200, 200]

    play(scenario)


def test_a_public_client_needs_a_challenge_and_its_verifier() -> None:
    async def scenario() -> None:
        it = await signing(client_type="public")
        it.client = {**it.client, "client_secret": ""}
        verifier = "v" * 43
        code = await it.code(code_challenge=verifier, code_challenge_method="plain")
        assert (await it.redeem(code)).status == 400
        for sent in ("", "a secret that nobody has"):
            code = await it.code(code_challenge=verifier, code_challenge_method="plain")
            assert (await it.redeem(code, code_verifier=verifier, client_secret=sent)).status == 200
        itself = {"client_credentials": True}
        assert (await it.house("POST", OIDC + "client/them", itself)).status == 400

    play(scenario)


def test_a_code_that_is_redeemed_several_times_at_once_is_redeemed_once() -> None:
    async def scenario() -> None:
        it = await signing()
        code = await it.code()
        answers = await together(*(it.redeem(code) for _ in range(4)))
        assert sorted(one.status for one in answers) == [200, 400, 400, 400]

    play(scenario)


def test_a_challenge_proves_nothing_though_its_method_is_left_out_later() -> None:
    async def scenario() -> None:
        it = await signing()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(b"v" * 43).digest()).decode().rstrip("=")
        for said in ({"code_verifier": challenge}, {"code_verifier": ""}, {}):
            code = await it.code(code_challenge=challenge, code_challenge_method="S256")
            assert (await it.redeem(code, code_challenge_method="plain", **said)).status == 400
        code = await it.code(code_challenge=challenge, code_challenge_method="S256")
        assert (await it.redeem(code, code_verifier="v" * 43)).status == 200

    play(scenario)


def test_an_access_token_is_good_for_claims_alone_and_no_other_token_is() -> None:
    async def scenario() -> None:
        it = await signing()
        access = await it.access()
        assert (await it.house("GET", "auth/token/lookup-self", token=access)).status == 403
        meta = {"client_id": it.client["client_id"], "scopes": "openid who"}
        forged = await it.house.make(type="batch", policies=["default"], meta=meta)
        for wrong in (forged["client_token"], it.token, it.house.root, "b.x", ""):
            assert (await it.userinfo(wrong)).status == 401
        await it.house.good("POST", OIDC + "provider/second", {"allowed_client_ids": ["*"]})
        assert (await it.userinfo(access, "second")).status == 401

    play(scenario)


def test_an_access_token_has_none_of_the_rights_of_whom_it_is_about() -> None:
    async def scenario() -> None:
        it = await signing()
        await it.house.policy("wide", 'path "*" { capabilities = ["create", "read", "update", "sudo"] }')
        await it.house.good("POST", f"identity/entity/id/{it.entity}", {"policies": ["wide"]})
        own = f"identity/entity/id/{it.entity}"
        await it.house.good("GET", own, token=it.token)
        access = await it.access()
        for method, path in (
            ("GET", own),
            ("POST", own),
            ("POST", "auth/token/create"),
            ("GET", "auth/token/lookup-self"),
        ):
            assert (await it.house(method, path, {}, token=access)).status == 403, path
        assert (await it.userinfo(access)).status == 200

    play(scenario)


def test_what_a_client_gets_ends_with_the_entity_the_assignment_and_the_time() -> None:
    async def scenario() -> None:
        it = await signing(access_token_ttl="1h")
        access, code = await it.access(), await it.code()
        await it.house.good("POST", OIDC + "client/them", {"assignments": []})
        assert (await it.userinfo(access)).status == 403 and (await it.redeem(code)).status == 400
        await it.house.good("POST", OIDC + "client/them", {"assignments": ["allow_all"]})
        await it.house.good("POST", f"identity/entity/id/{it.entity}", {"disabled": True})
        assert (await it.userinfo(access)).status == 401
        await it.house.good("POST", f"identity/entity/id/{it.entity}", {"disabled": False})
        assert (await it.userinfo(access)).status == 200
        it.house.clock.sleep(3600)
        assert (await it.userinfo(access)).status == 401

    play(scenario)


def test_a_client_authenticates_in_its_header_too() -> None:
    async def scenario() -> None:
        it = await signing()
        pair = f"{it.client['client_id']}:{it.client['client_secret']}"
        it.house.basic = Secret(base64.b64encode(pair.encode()).decode())
        assert (await it.redeem(await it.code(), client_id="", client_secret="")).status == 200
        assert (await it.redeem(await it.code(), client_secret="x")).status == 200
        for unreadable in ("no base64!", base64.b64encode(b"no colon").decode()):
            it.house.basic = Secret(unreadable)  # then what the body says counts, as in the field
            assert (await it.redeem(await it.code(), client_id="", client_secret="")).status == 400
            assert (await it.redeem(await it.code(), client_secret="x")).status == 401

    play(scenario)


@pytest.mark.parametrize(
    ("given", "good"),
    [
        (BACK, True),
        ("http://127.0.0.1:9/cb", True),
        ("http://[::1]:9/v6", True),
        (BACK + "/", False),
        (BACK + "?a=1", False),
        ("https://them.example.evil/back", False),
        ("https://them.example:443/back", False),
        ("http://127.0.0.1:9/other", False),
        ("http://127.0.0.1@evil/cb", False),
        ("http://127.0.0.1:9@evil/cb", False),
        ("http://localhost:9/cb", False),
        ("https://127.0.0.1:9/cb", False),
        ("http://127.0.0.1:x/cb", False),
        ("http://127.0.0.1:9\n/cb", False),
        ("http://127.0.0.1:9/c\tb", False),
        (" http://127.0.0.1:9/cb", False),
        ("http://127.0.0.1:9/cb?", False),
        ("http://127.0.0.1:9/cb#", False),
        ("http://127.0.0.1:0/cb", False),
        ("", False),
    ],
)
def test_sl_35_people_are_sent_back_exactly_where_a_client_said(given: str, good: bool) -> None:
    assert fits(given, (BACK, "http://127.0.0.1/cb", "http://[::1]/v6")) is good


def test_a_verifier_proves_its_own_challenge_as_the_rfc_has_it() -> None:
    """The example of RFC 7636 appendix B."""
    verifier, challenge = (
        "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    )
    assert proves(verifier, challenge=challenge, method="S256")
    assert not proves(verifier + "x", challenge=challenge, method="S256") and not proves(
        verifier, challenge=challenge, method="plain"
    )
