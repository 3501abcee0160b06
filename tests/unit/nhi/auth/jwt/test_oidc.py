# SPDX-License-Identifier: EUPL-1.2
"""Signing in with a browser: whose click it is, what a page shows, and what can be used a second time."""

import base64
import hashlib
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from nhi.auth.jwt.exchange import Exchange
from nhi.auth.jwt.oidc import OidcEngine
from nhi.auth.jwt.provider import Providers
from nhi.auth.jwt.redirects import allowed
from nhi.auth.jwt.states import LIFETIME, STATES, SignIn, States, expire
from tests.calls import fill_call
from tests.tokens import KEY, OTHER, jwk, token
from tests.unit.nhi.auth.house import CORE, LONGEST, Answer, auth, play
from tests.unit.nhi.auth.jwt.house import JwtHouse, _resolve
from tests.unit.outbound.service import Service, service
from tests.unit.token.house import DEFAULT
from vault.barrier.stored import raw
from vault.framework.call import NOWHERE, Call
from vault.framework.clock import Clock, Entropy
from vault.framework.errors import Malformed
from vault.framework.route_table import RouteTable
from vault.mount.table import Backend, Catalog
from vault.outbound.fetch import Fetcher
from vault.outbound.places import Places
from vault.token.issue import LoginIssuer
from vault.token.lifetime import LifetimeLimits
from vault.values.ids import ROOT_ID
from vault.values.times import Seconds

pytestmark = pytest.mark.loopback
HOME = "https://vault.example/v1/auth/jwt/oidc/callback"
GONE = "OpenBao login failed. Expired or missing OAuth state."


class OidcHouse(JwtHouse):
    """`JwtHouse` with sign-ins, and a provider on loopback whose ID token is `claims`."""

    async def sign_ins(self, one: Service, **limits: int) -> "OidcHouse":
        """Open it; `limits` are those of `States`."""
        await self.begin()
        fetcher = Fetcher(Places(["127.0.0.0/8"]), _resolve)
        providers = Providers(fetcher, self.clock)
        issuer = LoginIssuer(
            self.tokens,
            self.batch,
            self.clock,
            LifetimeLimits(default=Seconds(DEFAULT), longest=Seconds(LONGEST)),
            self._config,
        )
        self.states = States(self.clock, self.entropy, **limits)
        engine = OidcEngine(
            issuer,
            Exchange(fetcher, providers, self.sets, self.clock),
            providers,
            self.states,
            self.entropy,
        )
        known = self.router.catalog
        engines = (*known._auth["jwt"].engines, engine)
        self.router.catalog = Catalog(
            known._secrets, {**known._auth, "jwt": Backend(engines, RouteTable(engines))}
        )
        await self.router.drop(None)
        self.provider = one
        self.issuer = f"http://idp.test:{one.port}"
        self.id_token: dict[str, Any] = {}
        self.key = KEY
        self.forms: list[Mapping[str, list[str]]] = []
        self.during: list[Answer] | None = None
        self.poller = "mine"
        one.behave = self._answer
        await self.configure(
            oidc_discovery_url=self.issuer,
            oidc_client_id="client",
            oidc_client_secret="very secret",
            jwt_supported_algs="ES256",
        )
        for name, mode in (("people", "direct"), ("apps", "client")):
            fields = {"user_claim": "sub", "allowed_redirect_uris": HOME, "callback_mode": mode}
            await self.good("POST", f"auth/jwt/role/{name}", fields)
        return self

    async def _answer(self, writer: Any, head: bytes) -> None:
        path = head.split(b" ")[1].decode()
        body: dict[str, Any] = {"keys": [jwk(KEY)]}
        if path.startswith("/.well-known"):
            ends = {name: f"{self.issuer}/{name}" for name in ("authorization_endpoint", "token_endpoint")}
            body = {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/keys", **ends}
        elif path == "/token_endpoint":
            self.forms.append(parse_qs(self.provider.seen[-1].partition(b"\r\n\r\n")[2].decode()))
            if self.during is not None:
                self.during.append(await self.poll(self.state, self.poller))
                self.during.append(await self.back(state=self.state, code="c0de"))
            body = {"access_token": "at", "id_token": token(self.id_token, self.key)}
        content = json.dumps(body).encode()
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content)

    async def ask(self, role: str = "people") -> dict[str, str]:
        """Begin a sign-in; return the fields of the provider's URL."""
        body = {"role": role, "redirect_uri": HOME, "client_nonce": "mine"}
        answer = await self.good("POST", "auth/jwt/oidc/auth_url", body, token="")
        query = parse_qs(urlsplit(answer.body["data"]["auth_url"]).query)
        found = {name: values[0] for name, values in query.items()}
        self.state = found["state"]
        self.id_token = {
            "iss": self.issuer,
            "aud": "client",
            "sub": "alice",
            "exp": self.now + 600,
            "iat": self.now,
            "nonce": found["nonce"],
        }
        return found

    async def back(self, **query: str) -> Answer:
        """Come back with the browser."""
        return await self("GET", "auth/jwt/oidc/callback", query=query, token="")

    async def form(self, **fields: str) -> Answer:
        """Come back with a form that the provider made the browser post."""
        return await self("POST", "auth/jwt/oidc/callback", fields, token="")

    async def without_codes(self, asked: str = "id_token") -> None:
        """Configure the provider to post ID tokens, or what else it is asked for."""
        await self.configure(
            oidc_discovery_url=self.issuer,
            oidc_client_id="client",
            oidc_client_secret="very secret",
            jwt_supported_algs="ES256",
            oidc_response_mode="form_post",
            oidc_response_types=asked,
        )

    async def poll(self, state: str, nonce: str = "mine") -> Answer:
        """Ask whether the user has signed in."""
        return await self("POST", "auth/jwt/oidc/poll", {"state": state, "client_nonce": nonce}, token="")


