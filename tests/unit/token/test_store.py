# SPDX-License-Identifier: EUPL-1.2
"""Service tokens in storage: nothing of a token itself is stored, and nothing of it stays behind."""

import msgspec
import pytest

from tests.unit.token.house import CORE, HOUR, TokenHouse, opened, play
from vault.barrier.failure import BarrierSealed
from vault.barrier.view import View
from vault.framework.clock import Entropy
from vault.token.model import TokenEntry
from vault.token.store import TokenStore
from vault.values.ids import ROOT_ID, TokenAccessor, TokenKey
from vault.values.times import Millis, Nanos


def _entry(**fields: object) -> TokenEntry:
    plain = TokenEntry(
        accessor=TokenAccessor("acc"),
        policies=("default",),
        path="auth/token/create",
        display_name="t",
        created=Nanos(1),
    )
    return msgspec.structs.replace(plain, **fields)


async def _family(house: TokenHouse) -> dict[str, str]:
    """Make `top`, two children of it, and one grandchild."""
    family = {"top": (await house.make(policies=["root"], ttl="1h"))["client_token"]}
    for name, parent in (("left", "top"), ("right", "top"), ("below", "left")):
        family[name] = (await house.make(token=family[parent], ttl="1h"))["client_token"]
    return family


async def _alive(house: TokenHouse, family: dict[str, str]) -> set[str]:
    return {name for name, token in family.items() if await house.status(token) == 200}


def test_neither_token_nor_accessor_is_stored_in_a_path_or_in_the_clear() -> None:
    async def scenario() -> None:
        house = await opened()
        auth = await house.make(display_name="visible")
        core = house.barrier.reader(ROOT_ID, CORE)
        for path in await house.stored():
            value = await house.storage.reader().get(path)
            plain = await core.get(path.removeprefix(CORE))
            assert value is not None
            assert plain is not None
            for secret in (auth["client_token"], auth["client_token"].removeprefix("s.")):
                assert secret not in path
                assert secret.encode() not in value + plain
            assert auth["accessor"] not in path
            assert auth["accessor"].encode() not in value

    play(scenario)


def test_a_token_is_found_by_itself_and_by_its_accessor_and_by_nothing_else() -> None:
    async def scenario() -> None:
        house = await opened()
        auth = await house.make()
        core = house.barrier.reader(ROOT_ID, CORE)
        key = house.tokens.key(auth["client_token"])
        found = await house.tokens.by_accessor(core, auth["accessor"])
        assert found == (key, await house.tokens.get(core, key))
        assert await house.tokens.by_accessor(core, auth["client_token"]) is None
        assert await house.tokens.get(core, house.tokens.key(auth["accessor"])) is None
        assert auth["accessor"] in await house.tokens.accessors(core)

    play(scenario)


def test_keys_of_two_vaults_differ_and_are_gone_when_sealed() -> None:
    async def scenario() -> None:
        one, other = await opened(), await opened()
        assert one.tokens.key("s.same") != other.tokens.key("s.same")
        before = one.tokens.key("s.same")
        one.tokens.forget()
        with pytest.raises(BarrierSealed):
            one.tokens.key("s.same")
        await one.tokens.load(one.barrier.reader(ROOT_ID, CORE))
        assert one.tokens.key("s.same") == before

    play(scenario)


def test_revoking_a_token_revokes_the_whole_tree_below_it_and_nothing_beside() -> None:
    async def scenario() -> None:
        house = await opened()
        family = await _family(house)
        assert await _alive(house, family) == set(family)
        await house("POST", "auth/token/revoke", {"token": family["left"]})
        assert await _alive(house, family) == {"top", "right"}
        await house("POST", "auth/token/revoke", {"token": family["top"]})
        assert await _alive(house, family) == set()

    play(scenario)


def test_nothing_of_a_revoked_tree_stays_in_storage_or_among_the_timers() -> None:
    async def scenario() -> None:
        house = await opened()
        before = await house.stored()
        family = await _family(house)
        assert len(await house.stored()) > len(before)
        await house("POST", "auth/token/revoke", {"token": family["top"]})
        assert await house.stored() == before
        assert await house.due(Millis(house.clock.millis() + 2 * HOUR * 1000)) == []

    play(scenario)


def test_revoking_one_token_alone_makes_its_children_orphans() -> None:
    async def scenario() -> None:
        house = await opened()
        family = await _family(house)
        answer = await house("POST", "auth/token/revoke-orphan", {"token": family["top"]})
        assert answer.status == 204
        assert await _alive(house, family) == {"left", "right", "below"}
        left = await house.entry(family["left"])
        assert left is not None
        assert (left.orphan, left.parent) == (True, "")
        below = await house.entry(family["below"])
        assert below is not None
        assert below.parent == house.tokens.key(family["left"])
        gone = house.tokens.key(family["top"])
        assert not [path for path in await house.stored() if gone in path]

    play(scenario)


def test_children_of_a_revoked_orphan_are_found_below_it_still() -> None:
    async def scenario() -> None:
        house = await opened()
        family = await _family(house)
        await house("POST", "auth/token/revoke-orphan", {"token": family["top"]})
        await house("POST", "auth/token/revoke", {"token": family["left"]})
        assert await _alive(house, family) == {"right"}

    play(scenario)


def test_a_child_that_is_gone_already_keeps_its_parent_from_nothing_and_has_no_children_itself() -> None:
    async def scenario() -> None:
        house = await opened()
        family = await _family(house)
        async with house.barrier.write(ROOT_ID, CORE) as core:
            await core.delete("token/id/" + house.tokens.key(family["left"]))
            await house.tokens.revoke_orphaning(core, house.tokens.key(family["top"]))
        await house.follower.catch_up()
        assert await _alive(house, family) == {"right"}

    play(scenario)


