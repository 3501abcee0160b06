# SPDX-License-Identifier: EUPL-1.2
"""What strangers can make the server ask of a provider, and make it keep."""

import asyncio
import json
from typing import Any

import pytest

from nhi.auth.jwt import states
from nhi.auth.jwt.states import LIFETIME
from tests.clocks import DAY, MONTH
from tests.tokens import KEY, OTHER, jwk, pem, token
from tests.unit.nhi.auth.house import HOME as HERE
from tests.unit.nhi.auth.house import play, together
from tests.unit.nhi.auth.jwt.house import opened
from tests.unit.nhi.auth.jwt.test_oidc import GONE, HOME, house
from tests.unit.outbound.service import service
from vault.framework.errors import Malformed
from vault.outbound import kept

pytestmark = pytest.mark.loopback


def test_a_slow_provider_is_asked_once_for_250_strangers_and_all_may_go_on() -> None:
    async def scenario() -> None:
        async with house() as vault:
            await vault.ask("apps")
            vault.clock.sleep(kept.STALE + 1)
            vault.provider.seen.clear()
            answer, asked, slow = vault.provider.behave, asyncio.Event(), asyncio.Event()

            async def slowly(writer: Any, head: bytes) -> None:
                asked.set()
                await slow.wait()
                assert answer is not None
                await answer(writer, head)

            vault.provider.behave = slowly
            body = {"role": "apps", "redirect_uri": HOME, "client_nonce": "mine"}
            strangers = [
                asyncio.ensure_future(vault("POST", "auth/jwt/oidc/auth_url", body, token=""))
                for _ in range(250)
            ]
            await asked.wait()
            slow.set()
            answers = await asyncio.gather(*strangers)
            assert [bool(one.body["data"]["auth_url"]) for one in answers] == [True] * 250
            assert len(vault.provider.seen) == 1

    play(scenario)


def test_a_provider_that_does_not_answer_is_not_asked_for_each_stranger() -> None:
    async def scenario() -> None:
        async with house() as vault:
            vault.clock.sleep(kept.STALE + 1)
            vault.provider.behave, vault.provider.status = None, "500 Oops"
            vault.provider.seen.clear()
            body = {"role": "apps", "redirect_uri": HOME, "client_nonce": "mine"}
            for _ in range(50):
                answer = await vault("POST", "auth/jwt/oidc/auth_url", body, token="")
                assert answer.body["data"] == {"auth_url": ""}
            assert len(vault.provider.seen) == 1

    play(scenario)


@pytest.mark.parametrize("ahead", [MONTH, -MONTH])
def test_a_key_that_was_withdrawn_is_not_believed_for_as_long_as_a_clock_was_wrong(ahead: int) -> None:
    async def scenario() -> None:
        async with service() as one:
            vault = await opened()
            one.body = json.dumps({"keys": [jwk(KEY, kid="one")]}).encode()
            await vault.configure(jwks_url=one.url)
            vault.clock.set_wall(ahead)
            assert (await vault.present()).status == 200
            vault.clock.set_wall(-ahead)
            one.body = json.dumps({"keys": [jwk(OTHER, kid="two")]}).encode()
            vault.clock.sleep(kept.FRESH + 1)
            await vault.present()
            await vault.sets.kept.settled()
            assert (await vault.present()).status == 400
            assert (await vault.present(token(vault.claims(), OTHER, kid="two"))).status == 200

    play(scenario)


def test_a_failure_while_the_clock_was_ahead_keeps_nobody_out_for_as_long() -> None:
    async def scenario() -> None:
        async with service() as one:
            vault = await opened()
            one.status = "500 Oops"
            await vault.configure(jwks_url=one.url, skip_jwks_validation=True)
            vault.clock.set_wall(DAY)
            assert (await vault.present()).status == 400
            vault.clock.set_wall(-DAY)
            one.status, one.body = "200 OK", json.dumps({"keys": [jwk(KEY)]}).encode()
            vault.clock.sleep(kept.PAUSE + 1)
            answers = await together(*(vault.present() for _ in range(20)))
            assert [answer.status for answer in answers] == [200] * 20

    play(scenario)


def test_a_stranger_who_begins_sign_ins_makes_nothing_be_kept() -> None:
    """Before, each left a row of a kilobyte: 44 MB in six seconds."""

    async def scenario() -> None:
        async with house() as vault:
            await vault.ask()
            before = await vault.storage.reader().scan("")
            for role in ("people", "apps"):
                for _ in range(200):
                    await vault.ask(role)
            assert await vault.storage.reader().scan("") == before
            assert not vault.states._known

    play(scenario)


