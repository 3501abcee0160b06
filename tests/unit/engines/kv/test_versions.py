# SPDX-License-Identifier: EUPL-1.2
from typing import Any

import msgspec
import pytest

from tests.turns import of_others
from tests.unit.engines.driver import Driver
from tests.unit.engines.kv.conftest import Play
from vault.barrier.stored import raw
from vault.engines.kv import store, versions
from vault.engines.kv.model import Row, Version
from vault.framework.clock import rfc3339
from vault.framework.errors import NotFound
from vault.framework.limits import AT_ONCE
from vault.values.ids import ROOT_ID
from vault.values.times import Nanos


async def _states(kv: Driver, path: str) -> dict[str, str]:
    """Return what each version is."""
    versions = (await kv("GET", f"metadata/{path}")).data["versions"]
    now = rfc3339(kv.clock.nanos())
    return {
        number: "destroyed"
        if state["destroyed"]
        else "deleted"
        if "" < state["deletion_time"] <= now
        else "live"
        for number, state in versions.items()
    }


async def _write(kv: Driver, path: str, *values: Any) -> None:
    for value in values:
        await kv("POST", f"data/{path}", {"data": value})


def test_a_deleted_version_answers_404_with_its_metadata_and_comes_back(v2: Play) -> None:
    async def scenario(kv: Driver) -> None:
        await _write(kv, "a", {"v": 1}, {"v": 2}, {"v": 3})
        assert (await kv("DELETE", "data/a")).status == 204
        assert (await kv("POST", "delete/a", {"versions": ["1", 99, -1, 0]})).status == 204
        assert await _states(kv, "a") == {"1": "deleted", "2": "live", "3": "deleted"}
        read = await kv("GET", "data/a")
        assert read.status == 404
        assert read.data["data"] is None
        assert read.data["metadata"]["version"] == 3
        assert read.data["metadata"]["deletion_time"] != ""
        assert (await kv("GET", "subkeys/a")).status == 404
        assert (await kv("GET", "data/a", version=2)).data["data"] == {"v": 2}
        before = (await kv("GET", "metadata/a")).data
        await kv("DELETE", "data/a")
        assert (await kv("GET", "metadata/a")).data == before  # deleting again does not move the time
        assert (await kv("POST", "undelete/a", {"versions": "1,3"})).status == 204
        assert await _states(kv, "a") == {"1": "live", "2": "live", "3": "live"}
        assert (await kv("GET", "data/a")).data["data"] == {"v": 3}
        assert (await kv("GET", "data/a", version=1)).data["data"] == {"v": 1}

    v2(scenario)


def test_a_destroyed_version_is_gone_from_storage_and_stays_gone(v2: Play) -> None:
    async def scenario(kv: Driver) -> None:
        await _write(kv, "a", {"v": 1}, {"v": 2}, {"v": 3})
        await kv("POST", "delete/a", {"versions": [1]})
        deleted = (await kv("GET", "data/a", version=1)).data["metadata"]["deletion_time"]
        assert (await kv("POST", "destroy/a", {"versions": [1, 3]})).status == 204
        assert (await kv("POST", "undelete/a", {"versions": [1, 3]})).status == 204
        assert await _states(kv, "a") == {"1": "destroyed", "2": "live", "3": "destroyed"}
        for version in (1, 3):
            read = await kv("GET", "data/a", version=version)
            assert (read.status, read.data["data"]) == (404, None)
            assert read.data["metadata"]["destroyed"] is True
        assert (await kv("GET", "data/a", version=1)).data["metadata"]["deletion_time"] == deleted
        assert (await kv("GET", "data/a", version=3)).data["metadata"]["deletion_time"] == ""
        assert sorted(await kv.stored()) == ["metadata/a"]
        row = await store.load(kv.barrier.reader(ROOT_ID, "logical/one/"), "a")
        assert row is not None
        assert (row.data, store.earlier(row)) == (b"", {2: b'{"v":2}'})
        await _write(kv, "a", {"v": 4})  # a destroyed newest version leaves no row behind
        assert sorted(await kv.stored()) == ["metadata/a"]

    v2(scenario)