def test_an_accessor_that_goes_while_they_are_listed_is_left_out() -> None:
    class Vanishing:
        async def list(self, prefix: str, *, after: str = "", limit: int = 0) -> list[str]:
            return ["gone"]

        async def get(self, path: str) -> None:
            return None

    async def scenario() -> None:
        core = Vanishing()
        assert await TokenStore(Entropy()).accessors(core) == []  # type: ignore[arg-type]  # all that is read

    play(scenario)


def test_revocation_takes_along_what_belongs_to_each_token_of_the_tree() -> None:
    async def scenario() -> None:
        house = await opened()
        purged: list[str] = []

        async def purge(core: View, key: str) -> bool:
            del core
            purged.append(key)
            return False

        house.tokens.on_revoke(purge)
        family = await _family(house)
        await house("POST", "auth/token/revoke", {"token": family["top"]})
        assert sorted(purged) == sorted(house.tokens.key(token) for token in family.values())

    play(scenario)


def test_revoking_what_is_not_there_does_nothing() -> None:
    async def scenario() -> None:
        house = await opened()
        before = await house.stored()
        assert (await house("POST", "auth/token/revoke", {"token": "s.unknown"})).status == 204
        assert await house.stored() == before

    play(scenario)


@pytest.mark.parametrize(("uses", "left"), [(1, -1), (2, 1), (7, 6)])
def test_a_use_is_taken_off_and_the_last_one_leaves_the_token_used_up(uses: int, left: int) -> None:
    async def scenario() -> None:
        house = await opened()
        async with house.barrier.write(ROOT_ID, CORE) as core:
            key = await house.tokens.create(core, "s.limited", _entry(uses=uses))
            spent = await house.tokens.spend(core, key, Nanos(0))
        assert spent is not None
        assert spent.uses == left
        assert await house.entry("s.limited") == spent

    play(scenario)


def test_no_use_is_taken_off_an_unlimited_token_or_one_that_is_used_up_or_gone() -> None:
    async def scenario() -> None:
        house = await opened()
        async with house.barrier.write(ROOT_ID, CORE) as core:
            free = await house.tokens.create(core, "s.free", _entry())
            used = await house.tokens.create(core, "s.used", _entry(uses=-1))
            assert await house.tokens.spend(core, free, Nanos(0)) == _entry()
            assert await house.tokens.spend(core, used, Nanos(0)) is None
            assert await house.tokens.spend(core, TokenKey("habsent"), Nanos(0)) is None

    play(scenario)


def test_a_token_that_expires_has_a_timer_not_before_that_moment_and_one_that_does_not_has_none() -> None:
    async def scenario() -> None:
        house = await opened()
        async with house.barrier.write(ROOT_ID, CORE) as core:
            key = await house.tokens.create(core, "s.ends", _entry(expires=5_000_001))
        assert await house.due(Millis(5)) == []
        assert await house.due(Millis(6)) == [key]
        async with house.barrier.write(ROOT_ID, CORE) as core:
            await house.tokens.update(core, key, _entry(expires=0))
        assert await house.due(Millis(10**15)) == []

    play(scenario)


def test_an_accessor_whose_token_is_gone_is_no_longer_found() -> None:
    async def scenario() -> None:
        house = await opened()
        auth = await house.make()
        async with house.barrier.write(ROOT_ID, CORE) as core:
            await core.delete("token/id/" + house.tokens.key(auth["client_token"]))
        reader = house.barrier.reader(ROOT_ID, CORE)
        assert await house.tokens.by_accessor(reader, auth["accessor"]) is None

    play(scenario)


def test_a_store_without_its_salt_says_that_the_vault_is_not_open_yet() -> None:
    async def scenario() -> None:
        house = await opened()
        auth = await house.make()
        with pytest.raises(BarrierSealed):
            TokenStore(Entropy()).key(auth["client_token"])

    play(scenario)


def test_tokens_and_accessors_are_long_random_and_of_letters_and_digits() -> None:
    store = TokenStore(Entropy())
    tokens = {store.new_token() for _ in range(200)}
    assert len(tokens) == 200
    assert all(t.startswith("s.") and t[2:].isascii() and t[2:].isalnum() and len(t) == 26 for t in tokens)
    accessors = {store.new_accessor() for _ in range(200)}
    assert all(a.isascii() and a.isalnum() and len(a) == 24 for a in accessors)
    assert len(accessors) == 200


@pytest.mark.parametrize(
    ("uses", "expires", "now", "alive"),
    [
        (0, 0, 10**18, True),
        (3, 0, 1, True),
        (-1, 0, 1, False),
        (0, 10, 9, True),
        (0, 10, 10, False),
        (-1, 10, 9, False),
    ],
)
def test_a_token_is_alive_until_its_last_use_and_up_to_its_end(
    uses: int, expires: int, now: Nanos, alive: bool
) -> None:
    assert _entry(uses=uses, expires=expires).alive(now) is alive


@pytest.mark.parametrize(
    ("expires", "now", "left"),
    [
        (0, 5, 0),
        (2_000_000_000, 0, 2),
        (2_000_000_000, 1, 2),
        (2_000_000_000, 1_000_000_000, 1),
        (1, 5_000_000_000, 0),
    ],
)
def test_the_seconds_left_are_rounded_up_and_never_negative(expires: int, now: Nanos, left: int) -> None:
    assert _entry(expires=expires).remaining(now) == left
