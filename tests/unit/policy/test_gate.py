# SPDX-License-Identifier: EUPL-1.2
"""From a caller's policies to a verdict: compiled once, and forgotten when anything that it rests on changed."""

import asyncio
from typing import Any

import pytest

from tests.calls import fill_call
from tests.turns import of_others
from tests.unit.engines.driver import who
from tests.unit.engines.system.house import CORE, House, play
from vault.framework.call import ROOT, Call, Identity, Namespace
from vault.framework.errors import NotFound
from vault.framework.reply import Reply
from vault.framework.request.operation import Operation
from vault.framework.route_table import special
from vault.policy.gate import seen_by
from vault.policy.store import PolicyEntry, PolicyStore
from vault.values.ids import ROOT_ID, NamespaceId
from vault.values.times import Nanos

READ = 'path "a" { capabilities = ["read"] }'
FILTERED = """
path "list/" { capabilities = ["list"] list_scan_response_keys_filter_path = "seen/{{ .key }}" }
path "seen/a" { capabilities = ["read"] }
path "seen/b" { capabilities = ["read"] }
"""


async def _house(**policies: str) -> House:
    house = await House().open()
    for name, text in policies.items():
        await house.policy(name, text)
    await house.follower.catch_up()
    return house


def _caller(*policies: str) -> Identity:
    identity = who("x")
    identity.policies = policies
    return identity


def _call(house: House, path: str, identity: Identity | None, operation: Operation = Operation.READ) -> Call:
    call = Call()
    fill_call(call, path=path, operation=operation, identity=identity, now=house.clock.millis())
    call.bound = special(_nothing, operation)
    return call


async def _nothing(call: Call) -> None:
    """Answer nothing, with a route that is free for nobody."""


def test_a_verdict_is_asked_for_once_and_then_in_memory() -> None:
    async def scenario() -> None:
        house = await _house(p=READ)
        call = _call(house, "a", _caller("p"))
        assert house.gate.decide(call) is None
        assert (await house.gate.check(call)).allowed
        known = house.gate.decide(call)
        assert known is not None
        assert known.allowed

    asyncio.run(scenario())


def test_a_changed_policy_counts_as_soon_as_the_change_is_known() -> None:
    async def scenario() -> None:
        house = await _house(p=READ)
        call = _call(house, "a", _caller("p"))
        assert (await house.gate.check(call)).allowed
        await house.policy("p", 'path "b" { capabilities = ["read"] }')
        await house.follower.follow()
        assert house.gate.decide(call) is None
        assert not (await house.gate.check(call)).allowed

    asyncio.run(scenario())


def test_a_removed_policy_grants_nothing_and_is_no_longer_named() -> None:
    async def scenario() -> None:
        house = await _house(p=READ)
        call = _call(house, "a", _caller("p", "unknown"))
        assert (await house.gate.check(call)).allowed
        async with house.barrier.write(ROOT_ID, CORE) as core:
            assert list(await house.policies.names(core)) == ["default", "p"]
            await house.policies.delete(core, "p")
        await house.follower.follow()
        assert not (await house.gate.check(call)).allowed
        assert list(await house.policies.names(house.barrier.reader(ROOT_ID, CORE))) == ["default"]

    asyncio.run(scenario())


def test_a_policy_that_ends_grants_until_then_and_not_longer() -> None:
    async def scenario() -> None:
        house = await _house()
        end = house.clock.nanos() + 60 * 1_000_000_000
        async with house.barrier.write(ROOT_ID, CORE) as core:
            entry = PolicyEntry(text=READ, version=1, modified=Nanos(1), expires=Nanos(end))
            await house.policies.put(core, "p", entry)
        await house.follower.catch_up()
        caller = _caller("p")
        assert (await house.gate.check(_call(house, "a", caller))).allowed
        house.clock.sleep(61)
        late = _call(house, "a", caller)
        assert house.gate.decide(late) is None
        assert not (await house.gate.check(late)).allowed

    asyncio.run(scenario())


def test_what_was_compiled_from_newer_data_than_this_process_knows_of_is_not_kept() -> None:
    async def scenario() -> None:
        house = await _house(p=READ)
        async with house.barrier.write(ROOT_ID, CORE) as core:
            await core.invalidate("policy", "other")
        call = _call(house, "a", _caller("p"))
        assert (await house.gate.check(call)).allowed
        assert house.gate.decide(call) is None

    asyncio.run(scenario())


def test_nobody_is_decided_for() -> None:
    async def scenario() -> None:
        house = await _house()
        call = _call(house, "a", None)
        assert house.gate.decide(call) is None
        with pytest.raises(AssertionError):
            await house.gate.check(call)
        with pytest.raises(AssertionError):
            await house.gate.filter(call, Reply({"keys": ["a"]}))

    asyncio.run(scenario())