@asynccontextmanager
async def house(**limits: int) -> AsyncIterator[OidcHouse]:
    async with service() as one:
        yield await OidcHouse().sign_ins(one, **limits)


def confirmation(page: Answer) -> str:
    found = re.search(rb'name="confirmation" value="([A-Za-z0-9]+)"', page.text)
    assert found is not None
    return found[1].decode()


def test_sl_35_nobody_is_logged_in_before_the_user_has_confirmed_who_asked() -> None:
    async def scenario() -> None:
        async with house() as vault:
            asked = await vault.ask()
            page = await vault.back(state=asked["state"], code="c0de")
            assert page.status == 200
            assert b"people" in page.text
            assert b"<script" not in page.text
            assert vault.forms == []
            assert (await vault.poll(asked["state"])).error == "authorization_pending"
            for guess in ("1", "", "true", confirmation(page)[:-1], confirmation(page).lower() + "x"):
                again = await vault.back(state=asked["state"], code="c0de", confirmation=guess)
                assert confirmation(again) == confirmation(page)
            assert vault.forms == []
            done = await vault.back(state=asked["state"], code="c0de", confirmation=confirmation(page))
            assert b"You are signed in" in done.text
            made = auth(await vault.poll(asked["state"]))
            assert made["metadata"] == {"role": "people"}
            assert (await vault.poll(asked["state"])).error == GONE

    play(scenario)


def test_a_client_goes_on_waiting_while_the_provider_is_asked_who_has_confirmed() -> None:
    async def scenario() -> None:
        async with house() as vault:
            asked = await vault.ask()
            given = {"state": asked["state"], "code": "c0de"}
            page = await vault.back(**given)
            during: list[Answer] = []
            vault.during = during
            done = await vault.back(**given, confirmation=confirmation(page))
            assert b"You are signed in" in done.text
            assert [answer.error for answer in during] == ["authorization_pending", GONE]
            assert auth(await vault.poll(asked["state"]))["metadata"] == {"role": "people"}

    play(scenario)