def test_what_comes_back_is_kept_in_memory_and_only_so_much_of_it() -> None:
    async def scenario() -> None:
        async with house(room=200_000) as vault:
            await vault.without_codes()
            large = "x" * 10_000
            asked = [(await vault.ask("apps"))["state"] for _ in range(100)]
            before = await vault.storage.reader().scan("")
            answers = [await vault.form(state=one, id_token=large) for one in asked]
            assert {answer.status for answer in answers} == {200, 503}
            assert vault.states._held[()] <= 50_000
            assert await vault.storage.reader().scan("") == before
            vault.door.address = "198.51.100.9"
            assert (await vault.form(state=asked[-1], id_token=token(vault.id_token))).status == 200
            given = {"state": asked[-1], "client_nonce": "mine"}
            assert (await vault.back(**given)).status == 200
            vault.clock.sleep(LIFETIME + 2)
            vault.door.address = HERE
            last = (await vault.ask("apps"))["state"]
            assert (await vault.form(state=last, id_token=token(vault.id_token))).status == 200
            assert len(vault.states._known) == 1

    play(scenario)


def _spelled(state: str) -> list[str]:
    """Other texts that may be read as the same state."""
    return [
        state.removeprefix("st_"),
        state + "=",
        state + "==",
        state + ",ns=elsewhere",
        state[:40] + "!" + state[40:],
        state[:40] + "\n" + state[40:],
        state[:-1] + chr(ord(state[-1]) + 1),
    ]


@pytest.mark.parametrize("number", range(7))
def test_a_state_that_was_used_is_used_however_it_is_spelled(number: int) -> None:
    async def scenario() -> None:
        async with house() as vault:
            asked = await vault.ask("apps")
            given = {"code": "c0de", "client_nonce": "mine"}
            assert (await vault.back(state=asked["state"], **given)).status == 200
            for text in (asked["state"], _spelled(asked["state"])[number]):
                assert (await vault.back(state=text, **given)).error == GONE

    play(scenario)


def test_a_state_that_was_not_begun_here_is_none() -> None:
    async def scenario() -> None:
        async with house() as vault, house() as other:
            given = {"code": "c0de", "client_nonce": "mine"}
            mine, foreign = (await vault.ask("apps"))["state"], (await other.ask("apps"))["state"]
            for text in (
                foreign,
                mine[:-9],
                mine[:60] + ("B" if mine[60] == "A" else "A") + mine[61:],
                "st_",
                "",
                "st_" + "A" * 40_000,
                "ü",
            ):
                assert (await vault.back(state=text, **given)).error == GONE
            vault.states.forget()
            assert (await vault.back(state=mine, **given)).error == GONE

    play(scenario)


def test_a_state_is_of_its_mount_alone() -> None:
    async def scenario() -> None:
        async with house() as vault:
            await vault.good("POST", "sys/auth/second", {"type": "jwt"})
            await vault.good("POST", "auth/second/config", {"jwt_validation_pubkeys": pem(KEY)})
            query = {"state": (await vault.ask("apps"))["state"], "code": "c0de", "client_nonce": "mine"}
            assert (await vault("GET", "auth/second/oidc/callback", query=query, token="")).error == GONE
            assert (await vault.back(**query)).status == 200

    play(scenario)


@pytest.mark.parametrize("ahead", [MONTH, -MONTH])
def test_a_sign_in_lasts_as_long_whatever_the_clock_is_set_to(ahead: int) -> None:
    async def scenario() -> None:
        async with house() as vault:
            state = (await vault.ask("people"))["state"]
            vault.clock.set_wall(ahead)
            assert (await vault.poll(state)).error == "authorization_pending"
            vault.clock.sleep(LIFETIME + 2)
            assert (await vault.poll(state)).error == GONE

    play(scenario)


def test_a_device_code_that_would_make_a_state_too_long_is_refused() -> None:
    async def scenario() -> None:
        async with house() as vault:
            states_ = vault.states
            with pytest.raises(Malformed, match="too long"):
                states_.begin(states.SignIn(mount="m", role="r", mode="device", device_code="x" * 20_000))

    play(scenario)


def test_strangers_who_come_back_with_codes_of_their_own_leave_turns_at_a_slow_provider_to_others() -> None:
    """250 at one address, of whom 16 are asked about at a time; who comes from elsewhere is the next."""

    async def scenario() -> None:
        async with house() as vault:
            states_ = [(await vault.ask("apps"))["state"] for _ in range(250)]
            answer, asked, slow = vault.provider.behave, asyncio.Event(), asyncio.Event()
            forms = 0

            async def slowly(writer: Any, head: bytes) -> None:
                nonlocal forms
                if b"token_endpoint" in head.split(b"\r\n")[0]:
                    forms += 1
                    if forms == 16:
                        asked.set()
                    if forms <= 16:
                        await slow.wait()
                assert answer is not None
                await answer(writer, head)

            vault.provider.behave = slowly
            given = {"code": "c0de", "client_nonce": "mine"}
            strangers = [asyncio.ensure_future(vault.back(state=one, **given)) for one in states_]
            await asked.wait()
            vault.door.address = "198.51.100.9"
            mine = (await vault.ask("apps"))["state"]
            assert (await vault.back(state=mine, **given)).status == 200
            assert forms == 17
            assert not any(one.done() for one in strangers)
            slow.set()
            for one in strangers:
                one.cancel()
            await asyncio.gather(*strangers, return_exceptions=True)

    play(scenario)
