# SPDX-License-Identifier: EUPL-1.2
"""The kept tree takes leaves as they come, and believes no tile that it has not written or compared."""

import os
from pathlib import Path

import pytest

from tests.unit.log.format.trees import root
from vault.log.format.tiles import WIDTH, Tile, read_tile
from vault.log.format.tree import leaf_hash
from vault.log.reader.kept_tree import KeptTree

_LEAVES = [leaf_hash(b"%d" % number) for number in range(4 * WIDTH + 9)]


def _grown(folder: Path, count: int) -> KeptTree:
    tree = KeptTree(folder, closed=0, begin=0, leaves=b"")
    for first in range(0, count, 100):
        tree.extend(_LEAVES[first : min(first + 100, count)])
    return tree


def test_it_is_the_tree_of_all_leaves(tmp_path: Path) -> None:
    tree = _grown(tmp_path, len(_LEAVES))
    assert tree.whole
    assert tree.size == len(_LEAVES)
    for size in (0, 1, WIDTH, WIDTH + 1, len(_LEAVES)):
        assert tree.root(size) == root(_LEAVES[:size])
    assert tree.newest == b"".join(_LEAVES[4 * WIDTH :])
    assert tree.read(Tile(0, 1)) == b"".join(_LEAVES[WIDTH : 2 * WIDTH])


@pytest.mark.parametrize("begin", [0, 5, WIDTH, 2 * WIDTH + 7])
def test_it_goes_on_behind_closed_segments(tmp_path: Path, begin: int) -> None:
    newest = _grown(tmp_path, begin).newest
    tree = KeptTree(tmp_path, closed=begin, begin=begin, leaves=newest)
    tree.extend(_LEAVES[begin:])
    assert tree.whole
    assert tree.root(len(_LEAVES)) == root(_LEAVES)


def test_tiles_of_the_open_segment_are_written_anew(tmp_path: Path) -> None:
    _grown(tmp_path, 3 * WIDTH)
    path = tmp_path / Tile(0, 2).path
    path.write_bytes(b"torn by a power cut")
    tree = KeptTree(tmp_path, closed=WIDTH, begin=WIDTH, leaves=b"")
    tree.extend(_LEAVES[WIDTH:])
    assert read_tile(tmp_path, 0, 2) == b"".join(_LEAVES[2 * WIDTH : 3 * WIDTH])
    assert tree.root(len(_LEAVES)) == root(_LEAVES)


def test_leaves_of_closed_segments_are_compared(tmp_path: Path) -> None:
    _grown(tmp_path, 3 * WIDTH)
    tree = KeptTree(tmp_path, closed=3 * WIDTH, begin=0, leaves=b"")
    assert tree.believed == 3 * WIDTH
    assert tree.agrees(10, _LEAVES[10:20])
    assert not tree.agrees(10, [*_LEAVES[10:15], bytes(32), *_LEAVES[16:20]])
    assert tree.agrees(3 * WIDTH - 1, [_LEAVES[3 * WIDTH - 1], bytes(32)])
    for first in range(0, len(_LEAVES), 100):
        tree.extend(_LEAVES[first : first + 100])
    assert tree.root(len(_LEAVES)) == root(_LEAVES)


def test_a_lost_tile_tells_nothing(tmp_path: Path) -> None:
    leaves = [leaf_hash(b"%d" % number) for number in range(WIDTH * WIDTH)]
    KeptTree(tmp_path, closed=0, begin=0, leaves=b"").extend(leaves)
    (tmp_path / Tile(0, 1).path).unlink()
    tree = KeptTree(tmp_path, closed=WIDTH * WIDTH, begin=0, leaves=b"")
    assert tree.believed == WIDTH * WIDTH
    assert tree.agrees(WIDTH + 5, [bytes(32)])
    assert not tree.agrees(5, [bytes(32)])


def test_where_a_tile_is_lost_that_is_needed_the_tree_is_made_anew(tmp_path: Path) -> None:
    _grown(tmp_path, 3 * WIDTH)
    (tmp_path / Tile(0, 1).path).unlink()
    tree = KeptTree(tmp_path, closed=3 * WIDTH, begin=0, leaves=b"")
    assert tree.believed == 0
    tree.extend(_LEAVES)
    assert tree.root(len(_LEAVES)) == root(_LEAVES)
    assert read_tile(tmp_path, 0, 1) == b"".join(_LEAVES[WIDTH : 2 * WIDTH])


def test_without_tiles_and_their_records_there_is_no_tree(tmp_path: Path) -> None:
    tree = KeptTree(tmp_path, closed=2 * WIDTH, begin=2 * WIDTH, leaves=b"")
    tree.extend(_LEAVES[2 * WIDTH : 3 * WIDTH])
    assert not tree.whole
    assert tree.newest == b""


def test_without_tiles_it_is_made_of_all_records(tmp_path: Path) -> None:
    tree = KeptTree(tmp_path, closed=2 * WIDTH, begin=0, leaves=b"")
    tree.extend(_LEAVES)
    assert tree.whole
    assert tree.root(len(_LEAVES)) == root(_LEAVES)


def test_a_tile_that_cannot_be_written_is_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = _grown(tmp_path, WIDTH - 10)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", _full)
        for first in (WIDTH - 10, WIDTH + 90):
            with pytest.raises(OSError, match="full"):
                tree.extend(_LEAVES[first : first + 100])
    tree.extend(_LEAVES[WIDTH + 190 :])
    assert tree.whole
    assert tree.root(len(_LEAVES)) == root(_LEAVES)
    assert read_tile(tmp_path, 0, 0) == b"".join(_LEAVES[:WIDTH])


def _full(*_: object) -> int:
    raise OSError("full")
