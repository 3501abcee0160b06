# SPDX-License-Identifier: EUPL-1.2
"""Tiles have the names and hashes of tlog-tiles, and with the newest leaves they are the whole tree."""

from pathlib import Path

import pytest

from tests.unit.log.format.trees import root
from vault.log.format.tiles import (
    TILE_BYTES,
    WIDTH,
    BadTile,
    Tile,
    Tiles,
    keep_partial,
    kept_leaves,
    kept_subtree,
    parse_tile,
    read_partial,
    read_tile,
)
from vault.log.format.tree import CompactRange, MissingHash, complete_hash, leaf_hash, range_hash, root_hash

_LEAVES = [leaf_hash(b"%d" % number) for number in range(WIDTH * WIDTH + 2 * WIDTH + 9)]
"""One full tile of level 1, two full ones of level 0 after it, and nine leaves more."""


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Tiles]:
    folder = tmp_path_factory.mktemp("log")
    tiles = Tiles(folder)
    for leaf in _LEAVES:
        tiles.append(leaf)
    return folder, tiles


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0), "tile/0/000"),
        (Tile(3, 67), "tile/3/067"),
        (Tile(0, 1_234_067), "tile/0/x001/x234/067"),
        (Tile(63, 1000, 255), "tile/63/x001/000.p/255"),
    ],
)
def test_a_tile_has_the_path_of_the_specification(tile: Tile, path: str) -> None:
    assert tile.path == path
    assert parse_tile(path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/0", "tile/00/000", "tile/64/000", "tile/0/x000/001", "tile/0/001/002", "tile/0/000.p/0", "tile/0/000.p/256",
        "tile/0/000.p/01", "tile/-1/000", "tile/0/000/", "/tile/0/000", "tile/0/../000", "tile/0/" + "x001/" * 7 + "000",
        "tile/entries/000", "tile/0/\u0660\u0660\u0661",
    ],
)  # fmt: skip
def test_another_path_is_none_of_a_tile(path: str) -> None:
    with pytest.raises(BadTile):
        parse_tile(path)


def test_full_tiles_are_files_and_no_others(grown: tuple[Path, Tiles]) -> None:
    folder, tiles = grown
    written = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert written == sorted([Tile(0, index).path for index in range(WIDTH + 2)] + [Tile(1, 0).path])
    assert tiles.size == len(_LEAVES)
    assert read_tile(folder, 0, 3) == b"".join(_LEAVES[3 * WIDTH : 4 * WIDTH])
    assert read_tile(folder, 1, 0)[32:64] == complete_hash(_LEAVES[WIDTH : 2 * WIDTH])
    assert {path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()} == {0o600}


def test_the_tree_of_tiles_and_newest_leaves_is_that_of_all_leaves(grown: tuple[Path, Tiles]) -> None:
    _, tiles = grown
    size = len(_LEAVES)
    assert root_hash(size, tiles.subtree) == root(_LEAVES)
    assert root_hash(WIDTH + 1, tiles.subtree) == root(_LEAVES[: WIDTH + 1])
    assert CompactRange.of(size - 1, tiles.subtree).root() == root(_LEAVES[:-1])
    for begin, end in ((0, 1), (size - 1, size), (512, 768), (1024, 1024 + 77), (WIDTH * WIDTH, size)):
        assert range_hash(begin, end, tiles.subtree) == root(_LEAVES[begin:end])


def test_full_tiles_alone_are_the_tree_as_far_as_they_go(grown: tuple[Path, Tiles]) -> None:
    subtree = kept_subtree(grown[0])
    full = len(_LEAVES) - 9
    assert root_hash(full, subtree) == root(_LEAVES[:full])
    with pytest.raises(MissingHash):
        root_hash(full + 1, subtree)


def test_a_hash_that_is_not_there_yet_is_missing(grown: tuple[Path, Tiles]) -> None:
    _, tiles = grown
    for level, index in ((0, len(_LEAVES)), (4, (len(_LEAVES) >> 4)), (17, 0), (64, 0), (8, WIDTH + 2)):
        with pytest.raises(MissingHash):
            tiles.subtree(level, index)


def test_partial_tiles_are_read_as_wide_as_they_are(grown: tuple[Path, Tiles]) -> None:
    _, tiles = grown
    last = len(_LEAVES) - 9
    assert tiles.read(Tile(0, WIDTH + 2, 9)) == b"".join(_LEAVES[last:])
    assert tiles.read(Tile(0, WIDTH + 2, 2)) == b"".join(_LEAVES[last : last + 2])
    assert tiles.read(Tile(0, 0, 2)) == b"".join(_LEAVES[:2])
    assert tiles.read(Tile(2, 0, 1)) == complete_hash(_LEAVES[: WIDTH * WIDTH])
    for absent in (Tile(0, WIDTH + 2, 10), Tile(0, WIDTH + 2), Tile(0, WIDTH + 3), Tile(2, 0), Tile(8, 0)):
        with pytest.raises(MissingHash):
            tiles.read(absent)


