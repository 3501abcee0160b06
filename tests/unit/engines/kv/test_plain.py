# SPDX-License-Identifier: EUPL-1.2
import asyncio
from typing import Any

import pytest

from tests.turns import of_others
from tests.unit.engines.driver import Driver, FakeClock
from tests.unit.engines.kv.conftest import Play
from vault.barrier.failure import BarrierFailure
from vault.barrier.stored import raw
from vault.engines.kv.engine import VersionedKV
from vault.engines.kv.plain import PlainKV
from vault.engines.kv.upgrade import upgrade
from vault.framework.clock import Entropy
from vault.framework.request.operation import Operation
from vault.framework.route_table import RouteTable
from vault.values.ids import ROOT_ID
from vault.values.times import Seconds


def test_what_is_written_is_read_and_can_be_removed(v1: Play) -> None:
    async def scenario(kv: Driver) -> None:
        assert await kv.refused("GET", "a/b") == "NotFound: "
        assert await kv.operation("POST", "a/b") is Operation.CREATE
        assert (await kv("POST", "a/b", {"password": "hunter2", "path": "x", "n": None})).status == 204
        assert await kv.operation("POST", "a/b") is Operation.UPDATE
        read = await kv("GET", "a/b")
        assert read.data == {"password": "hunter2", "path": "x", "n": None}
        assert read.lease_duration == 2764800
        await kv("POST", "a/b", {"other": 1})
        assert (await kv("GET", "a/b")).data == {"other": 1}
        for _ in range(2):
            assert (await kv("DELETE", "a/b")).status == 204
        assert await kv.stored() == []

    v1(scenario)


def test_every_number_is_stored_as_it_was_spelled(v1: Play) -> None:
    async def scenario(kv: Driver) -> None:
        body = (
            b'{"b": 12345678901234567890,"a":1.0,"c":1.10,"d":{"z":1e5,"y":[1, 2.50 ,{"q":-0}]},'
            b'"s":"\\u00e9", "dup":1,"dup":2,"f":0.1000000000000000055511151231257827}'
        )
        await kv("POST", "a", body)
        assert await kv.barrier.reader(ROOT_ID, "logical/one/").get("entry/a") == (
            b'{"a":1.0,"b":12345678901234567890,"c":1.10,"d":{"y":[1,2.50,{"q":-0}],"z":1e5},"dup":2,'
            b'"f":0.1000000000000000055511151231257827,"s":"\xc3\xa9"}'
        )
        assert (await kv("GET", "a")).text == (
            b'{"a":1.0,"b":12345678901234567890,"c":1.10,"d":{"y":[1,2.50,{"q":-0}],"z":1e5},"dup":2,'
            b'"f":0.1000000000000000055511151231257827,"s":"\xc3\xa9"}'
        )

    v1(scenario)


@pytest.mark.parametrize(
    ("body", "ttl"),
    [
        ({"ttl": "1h"}, 3600),
        ({"ttl": "60"}, 60),
        ({"ttl": 60}, 60),
        ({"ttl": "1d", "odd": 1}, 86400),
        ({"ttl": "-5s"}, -5),
        ({"ttl": -5}, -5),
        ({"ttl": "500ms"}, 0),
        ({"ttl": ""}, 0),
        ({"ttl": 0}, 0),
        ({"ttl": None}, 0),
        ({"ttl": 1.5}, 2764800),
        ({"ttl": "x"}, 2764800),
        ({"ttl": True}, 2764800),
        ({"ttl": False}, 2764800),
        ({"ttl": {}}, 2764800),
        ({"ttl": " 1h "}, 2764800),
        ({"ttl": "1.5"}, 2764800),
        ({"ttl": "1.5h"}, 5400),
        ({"ttl": 99999999999999999999}, 2764800),
        ({"ttl": "99999999999h"}, 2764800),
        ({"ttl": ["1h"]}, 2764800),
        ({"lease": "1h"}, 3600),
        ({"lease": "1h", "ttl": "2h"}, 7200),
        ({"lease": "x", "ttl": "2h"}, 7200),
        ({"lease": "2h", "ttl": "x"}, 2764800),
        (b'{"ttl":"1h","n":1.10}', 3600),
    ],
)
def test_a_secret_can_say_how_long_it_should_be_kept(v1: Play, body: Any, ttl: int) -> None:
    async def scenario(kv: Driver) -> None:
        await kv("POST", "a", body)
        assert (await kv("GET", "a")).lease_duration == ttl

    v1(scenario)


