# SPDX-License-Identifier: EUPL-1.2
import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.unit.engines.driver import Driver, FakeClock, who
from vault.barrier.stored import raw
from vault.engines.cubbyhole.engine import Cubbyhole
from vault.engines.cubbyhole.store import purge
from vault.framework.call import Identity
from vault.framework.request.operation import Operation
from vault.values.ids import ROOT_ID, TokenKey


def _play(scenario: Callable[[Driver], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        await scenario(await Driver(Cubbyhole(), FakeClock()).start())

    asyncio.run(run())


def test_an_entry_is_read_by_the_token_that_wrote_it_and_by_no_other() -> None:
    async def scenario(hole: Driver) -> None:
        assert await hole.operation("POST", "a") is Operation.CREATE
        assert (await hole("POST", "a", b'{"x": 12345678901234567890, "f":1.0,"p":"hunter2"}')).status == 204
        assert await hole.operation("POST", "a") is Operation.UPDATE
        assert (await hole("GET", "a")).text == b'{"x":12345678901234567890,"f":1.0,"p":"hunter2"}'
        hole.identity = who("second")
        assert await hole.operation("POST", "a") is Operation.CREATE
        assert await hole.refused("GET", "a") == "NotFound: "
        assert await hole.refused("LIST", "") == "NotFound: "
        await hole("DELETE", "a")
        hole.identity = who("first")
        assert (await hole("GET", "a")).data["p"] == "hunter2"
        for _ in range(2):
            assert (await hole("DELETE", "a")).status == 204
        assert await hole.stored() == []

    _play(scenario)


def test_a_form_is_an_entry_of_strings() -> None:
    async def scenario(hole: Driver) -> None:
        await hole("POST", "a", b"x=1&y=2")
        assert (await hole("GET", "a")).data == {"x": "1", "y": "2"}

    _play(scenario)


def test_what_was_taken_is_given_back_whatever_a_body_may_hold_by_default() -> None:
    """A form has as many fields as a body has strings, and each is two; a listener may allow more of both."""

    async def scenario(hole: Driver) -> None:
        await hole("POST", "a", "&".join(f"n{number}=v" for number in range(900)).encode())
        assert len((await hole("GET", "a")).data) == 900

    _play(scenario)


def test_entries_are_listed_by_folder() -> None:
    async def scenario(hole: Driver) -> None:
        for path in ("a", "f/x", "f/y/z"):
            await hole("POST", path, {"v": 1})
        assert (await hole("LIST", "")).data == {"keys": ["a", "f/"]}
        assert (await hole("LIST", "f/")).data == {"keys": ["x", "y/"]}
        assert (await hole("LIST", "f")).data == {"keys": ["x", "y/"]}
        assert await hole.refused("LIST", "nope/") == "NotFound: "
        for method in ("SCAN", "PATCH"):
            assert await hole.refused(method, "a") == "UnsupportedOperation: unsupported operation"

    _play(scenario)


def test_a_path_and_fields_are_asked_for_in_the_fields_words() -> None:
    async def scenario(hole: Driver) -> None:
        nothing: tuple[Any, ...] = (None, {}, b"null")
        for body in nothing:
            assert await hole.refused("POST", "a", body) == "Malformed: missing data fields"
        assert await hole.refused("POST", "", {"a": 1}) == "Malformed: missing path"
        assert await hole.refused("GET", "") == "Malformed: missing path"
        assert (await hole("DELETE", "")).status == 204
        assert await hole.stored() == []

    _play(scenario)


@pytest.mark.parametrize("caller", [who("b", "batch"), who("f", "biscuit"), None])
def test_a_token_that_is_not_stored_has_no_cubbyhole(caller: Identity | None) -> None:
    async def scenario(hole: Driver) -> None:
        hole.identity = caller
        for method in ("GET", "POST", "LIST", "DELETE"):
            assert (
                await hole.refused(method, "a", {"v": 1})
                == "Malformed: cubbyhole operations are only supported by 'service' type tokens"
            )
        assert await hole.stored() == []

    _play(scenario)


def test_a_purge_takes_one_tokens_entries_and_no_others() -> None:
    async def scenario(hole: Driver) -> None:
        for name in ("1", "11"):
            hole.identity = who(name)
            await hole("POST", "a", {"v": name})
            await hole("POST", "f/b", {"v": name})
        async with hole.barrier.write(ROOT_ID, "logical/one/") as view:
            assert not await purge(view, TokenKey("key-1"))
            assert not await purge(view, TokenKey("key-none"))
        assert await hole.stored() == ["key-11/a", "key-11/f/b"]

    _play(scenario)


def test_a_purge_of_many_entries_is_asked_again_until_none_is_left() -> None:
    async def scenario(hole: Driver) -> None:
        async with hole.barrier.write(ROOT_ID, "logical/one/") as view:
            for number in range(1500):
                await view.put(f"key-1/{number}", raw(b"x"))
        for again in (True, False):
            async with hole.barrier.write(ROOT_ID, "logical/one/") as view:
                assert await purge(view, TokenKey("key-1")) == again
        assert await hole.stored() == []

    _play(scenario)
