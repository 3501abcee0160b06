# SPDX-License-Identifier: EUPL-1.2
"""What an entity's tokens are worth, at each request: nothing is frozen at the login, and nobody else's is shared."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from nhi.identity.records import store
from tests.calls import fill_call, mount_facts
from tests.unit.engines.system.house import CORE
from tests.unit.nhi.auth.house import AuthHouse, auth, opened, together
from tests.unit.token.house import play
from vault.framework.call import Call
from vault.framework.identity import LoginAlias
from vault.policy.store import PolicyEntry
from vault.values.ids import ROOT_ID, EntityId, MountAccessor
from vault.values.times import Nanos


async def ada(house: AuthHouse) -> tuple[str, str]:
    """Make a user, log in, and return token and entity id."""
    await house.user()
    found = auth(await house.log_in())
    return found["client_token"], found["entity_id"]


async def can(house: AuthHouse, token: str, path: str = "sys/locked-users") -> bool:
    """Whether a token may read a path now: the request itself is made."""
    return (await house("GET", path, token=token)).status != 403


async def policy(house: AuthHouse, name: str, path: str, capability: str = "read") -> None:
    """Store a policy with one rule, as the API does: whoever compiled it asks again."""
    async with house.barrier.write(ROOT_ID, CORE) as core:
        text = f'path "{path}" {{ capabilities = ["{capability}"] }}'
        await house.policies.put(core, name, PolicyEntry(text=text, version=1, modified=Nanos(1)))
    await house.follower.catch_up()


async def changed(house: AuthHouse, entity: str, **fields: object) -> None:
    """Change an entity."""
    await house.good("POST", f"identity/entity/id/{entity}", fields)


def test_a_policy_that_an_entity_gets_or_loses_counts_at_the_next_request() -> None:
    async def scenario() -> None:
        house = await opened()
        token, entity = await ada(house)
        await policy(house, "look", "sys/locked-users")
        assert not await can(house, token)
        await changed(house, entity, policies=["look"])
        assert await can(house, token)
        await changed(house, entity, policies=[])
        assert not await can(house, token)

    play(scenario)


def test_sl_34_a_group_counts_while_the_entity_is_in_it_through_however_many_groups() -> None:
    async def scenario() -> None:
        house = await opened()
        token, entity = await ada(house)
        await policy(house, "look", "sys/locked-users")
        inner = await house.good("POST", "identity/group", {"name": "inner", "member_entity_ids": entity})
        middle = await house.good(
            "POST", "identity/group", {"name": "m", "member_group_ids": inner.data["id"]}
        )
        body = {"name": "outer", "member_group_ids": middle.data["id"], "policies": "look"}
        outer = await house.good("POST", "identity/group", body)
        assert await can(house, token)
        await house.good("POST", f"identity/group/id/{inner.data['id']}", {"member_entity_ids": []})
        assert not await can(house, token)
        await house.good("POST", f"identity/group/id/{inner.data['id']}", {"member_entity_ids": [entity]})
        assert await can(house, token)
        await house.good("DELETE", f"identity/group/id/{outer.data['id']}")
        assert not await can(house, token)

    play(scenario)


@pytest.mark.parametrize("kind", ["service", "batch"])
def test_tokens_of_an_entity_that_is_disabled_or_gone_are_refused_at_once(kind: str) -> None:
    async def scenario() -> None:
        house = await opened()
        await house.user(token_type=kind)
        found = auth(await house.log_in())
        token, entity = found["client_token"], found["entity_id"]
        assert (await house("GET", "auth/token/lookup-self", token=token)).status == 200
        await changed(house, entity, disabled=True)
        assert (await house("GET", "auth/token/lookup-self", token=token)).status == 403
        assert (await house.log_in()).status == 403
        await changed(house, entity, disabled=False)
        assert (await house("GET", "auth/token/lookup-self", token=token)).status == 200
        await house.good("DELETE", f"identity/entity/id/{entity}")
        assert (await house("GET", "auth/token/lookup-self", token=token)).status == 403

    play(scenario)


def test_sl_102_another_process_obeys_a_change_of_an_entity_at_its_next_request() -> None:
    async def scenario() -> None:
        house = await opened()
        token, entity = await ada(house)
        assert (await house("GET", "auth/token/lookup-self", token=token)).status == 200
        kept = house.follower.epoch
        async with house.barrier.write(
            ROOT_ID, CORE
        ) as core:  # another process: this one's caches are not told
            found = await store.entity(core, EntityId(entity))
            assert found is not None
            await store.put(core, ROOT_ID, msgspec.structs.replace(found, disabled=True), found)
        assert house.follower.epoch == kept
        assert (await house("GET", "auth/token/lookup-self", token=token)).status == 403

    play(scenario)


def test_sl_05_a_value_that_may_not_stand_in_a_path_refuses_everything_the_deny_beside_it_too() -> None:
    async def scenario() -> None:
        house = await opened()
        token, entity = await ada(house)
        await policy(house, "all", "*")
        await policy(house, "not", "secret/{{identity.entity.metadata.team}}", "deny")
        await changed(house, entity, policies=["all", "not"], metadata={"team": "red"})
        assert await can(house, token)
        for value in ("a/b", "+", "*", "..", "", "\x00"):
            await changed(house, entity, metadata={"team": value})
            assert not await can(house, token), value

    play(scenario)


def test_sl_34_two_first_logins_at_once_are_one_entity() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.user()
        answers = await together(*(house.log_in() for _ in range(8)))
        assert len({auth(answer)["entity_id"] for answer in answers}) == 1
        assert len((await house.good("LIST", "identity/entity/id")).data["keys"]) == 1

    play(scenario)


def test_sl_34_entities_that_are_merged_into_each_other_at_once_leave_one_that_has_both_aliases() -> None:
    async def scenario() -> None:
        house = await opened()
        _, one = await ada(house)
        await house.good("POST", "sys/auth/second", {"type": "userpass"})
        await house.good("POST", "auth/second/users/eve", {"password": "pw"})
        other = auth(await house("POST", "auth/second/login/eve", {"password": "pw"}, token=""))["entity_id"]
        merges = [
            {"to_entity_id": to, "from_entity_ids": [gone]} for to, gone in ((one, other), (other, one))
        ]
        answers = await together(*(house("POST", "identity/entity/merge", body) for body in merges))
        assert sorted(answer.status for answer in answers) == [204, 400]
        (left,) = (await house.good("LIST", "identity/entity/id")).data["keys"]
        aliases = (await house.good("GET", f"identity/entity/id/{left}")).data["aliases"]
        assert {alias["name"] for alias in aliases} == {"ada", "eve"}

    play(scenario)


@pytest.mark.parametrize("kind", ["service", "batch"])
def test_tokens_of_an_entity_that_was_merged_go_on_as_the_one_that_stayed_and_end_with_it(kind: str) -> None:
    async def scenario() -> None:
        house = await opened()
        tokens, entities = [], []
        for name in ("ada", "bob", "carl"):
            await house.user(name, token_type=kind)
            found = auth(await house.log_in(name))
            tokens.append(found["client_token"])
            entities.append(found["entity_id"])
        for name in ("bob", "carl"):  # one entity has one alias for each mount
            ids = (
                await house.good("GET", f"identity/entity/id/{entities[('ada', 'bob', 'carl').index(name)]}")
            ).data
            await house.good("DELETE", f"identity/entity-alias/id/{ids['aliases'][0]['id']}")
        await policy(house, "look", "sys/locked-users")
        ada, bob, carl = entities
        await changed(house, bob, policies=["look"])
        assert [await can(house, token) for token in tokens] == [False, True, False]
        await house.good("POST", "identity/entity/merge", {"to_entity_id": bob, "from_entity_ids": [carl]})
        assert [await can(house, token) for token in tokens] == [False, True, True]
        await house.good("POST", "identity/entity/merge", {"to_entity_id": ada, "from_entity_ids": [bob]})
        assert [await can(house, token) for token in tokens] == [False] * 3
        await changed(house, ada, policies=["look"])
        assert [await can(house, token) for token in tokens] == [True] * 3
        await changed(house, ada, disabled=True)
        assert [await can(house, token) for token in tokens] == [False] * 3
        await changed(house, ada, disabled=False)
        await house.good(
            "POST", "identity/group", {"name": "g", "policies": ["look"], "member_entity_ids": [ada]}
        )
        await changed(house, ada, policies=[])
        assert [await can(house, token) for token in tokens] == [True] * 3
        await house.good("DELETE", f"identity/entity/id/{ada}")
        assert [await can(house, token) for token in tokens] == [False] * 3
        assert await house.barrier.reader(ROOT_ID, CORE).list("identity/entity-merged/") == []

    play(scenario)


def test_a_name_belongs_to_its_own_mount_and_a_new_mount_at_the_same_path_is_another_one() -> None:
    async def scenario() -> None:
        house = await opened()
        _, entity = await ada(house)
        await house.good("DELETE", "sys/auth/userpass")
        await house.good("POST", "sys/auth/userpass", {"type": "userpass"})
        await house.user()
        assert auth(await house.log_in())["entity_id"] != entity

    play(scenario)


def test_sl_34_the_two_halves_of_an_alias_cannot_be_moved_against_each_other() -> None:
    async def scenario() -> None:
        house = await opened()
        one = await enter(house, LoginAlias("b\0c"), "a")
        other = await enter(house, LoginAlias("c"), "a\0b")
        assert one != other

    play(scenario)


async def enter(house: AuthHouse, alias: LoginAlias, accessor: str) -> str:
    """Log in as an auth method does once it knows who it is; return the entity's id."""
    call = Call()
    fill_call(
        call,
        mount=mount_facts(path="auth/x/", kind="x", accessor=accessor, category="auth"),
    )
    async with house.barrier.write(ROOT_ID, CORE) as core:
        call.core = core
        standing = await house.identities.enter(call, alias, MountAccessor(accessor))
    await house.follower.catch_up()
    return standing.facts.entity_id