def test_the_mounts_default_holds_for_a_secret_that_says_nothing() -> None:
    async def scenario() -> None:
        kv = await Driver(PlainKV(Entropy()), FakeClock(), default_ttl=Seconds(77)).start()
        await kv("POST", "a", {"v": 1})
        assert (await kv("GET", "a")).lease_duration == 77

    asyncio.run(scenario())


def test_a_write_needs_fields_and_a_path(v1: Play) -> None:
    async def scenario(kv: Driver) -> None:
        nothing: tuple[Any, ...] = (None, {}, b"null")
        for body in nothing:
            assert await kv.refused("POST", "a", body) == "Malformed: missing data fields"
        assert await kv.refused("POST", "", {"a": 1}) == "Malformed: missing path"
        assert await kv.refused("GET", "") == "NotFound: "
        assert (await kv("DELETE", "")).status == 204
        assert await kv.refused("PATCH", "a", {"a": 1}) == "UnsupportedOperation: unsupported operation"
        assert await kv.stored() == []

    v1(scenario)


def test_lists_and_scans_have_no_pages(v1: Play) -> None:
    async def scenario(kv: Driver) -> None:
        assert await kv.refused("LIST", "") == "NotFound: "
        assert (await kv("SCAN", "")).data == {}
        for path in ("a", "f/y/z", "f/x"):
            await kv("POST", path, {"v": 1})
        warning = ["Endpoint ignored these unrecognized parameters: [after limit]"]
        answer = await kv("LIST", "", limit=1, after="a")
        assert (answer.data["keys"], answer.warnings) == (["a", "f/"], warning)
        assert (await kv("LIST", "f/")).data["keys"] == ["x", "y/"]
        assert (await kv("LIST", "f")).data["keys"] == ["x", "y/"]
        assert (await kv("SCAN", "")).data["keys"] == ["a", "f/x", "f/y/z"]
        assert (await kv("SCAN", "f/")).data["keys"] == ["x", "y/z"]
        assert await kv.refused("GET", "f") == "NotFound: "
        assert await kv.refused("GET", "f/") == "NotFound: "

    v1(scenario)


async def _upgraded(kv: Driver) -> int:
    async with kv.barrier.write(ROOT_ID, "logical/one/") as view:
        return await upgrade(view, kv.clock.nanos())


def test_an_upgrade_makes_every_secret_the_first_version_of_itself(v1: Play) -> None:
    async def scenario(kv: Driver) -> None:
        await kv("POST", "up/a", b'{"x":1.10,"big":12345678901234567890,"ttl":"1h"}')
        await kv("POST", "config", {"v": 1})
        assert await _upgraded(kv) == 2
        assert await _upgraded(kv) == 0
        kv.engine = VersionedKV(kv.clock)
        kv.table = RouteTable([kv.engine])
        read = (await kv("GET", "data/up/a")).data
        assert read["data"] == {"big": 12345678901234567890, "ttl": "1h", "x": 1.1}
        assert b'"x":1.10}' in (await kv("GET", "data/up/a")).text
        assert read["metadata"]["version"] == 1
        assert (await kv("GET", "metadata/up/a")).data["oldest_version"] == 1
        assert (await kv("SCAN", "metadata/")).data["keys"] == ["config", "up/a"]
        assert (await kv("GET", "config")).data["max_versions"] == 0
        assert (await kv("POST", "data/up/a", {"data": {"v": 2}})).data["version"] == 2
        assert (await kv("GET", "data/up/a", version=1)).data["data"]["x"] == 1.1

    v1(scenario)


def test_others_have_turns_while_many_secrets_are_upgraded(v1: Play) -> None:
    async def scenario(kv: Driver) -> None:
        async with kv.barrier.write(ROOT_ID, "logical/one/") as view:
            for number in range(2000):
                await view.put(f"entry/{number}", raw(b"{}"))
        async with of_others() as turns:
            assert await _upgraded(kv) == 2000
        assert turns.count > 3

    v1(scenario)


def test_an_upgrade_that_cannot_finish_changes_nothing(v1: Play) -> None:
    async def scenario(kv: Driver) -> None:
        await kv("POST", "a", {"v": 1})
        async with kv.storage.write() as tx:
            await tx.put("logical/one/entry/b", b"not encrypted")
        before = await kv.stored()
        with pytest.raises(BarrierFailure):
            await _upgraded(kv)
        assert await kv.stored() == before
        assert (await kv("GET", "a")).data == {"v": 1}

    v1(scenario)


def test_a_form_is_a_secret_of_strings(v1: Play) -> None:
    async def scenario(kv: Driver) -> None:
        assert (await kv("POST", "a", b"x=1&y=2&y=3")).status == 204
        assert (await kv("GET", "a")).data == {"x": "1", "y": "2,3"}

    v1(scenario)
