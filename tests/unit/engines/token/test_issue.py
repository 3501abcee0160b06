# SPDX-License-Identifier: EUPL-1.2
"""Making tokens: what a caller may ask for, and what the new token then has."""

from typing import Any

import pytest

from tests.unit.token.house import DEFAULT, HOUR, LONGEST, TokenHouse, opened, play

MAKER = """
path "auth/token/create" { capabilities = ["create", "update"] }
path "auth/token/create-orphan" { capabilities = ["create", "update"] }
"""
CUSTOM = "custom token ID cannot have the 's.' prefix"


async def _limited(house: TokenHouse, **fields: Any) -> str:
    """Return a token that may make tokens and has no sudo."""
    await house.policy("maker", MAKER)
    wanted = {"policies": ["maker", "other"], "ttl": "1h", **fields}
    answer = await house("POST", "auth/token/create", wanted)
    token: str = answer.body["auth"]["client_token"]
    return token


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"type": "recovery"}, "invalid 'token_type' value"),
        ({"num_uses": -1}, "number of uses cannot be negative"),
        ({"entity_alias": "x"}, "'entity_alias' is only allowed in combination with token role"),
        ({"id": "s.mine"}, CUSTOM),
        ({"id": "a.b"}, "custom token ID cannot have a '.' in the value"),
        ({"ttl": "-1h"}, "ttl must be positive"),
        ({"period": "-1"}, "period must be positive"),
        ({"explicit_max_ttl": "-1s"}, "explicit_max_ttl must be positive"),
        ({"policies": ["response-wrapping"]}, 'cannot assign policy "response-wrapping"'),
        ({"policies": ["a/../b"]}, "policies: every name must be printable, without dot segments"),
    ],
)
def test_what_no_token_can_be_is_refused(fields: dict[str, Any], error: str) -> None:
    async def scenario() -> None:
        house = await opened()
        before = await house.stored()
        answer = await house("POST", "auth/token/create", fields)
        assert (answer.status, answer.error) == (400, error)
        assert await house.stored() == before

    play(scenario)


@pytest.mark.parametrize("text", ["soon", "1x", "h", "1h1"])
def test_a_duration_that_is_none_is_refused_without_repeating_it(text: str) -> None:
    async def scenario() -> None:
        house = await opened()
        answer = await house("POST", "auth/token/create", {"ttl": text})
        assert answer.status == 400

    play(scenario)


@pytest.mark.parametrize(
    ("to", "fields", "error"),
    [
        ("create", {"id": "mine"}, "root or sudo privileges required to specify token id"),
        ("create", {"no_parent": True}, "root or sudo privileges required to create orphan token"),
        ("create-orphan", {"no_parent": True}, "root or sudo privileges required to create orphan token"),
        ("create-orphan", {"policies": ["secret"]}, "child policies must be subset of parent"),
        ("create", {"period": "1h"}, "root or sudo privileges required to create periodic token"),
        ("create", {"policies": ["maker", "secret"]}, "child policies must be subset of parent"),
        ("create", {"policies": ["root"]}, "child policies must be subset of parent"),
        ("create", {"policies": [" ROOT "]}, "child policies must be subset of parent"),
    ],
)
def test_what_takes_more_rights_is_refused(to: str, fields: dict[str, Any], error: str) -> None:
    async def scenario() -> None:
        house = await opened()
        answer = await house("POST", f"auth/token/{to}", fields, token=await _limited(house))
        assert (answer.status, answer.error) == (400, error)

    play(scenario)


def test_who_may_ask_for_an_orphan_needs_no_sudo_and_gives_no_more_than_it_has() -> None:
    async def scenario() -> None:
        house = await opened()
        maker = await _limited(house)
        orphan = await house.make(token=maker, to="create-orphan")
        assert (orphan["orphan"], orphan["policies"]) == (True, ["default", "maker", "other"])
        await house("POST", "auth/token/revoke", {"token": maker})
        assert await house.status(orphan["client_token"]) == 200

    play(scenario)


def test_sudo_gives_no_root_policy() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.policy("chief", 'path "*" { capabilities = ["create", "update", "sudo"] }')
        chief = (await house.make(policies=["chief"]))["client_token"]
        answer = await house("POST", "auth/token/create", {"policies": ["root"]}, token=chief)
        assert answer.error == "root tokens may not be created without parent token being root"
        beyond = await house.make(token=chief, policies=["other"], no_parent=True, period="1h")
        assert (beyond["policies"], beyond["orphan"]) == (["default", "other"], True)

    play(scenario)


def test_a_token_of_limited_use_makes_no_others() -> None:
    async def scenario() -> None:
        house = await opened()
        token = await _limited(house, num_uses=5)
        answer = await house("POST", "auth/token/create", {}, token=token)
        assert answer.error == "restricted use token cannot generate child tokens"

    play(scenario)


@pytest.mark.parametrize(
    ("fields", "policies"),
    [
        ({}, ["root"]),
        ({"policies": ["root", "other"]}, ["root"]),
        ({"policies": ["b", "A", " a ", ""]}, ["a", "b", "default"]),
        ({"policies": ["b"], "no_default_policy": True}, ["b"]),
        ({"policies": ["default", "b"], "no_default_policy": True}, ["b"]),
        ({"policies": "x,y"}, ["default", "x,y"]),
    ],
)
def test_a_root_token_gives_these_policies(fields: dict[str, Any], policies: list[str]) -> None:
    async def scenario() -> None:
        house = await opened()
        assert (await house.make(**fields))["policies"] == policies

    play(scenario)