async def external(house: AuthHouse, name: str, accessor: str) -> str:
    """Make an external group that an authority calls `name`; return its id."""
    made = await house.good("POST", "identity/group", {"name": name, "type": "external", "policies": name})
    body = {"name": name, "mount_accessor": accessor, "canonical_id": made.data["id"]}
    await house.good("POST", "identity/group-alias", body)
    return str(made.data["id"])


async def members(house: AuthHouse, group: str) -> Any:
    """Return who is in a group."""
    return (await house.good("GET", f"identity/group/id/{group}")).data["member_entity_ids"]


def test_sl_34_every_login_puts_an_entity_into_exactly_the_external_groups_that_its_authority_names() -> None:
    async def scenario() -> None:
        house = await opened()
        accessor = await accessor_of(house, "userpass")
        red, blue = await external(house, "red", accessor), await external(house, "blue", accessor)
        entity = await enter(house, LoginAlias("kim", groups=("red", "unknown")), accessor)
        assert (await members(house, red), await members(house, blue)) == ([entity], None)
        assert await enter(house, LoginAlias("kim", groups=("blue",)), accessor) == entity
        assert (await members(house, red), await members(house, blue)) == (None, [entity])
        await enter(house, LoginAlias("kim"), accessor)
        assert await members(house, blue) == [entity]
        await enter(house, LoginAlias("kim", groups=()), accessor)
        assert await members(house, blue) is None

    play(scenario)


