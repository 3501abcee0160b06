# SPDX-License-Identifier: EUPL-1.2
"""Batch tokens: nothing is stored, nothing can be forged, and they end with what they hang on."""

import base64
from typing import Any

import msgspec
import pytest

from tests.unit.token.house import CORE, HOUR, TokenHouse, opened, play
from vault.barrier.envelope import entry_scope
from vault.token.model import TOKEN, TokenEntry
from vault.values.ids import ROOT_ID, TokenAccessor

READ = 'path "secret/*" { capabilities = ["read"] }'


async def _made(house: TokenHouse, **fields: Any) -> str:
    token: str = (await house.make(type="batch", policies=["default"], **fields))["client_token"]
    return token


async def _open(house: TokenHouse, token: str) -> TokenEntry | None:
    core = house.barrier.reader(ROOT_ID, CORE)
    return await house.batch.open(core, token, house.clock.nanos())


def _entry(house: TokenHouse, **fields: object) -> TokenEntry:
    plain = TokenEntry(
        accessor=TokenAccessor(""),
        policies=("default",),
        path="p",
        display_name="d",
        created=house.clock.nanos(),
        orphan=True,
    )
    return msgspec.structs.replace(plain, **fields)


def test_a_batch_token_is_made_without_storing_anything_and_shows_itself() -> None:
    async def scenario() -> None:
        house = await opened()
        before = await house.stored()
        auth = await house.make(
            type="batch", policies=["default"], ttl="1h", display_name="job", meta={"a": "b"}
        )
        assert await house.stored() == before
        assert auth["client_token"].startswith("b.")
        assert (auth["accessor"], auth["token_type"], auth["renewable"], auth["lease_duration"]) == (
            "",
            "batch",
            False,
            HOUR,
        )
        shown = (await house("GET", "auth/token/lookup-self", token=auth["client_token"])).data
        assert (shown["type"], shown["display_name"], shown["meta"]) == ("batch", "token-job", {"a": "b"})
        assert (shown["policies"], shown["accessor"], shown["num_uses"]) == (["default"], "", 0)

    play(scenario)


def test_it_ends_at_its_moment() -> None:
    async def scenario() -> None:
        house = await opened()
        token = await _made(house, ttl="1h")
        house.clock.sleep(HOUR - 2)
        assert await house.status(token) == 200
        house.clock.sleep(3)
        assert await house.status(token) == 403
        assert await _open(house, token) is None

    play(scenario)


def test_it_ends_with_the_token_that_made_it() -> None:
    async def scenario() -> None:
        house = await opened()
        parent = (await house.make(policies=["root"], ttl="2h"))["client_token"]
        child = await _made(house, token=parent)
        other = await _made(house)
        assert await house.status(child) == 200
        await house("POST", "auth/token/revoke", {"token": parent})
        assert await house.status(child) == 403
        assert await house.status(other) == 200

    play(scenario)


def test_it_ends_with_the_life_of_the_token_that_made_it() -> None:
    async def scenario() -> None:
        house = await opened()
        parent = (await house.make(policies=["root"], ttl="1h"))["client_token"]
        child = await _made(house, token=parent, ttl="5h")
        house.clock.sleep(HOUR + 1)
        assert await house.status(child) == 403

    play(scenario)


def test_an_orphan_outlives_the_token_that_made_it() -> None:
    async def scenario() -> None:
        house = await opened()
        parent = (await house.make(policies=["root"], ttl="1h"))["client_token"]
        child = await _made(house, token=parent, ttl="5h", to="create-orphan")
        await house("POST", "auth/token/revoke", {"token": parent})
        assert await house.status(child) == 200

    play(scenario)


def test_no_changed_character_and_no_shortened_token_is_accepted() -> None:
    async def scenario() -> None:
        house = await opened()
        token = await _made(house)
        assert await _open(house, token) is not None
        for place in range(2, len(token) - 1):
            changed = "A" if token[place] != "A" else "B"
            assert await _open(house, token[:place] + changed + token[place + 1 :]) is None
        for end in range(2, len(token)):
            assert await _open(house, token[:end]) is None

    play(scenario)


