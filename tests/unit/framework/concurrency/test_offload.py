# SPDX-License-Identifier: EUPL-1.2
"""Work off the loop: never more of it than there are threads and places, and clients take turns."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from tests.calls import fill_call, mount_facts
from vault.framework.call import Call
from vault.framework.concurrency.offload import Client, Pool, client_of
from vault.framework.errors import Busy

NOBODY: Client = ("m", "a")


class Gate:
    """Work that is done once it may be, and tells in which order it was begun."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.started = threading.Event()
        self.begun: list[str] = []

    def work(self, name: str) -> Callable[[], str]:
        def run() -> str:
            self.begun.append(name)
            self.started.set()
            assert self.open.wait(60)
            return name

        return run


async def begin(pool: Pool, gate: Gate, asked: list[tuple[Client, str]]) -> list[asyncio.Task[str]]:
    """Ask for all of it, in this order."""
    tasks = []
    for client, name in asked:
        tasks.append(asyncio.create_task(pool.run(client, gate.work(name))))
        await asyncio.sleep(0)
    return tasks


def test_what_was_asked_for_comes_back_and_a_failure_too() -> None:
    async def go() -> None:
        pool = Pool(threads=1)
        assert await pool.run(NOBODY, lambda: 3) == 3
        with pytest.raises(ZeroDivisionError):
            await pool.run(NOBODY, lambda: 1 // 0)
        assert await pool.run(NOBODY, lambda: threading.current_thread() is not threading.main_thread())

    asyncio.run(go())


def test_mounts_take_turns_and_the_addresses_of_one_too() -> None:
    async def go() -> None:
        gate = Gate()
        asked: list[tuple[Client, str]] = [(("m", "a"), f"a{n}") for n in range(4)]
        asked += [(("m", "b"), "b0"), (("m", "b"), "b1"), (("n", "c"), "c0"), (("n", "c"), "c1")]
        tasks = await begin(Pool(threads=1), gate, asked)
        gate.open.set()
        assert await asyncio.gather(*tasks) == [name for _, name in asked]
        assert gate.begun == ["a0", "a1", "c0", "b0", "c1", "a2", "b1", "a3"]

    asyncio.run(go())


def test_whoever_has_most_waiting_makes_room_for_others() -> None:
    async def go() -> None:
        gate = Gate()
        pool = Pool(threads=1, waiting=4)
        greedy = await begin(pool, gate, [(("m", "a"), f"a{n}") for n in range(5)])
        with pytest.raises(Busy) as refused:
            await pool.run(("m", "a"), gate.work("a5"))
        assert refused.value.retry_after == 1
        others = await begin(pool, gate, [(("m", "b"), "b0"), (("n", "a"), "c0")])
        with pytest.raises(Busy):
            await pool.run(("m", "b"), gate.work("b1"))
        assert pool.waiting == 4
        gate.open.set()
        done = await asyncio.gather(*greedy, *others, return_exceptions=True)
        assert [type(one) for one in done] == [str, str, str, Busy, Busy, str, str]

    asyncio.run(go())


def test_what_is_owed_is_never_refused_and_takes_turns_with_what_may_be() -> None:
    async def go() -> None:
        gate = Gate()
        pool = Pool(threads=1, waiting=2)
        tasks = await begin(pool, gate, [(("m", "a"), f"a{n}") for n in range(3)])
        for name in ("x0", "x1", "x2"):
            owed = pool.run(("m", "b"), gate.work(name), owed=True)
            tasks.append(asyncio.create_task(owed))
            await asyncio.sleep(0)
        with pytest.raises(Busy):
            await pool.run(("m", "a"), gate.work("a3"))
        tasks += await begin(pool, gate, [(("n", "c"), "c0")])
        assert pool.waiting == 5
        gate.open.set()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(one) for one in done] == [str, str, Busy, str, str, str, str]
        assert gate.begun == ["a0", "x0", "a1", "x1", "c0", "x2"]
        assert pool.waiting == 0

    asyncio.run(go())


def test_who_goes_away_while_waiting_leaves_its_turn() -> None:
    async def go() -> None:
        gate = Gate()
        pool = Pool(threads=1)
        first, second, third = await begin(pool, gate, [(NOBODY, "1"), (NOBODY, "2"), (NOBODY, "3")])
        second.cancel()
        gate.open.set()
        assert (await first, await third) == ("1", "3") and second.cancelled()
        assert gate.begun == ["1", "3"]
        assert await pool.run(NOBODY, lambda: "free") == "free"

    asyncio.run(go())


def test_a_turn_that_comes_as_its_client_goes_is_given_on() -> None:
    async def go() -> None:
        gate = Gate()
        pool = Pool(threads=1)
        first, second, third = await begin(pool, gate, [(NOBODY, "1"), (NOBODY, "2"), (NOBODY, "3")])
        pool._next()  # as the end of the first does
        second.cancel()
        gate.open.set()
        assert await third == "3"
        assert second.cancelled() and await first == "1"

    asyncio.run(go())


def test_a_client_that_goes_as_it_loses_its_place_gives_no_turn_that_it_never_had() -> None:
    async def go() -> None:
        gate = Gate()
        pool = Pool(threads=1, waiting=2)
        tasks = await begin(pool, gate, [(("m", "a"), "begun"), (("m", "b"), "b0"), (("m", "b"), "b1")])
        late = asyncio.create_task(pool.run(("n", "c"), gate.work("c0")))
        asyncio.get_running_loop().call_soon(tasks[2].cancel)
        await asyncio.wait({tasks[2]})
        assert tasks[2].cancelled()
        assert pool.waiting == 2
        gate.open.set()
        assert await asyncio.gather(*tasks[:2], late) == ["begun", "b0", "c0"]

    asyncio.run(go())


def test_work_that_has_begun_holds_its_thread_when_nobody_waits_for_it() -> None:
    async def go() -> None:
        gate = Gate()
        pool = Pool(threads=1)
        left, waits = await begin(pool, gate, [(NOBODY, "1"), (NOBODY, "2")])
        assert await asyncio.to_thread(gate.started.wait, 60)
        left.cancel()
        await asyncio.sleep(0)
        assert gate.begun == ["1"] and pool.waiting == 1
        gate.open.set()
        assert await waits == "2"

    asyncio.run(go())


def test_a_client_is_a_mount_and_an_address() -> None:
    call = Call()
    fill_call(
        call,
        mount=mount_facts(),
    )
    call.client_address = "192.0.2.1"
    assert client_of(call) == ("u", "192.0.2.1")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:1:2:3", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("no:address", "no:address", True),
    ],
)
def test_a_client_of_version_6_is_its_network(one: str, other: str, same: bool) -> None:
    def client(address: str) -> Client:
        call = Call()
        fill_call(
            call,
            mount=mount_facts(),
        )
        call.client_address = address
        return client_of(call)

    assert (client(one) == client(other)) is same
