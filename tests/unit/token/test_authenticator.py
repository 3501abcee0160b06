# SPDX-License-Identifier: EUPL-1.2
"""From the token on a request to who calls: what is remembered, and how it stops being believed."""

import msgspec
import pytest

from tests.unit.token.house import CORE, HOUR, TokenHouse, opened, play
from vault.barrier.barrier import Barrier
from vault.cache.follow import Follower
from vault.framework.call import Call
from vault.framework.errors import Unauthenticated
from vault.framework.secret import Secret
from vault.storage.memory import MemoryStorage
from vault.token.authenticator import ServiceTokens
from vault.token.model import TokenEntry
from vault.values.ids import ROOT_ID, TokenAccessor
from vault.values.times import Millis, Nanos


def _call(house: TokenHouse, token: str) -> Call:
    call = Call()
    call.token = Secret(token)
    call.now = house.clock.millis()
    return call


def _service(house: TokenHouse) -> ServiceTokens:
    return ServiceTokens(house.tokens, house.barrier, house.follower)


async def _refused(service: ServiceTokens, call: Call) -> bool:
    try:
        await service.authenticate(call)
    except Unauthenticated:
        return True
    return False


async def _revoke(house: TokenHouse, token: str) -> None:
    async with house.barrier.write(ROOT_ID, CORE) as core:
        await house.tokens.revoke_tree(core, house.tokens.key(token))


