# SPDX-License-Identifier: EUPL-1.2
"""Revoking a tree: worthless at once, whatever its size; its rows go by and by, and nothing stays behind."""

from collections.abc import Mapping
from typing import Any

import msgspec

from tests.calls import fill_call
from tests.unit.token.house import CORE, HOUR, TokenHouse, opened, play
from vault.barrier.view import View
from vault.framework.call import Call
from vault.framework.secret import Secret
from vault.token.authenticator import ServiceTokens
from vault.token.model import DEEPEST
from vault.token.store import GONE_KIND
from vault.values.ids import ROOT_ID, TokenKey
from vault.values.times import Millis

MANY = 200
"""More than one transaction removes."""


async def _mighty(house: TokenHouse, **fields: Any) -> Mapping[str, Any]:
    """Make a token that may do everything."""
    await house.policy("all", 'path "*" { capabilities = ["create", "read", "update", "sudo"] }')
    return await house.make(policies=["all"], **fields)


async def _broad(house: TokenHouse, **fields: Any) -> tuple[str, list[dict[str, str]]]:
    """Make a token with many children, the last of which has a child of its own; return all `auth`s."""
    top = str((await _mighty(house, ttl="5h", **fields))["client_token"])
    below = [dict(await house.make(token=top, ttl="4h")) for _ in range(MANY)]
    below.append(dict(await house.make(token=below[-1]["client_token"], ttl="3h")))
    return top, below


async def _sweep(house: TokenHouse) -> int:
    """Let the timers do what is left; return how many rounds that took."""
    rounds = 0
    while due := [
        t for t in await house.storage.claim(house.clock.millis(), 100, hold=Millis(0)) if t.kind == GONE_KIND
    ]:
        for timer in due:
            rounds += 1
            async with house.barrier.write(ROOT_ID, CORE) as core:
                await core.cancel(timer.kind, timer.key)
                await house.tokens.due(core, TokenKey(timer.key), house.clock.millis())
    return rounds


async def _worth(house: TokenHouse, auth: dict[str, str]) -> list[int]:
    """Return the statuses of everything that can be done with a token or about it."""
    token, accessor = {"token": auth["client_token"]}, {"accessor": auth["accessor"]}
    asked = [
        await house("GET", "auth/token/lookup-self", token=auth["client_token"]),
        await house("POST", "auth/token/renew-self", token=auth["client_token"]),
        await house("POST", "auth/token/create", {"ttl": "1m"}, token=auth["client_token"]),
        await house("POST", "auth/token/lookup", token),
        await house("POST", "auth/token/renew", token),
        await house("POST", "auth/token/lookup-accessor", accessor),
        await house("POST", "auth/token/renew-accessor", accessor),
        await house("POST", "auth/token/revoke-orphan", token),
    ]
    return [answer.status for answer in asked]