def test_whoever_goes_on_with_the_files_appends_from_the_last_full_tile(grown: tuple[Path, Tiles]) -> None:
    folder, tiles = grown
    again = Tiles(folder)
    assert again.size == len(_LEAVES) - 9
    for leaf in _LEAVES[again.size :]:
        again.append(leaf)
    assert root_hash(again.size, again.subtree) == root_hash(tiles.size, tiles.subtree)


def test_a_tile_that_was_full_when_the_one_above_was_not_written_is_made_up_for(tmp_path: Path) -> None:
    first = Tiles(tmp_path)
    for leaf in _LEAVES[: WIDTH * WIDTH]:
        first.append(leaf)
    above = tmp_path / Tile(1, 0).path
    content = above.read_bytes()
    above.unlink()
    Tiles(tmp_path)
    assert above.read_bytes() == content


def test_a_tile_that_is_cut_is_refused(tmp_path: Path) -> None:
    tiles = Tiles(tmp_path)
    for leaf in _LEAVES[:WIDTH]:
        tiles.append(leaf)
    path = tmp_path / Tile(0, 0).path
    assert path.stat().st_size == TILE_BYTES
    path.write_bytes(path.read_bytes()[:-32])
    with pytest.raises(BadTile, match="has not 8192 bytes"):
        Tiles(tmp_path)
    with pytest.raises(BadTile):
        read_tile(tmp_path, 0, 0)


def test_leaves_may_be_added_many_at_a_time(tmp_path: Path) -> None:
    tiles = Tiles(tmp_path)
    for first in range(0, 3 * WIDTH, 100):
        tiles.extend(_LEAVES[first : min(first + 100, 3 * WIDTH)])
    assert tiles.size == 3 * WIDTH
    assert root_hash(3 * WIDTH, tiles.subtree) == root(_LEAVES[: 3 * WIDTH])
    tiles.extend([])
    tiles.extend(_LEAVES[3 * WIDTH :])
    assert root_hash(len(_LEAVES), tiles.subtree) == root(_LEAVES)
    assert read_tile(tmp_path, 1, 0)


def test_tiles_behind_what_is_known_are_written_again(tmp_path: Path) -> None:
    Tiles(tmp_path).extend(_LEAVES[: 3 * WIDTH])
    (tmp_path / Tile(0, 1).path).write_bytes(b"torn")
    tiles = Tiles(tmp_path, WIDTH + 5)
    assert tiles.size == WIDTH
    with pytest.raises(MissingHash):
        tiles.read(Tile(0, 2))
    with pytest.raises(MissingHash):
        tiles.subtree(8, 2)
    tiles.extend(_LEAVES[WIDTH:])
    assert root_hash(len(_LEAVES), tiles.subtree) == root(_LEAVES)
    assert read_tile(tmp_path, 0, 1) == b"".join(_LEAVES[WIDTH : 2 * WIDTH])


def test_a_tile_that_could_not_be_written_is_written_with_the_next_leaf(tmp_path: Path) -> None:
    tiles = Tiles(tmp_path)
    tiles.extend(_LEAVES[: WIDTH - 1])
    blocked = tmp_path / "tile"
    blocked.write_bytes(b"no folder")
    with pytest.raises(OSError, match=r"."):
        tiles.extend(_LEAVES[WIDTH - 1 : WIDTH + 50])
    assert tiles.size == WIDTH
    with pytest.raises(OSError, match=r"."):
        tiles.append(_LEAVES[WIDTH])
    assert tiles.size == WIDTH
    blocked.unlink()
    tiles.extend(_LEAVES[WIDTH:])
    assert root_hash(len(_LEAVES), tiles.subtree) == root(_LEAVES)


def test_leaves_of_no_full_tile_are_kept_and_are_the_rest_of_the_tree(tmp_path: Path) -> None:
    tiles = Tiles(tmp_path)
    tiles.extend(_LEAVES[: WIDTH + 40])
    for width in (7, 40):
        keep_partial(tmp_path, 1, b"".join(_LEAVES[WIDTH : WIDTH + width]))
    assert sorted(path.name for path in (tmp_path / "tile/0/001.p").iterdir()) == ["40", "7"]
    subtree = kept_subtree(tmp_path)
    for size in (3, WIDTH, WIDTH + 1, WIDTH + 39, WIDTH + 40):
        assert root_hash(size, subtree) == root(_LEAVES[:size])
        assert kept_leaves(tmp_path, size) == b"".join(_LEAVES[size - size % WIDTH : size])
    with pytest.raises(MissingHash):
        root_hash(WIDTH + 41, subtree)
    with pytest.raises(MissingHash):
        kept_leaves(tmp_path, WIDTH + 41)
    assert len(read_partial(tmp_path, 1, least=5)) == TILE_BYTES // WIDTH * 40


def test_a_partial_tile_that_is_cut_is_refused(tmp_path: Path) -> None:
    keep_partial(tmp_path, 0, b"".join(_LEAVES[:9]))
    (tmp_path / "tile/0/000.p/9").write_bytes(b"short")
    with pytest.raises(BadTile):
        read_partial(tmp_path, 0, least=1)
