# SPDX-License-Identifier: EUPL-1.2
"""The order of names in a scan."""

from collections.abc import Callable
from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from tests.growth import excess
from vault.framework.names import scan_order

PATHS = st.text("ab-/", min_size=1, max_size=8).filter(
    lambda path: "//" not in path and not path.startswith("/")
)


def in_order(paths: list[str]) -> list[str]:
    """What `scan_order` returns, as its meaning says it."""
    folders: dict[str, list[str]] = {}
    for path in paths:
        head, slash, rest = path.partition("/")
        if slash:
            folders.setdefault(head, []).append(rest)
    below = [f"{head}/{rest}" for head in reversed(folders) for rest in in_order(folders[head])]
    return [path for path in paths if "/" not in path] + below


def test_a_folder_s_leaves_come_before_its_folders_and_the_last_folder_first() -> None:
    assert scan_order(["c/e/y", "c/x", "d/1", "d/a", "d/e/2", "d/f/3", "z"]) == [
        "z", "d/1", "d/a", "d/f/3", "d/e/2", "c/x", "c/e/y",
    ]  # fmt: skip


@given(st.sets(PATHS, max_size=12))
def test_each_folder_is_in_order(paths: set[str]) -> None:
    assert scan_order(sorted(paths)) == in_order(sorted(paths))


def test_no_path_is_too_deep_to_be_in_order() -> None:
    deep = "a/" * 5000
    paths = sorted(
        [f"{deep}x", f"{deep}y", f"{deep[:5000]}y", "b", *("c/" * n + "x" for n in range(1, 1300))]
    )
    ordered = scan_order(paths)
    assert ordered[:2] == ["b", "c/x"]
    assert ordered[-3:] == [f"{deep[:5000]}y", f"{deep}x", f"{deep}y"]
    assert sorted(ordered) == paths


def test_to_order_paths_costs_what_they_are_long() -> None:
    def work(size: int) -> Callable[[], object]:
        return partial(scan_order, [f"{number:09}" + "/a" * 500 for number in range(size)])

    assert excess(work, 500, 0.2) == ""