def test_a_client_that_is_turned_away_while_the_provider_is_asked_stays_away() -> None:
    async def scenario() -> None:
        async with house() as vault:
            asked = await vault.ask()
            given = {"state": asked["state"], "code": "c0de"}
            page = await vault.back(**given)
            vault.during = []
            vault.poller = "another"
            failed = await vault.back(**given, confirmation=confirmation(page))
            assert failed.status == 400
            assert (await vault.poll(asked["state"])).error == GONE

    play(scenario)


def test_sl_35_a_sign_in_that_failed_is_tried_again_with_a_new_confirmation_only() -> None:
    async def scenario() -> None:
        async with house() as vault:
            asked = await vault.ask()
            given = {"state": asked["state"], "code": "c0de"}
            first = confirmation(await vault.back(**given))
            nonce, vault.id_token["nonce"] = vault.id_token["nonce"], "n_another"
            assert (await vault.back(**given, confirmation=first)).status == 400
            vault.id_token["nonce"] = nonce
            page = await vault.back(**given, confirmation=first)
            assert confirmation(page) != first
            assert (await vault.poll(asked["state"])).error == "authorization_pending"
            assert b"You are signed in" in (await vault.back(**given, confirmation=confirmation(page))).text
            assert auth(await vault.poll(asked["state"]))["metadata"] == {"role": "people"}

    play(scenario)


def test_sl_35_a_page_shows_nothing_that_came_with_the_browser() -> None:
    async def scenario() -> None:
        async with house() as vault:
            asked = await vault.ask()
            evil = '"><script>alert(1)</script>'
            page = await vault.back(state=asked["state"], code=evil, error_description=evil, error_uri=evil)
            assert b"<script" not in page.text
            assert page.text.count(b"&lt;script&gt;") == 1
            refused = await vault.back(
                state=asked["state"], error="access_denied", error_description=evil, confirmation="x"
            )
            assert refused.status == 400
            assert b"script" not in refused.text.partition(b"<body>")[2]
            assert b"access_denied" not in refused.text

    play(scenario)


def test_a_sign_in_is_good_once_and_for_its_client_alone() -> None:
    async def scenario() -> None:
        async with house() as vault:
            asked = await vault.ask("apps")
            given = {"state": asked["state"], "code": "c0de"}
            assert (await vault.back(**given, client_nonce="another")).error == "invalid client_nonce"
            assert (await vault.back(**given, client_nonce="mine")).error == GONE
            asked = await vault.ask("apps")
            given = {"state": asked["state"], "code": "c0de", "client_nonce": "mine"}
            assert (await vault.back(**given)).status == 200
            assert (await vault.back(**given)).error == GONE
            asked = await vault.ask("apps")
            vault.clock.sleep(LIFETIME + 1)
            given["state"] = asked["state"]
            assert (await vault.back(**given)).error == GONE

    play(scenario)


def test_a_stranger_cannot_make_much_be_kept() -> None:
    async def scenario() -> None:
        async with house() as vault:
            for role in ("people", "apps"):
                body = {"role": role, "redirect_uri": HOME, "client_nonce": "n" * 1025}
                refused = await vault("POST", "auth/jwt/oidc/auth_url", body, token="")
                assert (refused.status, "client_nonce" in refused.error) == (400, True)

    play(scenario)


def test_the_code_is_exchanged_with_the_verifier_whose_challenge_was_sent() -> None:
    async def scenario() -> None:
        async with house() as vault:
            asked = await vault.ask("apps")
            await vault.back(state=asked["state"], code="c0de", client_nonce="mine")
            (form,) = vault.forms
            digest = hashlib.sha256(form["code_verifier"][0].encode()).digest()
            assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == asked["code_challenge"]
            assert (form["code"], form["redirect_uri"]) == (["c0de"], [HOME])
            assert "client_secret" not in form

    play(scenario)


