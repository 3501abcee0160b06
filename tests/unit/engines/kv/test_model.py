# SPDX-License-Identifier: EUPL-1.2
"""Random operations against a plain model of version 2: whatever happens, both answer the same."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.engines.driver import Driver, FakeClock
from vault.engines.kv import store, versions
from vault.engines.kv.engine import VersionedKV
from vault.framework.errors import Malformed, NotFound
from vault.framework.limits import AT_ONCE
from vault.framework.request import exact_json
from vault.values.ids import ROOT_ID

PATHS = st.sampled_from(["a", "b", "a/1", "a/b"])
NUMBERS = st.integers(0, 6)
VALUES = st.dictionaries(st.sampled_from("xyz"), st.none() | st.integers(0, 3), max_size=3)
CAS = st.none() | NUMBERS
OPERATIONS = st.one_of(
    st.tuples(st.just("put"), PATHS, VALUES, CAS),
    st.tuples(st.just("put"), PATHS, VALUES, st.none()),
    st.tuples(st.just("patch"), PATHS, VALUES, CAS),
    st.tuples(st.just("get"), PATHS, NUMBERS),
    st.tuples(st.just("delete_newest"), PATHS),
    st.tuples(
        st.sampled_from(["delete", "undelete", "destroy"]), PATHS, st.lists(NUMBERS, min_size=1, max_size=3)
    ),
    st.tuples(st.just("limit"), PATHS, st.integers(0, 3)),
    st.tuples(st.just("expire"), PATHS, st.integers(0, 20)),
    st.tuples(st.just("sleep"), st.integers(1, 15)),
    st.tuples(st.just("remove"), PATHS),
    st.tuples(st.just("names")),
)


@dataclass
class Secret:
    """One path: version number to [value, moment of deletion or None, destroyed]."""

    versions: dict[int, list[Any]] = field(default_factory=dict)
    current: int = 0
    limit: int = 0
    expires: int = 0


class Model:
    """What version 2 promises, with time in whole seconds."""

    def __init__(self) -> None:
        self.secrets: dict[str, Secret] = {}
        self.now = 0

    def _gone(self, version: list[Any]) -> bool:
        return version[2] or (version[1] is not None and version[1] <= self.now)

    def _add(self, secret: Secret, value: Any) -> int:
        secret.current += 1
        secret.versions[secret.current] = [value, self._end(secret), False]
        kept = secret.limit or 10
        secret.versions = {n: version for n, version in secret.versions.items() if n > secret.current - kept}
        return secret.current

    def _end(self, secret: Secret) -> int | None:
        return self.now + secret.expires if secret.expires else None

    def put(self, path: str, value: Any, cas: int | None) -> Any:
        current = self.secrets[path].current if path in self.secrets else 0
        if cas is not None and cas != current:
            return "refused"
        return self._add(self.secrets.setdefault(path, Secret()), value)

    def patch(self, path: str, value: dict[str, Any], cas: int | None) -> Any:
        secret = self.secrets.get(path)
        if secret is None:
            return 404
        if cas is not None and cas != secret.current:
            return "refused"
        newest = secret.versions.get(secret.current)
        if newest is None or self._gone(newest):
            return 404
        merged = {key: item for key, item in newest[0].items() if key not in value}
        return self._add(secret, {**merged, **{key: item for key, item in value.items() if item is not None}})

    def get(self, path: str, number: int) -> Any:
        secret = self.secrets.get(path, Secret())
        version = secret.versions.get(number or secret.current)
        return "absent" if version is None else 404 if self._gone(version) else version[0]

    def delete_newest(self, path: str) -> None:
        secret = self.secrets.get(path, Secret())
        self.delete(path, [secret.current])

    def delete(self, path: str, numbers: list[int]) -> None:
        for version in self._named(path, numbers):
            if not self._gone(version):
                version[1] = self.now

    def undelete(self, path: str, numbers: list[int]) -> None:
        for version in self._named(path, numbers):
            version[1] = self._end(self.secrets[path])

    def destroy(self, path: str, numbers: list[int]) -> None:
        for version in self._named(path, numbers):
            version[2] = True

    def _named(self, path: str, numbers: list[int]) -> list[list[Any]]:
        versions = self.secrets.get(path, Secret()).versions
        return [version for n, version in versions.items() if n in numbers and not version[2]]

    def limit(self, path: str, count: int) -> None:
        self.secrets.setdefault(path, Secret()).limit = count

    def expire(self, path: str, seconds: int) -> None:
        self.secrets.setdefault(path, Secret()).expires = seconds

    def sleep(self, seconds: int) -> None:
        self.now += seconds

    def remove(self, path: str) -> None:
        self.secrets.pop(path, None)

    def names(self) -> Any:
        return sorted(self.secrets)

    def kept(self, longest: int) -> list[str]:
        """What storage may hold, and nothing else: no data of a version that is trimmed or destroyed.

        Data of more than `longest` bytes lie by themselves from the beginning, and those of older versions there or in the row.
        """
        rows = [f"metadata/{path}" for path in self.secrets]
        for path, secret in self.secrets.items():
            rows += [
                f"versions/{path}/{n}"
                for n, version in secret.versions.items()
                if (n != secret.current or len(exact_json.encode(version[0])) > longest) and not version[2]
            ]
        return sorted(rows)


class Real:
    """The engine, with the model's methods."""

    def __init__(self, kv: Driver) -> None:
        self.kv = kv

    async def _write(self, method: str, path: str, value: Any, cas: int | None) -> Any:
        options = {} if cas is None else {"cas": cas}
        try:
            answer = await self.kv(method, f"data/{path}", {"data": value, "options": options})
        except Malformed:
            return "refused"
        return 404 if answer.status == 404 else answer.data["version"]

    async def put(self, path: str, value: Any, cas: int | None) -> Any:
        return await self._write("POST", path, value, cas)

    async def patch(self, path: str, value: Any, cas: int | None) -> Any:
        return await self._write("PATCH", path, value, cas)

    async def get(self, path: str, number: int) -> Any:
        try:
            answer = await self.kv("GET", f"data/{path}", version=number)
        except NotFound:
            return "absent"
        return 404 if answer.status == 404 else answer.data["data"]

    async def delete_newest(self, path: str) -> None:
        await self.kv("DELETE", f"data/{path}")

    async def delete(self, path: str, numbers: list[int]) -> None:
        await self.kv("POST", f"delete/{path}", {"versions": numbers})

    async def undelete(self, path: str, numbers: list[int]) -> None:
        await self.kv("POST", f"undelete/{path}", {"versions": numbers})

    async def destroy(self, path: str, numbers: list[int]) -> None:
        await self.kv("POST", f"destroy/{path}", {"versions": numbers})

    async def limit(self, path: str, count: int) -> None:
        await self.kv("POST", f"metadata/{path}", {"max_versions": count})

    async def expire(self, path: str, seconds: int) -> None:
        await self.kv("POST", f"metadata/{path}", {"delete_version_after": seconds})

    async def sleep(self, seconds: int) -> None:
        self.kv.clock.sleep(seconds)

    async def remove(self, path: str) -> None:
        await self.kv("DELETE", f"metadata/{path}")

    async def names(self) -> Any:
        return sorted((await self.kv("SCAN", "metadata/")).data.get("keys", []))

    async def kept(self, most: int) -> list[str]:
        """What storage holds. Of older versions no more than so many bytes lie in a row, and none twice."""
        found = list(await self.kv.stored())
        for path in [path.removeprefix(store.ROWS) for path in found if path.startswith(store.ROWS)]:
            row = await store.load(self.kv.barrier.reader(ROOT_ID, "logical/one/"), path)
            assert row is not None
            earlier = store.earlier(row)
            assert sum(map(len, earlier.values())) <= most
            found += [f"versions/{path}/{number}" for number in earlier]
        return sorted(found)


@pytest.mark.parametrize(("longest", "most"), [(AT_ONCE, 2048), (9, 16), (AT_ONCE, 20), (9, -1), (-1, -1)])
@given(operations=st.lists(OPERATIONS, max_size=40))
def test_the_engine_answers_as_the_model_does(
    longest: int, most: int, operations: list[tuple[Any, ...]]
) -> None:
    async def scenario() -> None:
        clock = FakeClock()
        kv = await Driver(VersionedKV(clock), clock).start()
        model, real = Model(), Real(kv)
        for name, *arguments in operations:
            expected = getattr(model, name)(*arguments)
            assert await getattr(real, name)(*arguments) == expected, (name, arguments)
        assert await real.kept(max(most, 0)) == model.kept(longest)
        for path, secret in model.secrets.items():
            for number in range(secret.current + 2):
                assert await real.get(path, number) == model.get(path, number)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(versions, "AT_ONCE", longest)
        patch.setattr(versions, "MOST_EARLIER", most)
        asyncio.run(scenario())