@pytest.mark.parametrize(
    ("verb", "message"),
    [
        ("delete", "No version number provided"),
        ("undelete", "No version number provided"),
        ("destroy", "no version number provided"),
    ],
)
def test_changing_versions_needs_numbers_and_passes_over_what_is_not_there(
    v2: Play, verb: str, message: str
) -> None:
    async def scenario(kv: Driver) -> None:
        none: tuple[Any, ...] = ({}, {"versions": []}, {"versions": ""}, {"versions": None})
        for body in none:
            assert await kv.refused("POST", f"{verb}/a", body) == f"Malformed: {message}"
        assert (await kv("POST", f"{verb}/nope", {"versions": [1]})).status == 204
        await kv("POST", "metadata/empty", {"max_versions": 3})
        assert (await kv("POST", f"{verb}/empty", {"versions": [1]})).status == 204
        assert await kv.stored() == ["metadata/empty"]

    v2(scenario)


def test_a_delete_of_nothing_is_no_error(v2: Play) -> None:
    async def scenario(kv: Driver) -> None:
        await kv("POST", "metadata/empty", {"max_versions": 3})
        for path in ("data/nope", "data/empty", "data/", "metadata/nope", "metadata/"):
            assert (await kv("DELETE", path)).status == 204
        assert await kv.stored() == ["metadata/empty"]

    v2(scenario)


def test_of_more_versions_than_anybody_keeps_the_oldest_go(v2: Play) -> None:
    """Others have turns while there are many to be shown, and to be removed."""

    async def scenario(kv: Driver) -> None:
        await kv("POST", "metadata/a", {"max_versions": 2**32 - 1})
        await kv("POST", "config", {"max_versions": 2**32 - 1})
        many = [Version(number, Nanos(number)) for number in range(1, 13_000)]
        async with kv.barrier.write(ROOT_ID, "logical/one/") as view:
            row = await store.load(view, "a")
            assert row is not None
            newest = Version(13_000, Nanos(13_000))
            row = msgspec.structs.replace(
                row, older=store.packed(many), current=13_000, newest=newest, oldest=1, data=b"{}"
            )
            await store.save(view, "a", row)
            for version in many[:3100]:
                await store.save_data(view, "a", version.number, b"{}")
        async with of_others() as turns:
            shown = await kv("GET", "metadata/a")
        assert turns.count > 3
        assert shown.long and len(shown.data["versions"]) == 13_000
        await _write(kv, "a", {"v": 1})
        data = (await kv("GET", "metadata/a")).data
        assert (data["max_versions"], data["oldest_version"]) == (2**32 - 1, 3002)
        assert [int(number) for number in data["versions"]] == list(range(3002, 13_002))
        left = [path for path in await kv.stored() if path.startswith("versions/")]
        assert len(left) == 99

    v2(scenario)


def test_old_versions_are_trimmed_by_the_next_write(v2: Play) -> None:
    async def scenario(kv: Driver) -> None:
        async def kept() -> tuple[int, list[int]]:
            data = (await kv("GET", "metadata/a")).data
            row = await store.load(kv.barrier.reader(ROOT_ID, "logical/one/"), "a")
            assert row is not None
            shown = sorted(map(int, data["versions"]))
            assert sorted(store.earlier(row)) == shown[:-1]  # no data of what was trimmed
            return data["oldest_version"], shown

        await _write(kv, "a", *({"v": n} for n in range(1, 10)))
        assert await kept() == (0, list(range(1, 10)))
        await _write(kv, "a", {"v": 10})
        assert await kept() == (1, list(range(1, 11)))
        await _write(kv, "a", {"v": 11}, {"v": 12})
        assert await kept() == (3, list(range(3, 13)))
        assert await kv.refused("GET", "data/a", version=2) == "NotFound: "
        await kv("POST", "metadata/a", {"max_versions": 3})
        assert (await kv("GET", "data/a", version=4)).data["data"] == {"v": 4}
        await _write(kv, "a", {"v": 13})
        assert await kept() == (11, [11, 12, 13])
        assert sorted(await kv.stored()) == ["metadata/a"]
        await kv("POST", "metadata/a", {"max_versions": 20})
        await kv("POST", "config", {"max_versions": 2})
        await _write(kv, "a", {"v": 14})
        assert await kept() == (11, [11, 12, 13, 14])
        await kv("POST", "metadata/a", {"max_versions": 0})
        await _write(kv, "a", {"v": 15})
        assert await kept() == (14, [14, 15])
        await kv("POST", "metadata/a", {"max_versions": 1})
        await _write(kv, "a", {"v": 16})
        assert await kept() == (15, [15, 16])  # the mount's 2 is larger
        await kv("POST", "config", {"max_versions": 0})
        await _write(kv, "a", {"v": 17})
        assert await kept() == (17, [17])

    v2(scenario)