def test_every_descendant_is_refused_at_once_while_most_rows_are_still_there() -> None:
    async def scenario() -> None:
        house = await opened()
        top, below = await _broad(house)
        before = len(await house.stored())
        assert (await house("POST", "auth/token/revoke", {"token": top})).status == 204
        assert len(await house.stored()) > before // 2
        for auth in below[:: MANY // 4] + below[-2:]:
            assert await _worth(house, auth) == [403, 403, 403, 403, 400, 400, 400, 400]

    play(scenario)


def test_what_a_revoked_tree_left_is_removed_round_by_round_and_nothing_stays() -> None:
    async def scenario() -> None:
        house = await opened()
        before = await house.stored()
        top, _ = await _broad(house)
        await house("POST", "auth/token/revoke", {"token": top})
        assert await _sweep(house) > 1
        assert await house.stored() == before
        assert await house.due(Millis(house.clock.millis() + 6 * HOUR * 1000)) == []

    play(scenario)


def test_a_batch_token_ends_with_what_is_above_its_parent() -> None:
    async def scenario() -> None:
        house = await opened()
        top, below = await _broad(house)
        token = (await house.make(token=below[0]["client_token"], type="batch"))["client_token"]
        assert await house.status(token) == 200
        await house("POST", "auth/token/revoke", {"token": top})
        assert await house.status(token) == 403

    play(scenario)


def test_whoever_is_remembered_falls_with_a_token_far_above() -> None:
    async def scenario() -> None:
        house = await opened()
        chain = [(await _mighty(house, ttl="5h"))["client_token"]]
        for _ in range(5):
            chain.append((await house.make(token=chain[-1], ttl="5h"))["client_token"])
        other = (await house.make(ttl="5h"))["client_token"]
        service = ServiceTokens(house.tokens, house.barrier, house.follower)
        await house.follower.catch_up()
        for token in (chain[-1], other):
            await service.authenticate(_call(house, token))
            assert service.known(_call(house, token)) is not None
        async with house.barrier.write(ROOT_ID, CORE) as core:
            await house.tokens.revoke_tree(core, house.tokens.key(chain[1]))
        await house.follower.follow()
        assert service.known(_call(house, chain[-1])) is None
        assert service.known(_call(house, other)) is not None

    play(scenario)


def _call(house: TokenHouse, token: str) -> Call:
    call = Call()
    fill_call(call, token=Secret(token), now=house.clock.millis(), path="secret/x")
    return call


def test_a_remembered_token_ends_when_the_first_of_those_above_it_expires() -> None:
    async def scenario() -> None:
        house = await opened()
        parent = (await _mighty(house, ttl="1h"))["client_token"]
        child = (await house.make(token=parent, ttl="5h"))["client_token"]
        assert await house.status(child) == 200
        house.clock.sleep(HOUR + 1)
        assert await house.status(child) == 403

    play(scenario)


def test_the_children_of_a_token_that_is_revoked_alone_are_orphans_at_once_however_many() -> None:
    async def scenario() -> None:
        house = await opened()
        before = await house.stored()
        top, below = await _broad(house)
        assert (await house("POST", "auth/token/revoke-orphan", {"token": top})).status == 204
        for auth in (below[0], below[MANY // 2], below[MANY - 1]):
            seen = await house("POST", "auth/token/lookup", {"token": auth["client_token"]})
            assert (seen.status, seen.body["data"]["orphan"]) == (200, True)
        assert await house.status(below[-1]["client_token"]) == 200
        await _sweep(house)
        for auth in below[:MANY]:
            entry = await house.entry(auth["client_token"])
            assert entry is not None
            assert (entry.parent, entry.orphan) == ("", True)
        for auth in below[:MANY]:
            await house("POST", "auth/token/revoke", {"token": auth["client_token"]})
        assert await house.stored() == before

    play(scenario)


def test_an_orphan_that_is_revoked_before_it_is_one_in_writing_stays_revoked() -> None:
    async def scenario() -> None:
        house = await opened()
        before = await house.stored()
        top, below = await _broad(house)
        await house("POST", "auth/token/revoke-orphan", {"token": top})
        for auth in below[:MANY]:
            assert (await house("POST", "auth/token/revoke", {"token": auth["client_token"]})).status == 204
        assert await house.status(below[-1]["client_token"]) == 403
        await _sweep(house)
        assert await house.stored() == before

    play(scenario)


def test_an_id_that_somebody_chose_is_not_free_again_before_its_descendants_are_gone() -> None:
    async def scenario() -> None:
        house = await opened()
        top, below = await _broad(house, id="chosen")
        assert top == "chosen"
        await house("POST", "auth/token/revoke", {"token": top})
        again = await house("POST", "auth/token/create", {"id": "chosen", "policies": ["root"]})
        assert (again.status, again.body["errors"]) == (400, ["cannot create a token with a duplicate ID"])
        await _sweep(house)
        assert (await house("POST", "auth/token/create", {"id": "chosen"})).status == 200
        assert await house.status(below[0]["client_token"]) == 403

    play(scenario)


def test_what_hung_on_a_token_does_not_hang_on_a_later_one_with_its_id() -> None:
    async def scenario() -> None:
        house = await opened()
        parent = (await _mighty(house, ttl="1h", id="chosen"))["client_token"]
        batch = (await house.make(token=parent, type="batch"))["client_token"]
        assert await house.status(batch) == 200
        await house("POST", "auth/token/revoke", {"token": parent})
        house.clock.sleep(2)
        await house.make(policies=["root"], id="chosen")
        assert await house.status(batch) == 403

    play(scenario)


def test_a_token_of_before_its_parents_moment_was_written_lives_and_hangs_on_its_parent_alone() -> None:
    async def scenario() -> None:
        house = await opened()
        parent = (await _mighty(house, ttl="1h", id="chosen"))["client_token"]
        child = (await house.make(token=parent))["client_token"]
        entry = await house.entry(child)
        assert entry is not None
        assert entry.parent_created
        old = msgspec.structs.replace(entry, parent_created=0)
        async with house.barrier.write(ROOT_ID, CORE) as core:
            await house.tokens.update(core, house.tokens.key(child), old)
        await house.follower.follow()
        assert await house.status(child) == 200
        assert (await house("POST", "auth/token/renew-self", token=child)).status == 200
        young = await house.entry(parent)
        assert young is not None
        async with house.barrier.write(ROOT_ID, CORE) as core:
            later = msgspec.structs.replace(young, created=entry.created + 2_000_000_000)
            await house.tokens.update(core, house.tokens.key(parent), later)
        await house.follower.follow()
        assert await house.status(child) == 403

    play(scenario)


def test_a_token_has_no_more_tokens_above_it_than_can_be_asked_for_quickly() -> None:
    async def scenario() -> None:
        house = await opened()
        token = (await _mighty(house, ttl="5h"))["client_token"]
        key = house.tokens.key(token)
        entry = await house.entry(token)
        assert entry is not None
        async with house.barrier.write(ROOT_ID, CORE) as core:
            await house.tokens.update(core, key, msgspec.structs.replace(entry, depth=DEEPEST))
        await house.follower.follow()
        refused = await house("POST", "auth/token/create", {}, token=token)
        assert refused.status == 400
        assert "make an orphan instead" in refused.body["errors"][0]
        assert (await house("POST", "auth/token/create-orphan", {}, token=token)).status == 200

    play(scenario)


def test_what_belongs_to_a_token_is_asked_for_until_nothing_is_left() -> None:
    async def scenario() -> None:
        house = await opened()
        left = {"rounds": 3}

        async def purge(core: View, key: str) -> bool:
            del core
            if key != house.tokens.key(child):
                return False
            left["rounds"] -= 1
            return left["rounds"] > 0

        house.tokens.on_revoke(purge)
        parent = (await _mighty(house, ttl="1h"))["client_token"]
        child = (await house.make(token=parent, ttl="1h"))["client_token"]
        await house("POST", "auth/token/revoke", {"token": parent})
        assert left["rounds"] == 2
        await _sweep(house)
        assert left["rounds"] == 0

    play(scenario)


def test_a_token_that_is_used_up_leaves_storage_a_minute_later() -> None:
    async def scenario() -> None:
        house = await opened()
        token = (await _mighty(house, num_uses=1))["client_token"]
        key = house.tokens.key(token)
        assert await house.status(token) == 200
        assert await house.due(Millis(house.clock.millis() + 59_000)) == []
        assert await house.due(Millis(house.clock.millis() + 61_000)) == [key]

    play(scenario)