@pytest.mark.parametrize(
    ("fields", "policies"),
    [
        ({}, ["default", "maker", "other"]),
        ({"policies": ["other"]}, ["default", "other"]),
        ({"policies": ["other"], "no_default_policy": True}, ["other"]),
        ({"no_default_policy": True}, ["maker", "other"]),
    ],
)
def test_a_caller_without_sudo_gives_what_it_has(fields: dict[str, Any], policies: list[str]) -> None:
    async def scenario() -> None:
        house = await opened()
        assert (await house.make(token=await _limited(house), **fields))["policies"] == policies

    play(scenario)


def test_a_caller_without_default_does_not_give_it() -> None:
    async def scenario() -> None:
        house = await opened()
        token = await _limited(house, no_default_policy=True)
        assert (await house.make(token=token, policies=["other"]))["policies"] == ["other"]

    play(scenario)


def test_policies_that_do_not_exist_are_given_with_a_warning() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.policy("here", MAKER)
        answer = await house("POST", "auth/token/create", {"policies": ["here", "gone"], "ttl": "1h"})
        assert answer.body["warnings"] == ['Policy "gone" does not exist']

    play(scenario)


@pytest.mark.parametrize(
    ("fields", "ttl", "renewable"),
    [
        ({}, 0, False),
        ({"ttl": "1h"}, HOUR, True),
        ({"lease": "1h"}, HOUR, True),
        ({"policies": ["a"]}, DEFAULT, True),
        ({"policies": ["a"], "renewable": False}, DEFAULT, False),
        ({"policies": ["a"], "ttl": "999h"}, LONGEST, True),
        ({"policies": ["a"], "period": "2h", "ttl": "1h"}, 2 * HOUR, True),
        ({"policies": ["a"], "explicit_max_ttl": "30m"}, HOUR // 2, True),
        ({"policies": ["a"], "explicit_max_ttl": "999h", "ttl": "3h"}, 3 * HOUR, True),
    ],
)
def test_a_token_lives_this_long(fields: dict[str, Any], ttl: int, renewable: bool) -> None:
    async def scenario() -> None:
        house = await opened()
        auth = await house.make(**fields)
        assert (auth["lease_duration"], auth["renewable"]) == (ttl, renewable)
        token = auth["client_token"]
        house.clock.sleep((ttl or 10**6) - 1)
        assert await house.status(token) == 200
        house.clock.sleep(2)
        assert await house.status(token) == (403 if ttl else 200)

    play(scenario)


@pytest.mark.parametrize(
    ("fields", "ttl", "warnings"),
    [
        ({"ttl": "1h"}, HOUR, None),
        ({}, DEFAULT, None),
        (
            {"period": "30h"},
            LONGEST,
            ['period of "30h" exceeded the effective max_ttl of "20h"; period value is capped accordingly'],
        ),
    ],
)
def test_an_end_or_a_period_beyond_the_longest_lifetime_is_kept_and_has_no_effect(
    fields: dict[str, Any], ttl: int, warnings: list[str] | None
) -> None:
    async def scenario() -> None:
        house = await opened()
        wanted = {"policies": ["default"], "explicit_max_ttl": "100h", **fields}
        answer = await house("POST", "auth/token/create", wanted)
        assert (answer.body["auth"]["lease_duration"], answer.body["warnings"]) == (ttl, warnings)
        shown = await house("POST", "auth/token/lookup", {"token": answer.body["auth"]["client_token"]})
        assert shown.data["explicit_max_ttl"] == 100 * HOUR
        assert shown.data.get("period", 0) == (30 * HOUR if "period" in fields else 0)

    play(scenario)


def test_a_root_token_with_nothing_but_an_end_lives_until_then() -> None:
    async def scenario() -> None:
        house = await opened()
        answer = await house("POST", "auth/token/create", {"explicit_max_ttl": "100h"})
        assert (answer.body["auth"]["lease_duration"], answer.body["warnings"]) == (100 * HOUR, None)

    play(scenario)


def test_a_wished_value_is_taken_once_and_warned_of() -> None:
    async def scenario() -> None:
        house = await opened()
        answer = await house("POST", "auth/token/create", {"id": "mine", "policies": ["default"]})
        assert answer.body["auth"]["client_token"] == "mine"
        assert len(answer.body["warnings"]) == 1
        again = await house("POST", "auth/token/create", {"id": "mine"})
        assert again.error == "cannot create a token with a duplicate ID"
        assert await house.status("mine") == 200

    play(scenario)


@pytest.mark.parametrize(
    ("given", "name"),
    [("", "token"), ("web", "token-web"), ("a b/c", "token-a-b-c"), ("web--", "token-web"), ("é", "token")],
)
def test_a_display_name_keeps_letters_digits_and_hyphens(given: str, name: str) -> None:
    async def scenario() -> None:
        house = await opened()
        token = (await house.make(display_name=given))["client_token"]
        assert (await house("GET", "auth/token/lookup-self", token=token)).data["display_name"] == name

    play(scenario)


@pytest.mark.parametrize("life", [{"ttl": "1h"}, {"period": "1h"}, {"explicit_max_ttl": "1h"}])
def test_a_root_token_that_ends_makes_no_root_token_that_does_not(life: dict[str, str]) -> None:
    async def scenario() -> None:
        house = await opened()
        ending = (await house.make(policies=["root"], **life))["client_token"]
        for fields in ({}, {"policies": ["root"]}, {"no_parent": True}):
            answer = await house("POST", "auth/token/create", fields, token=ending)
            assert answer.status == 400
            assert answer.error == "expiring root tokens cannot create non-expiring root tokens"
        assert (await house.make(token=ending, policies=["root"], ttl="2h"))["lease_duration"] == 2 * HOUR

    play(scenario)
