# SPDX-License-Identifier: EUPL-1.2
"""Facts kept in memory are dropped as soon as the epoch says that they are untrue."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.lagging import LaggingStorage
from vault.cache.follow import BoundedCache, Drop, Follower
from vault.storage import memory as module
from vault.storage.memory import MemoryStorage
from vault.storage.protocol import StorageFailure


class Owner:
    """Remembers what it was told to forget; None is everything."""

    def __init__(self) -> None:
        self.dropped: list[str | None] = []
        self.fails = False

    async def drop(self, key: str | None) -> None:
        self.dropped.append(key)
        if self.fails:
            raise StorageFailure("it is away")


async def _change(storage: MemoryStorage, *facts: tuple[str, str]) -> None:
    async with storage.write() as tx:
        for kind, key in facts:
            await tx.invalidate(kind, key)


async def _following(storage: MemoryStorage, *kinds: str) -> tuple[Follower, dict[str, Owner]]:
    """Return a follower that is up to date, and its owners."""
    follower = Follower(storage)
    owners = {kind: Owner() for kind in kinds}
    for kind, owner in owners.items():
        follower.own(kind, owner.drop)
    await _change(storage, *((kind, "first") for kind in kinds))
    await follower.catch_up()
    for owner in owners.values():
        owner.dropped.clear()
    return follower, owners


def test_the_owner_of_a_kind_drops_the_key_that_changed_and_nobody_else_does() -> None:
    async def scenario() -> None:
        storage = MemoryStorage()
        follower, owners = await _following(storage, "token", "mount")
        await _change(storage, ("token", "a"))
        await _change(storage, ("token", "b"))
        await follower.follow()
        assert owners["token"].dropped == ["a", "b"]
        assert owners["mount"].dropped == []
        assert follower.epoch == storage.data.epoch

    asyncio.run(scenario())


def test_a_change_that_falls_on_everybody_may_say_what_need_not_be_read_anew() -> None:
    async def scenario() -> None:
        storage = MemoryStorage()
        follower, owners = await _following(storage, "token", "mount", "quota")
        below, nothing = Owner(), Owner()
        follower.own_widely("keys", {"mount": below.drop, "quota": nothing.drop})
        state, era = follower.state, follower.era
        await _change(storage, ("mount", "a"), ("keys", "b"), ("token", "c"))
        await follower.follow()
        assert [owners[kind].dropped for kind in ("token", "mount", "quota")] == [[None], ["a"], []]
        assert below.dropped == nothing.dropped == ["b"]
        assert follower.state is not state and follower.era is not era
        assert follower.epoch == storage.data.epoch
        later = Owner()
        follower.own("later", later.drop)
        await _change(storage, ("keys", "b"))
        await follower.follow()
        assert later.dropped == [None]
        await _change(storage, ("keys", "b"), ("unknown", "x"))
        await follower.follow()
        assert owners["mount"].dropped == ["a", None]
        assert below.dropped == ["b", "b"]

    asyncio.run(scenario())


def test_the_era_goes_on_where_each_identity_that_a_change_falls_on_is_told_of_it() -> None:
    async def scenario() -> None:
        storage = MemoryStorage()
        follower, _ = await _following(storage, "mount")
        marking = Owner()
        follower.own("token", marking.drop, marks=True)
        for facts, same in (
            ([("token", "a"), ("token", "b")], True),
            ([("token", "c"), ("mount", "x")], False),
            ([("unknown", "x")], False),
        ):
            era, state = follower.era, follower.state
            await _change(storage, *facts)
            await follower.follow()
            assert (follower.era is era, follower.state is state) == (same, False), facts
        assert marking.dropped == ["a", "b", "c", None]
        era = follower.era
        await follower.forget()
        assert follower.era is not era

    asyncio.run(scenario())


@pytest.mark.parametrize("every", [False, True], ids=["one by one", "everything"])
def test_who_comes_first_is_told_before_all_others(*, every: bool) -> None:
    async def scenario() -> None:
        storage, told = MemoryStorage(), list[str]()
        follower = Follower(storage)

        def tell(kind: str) -> Drop:
            async def drop(key: str | None) -> None:
                told.append(f"{kind} {key}")

            return drop

        for kind, first in (("mount", False), ("format", True), ("quota", False), ("key", True)):
            follower.own(kind, tell(kind), first=first)
        await _change(storage, ("mount", "x"))
        await follower.catch_up()
        told.clear()
        unowned = [("unknown", "x")] if every else []
        await _change(storage, ("mount", "x"), ("quota", "x"), ("key", "x"), ("format", "x"), *unowned)
        await follower.follow()
        key = None if every else "x"
        firsts = ("format", "key") if every else ("key", "format")
        assert told == [f"{kind} {key}" for kind in (*firsts, "mount", "quota")]

    asyncio.run(scenario())


def test_who_only_writes_catches_up_soon_with_what_others_changed() -> None:
    async def scenario() -> None:
        storage = MemoryStorage()
        follower, owner = Follower(storage, pause=0), Owner()
        follower.own("token", owner.drop)
        await _change(storage, ("token", "x"))
        await follower.catch_up()

        async def wrote() -> int:
            """Somebody changes a fact, and we write; return the epoch of before, and forget what was dropped."""
            before = follower.epoch
            await _change(storage, ("token", "y"))
            async with storage.write() as tx:
                await tx.put("a", b"b")
            tx.committed = storage.data.epoch  # as a storage says it that others share
            owner.dropped.clear()
            await follower.learn(tx)
            return before

        assert (await wrote(), owner.dropped) == (follower.epoch, [])
        await _settled()
        assert (owner.dropped, follower.epoch, follower._soon) == (["y"], storage.data.epoch, None)
        owner.fails = True
        await wrote()
        await _settled()
        assert (owner.dropped, follower._soon) == (["y"], None), "a look that fails is the next one's to end"
        owner.fails = False
        await follower.follow()
        await wrote()
        await follower.forget()  # it is sealed
        await _settled()
        assert (owner.dropped, follower.epoch) == ([], 0)

    asyncio.run(scenario())


async def _settled() -> None:
    """Let timers come that are due now, and all that they begin end."""
    for _ in range(100):
        await asyncio.sleep(0.0001)


def test_nothing_is_dropped_while_the_epoch_stands_still() -> None:
    async def scenario() -> None:
        storage = MemoryStorage()
        follower, owners = await _following(storage, "token")
        async with storage.write() as tx:
            await tx.put("path", b"value")
        await follower.follow()
        assert owners["token"].dropped == []

    asyncio.run(scenario())


def test_a_kind_that_nobody_owns_drops_everything() -> None:
    async def scenario() -> None:
        storage = MemoryStorage()
        follower, owners = await _following(storage, "token", "mount")
        await _change(storage, ("token", "a"), ("surprise", "b"))
        await follower.follow()
        assert [owner.dropped for owner in owners.values()] == [[None], [None]]
        assert follower.epoch == storage.data.epoch

    asyncio.run(scenario())


def test_a_follower_that_is_too_far_behind_drops_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        monkeypatch.setattr(module, "KEPT_CHANGES", 3)
        storage = MemoryStorage()
        follower, owners = await _following(storage, "token")
        for number in range(10):
            await _change(storage, ("token", str(number)))
        await follower.follow()
        assert owners["token"].dropped == [None]
        await _change(storage, ("token", "x"))
        await follower.follow()
        assert owners["token"].dropped == [None, "x"]

    asyncio.run(scenario())


def test_the_first_look_and_the_first_after_forgetting_drop_everything() -> None:
    async def scenario() -> None:
        storage = MemoryStorage()
        await _change(storage, ("token", "a"))
        follower, owner = Follower(storage), Owner()
        follower.own("token", owner.drop)
        await follower.catch_up()
        assert owner.dropped == [None]
        await follower.catch_up()
        assert owner.dropped == [None]
        await follower.forget()
        await follower.catch_up()
        assert owner.dropped == [None, None]

    asyncio.run(scenario())


def test_nothing_that_was_true_is_taken_for_true_while_all_begins_anew() -> None:
    async def scenario() -> None:
        storage = LaggingStorage()
        follower, owners = await _following(storage, "token")
        state, era = follower.state, follower.era
        begun = asyncio.ensure_future(follower.begin_anew())
        seen: list[tuple[bool, bool]] = []
        while not begun.done():
            await asyncio.sleep(0)
            if not owners["token"].dropped:
                seen.append((follower.state is state, follower.era is era))
        assert set(seen) == {(False, False)}
        assert owners["token"].dropped == [None]

    asyncio.run(scenario())


def test_a_change_that_commits_while_facts_are_dropped_is_seen_at_the_next_look() -> None:
    async def scenario() -> None:
        storage = MemoryStorage()
        follower, owners = await _following(storage, "token")
        late: list[str | None] = []

        async def slow(key: str | None) -> None:
            late.append(key)
            if len(late) == 1:
                await _change(storage, ("token", "during"))

        follower.own("token", slow)
        await _change(storage, ("token", "before"))
        await follower.follow()
        assert late == ["before"]
        assert follower.epoch < storage.data.epoch
        await follower.follow()
        assert late == ["before", "during"]
        assert owners["token"].dropped == []

    asyncio.run(scenario())


async def _turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


def test_all_who_ask_while_a_look_runs_share_the_next_one() -> None:
    async def scenario() -> None:
        statements: list[str] = []
        storage = LaggingStorage(on_statement=statements.append)
        follower, owners = await _following(storage, "token")
        await _change(storage, ("token", "a"))
        statements.clear()
        epoch = storage.data.epoch
        await asyncio.gather(*(follower.catch_up() if n % 2 else follower.reach(epoch) for n in range(20)))
        assert statements.count("news") == 2
        assert owners["token"].dropped == ["a"]
        statements.clear()
        await follower.reach(epoch)
        assert statements == []

    asyncio.run(scenario())


def test_nobody_is_content_with_a_look_that_saw_less_than_he_did() -> None:
    async def scenario() -> None:
        storage = LaggingStorage()
        follower, owners = await _following(storage, "token")
        for turn in range(6):
            owners["token"].dropped.clear()
            await _change(storage, ("token", "a"))
            first = asyncio.create_task(follower.catch_up())
            await _turns(turn)
            storage.data.record([("token", "b")])  # at once, as another node commits
            await follower.reach(storage.data.epoch)
            assert owners["token"].dropped == ["a", "b"], turn
            assert follower.epoch == storage.data.epoch
            await first

    asyncio.run(scenario())


def test_a_look_that_is_cancelled_or_fails_is_another_ones_to_end() -> None:
    async def scenario() -> None:
        storage = LaggingStorage()
        follower, owners = await _following(storage, "token", "mount")
        fails = True

        async def failing(key: str | None) -> None:
            nonlocal fails
            await asyncio.sleep(0)
            if fails:
                fails = False
                raise ZeroDivisionError
            await owners["mount"].drop(key)

        follower.own("mount", failing)
        await _change(storage, ("token", "a"), ("mount", "b"))
        looks = [asyncio.create_task(follower.catch_up()) for _ in range(4)]
        await _turns(2)
        looks[0].cancel()
        ended = await asyncio.gather(*looks, return_exceptions=True)
        assert [type(end) for end in ended[:2]] == [asyncio.CancelledError, ZeroDivisionError]
        assert ended[2:] == [None, None]
        assert follower.epoch == storage.data.epoch
        assert owners["mount"].dropped[-1] is None, "what a look left undone is everything"

    asyncio.run(scenario())


@pytest.mark.parametrize("turns", range(6))
def test_what_is_forgotten_during_a_look_stays_forgotten(turns: int) -> None:
    async def scenario() -> None:
        storage = LaggingStorage()
        follower, owners = await _following(storage, "token")

        async def slow(key: str | None) -> None:
            await asyncio.sleep(0)
            await owners["token"].drop(key)

        follower.own("token", slow)
        await _change(storage, ("token", "a"))
        look = asyncio.create_task(follower.catch_up())
        await _turns(turns)
        await follower.forget()
        before = len(owners["token"].dropped)
        await look
        await follower.catch_up()
        assert None in owners["token"].dropped[before:]

    asyncio.run(scenario())


def test_an_epoch_lasts_until_a_fact_falls_of_which_no_identity_is_told() -> None:
    async def scenario() -> None:
        storage = LaggingStorage()
        follower, _ = await _following(storage, "mount")
        during: list[int] = []

        async def dropping(key: str | None) -> None:
            del key
            during.append(follower.epoch)

        follower.own("token", dropping, marks=True)
        assert not follower.lasts(0)
        for facts, same in (
            ([("token", "a")], True),
            ([("token", "b"), ("token", "c")], True),
            ([("token", "d"), ("mount", "x")], False),
            ([("unknown", "x")], False),
        ):
            first = follower.epoch
            await _change(storage, *facts)
            await follower.follow()
            assert (follower.lasts(first), follower.lasts(follower.epoch)) == (same, True), facts
        assert during and not any(follower.lasts(epoch) for epoch in during)
        await follower.forget()
        assert not follower.lasts(storage.data.epoch)

    asyncio.run(scenario())


def test_few_epochs_of_an_era_are_known() -> None:
    async def scenario() -> None:
        storage = MemoryStorage()
        follower = Follower(storage, most_epochs=3)
        follower.own("token", Owner().drop, marks=True)
        await follower.catch_up()
        for _ in range(10):
            await _change(storage, ("token", "a"))
            await follower.follow()
            assert follower.lasts(follower.epoch)
        assert len(follower._epochs) <= 4

    asyncio.run(scenario())


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=60), st.integers(1, 5))
def test_a_bounded_mapping_never_exceeds_its_size_and_keeps_the_newest(
    steps: list[tuple[int, bool]], size: int
) -> None:
    left: list[str] = []
    kept: BoundedCache[int, str] = BoundedCache(size, left.append)
    newest: dict[int, str] = {}
    for number, (key, put) in enumerate(steps):
        if put:
            kept.put(key, str(number))
            newest[key] = str(number)
            assert kept.get(key) == str(number)
        else:
            kept.drop(key)
            newest.pop(key, None)
            assert kept.get(key) is None
        assert len(kept) <= size
        assert all(kept.get(key) in (None, value) for key, value in newest.items())
    kept.drop(None)
    assert len(kept) == 0
    assert sorted(left) == sorted(str(number) for number, (_, put) in enumerate(steps) if put)
