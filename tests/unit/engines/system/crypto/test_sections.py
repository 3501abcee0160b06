# SPDX-License-Identifier: EUPL-1.2
"""Pages of the inventory: in order, whole when put together, and nothing is asked that a page does not need."""

import asyncio
from collections.abc import Sequence
from time import perf_counter

import pytest

from tests.turns import of_others
from vault.engines.system.crypto.sections import Section, page
from vault.framework.keys.inventory import KeyUse, Purpose

NAMES = {
    "barrier/": ["2", "1"],
    "mounts/a-b/": ["x"],
    "mounts/a/": ["x", "y"],
    "safe/": [],
    "seal/": ["root"],
}
WHOLE = ["barrier/1", "barrier/2", "mounts/a-b/x", "mounts/a/x", "mounts/a/y", "seal/root"]


def _use(name: str) -> KeyUse:
    return KeyUse(name=name, purpose=Purpose.SAFE, protects="p", algorithm="ed25519", location="l")


class Asked:
    """Sections that note which of them were asked."""

    def __init__(self) -> None:
        self.prefixes: list[str] = []

    def sections(self) -> list[Section]:
        return [self._section(prefix, names) for prefix, names in reversed(NAMES.items())]

    def _section(self, prefix: str, names: Sequence[str]) -> Section:
        async def keys() -> Sequence[KeyUse]:
            self.prefixes.append(prefix)
            return [_use(name) for name in names]

        return Section(prefix, keys)

    def page(self, after: str, limit: int) -> tuple[list[str], bool]:
        found, more = asyncio.run(page(self.sections(), after=after, limit=limit))
        return [key.id for key in found], more


def test_all_keys_are_there_in_the_order_of_their_ids() -> None:
    assert Asked().page("", 100) == (WHOLE, False)
    assert sorted(WHOLE) == WHOLE


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 6, 7])
def test_pages_of_any_size_are_the_whole(limit: int) -> None:
    found: list[str] = []
    more = True
    while more:
        names, more = Asked().page(found[-1] if found else "", limit)
        assert 0 < len(names) <= limit
        found += names
    assert found == WHOLE


@pytest.mark.parametrize(
    ("after", "asked"),
    [
        ("barrier/2", ["barrier/", "mounts/a-b/"]),
        ("mounts/a/x", ["mounts/a/", "safe/", "seal/"]),
        ("nowhere", ["safe/", "seal/"]),
        ("zzz", []),
    ],
)
def test_nothing_is_asked_that_a_page_does_not_need(after: str, asked: list[str]) -> None:
    sections = Asked()
    sections.page(after, 0 if after == "barrier/2" else 100)
    assert sections.prefixes == asked


def test_others_get_their_turn_while_many_sections_are_asked() -> None:
    async def slow() -> Sequence[KeyUse]:
        ends = perf_counter() + 0.001
        while perf_counter() < ends:
            pass  # work on the loop, as decoding is
        return [_use("x")]

    async def run() -> int:
        async with of_others() as turns:
            await page([Section(f"mounts/{number:03}/", slow) for number in range(100)], after="", limit=1000)
        return turns.count

    assert asyncio.run(run()) > 20