@pytest.mark.parametrize(
    ("mount", "secret", "seconds"),
    [("0s", "2s", 2), ("1h", "2h", 3600), ("1h", "30m", 1800), ("1h", 0, 3600), ("-1s", "1h", 0), (0, 0, 0)],
)
def test_versions_delete_themselves_after_the_shorter_of_two_times(
    v2: Play, mount: Any, secret: Any, seconds: int
) -> None:
    async def scenario(kv: Driver) -> None:
        await kv("POST", "config", {"delete_version_after": mount})
        await kv("POST", "metadata/a", {"delete_version_after": secret})
        written = (await kv("POST", "data/a", {"data": {"v": 1}})).data
        created = kv.clock.now
        assert written["deletion_time"] == (rfc3339(Nanos(created + seconds * 10**9)) if seconds else "")
        kv.clock.sleep(seconds - 1 if seconds else 10**9)
        assert (await kv("GET", "data/a")).status == 200
        if seconds:
            kv.clock.sleep(1)
            assert (await kv("GET", "data/a")).status == 404

    v2(scenario)


def test_undelete_starts_the_time_again_and_delete_ends_it_at_once(v2: Play) -> None:
    async def scenario(kv: Driver) -> None:
        await kv("POST", "metadata/a", {"delete_version_after": "10s"})
        await _write(kv, "a", {"v": 1}, {"v": 2})
        kv.clock.sleep(20)
        expired = (await kv("GET", "metadata/a")).data
        await kv("DELETE", "data/a")
        assert (await kv("GET", "metadata/a")).data == expired
        await kv("POST", "undelete/a", {"versions": [1]})
        assert await _states(kv, "a") == {"1": "live", "2": "deleted"}
        kv.clock.sleep(9)
        assert (await kv("GET", "data/a", version=1)).status == 200
        await kv("POST", "delete/a", {"versions": [1]})
        assert (await kv("GET", "data/a", version=1)).status == 404
        assert (await kv("PATCH", "data/a", {"data": {}})).status == 404

    v2(scenario)


def test_a_number_in_a_path_is_no_version_of_another_secret(
    v2: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions, "MOST_EARLIER", -1)

    async def scenario(kv: Driver) -> None:
        await _write(kv, "a", {"v": 1}, {"v": 2})
        await _write(kv, "a/1", {"w": 1}, {"w": 2})
        await kv("DELETE", "metadata/a")
        assert (await kv("GET", "data/a/1", version=1)).data["data"] == {"w": 1}
        assert sorted(await kv.stored()) == ["metadata/a/1", "versions/a/1/1"]

    v2(scenario)


def test_deleting_metadata_removes_every_trace_of_a_secret(v2: Play) -> None:
    async def scenario(kv: Driver) -> None:
        for n in range(5):
            await kv("POST", "data/a", {"data": {"v": n}})
            await kv("POST", "data/a/b", {"data": {"v": n}})
        assert (await kv("DELETE", "metadata/a")).status == 204
        assert await kv.refused("GET", "data/a") == "NotFound: "
        assert all("a/b" in path for path in await kv.stored())
        assert (await kv("POST", "data/a", {"data": {}})).data["version"] == 1

    v2(scenario)


def test_a_trailing_slash_does_not_reach_another_secret(v2: Play) -> None:
    async def scenario(kv: Driver) -> None:
        await _write(kv, "a", {"v": 1})
        await kv("DELETE", "data/a/")
        await kv("DELETE", "metadata/a/")
        assert await kv.refused("GET", "metadata/a/") == "NotFound: "
        assert (await kv("GET", "data/a")).data["data"] == {"v": 1}

    v2(scenario)


