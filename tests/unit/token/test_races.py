# SPDX-License-Identifier: EUPL-1.2
"""A request that was let in before a revocation, and whose turn to write comes after it."""

import asyncio

import pytest

from tests.unit.token.house import TokenHouse, opened, play
from vault.engines.system.policies.acl import PolicyEngine


async def _overtaken(
    house: TokenHouse, token: str, path: str, body: object, *, by: str = ""
) -> tuple[int, int]:
    """Let `by`, or `token` itself, write while the revocation of `token` is ahead; return both statuses."""
    async with house.storage.write():
        revoking = asyncio.create_task(house("POST", "auth/token/revoke", {"token": token}))
        for _ in range(5):
            await asyncio.sleep(0)
        writing = asyncio.create_task(house("POST", path, body, token=by or token))
        for _ in range(5):
            await asyncio.sleep(0)
    return (await revoking).status, (await writing).status


@pytest.mark.parametrize("kind", ["service", "batch"])
def test_a_write_that_waited_behind_the_revocation_it_depends_on_is_not_done(kind: str) -> None:
    async def scenario() -> None:
        house = TokenHouse()
        await house.open(PolicyEngine(house.policies, house.barrier, house.clock))
        await house.policy("all", 'path "*" { capabilities = ["create", "update", "read", "sudo"] }')
        parent = (await house.make(policies=["all"]))["client_token"]
        token = (await house.make(token=parent, type=kind))["client_token"]
        assert await house.status(token) == 200
        body = {"policy": 'path "a" { capabilities = ["read"] }'}
        assert await _overtaken(house, parent, "sys/policies/acl/x", body, by=token) == (204, 403)
        assert (await house("GET", "sys/policies/acl/x")).status == 404

    play(scenario)


def test_no_child_is_made_of_a_token_that_was_revoked_meanwhile() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.policy("make", 'path "auth/token/create" { capabilities = ["create", "update"] }')
        token = (await house.make(policies=["make"]))["client_token"]
        assert await house.status(token) == 200
        before = await house.stored()
        assert await _overtaken(house, token, "auth/token/create", {"ttl": "1h"}) == (204, 403)
        assert len(await house.stored()) < len(before)

    play(scenario)


def test_nothing_is_left_in_the_cubbyhole_of_a_token_that_was_revoked_meanwhile() -> None:
    async def scenario() -> None:
        house = await opened()
        token = (await house.make(policies=["default"]))["client_token"]
        assert await house.status(token) == 200
        assert await _overtaken(house, token, "cubbyhole/a", {"a": "1"}) == (204, 403)
        assert list(await house.storage.reader().scan("ns/root/mnt/")) == []

    play(scenario)


def test_a_write_whose_policy_was_taken_away_meanwhile_is_not_done() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.policy("make", 'path "auth/token/create" { capabilities = ["create", "update"] }')
        token = (await house.make(policies=["make"]))["client_token"]
        await house.make(token=token)
        async with house.storage.write():
            changing = asyncio.create_task(house.policy("make", 'path "a" { capabilities = ["read"] }'))
            for _ in range(5):
                await asyncio.sleep(0)
            making = asyncio.create_task(house("POST", "auth/token/create", {}, token=token))
            for _ in range(5):
                await asyncio.sleep(0)
        await changing
        assert (await making).status == 403

    play(scenario)
