# SPDX-License-Identifier: EUPL-1.2
"""The hashes of a tree in files of 256, as C2SP's tlog-tiles has them: full tiles in a folder, the rest in memory.

Level 0 has the leaves; each hash of a level above is that of one full tile below it. A full tile never changes. Where
records are purged whose leaves fill no tile, these are kept in a partial one: nothing else has them any more.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from vault.log.format.files import open_file, replace_file, replace_unsynced, sync_folder
from vault.log.format.tree import HASH_BYTES, MissingHash, complete_hash

WIDTH: Final = 256
"""Hashes of a full tile."""
TILE_BYTES: Final = WIDTH * HASH_BYTES
HEIGHT: Final = 8
"""Levels of the tree that a tile spans."""
MOST_LEVELS: Final = 8
"""Tiles of so many levels are enough for every tree."""

_PATH: Final = re.compile(r"tile/(0|[1-9][0-9]?)/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")
_WIDTH: Final = re.compile(r"[1-9][0-9]?|1[0-9]{2}|2[0-4][0-9]|25[0-5]")
_KEPT_TILES: Final = 64


class BadTile(ValueError):
    """A tile's name or content is not as tlog-tiles has it."""


class Tile(msgspec.Struct, frozen=True):
    """Which tile: its level, its place in the level, and how many hashes it has."""

    level: int
    index: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        """Where it is, below the folder of the log: `tile/0/x001/234`."""
        digits = f"{self.index:03}"
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
        folders = "".join(f"x{group}/" for group in groups[:-1])
        partial = "" if self.width == WIDTH else f".p/{self.width}"
        return f"tile/{self.level}/{folders}{groups[-1]}{partial}"


def parse_tile(path: str) -> Tile:
    """Return the tile that a path names. Raises `BadTile` for any other spelling than the one there is."""
    found = _PATH.fullmatch(path)
    if found is None:
        raise BadTile("a tile's path is tile/<level>/<index> with .p/<width> of a partial one")
    tile = Tile(int(found[1]), int(found[2].replace("x", "").replace("/", "")), int(found[3] or WIDTH))
    if tile.path != path or tile.level >= 1 << 6 or (found[3] and tile.width >= WIDTH):
        raise BadTile(
            "a tile's level is below 64, a partial one's width below 256, and its index has no needless parts"
        )
    return tile


