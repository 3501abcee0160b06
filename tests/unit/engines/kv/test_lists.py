# SPDX-License-Identifier: EUPL-1.2
from typing import Any

import pytest

from tests.turns import of_others
from tests.unit.engines.driver import Driver
from tests.unit.engines.kv.conftest import Play
from vault.engines.kv import store
from vault.engines.kv.model import Row, Version
from vault.values.ids import ROOT_ID
from vault.values.times import Nanos

PATHS = ("a", "a/b", "a/c/d", "b", "foo/x", "z", "B", "é", "a-b")
ALL = ["B", "a", "a-b", "a/", "b", "foo/", "z", "é"]


async def _filled(kv: Driver) -> None:
    for path in PATHS:
        await kv("POST", f"data/{path}", {"data": {}})


@pytest.mark.parametrize("kind", ["metadata", "detailed-metadata"])
def test_nothing_to_list_is_404_and_nothing_to_scan_is_an_empty_object(v2: Play, kind: str) -> None:
    async def scenario(kv: Driver) -> None:
        assert await kv.refused("LIST", f"{kind}/") == "NotFound: "
        assert (await kv("SCAN", f"{kind}/")).data == {}
        await kv("POST", "data/a", {"data": {}})
        assert await kv.refused("LIST", f"{kind}/a/") == "NotFound: "
        assert (await kv("SCAN", f"{kind}/nope/")).data == {}

    v2(scenario)


@pytest.mark.parametrize("kind", ["metadata", "detailed-metadata"])
@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ({}, ALL),
        ({"after": "a"}, ALL[2:]),
        ({"after": "a/", "limit": 2}, ["b", "foo/"]),
        ({"limit": "2"}, ["B", "a"]),
        ({"limit": -1}, ALL),
        ({"limit": 0, "after": ""}, ALL),
        ({"after": "zzzz"}, ["é"]),
    ],
)
def test_a_list_is_sorted_and_comes_in_pages(
    v2: Play, kind: str, query: dict[str, Any], keys: list[str]
) -> None:
    async def scenario(kv: Driver) -> None:
        await _filled(kv)
        assert (await kv("LIST", f"{kind}/", **query)).data["keys"] == keys
        assert await kv.refused("LIST", f"{kind}/", after="ê") == "NotFound: "
        assert (await kv.refused("LIST", f"{kind}/", limit="abc")).startswith(
            "Malformed: Field validation failed"
        )

    v2(scenario)


@pytest.mark.parametrize("kind", ["metadata", "detailed-metadata"])
def test_a_folder_is_listed_with_and_without_its_slash(v2: Play, kind: str) -> None:
    async def scenario(kv: Driver) -> None:
        await _filled(kv)
        for path in ("a", "a/"):
            assert (await kv("LIST", f"{kind}/{path}")).data["keys"] == ["b", "c/"]
            assert (await kv("SCAN", f"{kind}/{path}")).data["keys"] == ["b", "c/d"]

    v2(scenario)


@pytest.mark.parametrize("kind", ["metadata", "detailed-metadata"])
def test_a_scan_has_every_leaf_in_the_fields_order_and_no_pages(v2: Play, kind: str) -> None:
    async def scenario(kv: Driver) -> None:
        await _filled(kv)
        answer = await kv("SCAN", f"{kind}/", after="a", limit=1)
        assert answer.data["keys"] == ["B", "a", "a-b", "b", "z", "é", "foo/x", "a/b", "a/c/d"]
        assert answer.warnings == []

    v2(scenario)


def test_a_detailed_list_has_each_secrets_metadata_and_nothing_for_a_folder(v2: Play) -> None:
    async def scenario(kv: Driver) -> None:
        await _filled(kv)
        info = (await kv("LIST", "detailed-metadata/")).data["key_info"]
        assert list(info) == ALL
        assert info["a/"] == info["foo/"] == {}
        assert info["a"] == (await kv("GET", "metadata/a")).data
        below = (await kv("SCAN", "detailed-metadata/a/")).data["key_info"]
        assert below["c/d"] == (await kv("GET", "metadata/a/c/d")).data

    v2(scenario)


@pytest.mark.parametrize("kind", ["metadata", "detailed-metadata"])
def test_the_deepest_secret_is_in_a_scan(v2: Play, kind: str) -> None:
    deep = "/".join("a" * 1200)

    async def scenario(kv: Driver) -> None:
        for path in ("b", f"c/{deep}", f"c/{deep[:-1]}b"):
            await kv("POST", f"data/{path}", {"data": {}})
        assert (await kv("SCAN", f"{kind}/")).data["keys"] == ["b", f"c/{deep}", f"c/{deep[:-1]}b"]

    v2(scenario)


def test_others_have_turns_while_the_metadata_of_many_secrets_are_listed(v2: Play) -> None:
    async def scenario(kv: Driver) -> None:
        row = Row(created=Nanos(1), updated=Nanos(1), current=1, newest=Version(1, Nanos(1)), oldest=1)
        async with kv.barrier.write(ROOT_ID, "logical/one/") as view:
            for number in range(3000):
                await store.save(view, f"f/{number}", row)
        async with of_others() as turns:
            listed = await kv("LIST", "detailed-metadata/f/")
        assert turns.count > 3
        assert len(listed.data["keys"]) == 3000
        assert listed.long and (await kv("SCAN", "detailed-metadata/")).long
        assert not (await kv("LIST", "detailed-metadata/f/", limit=9)).long

    v2(scenario)


def test_old_versions_are_no_names(v2: Play) -> None:
    async def scenario(kv: Driver) -> None:
        for _ in range(3):
            await kv("POST", "data/a", {"data": {}})
        await kv("POST", "config", {"max_versions": 2})
        assert (await kv("LIST", "metadata/")).data["keys"] == ["a"]
        assert (await kv("SCAN", "metadata/")).data["keys"] == ["a"]

    v2(scenario)
