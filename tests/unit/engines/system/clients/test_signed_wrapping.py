# SPDX-License-Identifier: EUPL-1.2
"""Wrapping tokens in the JWT format."""

import base64
import json

from tests.unit.engines.system.house import Answer, House, play
from vault.engines.system.clients.wrapping import WrappingEngine
from vault.values.times import Seconds

UNWRAP = "sys/wrapping/unwrap"
LOOKUP = "sys/wrapping/lookup"
INVALID = "wrapping token is not valid or does not exist"


async def _house() -> House:
    house = House()
    return await house.open(WrappingEngine(house.wrapper, house.barrier))


async def _wrapped(house: House) -> str:
    answer = await house("POST", "sys/wrapping/wrap", {"a": "b"}, wrap=Seconds(60), form="jwt")
    return str(answer.body["wrap_info"]["token"])


async def _unwrap(house: House, wrapping: str) -> Answer:
    return await house("POST", UNWRAP, {"token": wrapping})


def test_a_signed_token_stands_for_the_plain_one_in_it() -> None:
    async def scenario() -> None:
        house = await _house()
        for way in ("body", "own"):
            token = await _wrapped(house)
            head, claims = (
                json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.split(".")[:2]
            )
            assert head == {"alg": "ES512", "typ": "JWT"}
            assert claims["exp"] - claims["iat"] == 60
            assert (claims["addr"], claims["type"]) == ("https://vault.example:8200", "wrapping")
            assert (await house("POST", LOOKUP, {"token": token}, token="")).data["creation_ttl"] == 60
            assert (await house("GET", LOOKUP, token=token)).data["creation_ttl"] == 60
            answer = await (
                _unwrap(house, token) if way == "body" else house("POST", UNWRAP, {}, token=token)
            )
            assert answer.data == {"a": "b"}
            assert (await _unwrap(house, token)).error == INVALID

    play(scenario)


def test_a_signed_token_that_was_changed_is_refused() -> None:
    async def scenario() -> None:
        house = await _house()
        token = await _wrapped(house)
        other = await _wrapped(house)
        head, claims, signature = token.split(".")
        refusal = "error validating wrapping token: wrapping token signature could not be validated"
        for forged in (
            ".".join((head, other.split(".")[1], signature)),
            ".".join((head, claims, "A" * len(signature))),
            f"{head}.{claims}.!",
            f"{head}.{claims}.",
        ):
            for answer in (await _unwrap(house, forged), await house("POST", UNWRAP, {}, token=forged)):
                assert (answer.status, answer.error) == (403, refusal)
        assert (await _unwrap(house, token)).data == {"a": "b"}

    play(scenario)
