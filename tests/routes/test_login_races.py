# SPDX-License-Identifier: EUPL-1.2
"""Logins that come at once with each other, and with what changes whose they are or what they need."""

import asyncio
from collections.abc import Awaitable, Iterator

import pytest

from nhi.identity.records.names import former_place, place
from tests.routes.driver import Answer
from tests.routes.logins import World, world
from vault.barrier.view import core_prefix
from vault.values.ids import ROOT_ID, MountAccessor

pytestmark = pytest.mark.loopback
AT_ONCE = 12


@pytest.fixture(scope="module")
def everybody(memory: str) -> Iterator[World]:
    """An application that somebody can log in to in every way."""
    with world() as made:
        yield made


def _all(everybody: World, *sent: Awaitable[Answer]) -> list[Answer]:
    async def gathered() -> list[Answer]:
        return await asyncio.gather(*sent)

    found: list[Answer] = everybody.application.run(gathered())
    return found


def _login(everybody: World, subject: str, path: str = "jwt/login", role: str = "r") -> Awaitable[Answer]:
    body = {"role": role, "jwt": everybody.proof(sub=subject)}
    return everybody.application.ask("POST", f"/v1/auth/{path}", body)


def _entities(answers: list[Answer]) -> list[str]:
    assert {answer.status for answer in answers} == {200}
    return [answer.json()["auth"]["entity_id"] for answer in answers]


def test_first_logins_of_names_that_look_alike_make_an_entity_each(everybody: World) -> None:
    names = ("gil", "GIL", "Gil", " gil")
    answers = _all(everybody, *(_login(everybody, names[number % 4]) for number in range(4 * AT_ONCE)))
    found = _entities(answers)
    assert [len(set(found[first::4])) for first in range(4)] == [1] * 4
    assert len(set(found)) == 4


def test_role_ids_that_differ_by_case_are_two_roles_and_equal_ones_one_however_they_come(
    everybody: World,
) -> None:
    ids = ("seven", "SEVEN")
    written = _all(
        everybody,
        *(
            everybody.application.ask(
                "POST", f"/v1/auth/approle/role/at{number}", {"role_id": ids[number % 2]}, token="root"
            )
            for number in range(AT_ONCE)
        ),
    )
    assert sorted(answer.status for answer in written) == [204] * 2 + [400] * (AT_ONCE - 2)


def test_an_alias_from_before_stays_its_owners_while_it_is_written_anew(everybody: World) -> None:
    """Others of another spelling log in meanwhile, and an operator changes the alias, which moves it."""
    accessor = everybody.accessor("jwt")
    owner = _entities(_all(everybody, _login(everybody, "Hal")))[0]
    alias = everybody.root(f"identity/entity/id/{owner}", method="GET")["data"]["aliases"][0]["id"]
    former = former_place(MountAccessor(accessor), "Hal")

    async def move() -> None:
        async with everybody.application.vault.ground.barrier.write(ROOT_ID, core_prefix(ROOT_ID)) as core:
            await core.delete(f"identity/entity-factor/{place(MountAccessor(accessor), 'Hal')}")
            await core.put(f"identity/entity-factor/{former}", alias.encode())

    everybody.application.run(move())
    change = everybody.application.ask(
        "POST", f"/v1/identity/entity-alias/id/{alias}", {"custom_metadata": {"a": "b"}}, token="root"
    )
    logins = [_login(everybody, "Hal" if number % 2 else "hal") for number in range(2 * AT_ONCE)]
    answers = _all(everybody, *logins[:AT_ONCE], change, *logins[AT_ONCE:])
    changed = answers.pop(AT_ONCE)
    assert changed.status == 200
    found = _entities(answers)
    assert set(found[1::2]) == {owner}
    others = set(found[0::2])
    assert len(others) == 1 and owner not in others


def test_once_a_factor_is_demanded_no_login_that_is_nobodys_gets_a_token(everybody: World) -> None:
    method = everybody.root("identity/mfa/method/totp", {"issuer": "I"})["data"]["method_id"]
    rule = {"mfa_method_ids": [method], "auth_method_types": ["jwt"]}
    path = "/v1/identity/mfa/login-enforcement/all"
    late: list[Answer] = []
    written = asyncio.Event()

    async def demand() -> Answer:
        answer = await everybody.application.ask("POST", path, rule, token="root")
        written.set()
        return answer

    async def one() -> Answer:
        begun_late = written.is_set()
        answer = await _login(everybody, "ida", "jwt/cel/login", "nameless")
        if begun_late:
            late.append(answer)
        return answer

    async def many() -> None:
        await written.wait()
        for _ in range(3):
            await one()

    async def storm() -> Answer:
        early = [asyncio.create_task(one()) for _ in range(AT_ONCE)]
        demanded = asyncio.create_task(demand())
        await asyncio.gather(*early, *(many() for _ in range(4)))
        return await demanded

    try:
        assert everybody.application.run(storm()).status == 204
        assert len(late) == 12
        assert {answer.status for answer in late} == {403}
    finally:
        everybody.application.request("DELETE", path, token="root")