def test_who_calls_is_what_was_stored() -> None:
    async def scenario() -> None:
        house = await opened()
        auth = await house.make(policies=["root"], ttl="1h", display_name="web", meta={"team": "blue"})
        token = auth["client_token"]
        identity = await _service(house).authenticate(_call(house, token))
        entry = await house.entry(token)
        assert entry is not None
        assert identity.token.reveal() == token
        assert identity.key == house.tokens.key(token)
        assert (identity.accessor, identity.policies, identity.display_name) == (
            auth["accessor"],
            ("root",),
            "token-web",
        )
        assert (identity.metadata, identity.kind, identity.ttl, identity.uses) == (
            {"team": "blue"},
            "service",
            HOUR,
            0,
        )
        assert (identity.created, identity.expires) == (entry.created, entry.expires // 1_000_000)
        assert token not in repr(identity)

    play(scenario)


def test_the_second_call_is_answered_from_memory() -> None:
    async def scenario() -> None:
        house = await opened()
        token = (await house.make())["client_token"]
        service = _service(house)
        assert service.known(_call(house, token)) is None
        await house.follower.catch_up()
        identity = await service.authenticate(_call(house, token))
        assert service.known(_call(house, token)) is identity
        assert service.known(_call(house, token + "x")) is None

    play(scenario)


def test_a_remembered_caller_is_forgotten_when_the_token_is_revoked() -> None:
    async def scenario() -> None:
        house = await opened()
        token = (await house.make())["client_token"]
        service = _service(house)
        await house.follower.catch_up()
        await service.authenticate(_call(house, token))
        await _revoke(house, token)
        await house.follower.follow()
        assert service.known(_call(house, token)) is None
        assert await _refused(service, _call(house, token))

    play(scenario)


def test_only_the_token_that_changed_is_forgotten() -> None:
    async def scenario() -> None:
        house = await opened()
        kept, gone = [(await house.make())["client_token"] for _ in range(2)]
        service = _service(house)
        await house.follower.catch_up()
        for token in (kept, gone):
            await service.authenticate(_call(house, token))
        await _revoke(house, gone)
        await house.follower.follow()
        assert service.known(_call(house, kept)) is not None
        assert service.known(_call(house, gone)) is None

    play(scenario)


def test_everything_is_forgotten_when_the_follower_cannot_tell_what_changed() -> None:
    async def scenario() -> None:
        house = await opened()
        token = (await house.make())["client_token"]
        service = _service(house)
        await house.follower.catch_up()
        await service.authenticate(_call(house, token))
        await house.follower.forget()
        await house.follower.catch_up()
        assert service.known(_call(house, token)) is None

    play(scenario)


def test_a_caller_that_was_read_at_a_newer_epoch_is_remembered_and_forgotten_with_what_is_told_then() -> None:
    async def scenario() -> None:
        house = await opened()
        token = (await house.make())["client_token"]
        service = _service(house)
        house.follower.own("mount", _nothing)
        await house.follower.catch_up()
        async with house.barrier.write(ROOT_ID, CORE) as core:
            await core.invalidate("mount", "")
        identity = await service.authenticate(_call(house, token))
        assert (identity.held, service.known(_call(house, token))) == (True, identity)
        await house.follower.catch_up()
        assert (identity.held, service.known(_call(house, token))) == (True, identity)
        await _revoke(house, token)
        await house.follower.catch_up()
        assert (identity.held, service.known(_call(house, token))) == (False, None)

    play(scenario)


def test_a_caller_is_not_remembered_before_anything_is_known_nor_once_more_is_than_was_read() -> None:
    async def scenario() -> None:
        house = await opened()
        assert isinstance(house.storage, MemoryStorage)
        storage = house.storage
        token = (await house.make())["client_token"]
        service = _service(house)
        await house.follower.forget()
        assert not (await service.authenticate(_call(house, token))).held
        await house.follower.catch_up()
        house.follower.epoch += 1  # somebody else's request looked meanwhile
        assert not (await service.authenticate(_call(house, token))).held
        assert service.known(_call(house, token)) is None
        house.follower.epoch = storage.data.epoch
        assert (await service.authenticate(_call(house, token))).held

    play(scenario)


def test_another_node_obeys_a_revocation_as_soon_as_it_looks() -> None:
    async def scenario() -> None:
        house = await opened()
        assert isinstance(house.storage, MemoryStorage)
        token = (await house.make())["client_token"]
        follower = Follower(house.storage)
        barrier: Barrier = house.barrier
        elsewhere = ServiceTokens(house.tokens, barrier, follower)
        follower.own("mount", _nothing)
        await follower.catch_up()
        await elsewhere.authenticate(_call(house, token))
        await _revoke(house, token)
        await follower.follow()
        assert elsewhere.known(_call(house, token)) is None

    play(scenario)


async def _nothing(key: str | None) -> None:
    del key


def test_a_remembered_caller_is_not_believed_from_its_last_moment_on() -> None:
    async def scenario() -> None:
        house = await opened()
        token = (await house.make(ttl="1h", policies=["default"]))["client_token"]
        service = _service(house)
        await house.follower.catch_up()
        identity = await service.authenticate(_call(house, token))
        call = _call(house, token)
        call.now = Millis(identity.expires - 1)
        assert service.known(call) is identity
        call.now = identity.expires
        assert service.known(call) is None
        call.now = Millis(identity.expires + 1)
        assert await _refused(service, call)

    play(scenario)


@pytest.mark.parametrize("token", ["s.unknown", "hvs.other", "x", "s." + "a" * 5000, "ü"])
def test_what_was_never_issued_is_refused(token: str) -> None:
    async def scenario() -> None:
        house = await opened()
        service = _service(house)
        assert service.recognises(token)
        assert await _refused(service, _call(house, token))

    play(scenario)


def test_no_token_at_all_is_nobodys_business() -> None:
    async def scenario() -> None:
        assert not _service(await opened()).recognises("")

    play(scenario)


def test_uses_are_counted_down_and_the_caller_is_never_remembered() -> None:
    async def scenario() -> None:
        house = await opened()
        token = (await house.make(num_uses=2))["client_token"]
        service = _service(house)
        await house.follower.catch_up()
        for left in (1, -1):
            identity = await service.authenticate(_call(house, token))
            assert identity.uses == left
            assert service.known(_call(house, token)) is None
        assert await _refused(service, _call(house, token))

    play(scenario)


def test_a_request_that_starts_over_takes_one_use_only() -> None:
    async def scenario() -> None:
        house = await opened()
        token = (await house.make(num_uses=1))["client_token"]
        service = _service(house)
        call = _call(house, token)
        await service.authenticate(call)
        assert call.spent
        again = await service.authenticate(call)
        assert again.uses == -1
        assert await _refused(service, _call(house, token))

    play(scenario)


def test_the_last_use_of_a_token_that_two_requests_want_goes_to_one_of_them() -> None:
    async def scenario() -> None:
        house = await opened()
        token = (await house.make(num_uses=1))["client_token"]
        service = _service(house)
        first = _call(house, token)
        key = house.tokens.key(token)
        taken = await house.tokens.get(house.barrier.reader(ROOT_ID, CORE), key)
        assert taken is not None
        async with house.barrier.write(ROOT_ID, CORE) as core:
            await house.tokens.spend(core, key, Nanos(0))
        with pytest.raises(Unauthenticated):
            await service._spend(first, key, None)
        assert not first.spent

    play(scenario)


def test_a_limited_token_that_ends_while_it_waits_for_its_turn_is_refused() -> None:
    async def scenario() -> None:
        house = await opened()
        call = _call(house, "s.limited")
        async with house.barrier.write(ROOT_ID, CORE) as core:
            entry = TokenEntry(
                accessor=TokenAccessor("a"), policies=(), path="p", display_name="d", created=Nanos(1), uses=3
            )
            key = await house.tokens.create(core, "s.limited", entry)
            ended = msgspec.structs.replace(entry, expires=call.now * 1_000_000)
            await house.tokens.update(core, key, ended)
        with pytest.raises(Unauthenticated):
            await _service(house)._spend(call, key, None)

    play(scenario)


def test_sl_71_memory_stays_bounded_however_many_tokens_are_used() -> None:
    async def scenario() -> None:
        house = await opened()
        tokens = [(await house.make())["client_token"] for _ in range(12)]
        service = ServiceTokens(house.tokens, house.barrier, house.follower, most=3)
        await house.follower.catch_up()
        for token in tokens:
            await service.authenticate(_call(house, token))
            assert service.known(_call(house, token)) is not None
        assert sum(service.known(_call(house, token)) is not None for token in tokens) <= 3
        assert len(service._digests) <= 7

    play(scenario)