def test_compiled_sets_of_policies_are_bounded() -> None:
    async def scenario() -> None:
        house = await _house(p=READ)
        policies = PolicyStore(house.policies.epoch, most_compiled=2)
        reader = house.barrier.reader(ROOT_ID, CORE)
        for number in range(7):
            await policies.acl(reader, ROOT.id, ("p", str(number)), house.clock.millis())
            assert len(policies._compiled) <= 2

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        ({"keys": ["a", "c", "b"]}, {"keys": ["a", "b"]}),
        ({"keys": ["a", "c"], "key_info": {"a": 1, "c": 2}}, {"keys": ["a"], "key_info": {"a": 1}}),
        ({"keys": []}, {"keys": []}),
        ({"other": ["c"]}, {"other": ["c"]}),
    ],
)
def test_a_listing_shows_what_the_policy_lets_through(data: dict[str, Any], shown: dict[str, Any]) -> None:
    async def scenario() -> None:
        house = await _house(p=FILTERED)
        call = _call(house, "list/", _caller("p"), Operation.LIST)
        call.decision = await house.gate.check(call)
        reply: Reply[Any] = Reply(data)
        await house.gate.filter(call, reply)
        assert reply.data == shown

    asyncio.run(scenario())


def test_a_listing_is_filtered_though_a_policy_changed_after_the_call_was_let_in() -> None:
    """The fence has found the data as old as the decision: so the answer is what that decision lets through."""

    async def scenario() -> None:
        house = await _house(p=FILTERED)
        call = _call(house, "list/", _caller("p"), Operation.LIST)
        call.decision = await house.gate.check(call)
        await house.policy("other", READ)
        await house.follower.follow()
        reply: Reply[Any] = Reply({"keys": ["a", "c", "b"]})
        await house.gate.filter(call, reply)
        assert reply.data == {"keys": ["a", "b"]}

    asyncio.run(scenario())


def test_others_have_turns_while_a_long_listing_is_filtered() -> None:
    async def scenario() -> None:
        house = await _house(p=FILTERED)
        call = _call(house, "list/", _caller("p"), Operation.LIST)
        call.decision = await house.gate.check(call)
        reply: Reply[Any] = Reply({"keys": ["a", *map(str, range(10_000))]})
        async with of_others() as turns:
            await house.gate.filter(call, reply)
        assert reply.data == {"keys": ["a"]}
        assert turns.count > 5

    asyncio.run(scenario())


def test_a_listing_of_which_nothing_may_be_seen_is_not_found() -> None:
    async def scenario() -> None:
        house = await _house(p=FILTERED)
        call = _call(house, "list/", _caller("p"), Operation.LIST)
        call.decision = await house.gate.check(call)
        with pytest.raises(NotFound):
            await house.gate.filter(call, Reply({"keys": ["x", "y"]}))

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("home", "path", "seen"),
    [
        ("", "a/b", "a/b"),
        ("team/", "team/a", "a"),
        ("team/", "team/", ""),
        ("team/", "team2/a", None),
        ("team/", "a", None),
        ("team/inner/", "team/a", None),
    ],
)
def test_sl_07_policies_see_paths_from_their_own_namespace_on(home: str, path: str, seen: str | None) -> None:
    identity = _caller("all")
    identity.namespace = Namespace(NamespaceId("aaaaaa" if home else "root"), home)
    assert seen_by(identity, path) == seen


@pytest.mark.parametrize("name", ["all", "root"])
def test_outside_of_its_namespace_a_policy_allows_nothing_whatever_it_says(name: str) -> None:
    async def scenario() -> None:
        house = await _house()
        tenant = await house.namespace("team")
        async with house.barrier.write(ROOT_ID, "ns/root/") as core:
            entry = PolicyEntry(text='path "*" { capabilities = ["read"] }', version=1, modified=Nanos(1))
            await house.policies.put(core.space(tenant.id), "all", entry, tenant.id)
        await house.follower.catch_up()
        identity = _caller(name)
        identity.namespace = tenant
        inside, outside = _call(house, "x", identity), _call(house, "x", identity)
        fill_call(inside, namespace=tenant)
        verdict = await house.gate.check(inside)
        assert (verdict.allowed, verdict.root) == (True, name == "root")
        assert not (await house.gate.check(outside)).allowed
        beside = _call(house, "x", identity)
        fill_call(beside, namespace=Namespace(NamespaceId("bbbbbb"), "team2/"))
        assert not (await house.gate.check(beside)).allowed

    play(scenario)
