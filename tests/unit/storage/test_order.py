# SPDX-License-Identifier: EUPL-1.2
"""How often storage is asked to seek."""

from collections.abc import Iterable

from vault.storage.order import end_of, names_below


def test_a_small_folder_is_read_past_and_a_big_one_is_jumped_over() -> None:
    paths = sorted([*(f"big/{n}" for n in range(99)), "small/1", "small/2", "z"])
    read: list[str] = []
    seeks: list[str] = []

    def seek(start: str, end: str | None) -> Iterable[str]:
        seeks.append(start)
        for path in paths:
            if start <= path and (end is None or path < end):
                read.append(path)
                yield path

    assert names_below(seek, "", "", 0) == ["big/", "small/", "z"]
    assert seeks == ["\0", "big0"]
    assert len(read) < 25


def test_the_end_of_a_prefix_is_behind_everything_below_it_and_nothing_else() -> None:
    assert end_of("") is None
    assert "a/\U0010ffff" < (end_of("a/") or "") == "a0"
