# SPDX-License-Identifier: EUPL-1.2
"""What strangers can make the server ask of a provider, and make it keep."""

import asyncio
import json
from typing import Any

import pytest

from tests.clocks import DAY, MONTH
from tests.tokens import KEY, OTHER, jwk, token
from tests.unit.nhi.auth.house import play, together
from tests.unit.nhi.auth.jwt_house import opened
from tests.unit.nhi.auth.test_oidc import HOME, house
from tests.unit.outbound.service import service
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
