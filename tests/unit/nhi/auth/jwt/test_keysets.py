# SPDX-License-Identifier: EUPL-1.2
"""Key sets whose host is cold, slow, dead or has changed its keys: who is let in, who waits, and what is said."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.tokens import KEY, OTHER, jwk, token
from tests.unit.nhi.auth.house import play, together
from tests.unit.nhi.auth.jwt.house import JwtHouse, opened
from tests.unit.outbound.authority import Authority
from tests.unit.outbound.service import Service, service
from vault.outbound import kept

pytestmark = pytest.mark.loopback
UNSIGNED = "error validating token: error verifying token signature: "


def keys(*several: object) -> bytes:
    return json.dumps({"keys": several}).encode()


async def configured(one: Service) -> JwtHouse:
    house = await opened()
    one.body = keys(jwk(KEY, kid="one"))
    await house.configure(jwks_url=one.url)
    one.connections = 0
    return house


async def settled(house: JwtHouse) -> None:
    """Wait for what is fetched beside the logins."""
    await house.sets.kept.settled()
    await house.providers.kept.settled()


def test_a_set_is_fetched_once_for_many_logins_at_once_and_used_while_it_is_fresh() -> None:
    async def scenario() -> None:
        async with service() as one:
            house = await configured(one)
            answers = await together(*(house.present(sub=f"u{number}") for number in range(20)))
            assert [answer.status for answer in answers] == [200] * 20
            house.clock.sleep(kept.FRESH - 5)
            assert (await house.present()).status == 200
            assert one.connections == 1

    play(scenario)


def test_a_set_that_is_no_longer_fresh_is_fetched_beside_the_login() -> None:
    async def scenario() -> None:
        async with service() as one:
            house = await configured(one)
            await house.present()
            house.clock.sleep(kept.FRESH + 1)
            one.body = keys(jwk(OTHER, kid="one"))
            assert (await house.present()).status == 200
            await settled(house)
            assert (await house.present()).status == 400
            assert (await house.present(token(house.claims(), OTHER))).status == 200

    play(scenario)


def test_logins_with_known_keys_go_on_for_a_day_when_the_host_is_dead_and_not_longer() -> None:
    async def scenario() -> None:
        async with service() as one:
            house = await configured(one)
            assert (await house.present()).status == 200
            one.status = "503 Service Unavailable"
            for _ in range(20):
                house.clock.sleep(4000)
                assert (await house.present()).status == 200
                await settled(house)
            house.clock.sleep(kept.STALE)
            answer = await house.present()
            assert (
                answer.error == UNSIGNED + "fetching keys oidc: get keys failed: it answers with status 503"
            )

    play(scenario)


def test_a_cold_dead_host_refuses_with_the_reason_and_is_not_asked_at_every_login() -> None:
    async def scenario() -> None:
        async with service() as one:
            house = await opened()
            one.status = "500 Oops"
            await house.configure(jwks_url=one.url, skip_jwks_validation=True)
            one.connections = 0
            reason = UNSIGNED + "fetching keys oidc: get keys failed: it answers with status 500"
            answers = [await house.present() for _ in range(30)]
            assert {(answer.status, answer.error) for answer in answers} == {(400, reason)}
            assert one.connections == 1
            one.status, one.body = "200 OK", keys(jwk(KEY))
            house.clock.sleep(3)
            assert (await house.present()).status == 200

    play(scenario)


def test_a_slow_host_delays_those_who_need_it_to_the_deadline_and_nobody_else() -> None:
    async def scenario() -> None:
        async with service() as one, service() as quick:
            house = await configured(quick)
            arrived, released = asyncio.Event(), asyncio.Event()

            async def slow(writer: asyncio.StreamWriter, head: bytes) -> None:
                arrived.set()
                await released.wait()

            assert (await house.present()).status == 200
            await house.good("POST", "sys/auth/slow", {"type": "jwt"})
            body = {"jwks_url": one.url, "skip_jwks_validation": True}
            one.status = "500 Oops"
            await house.good("POST", "auth/slow/config", body)
            fields = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": "a"}
            await house.good("POST", "auth/slow/role/r", fields)
            one.behave = slow
            given = {"jwt": token(house.claims()), "role": "r"}
            waiting = asyncio.ensure_future(house("POST", "auth/slow/login", given, token=""))
            await arrived.wait()
            assert (await house.present()).status == 200
            await house.role()
            assert not waiting.done()
            released.set()
            answer = await waiting
            assert (answer.status, "get keys failed" in answer.error) == (400, True)

    play(scenario)


def test_keys_that_rotate_are_found_at_once_and_strangers_cannot_make_the_host_be_asked_for_ever() -> None:
    async def scenario() -> None:
        async with service() as one:
            house = await configured(one)
            assert (await house.present()).status == 200
            one.body = keys(jwk(OTHER, kid="two"))
            assert (await house.present(token(house.claims(), OTHER, kid="two"))).status == 200
            one.connections = 0
            for number in range(50):
                forged = token(house.claims(), KEY, kid=f"made up {number}")
                assert (await house.present(forged)).status == 400
            assert one.connections <= 5
            house.clock.sleep(30)
            one.body = keys(jwk(KEY, kid="three"))
            assert (await house.present(token(house.claims(), KEY, kid="three"))).status == 200

    play(scenario)


def test_a_swapped_set_drops_the_old_keys() -> None:
    async def scenario() -> None:
        async with service() as one:
            house = await configured(one)
            assert (await house.present()).status == 200
            one.body = keys(jwk(OTHER))
            await house.present(token(house.claims(), OTHER))
            assert (await house.present()).error == UNSIGNED + "failed to verify id token signature"

    play(scenario)


def test_sl_28_what_is_remembered_of_one_mount_is_not_used_for_another() -> None:
    async def scenario() -> None:
        async with service() as one:
            house = await configured(one)
            assert (await house.present()).status == 200
            assert one.connections == 1
            await house.good("POST", "sys/auth/second", {"type": "jwt"})
            await house.good("POST", "auth/second/config", {"jwks_url": one.url})
            fields = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": "a"}
            await house.good("POST", "auth/second/role/r", fields)
            one.body = keys(jwk(OTHER))
            given = {"jwt": token(house.claims()), "role": "r"}
            assert (await house("POST", "auth/second/login", given, token="")).status == 400
            assert (await house.present()).status == 200

    play(scenario)


def test_a_provider_must_say_that_it_is_the_issuer_that_was_configured() -> None:
    async def scenario() -> None:
        async with service() as one:
            house = await opened()
            issuer = f"http://issuer.test:{one.port}"
            one.body = json.dumps({"issuer": "http://other.test", "jwks_uri": one.url}).encode()
            answer = await house("POST", "auth/jwt/config", {"oidc_discovery_url": issuer})
            assert answer.error == (
                "error checking oidc discovery URL: issuer did not match the returned issuer"
            )
            one.body = json.dumps({"issuer": issuer, "jwks_uri": "file:///etc/passwd"}).encode()
            answer = await house("POST", "auth/jwt/config", {"oidc_discovery_url": issuer})
            assert answer.error == (
                "error checking oidc discovery URL: the URL must begin with https:// or http://"
            )

    play(scenario)


def test_a_provider_with_tls_leads_to_no_endpoint_without_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        authority = Authority()
        async with service(authority.context(tmp_path, "issuer.test")) as one:
            house = await opened()
            issuer = f"https://issuer.test:{one.port}"
            config = {"oidc_discovery_url": issuer, "oidc_discovery_ca_pem": authority.pem}
            for name in ("jwks_uri", "token_endpoint", "userinfo_endpoint"):
                told = {
                    "issuer": issuer,
                    "jwks_uri": f"{issuer}/keys",
                    name: f"http://issuer.test:{one.port}/",
                }
                one.body = json.dumps(told).encode()
                answer = await house("POST", "auth/jwt/config", config)
                assert answer.error.endswith("it is asked by https and names an endpoint without it")

    play(scenario)


def test_whoever_may_not_write_the_configuration_makes_nobody_be_asked() -> None:
    async def scenario() -> None:
        async with service() as one:
            house = await configured(one)
            made = auth_token = (await house.present()).body["auth"]["client_token"]
            assert made
            one.connections = 0
            answer = await house("POST", "auth/jwt/config", {"jwks_url": one.url}, token=auth_token)
            assert (answer.status, one.connections) == (403, 0)
            assert (await house("POST", "auth/jwt/config", {"jwks_url": one.url}, token="")).status == 403
            assert one.connections == 0

    play(scenario)


def test_a_login_that_was_verified_by_a_configuration_that_has_changed_since_is_refused() -> None:
    async def scenario() -> None:
        async with service() as one:
            house = await configured(one)
            arrived, released = asyncio.Event(), asyncio.Event()

            async def slow(writer: asyncio.StreamWriter, head: bytes) -> None:
                arrived.set()
                await released.wait()
                writer.write(
                    f"HTTP/1.1 200 OK\r\nContent-Length: {len(one.body)}\r\n\r\n".encode() + one.body
                )

            one.behave = slow
            waiting = asyncio.ensure_future(house.present())
            await arrived.wait()
            await house.jwt_role(token_policies="another")
            released.set()
            answer = await waiting
            assert answer.error == "the role or the configuration has just changed; log in again"

    play(scenario)