def test_a_long_secret_of_before_is_read_changed_and_removed(v2: Play) -> None:
    """Its data lie in its row, which is of the first version."""

    async def scenario(kv: Driver) -> None:
        text = b'{"a":"%b"}' % (b"x" * AT_ONCE)
        row = Row(Nanos(1), Nanos(1), current=1, newest=Version(1, Nanos(1)), data=text, oldest=1)
        former = msgspec.msgpack.encode(msgspec.structs.astuple(row)[:-2])
        async with kv.barrier.write(ROOT_ID, "logical/one/") as view:
            for path in "abc":
                await view.put(f"metadata/{path}", raw(former))
        assert (await kv("GET", "data/a")).data["data"] == {"a": "x" * AT_ONCE}
        await kv("POST", "metadata/a", {"custom_metadata": {"k": "v"}})
        await kv("PATCH", "data/a", {"data": {"b": 1}})
        assert (await kv("GET", "data/a", version=1)).data["data"] == {"a": "x" * AT_ONCE}
        assert (await kv("GET", "data/a")).data["data"] == {"a": "x" * AT_ONCE, "b": 1}
        await kv("POST", "destroy/b", {"versions": [1]})
        await kv("DELETE", "metadata/c")
        assert sorted(await kv.stored()) == ["metadata/a", "metadata/b", "versions/a/1", "versions/a/2"]
        await kv("POST", "destroy/a", {"versions": [2]})
        assert sorted(await kv.stored()) == ["metadata/a", "metadata/b", "versions/a/1"]
        await kv("POST", "data/a", {"data": {"a": "y" * AT_ONCE}})
        await kv("DELETE", "metadata/a")
        assert sorted(await kv.stored()) == ["metadata/b"]

    v2(scenario)


def test_data_of_older_versions_lie_in_the_row_while_they_are_short_together(v2: Play) -> None:
    async def scenario(kv: Driver) -> None:
        await _write(kv, "a", {"v": "x" * 1000}, {"v": "y" * 1000}, {"v": "z" * 1000}, {"v": "short"}, {})
        assert sorted(await kv.stored()) == ["metadata/a", "versions/a/3"]
        for number, value in enumerate(("x" * 1000, "y" * 1000, "z" * 1000, "short"), 1):
            assert (await kv("GET", "data/a", version=number)).data["data"] == {"v": value}
        await kv("POST", "destroy/a", {"versions": [1, 3]})
        assert sorted(await kv.stored()) == ["metadata/a"]
        await _write(kv, "a", {"v": "new"})
        row = await store.load(kv.barrier.reader(ROOT_ID, "logical/one/"), "a")
        assert row is not None
        assert sorted(store.earlier(row)) == [2, 4, 5]

    v2(scenario)


def test_older_versions_of_before_are_read_and_trimmed_where_they_lie(v2: Play) -> None:
    """Their data lie by themselves, and the row is of the second version."""

    async def scenario(kv: Driver) -> None:
        older = store.packed([Version(1, Nanos(1)), Version(2, Nanos(2))])
        row = Row(
            Nanos(1), Nanos(3), 3, Version(3, Nanos(3)), b'{"v":3}', oldest=1, max_versions=3, older=older
        )
        former = b"\xc1\x02" + msgspec.msgpack.encode(msgspec.structs.astuple(row)[:-1])
        async with kv.barrier.write(ROOT_ID, "logical/one/") as view:
            await view.put("metadata/a", raw(former))
            for number in (1, 2):
                await view.put(f"versions/a/{number}", raw(b'{"v":%d}' % number))
        assert (await kv("GET", "data/a", version=1)).data["data"] == {"v": 1}
        await _write(kv, "a", {"v": 4})
        assert sorted(await kv.stored()) == ["metadata/a", "versions/a/2"]
        for number in (2, 3, 4):
            assert (await kv("GET", "data/a", version=number)).data["data"] == {"v": number}
        await kv("POST", "destroy/a", {"versions": [2]})
        assert sorted(await kv.stored()) == ["metadata/a"]

    v2(scenario)


def test_the_newest_version_is_found_although_the_one_before_goes_while_it_is_read(
    v2: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(kv: Driver) -> None:
        monkeypatch.setattr(versions, "AT_ONCE", -1)
        await kv("POST", "metadata/a", {"max_versions": 1})
        await kv("POST", "data/a", {"data": {"n": 1}})
        load, turns = store.load_data, iter([True])

        async def meanwhile(*given: Any) -> bytes | None:
            if next(turns, False):
                await kv("POST", "data/a", {"data": {"n": 2}})
            return await load(*given)

        monkeypatch.setattr(store, "load_data", meanwhile)
        assert (await kv("GET", "data/a")).data["data"] == {"n": 2}
        turns = iter([True])
        with pytest.raises(NotFound):
            await kv("GET", "data/a", version=2)

    v2(scenario)