FORGED: dict[str, Callable[[OidcHouse], None]] = {
    "another sign-in's": lambda vault: vault.id_token.update(nonce="n_another"),
    "another client's": lambda vault: vault.id_token.update(aud="other"),
    "several clients'": lambda vault: vault.id_token.update(aud=["client", "other"]),
    "another party's": lambda vault: vault.id_token.update(azp="other"),
    "another issuer's": lambda vault: vault.id_token.update(iss="https://idp.test"),
    "old": lambda vault: vault.id_token.update(exp=vault.now - 100),
    "endless": lambda vault: vault.id_token.pop("exp"),
    "from the future": lambda vault: vault.id_token.update(iat=vault.now + 1000),
    "signed by a stranger": lambda vault: setattr(vault, "key", OTHER),
}


@pytest.mark.parametrize("name", FORGED)
def test_an_id_token_that_is_not_for_this_sign_in_is_refused(name: str) -> None:
    async def scenario() -> None:
        async with house() as vault:
            asked = await vault.ask("apps")
            FORGED[name](vault)
            answer = await vault.back(state=asked["state"], code="c0de", client_nonce="mine")
            assert answer.status == 400
            assert answer.error.startswith("OpenBao login failed. Error exchanging oidc code: ")

    play(scenario)


@pytest.mark.parametrize("name", FORGED)
def test_a_posted_id_token_that_is_not_for_this_sign_in_is_refused(name: str) -> None:
    async def scenario() -> None:
        async with house() as vault:
            await vault.without_codes()
            asked = await vault.ask("apps")
            assert (asked["response_type"], asked["response_mode"]) == ("id_token", "form_post")
            FORGED[name](vault)
            posted = await vault.form(state=asked["state"], id_token=token(vault.id_token, vault.key))
            assert posted.status == 200
            answer = await vault.back(state=asked["state"], client_nonce="mine")
            assert answer.status == 400
            assert answer.error.startswith("OpenBao login failed. Token verification failed: ")
            assert vault.forms == []

    play(scenario)


@pytest.mark.parametrize("role", ["apps", "people"])
def test_an_id_token_is_no_answer_where_a_code_was_asked_for(role: str) -> None:
    async def scenario() -> None:
        async with house() as vault:
            await vault.without_codes("code")
            asked = await vault.ask(role)
            assert asked["response_type"] == "code"
            posted = await vault.form(state=asked["state"], id_token=token(vault.id_token))
            assert (posted.status, b"confirmation" in posted.text) == (200 if role == "apps" else 400, False)
            if role == "people":
                assert (await vault.poll(asked["state"])).error == "authorization_pending"
                return
            answer = await vault.back(state=asked["state"], client_nonce="mine")
            assert (answer.status, answer.error) == (
                400,
                "OpenBao login failed. No code or id_token received.",
            )

    play(scenario)


def test_a_form_brings_no_used_sign_in_back_and_logs_nobody_in_by_itself() -> None:
    async def scenario() -> None:
        async with house() as vault:
            await vault.without_codes()
            asked = await vault.ask("apps")
            given = {"state": asked["state"], "id_token": token(vault.id_token)}
            posted = await vault.form(**given)
            assert b"client_token" not in posted.text
            assert auth(await vault.back(state=asked["state"], client_nonce="mine"))["metadata"] == {
                "role": "apps"
            }
            again = await vault.form(**given)
            assert (again.status, b"Expired or missing" in again.text) == (400, True)
            assert (await vault.back(state=asked["state"], client_nonce="mine")).error == GONE
            large = await vault.form(state=(await vault.ask("apps"))["state"], id_token="x" * 70_000)
            assert (large.status, b"too large" in large.text) == (400, True)

    play(scenario)


def test_a_form_for_a_direct_sign_in_is_asked_about_and_changes_nothing_once_confirmed() -> None:
    async def scenario() -> None:
        async with house() as vault:
            await vault.without_codes()
            fields = {"user_claim": "sub", "claim_mappings": {"sub": "who"}, "callback_mode": "direct"}
            await vault.good("POST", "auth/jwt/role/people", fields)
            asked = await vault.ask()
            given = {"state": asked["state"], "id_token": token(vault.id_token)}
            page = await vault.form(**given)
            assert (await vault.poll(asked["state"])).error == "authorization_pending"
            done = await vault.back(state=asked["state"], confirmation=confirmation(page))
            assert b"You are signed in" in done.text
            other = token({**vault.id_token, "sub": "mallory"})
            assert (await vault.form(state=asked["state"], id_token=other)).status == 400
            assert auth(await vault.poll(asked["state"]))["metadata"]["who"] == "alice"

    play(scenario)