def test_an_authority_has_no_say_about_the_groups_of_another_or_about_internal_ones() -> None:
    async def scenario() -> None:
        house = await opened()
        one, other = await accessor_of(house, "userpass"), await accessor_of(house, "approle")
        theirs = await external(house, "red", other)
        entity = await enter(house, LoginAlias("kim", groups=("red",)), one)
        assert await members(house, theirs) is None
        body = {"name": "internal", "member_entity_ids": [entity]}
        internal = (await house.good("POST", "identity/group", body)).data["id"]
        await enter(house, LoginAlias("kim", groups=()), one)
        assert await members(house, internal) == [entity]

    play(scenario)


async def accessor_of(house: AuthHouse, mount: str) -> str:
    """Return the accessor of an auth mount."""
    found: Mapping[str, Any] = (await house.good("GET", "sys/auth")).data
    return str(found[f"{mount}/"]["accessor"])


@pytest.mark.parametrize("name", ["root", "ROOT", " root", "root\u200b", "\uff52\uff4f\uff4f\uff54"])
def test_sl_11_nobody_gets_the_root_policy_however_it_is_spelled(name: str) -> None:
    async def scenario() -> None:
        house = await opened()
        assert (await house("POST", "identity/entity", {"policies": [name]})).status == 400
        assert (await house("POST", "identity/group", {"policies": [name]})).status == 400

    play(scenario)
