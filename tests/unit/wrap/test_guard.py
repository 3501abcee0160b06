# SPDX-License-Identifier: EUPL-1.2
"""What wrapping tokens need before anybody is authenticated, and tokens that were signed elsewhere."""

import asyncio

import msgspec
import pytest

from tests.calls import fill_call
from tests.unit.engines.system.house import CORE, House
from vault.framework.call import Call
from vault.framework.errors import Unauthenticated
from vault.framework.reply import WrapInfo
from vault.framework.secret import Secret
from vault.token.authenticator import ServiceTokens
from vault.token.entries import ENTRY
from vault.token.model import TOKEN
from vault.values.ids import ROOT_ID
from vault.values.times import Seconds
from vault.wrap.guard import WrappingGuard
from vault.wrap.signed import IllegalSignature


def _guard(house: House) -> WrappingGuard:
    service = ServiceTokens(house.tokens, house.barrier, house.follower)
    return WrappingGuard(service, house.wrapper, house.tokens, house.barrier)


def _call(house: House, token: str, path: str = "sys/health") -> Call:
    call = Call()
    fill_call(call, token=Secret(token), path=path, now=house.clock.millis())
    return call


def _info(token: object) -> WrapInfo:
    return WrapInfo(token=token, accessor="a", ttl=60, creation_time="", creation_path="x")  # type: ignore[arg-type]  # as one that signs anything would


def test_a_limited_token_keeps_its_uses_where_none_is_needed_until_it_ends() -> None:
    async def scenario() -> None:
        house = await House().open()
        guard, token = _guard(house), await house.token("default", uses=1, ttl=Seconds(60))
        for _ in range(3):
            identity = await guard._unspent(_call(house, token), token)
            assert identity is not None
            assert identity.uses == 1
        assert await guard._unspent(_call(house, house.root), house.root) is None
        assert await guard._unspent(_call(house, "s.none"), "s.none") is None
        house.clock.sleep(61)
        with pytest.raises(Unauthenticated):
            await guard._unspent(_call(house, token), token)

    asyncio.run(scenario())


def test_a_limited_token_counts_on_a_path_that_needs_none_only_where_it_may_be_used() -> None:
    async def scenario() -> None:
        house = await House().open()
        guard, token = _guard(house), await house.token("default", uses=1, ttl=Seconds(60))
        key = house.tokens.key(token)
        async with house.barrier.write(ROOT_ID, CORE) as core:
            entry = await house.tokens.get(core, key)
            assert entry is not None
            bound = msgspec.structs.replace(entry, bound_cidrs=("10.0.0.0/8",))
            await core.put(ENTRY + key, TOKEN.encode(bound))
        call = _call(house, token)
        call.client_address = "192.0.2.1"
        with pytest.raises(Unauthenticated):
            await guard._unspent(call, token)
        call.client_address = "10.1.1.1"
        assert await guard._unspent(call, token) is not None

    asyncio.run(scenario())


def test_nothing_is_remembered_where_a_signed_token_may_stand_for_a_plain_one() -> None:
    async def scenario() -> None:
        house = await House().open()
        guard = _guard(house)
        await guard._inner.authenticate(_call(house, house.root))
        assert guard.known(_call(house, house.root)) is not None
        for path in (
            "sys/wrapping/unwrap",
            "sys/wrapping/rewrap",
            "sys/wrapping/lookup",
            "cubbyhole/response",
        ):
            assert guard.known(_call(house, house.root, path)) is None

    asyncio.run(scenario())


def test_a_statement_that_names_no_token_is_refused_however_well_it_is_signed() -> None:
    async def scenario() -> None:
        house = await House().open()
        good = await house.signed.sign(_info("s.inner"), house.clock.nanos())
        odd = await house.signed.sign(_info(7), house.clock.nanos())
        assert await house.signed.opened(good) == "s.inner"
        with pytest.raises(IllegalSignature):
            await house.signed.opened(odd)

    asyncio.run(scenario())


def test_a_statement_signed_by_another_vault_is_refused() -> None:
    async def scenario() -> None:
        house, other = await House().open(), await House().open()
        foreign = await other.signed.sign(_info("s.inner"), other.clock.nanos())
        with pytest.raises(IllegalSignature):
            await house.signed.opened(foreign)
        await house.signed.sign(_info("s.own"), house.clock.nanos())
        with pytest.raises(IllegalSignature):
            await house.signed.opened(foreign)

    asyncio.run(scenario())