@pytest.mark.parametrize(
    "text", ["b.", "b.x", "b.=", "b.ü", "b. ", "b.AAAA", "b." + "A" * 64, "b." + "A" * 9000, "b.\0", "b.a b"]
)
def test_what_is_no_batch_token_is_refused(text: str) -> None:
    async def scenario() -> None:
        house = await opened()
        assert house.batch.recognises(text)
        assert await _open(house, text) is None
        assert (await house("POST", "auth/token/lookup", {"token": text})).error == "bad token"

    play(scenario)


def test_what_the_barrier_sealed_for_another_purpose_is_no_token() -> None:
    async def scenario() -> None:
        house = await opened()
        value = TOKEN.encode(_entry(house))
        for scope, place in ((entry_scope("root"), "token/id/x"), (entry_scope("other"), "token/batch")):
            sealed = house.barrier.keyring.encrypt(scope, place, value, house.entropy.bytes)
            assert await _open(house, "b." + base64.urlsafe_b64encode(sealed).decode().rstrip("=")) is None

    play(scenario)


def test_a_token_of_one_namespace_is_none_in_another() -> None:
    async def scenario() -> None:
        house = await opened()
        tenant, other = await house.namespace("a"), await house.namespace("b")
        token = house.batch.issue(tenant, _entry(house))
        assert token.endswith(f".{tenant.id}") and await _open(house, token) is not None
        bare = token.removesuffix(f".{tenant.id}")
        for changed in (bare, f"{bare}.root", f"{bare}.", f"{bare}.{other.id}", f"{bare}.zzzzzz"):
            assert await _open(house, changed) is None

    play(scenario)


@pytest.mark.parametrize(
    ("to", "body", "error"),
    [
        ("renew-self", {}, "batch tokens cannot be renewed"),
        ("revoke-self", {}, "batch tokens cannot be revoked"),
        ("create", {}, "batch tokens cannot create more tokens"),
    ],
)
def test_it_can_do_nothing_to_itself_and_make_nothing(to: str, body: object, error: str) -> None:
    async def scenario() -> None:
        house = await opened()
        await house.policy("all", 'path "*" { capabilities = ["update", "create", "sudo"] }')
        token = (await house.make(type="batch", policies=["all"]))["client_token"]
        answer = await house("POST", f"auth/token/{to}", body, token=token)
        assert (answer.status, answer.error) == (400, error)

    play(scenario)


@pytest.mark.parametrize("to", ["renew", "revoke"])
def test_nobody_else_can_renew_or_revoke_it_either(to: str) -> None:
    async def scenario() -> None:
        house = await opened()
        answer = await house("POST", f"auth/token/{to}", {"token": await _made(house)})
        assert (answer.status, answer.error) == (400, f"batch tokens cannot be {to.rstrip('e')}ed")

    play(scenario)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"num_uses": 3}, 'batch tokens cannot have "num_uses" set'),
        ({"period": "1h"}, 'batch tokens cannot have "period" set'),
        ({"explicit_max_ttl": "1h"}, 'batch tokens cannot have "explicit_max_ttl" set'),
        ({"policies": ["root"]}, "batch tokens cannot be root tokens"),
    ],
)
def test_what_would_have_to_be_stored_is_refused(fields: dict[str, object], error: str) -> None:
    async def scenario() -> None:
        house = await opened()
        answer = await house(
            "POST", "auth/token/create", {"type": "batch", "policies": ["default"], **fields}
        )
        assert (answer.status, answer.error) == (400, error)

    play(scenario)


def test_nothing_is_remembered_of_it() -> None:
    async def scenario() -> None:
        house = await opened()
        token = await _made(house)
        await house.status(token)
        house.barrier.seal()
        assert await house.status(token) == 503

    play(scenario)


def test_a_policy_of_a_batch_token_is_enforced() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.policy("read", READ)
        token = (await house.make(type="batch", policies=["read"], no_default_policy=True))["client_token"]
        assert (await house("GET", "secret/x", token=token)).status == 404
        assert (await house("GET", "elsewhere/x", token=token)).status == 403

    play(scenario)