def test_a_role_can_do_without_the_confirmation_and_a_failure_is_a_page() -> None:
    async def scenario() -> None:
        async with house() as vault:
            await vault.good(
                "POST",
                "auth/jwt/role/people",
                {"user_claim": "sub", "callback_mode": "direct", "oidc_disable_confirmation": True},
            )
            asked = await vault.ask()
            assert b"You are signed in" in (await vault.back(state=asked["state"], code="c0de")).text
            assert (await vault.back(state=asked["state"], code="c0de")).error == GONE
            assert auth(await vault.poll(asked["state"]))["metadata"] == {"role": "people"}
            asked = await vault.ask()
            nonce, vault.id_token["nonce"] = vault.id_token["nonce"], "n_another"
            failed = await vault.back(state=asked["state"], code="c0de")
            assert (failed.status, b"another nonce" in failed.text) == (400, True)
            assert (await vault.poll(asked["state"])).error == "authorization_pending"
            vault.id_token["nonce"] = nonce
            assert b"You are signed in" in (await vault.back(state=asked["state"], code="c0de")).text
            assert auth(await vault.poll(asked["state"]))["metadata"] == {"role": "people"}

    play(scenario)


def test_a_sign_in_that_an_earlier_version_kept_is_swept() -> None:
    async def scenario() -> None:
        async with house() as vault:
            mount = next(one.entry for one in vault.router.root if one.entry.path == "auth/jwt/")
            async with vault.barrier.write(ROOT_ID, CORE + mount.prefix) as view:
                await view.put("state/before", raw(b"zz"))
            async with vault.barrier.write(ROOT_ID, "") as core:
                await STATES.handler(expire)(core, f"root/{mount.uuid}/state/before")
            assert await vault.barrier.reader(ROOT_ID, CORE).sub(mount.prefix).list("state/") == []

    play(scenario)


@pytest.mark.parametrize(
    ("uri", "good"),
    [
        ("https://app.example/back", True),
        ("https://app.example/back/", False),
        ("https://app.example/back?x=1", False),
        ("https://app.example:444/back", False),
        ("https://app.example.evil/back", False),
        ("https://app.example@evil/back", False),
        ("HTTPS://app.example/back", False),
        ("http://localhost:9/cb", True),
        ("http://localhost/cb", False),
        ("http://127.0.0.1:9/cb", False),
        ("http://localhost:9/cb/..", False),
        ("http://localhost:9@evil/cb", False),
        ("https://localhost:9/cb", False),
        ("http://localhost:9\r\n/cb", False),
        ("http://local\thost:9/cb", False),
        (" http://localhost:9/cb", False),
        ("http://localhost:9/cb?", False),
        ("http://localhost:9/cb#", False),
        ("", False),
    ],
)
def test_sl_35_the_browser_is_sent_to_a_listed_address_and_to_loopback_on_any_port(
    uri: str, good: bool
) -> None:
    assert allowed(uri, ("https://app.example/back", "http://localhost:8250/cb")) is good


def test_a_request_that_is_tried_again_finds_the_sign_in_that_it_took() -> None:
    """By newer facts, as one that is refused is: nobody else finds it."""
    states = States(Clock(), Entropy())
    calls = [Call(), Call()]
    for number, call in enumerate(calls):
        fill_call(call, id=f"request-{number}", mount=NOWHERE, client_address="127.0.0.1")
    state = states.begin(SignIn(mount="", role="people", mode="direct"))
    assert states.take(calls[0], state) == states.take(calls[0], state)
    with pytest.raises(Malformed, match="Expired or missing"):
        states.take(calls[1], state)