def read_tile(folder: Path, level: int, index: int) -> bytes:
    """Return the hashes of a full tile, one after another. Raises `MissingHash` where it is not kept, `BadTile`."""
    path = folder / Tile(level, index).path
    try:
        with open_file(path) as file:
            content = file.read(TILE_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise MissingHash(f"tile {index} of level {level} is not kept") from None
    if len(content) != TILE_BYTES:
        raise BadTile(f"tile {index} of level {level} has not {TILE_BYTES} bytes")
    return content


def write_tile(folder: Path, level: int, index: int, content: bytes) -> None:
    """Write a full tile so that it is there as a whole or not at all, whenever this process ends.

    It is not synced: until their segment is closed, tiles can be made again of its records, and are.
    """
    path = folder / Tile(level, index).path
    try:
        replace_unsynced(path, content)
    except FileNotFoundError:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_unsynced(path, content)


def read_partial(folder: Path, index: int, *, least: int) -> bytes:
    """Return the leaves of a tile that was not full when records of it were purged: `least` of them, or more.

    Raises `MissingHash` where so many are not kept, `BadTile`.
    """
    place = folder / f"{Tile(0, index).path}.p"
    try:
        width = max((int(name) for name in os.listdir(place) if _WIDTH.fullmatch(name)), default=0)
    except (FileNotFoundError, NotADirectoryError):
        width = 0
    if width < least:
        raise MissingHash(f"{least} leaves of tile {index} are not kept")
    with open_file(place / str(width)) as file:
        content = file.read(TILE_BYTES)
    if len(content) != width * HASH_BYTES:
        raise BadTile(f"the partial tile {index} has not {width} leaves")
    return content


def keep_partial(folder: Path, index: int, content: bytes) -> None:
    """Have the leaves of a tile that is not full on the disk when this returns. Raises `OSError`."""
    path = folder / Tile(0, index, len(content) // HASH_BYTES).path
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_file(path, content)
    for parent in (one for one in path.parents if one.is_relative_to(folder)):
        sync_folder(parent)


def kept_leaves(folder: Path, size: int) -> bytes:
    """Return the leaves that a tree of this size has behind its last full tile. Raises `MissingHash`, `BadTile`."""
    index, width = divmod(size, WIDTH)
    return _leaves(folder, index, least=width)[: width * HASH_BYTES] if width else b""


def _leaves(folder: Path, index: int, *, least: int) -> bytes:
    try:
        return read_tile(folder, 0, index)
    except MissingHash:
        return read_partial(folder, index, least=least)


def kept_subtree(folder: Path) -> Callable[[int, int], bytes]:
    """Return what finds the hashes of complete subtrees in the tiles of a log, and nowhere else.

    A hash in a tile that is not full yet is made of the full tile below it; leaves may be in a partial one.
    """
    read = functools.lru_cache(maxsize=_KEPT_TILES)(functools.partial(read_tile, folder))

    def hashes(row: int, first: int, *, count: int) -> list[bytes]:
        try:
            content = read(row, first // WIDTH)
        except MissingHash:
            if row:
                return [
                    complete_hash(hashes(row - 1, index * WIDTH, count=WIDTH))
                    for index in range(first, first + count)
                ]
            content = read_partial(folder, first // WIDTH, least=first % WIDTH + count)
        begin = first % WIDTH
        return [content[at * HASH_BYTES : (at + 1) * HASH_BYTES] for at in range(begin, begin + count)]

    def subtree(level: int, index: int) -> bytes:
        row, rest = divmod(level, HEIGHT)
        return complete_hash(hashes(row, index << rest, count=1 << rest))

    return subtree


class Tiles:
    """The tree of one log: hashes of full tiles in files below its folder, of those that are not full in memory.

    Whoever appends to it is the only one who writes tiles there.
    """

    def __init__(self, folder: Path, known: int | None = None) -> None:
        """Go on with the full tiles that are in the folder of a log. Raises `BadTile`, `MissingHash`.

        Only those of the first `known` leaves are believed, where that is given: what a power cut left of others may be
        anything, and they are written again. The leaves after them are to be appended anew: `size` says from where on.
        """
        self._folder = folder
        self._kept = kept_subtree(folder)
        self._open: list[list[bytes]] = [[] for _ in range(MOST_LEVELS)]
        self._full = [
            _count(folder, level) if known is None else known >> HEIGHT * (level + 1)
            for level in range(MOST_LEVELS)
        ]
        for level in range(1, MOST_LEVELS):
            for index in range(self._full[level] * WIDTH, self._full[level - 1]):
                self._add(level, self._kept(level * HEIGHT, index))

    @property
    def size(self) -> int:
        """How many leaves there are."""
        return self._full[0] * WIDTH + len(self._open[0])

    def append(self, leaf: bytes) -> None:
        """Add a leaf, and write the tiles that become full with it: of each 256 leaves one."""
        self._add(0, leaf)

    def extend(self, leaves: Sequence[bytes]) -> None:
        """Add leaves in their order, as `append` does. After an `OSError`, `size` tells how many were taken."""
        at = 0
        while at < len(leaves):
            room = WIDTH - len(self._open[0])
            self._open[0] += leaves[at : at + room]
            self._close_full(0)
            at += room

    def subtree(self, level: int, index: int) -> bytes:
        """Return the hash of a complete subtree, as `SubtreeHash` has it. Raises `MissingHash`."""
        row, rest = divmod(level, HEIGHT)
        if row >= MOST_LEVELS:
            raise MissingHash("the tree is not so high")
        first, count = index << rest, 1 << rest
        if first // WIDTH < self._full[row]:
            return self._kept(level, index)
        hashes = (
            self._open[row][first % WIDTH : first % WIDTH + count]
            if first // WIDTH == self._full[row]
            else []
        )
        if len(hashes) != count:
            raise MissingHash(f"the tree has no subtree {index} of level {level} yet")
        return complete_hash(hashes)

    def read(self, tile: Tile) -> bytes:
        """Return the hashes of a tile, one after another; of a partial one as far as it is wide. Raises `MissingHash`."""
        if tile.level >= MOST_LEVELS:
            raise MissingHash("the tree is not so high")
        if tile.index < self._full[tile.level]:
            return read_tile(self._folder, tile.level, tile.index)[: tile.width * HASH_BYTES]
        hashes = self._open[tile.level][: tile.width] if tile.index == self._full[tile.level] else []
        if len(hashes) != tile.width:
            raise MissingHash("the tile is not so wide yet")
        return b"".join(hashes)

    def _add(self, level: int, value: bytes) -> None:
        self._close_full(level)  # of before, where it could not be written
        self._open[level].append(value)
        self._close_full(level)

    def _close_full(self, level: int) -> None:
        """Write the newest tile of a level if it is full by now, and begin the next one."""
        hashes = self._open[level]
        if len(hashes) == WIDTH:
            write_tile(self._folder, level, self._full[level], b"".join(hashes))
            self._open[level] = []
            self._full[level] += 1
            self._add(level + 1, complete_hash(hashes))


def _count(folder: Path, level: int) -> int:
    """Return how many full tiles of a level there are: they are written in order, so the first that is missing tells."""
    least, most = 0, 1
    while (folder / Tile(level, most - 1).path).exists():
        least, most = most, most * 2
    while least < most - 1:
        middle = (least + most) // 2
        if (folder / Tile(level, middle - 1).path).exists():
            least = middle
        else:
            most = middle
    return least
