# SPDX-License-Identifier: EUPL-1.2
"""The tree of a log as the reader keeps it: compared with the tiles that are there, and made where there are none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vault.log.format.tiles import WIDTH, BadTile, Tile, Tiles
from vault.log.format.tree import HASH_BYTES, MissingHash, root_hash


class KeptTree:
    """Takes the leaf of each record, whether its tile is full already or not."""

    def __init__(self, folder: Path, closed: int, begin: int, leaves: bytes) -> None:
        """Go on with the tree of a log of which `closed` records are in closed segments.

        The next leaf is that of record `begin`; `leaves` are those before it that no full tile has.
        """
        try:
            self._tiles = Tiles(folder, closed)
        except (MissingHash, BadTile):
            self._tiles = Tiles(folder, 0)
        if self._tiles.size == begin - len(leaves) // HASH_BYTES:
            self._tiles.extend(_split(leaves))
        self._next = begin
        self._waiting: list[bytes] = []
        self.believed = self._tiles.size // WIDTH * WIDTH
        """Records before this one are in full tiles that were written before."""
        self._compared = -1, b""

    @property
    def whole(self) -> bool:
        """Whether it has all leaves so far. One that lost tiles has not, and then there are no proofs."""
        return self._tiles.size >= self._next

    @property
    def size(self) -> int:
        """Of how many records it has taken the leaves."""
        return self._next

    @property
    def newest(self) -> bytes:
        """The leaves that no full tile has, of those that were taken; none where the tree is not whole."""
        if not self.whole:
            return b""
        begin = self._next - self._next % WIDTH
        return self._tiles.read(Tile(0, begin // WIDTH, self._next - begin)) if self._next > begin else b""

    def agrees(self, seq: int, leaves: Sequence[bytes]) -> bool:
        """Whether records from `seq` on are those that are believed; where a tile is lost nothing tells."""
        return all(
            self._expected(number) in {b"", leaf}
            for number, leaf in enumerate(leaves, seq)
            if number < self.believed
        )

    def _expected(self, seq: int) -> bytes:
        index, at = divmod(seq, WIDTH)
        if self._compared[0] != index:
            try:
                self._compared = index, self._tiles.read(Tile(0, index))
            except (MissingHash, BadTile):
                return b""
        return self._compared[1][at * HASH_BYTES : (at + 1) * HASH_BYTES]

    def extend(self, leaves: Sequence[bytes]) -> None:
        """Take the next leaves. Raises `OSError` where a tile cannot be written: it is written with the next ones."""
        self._waiting += leaves[max(0, self._tiles.size + len(self._waiting) - self._next) :]
        self._next += len(leaves)
        waiting, before = self._waiting, self._tiles.size
        if before + len(waiting) < self._next:
            waiting.clear()  # tiles are missing, so there is no tree
        try:
            self._tiles.extend(waiting)
        finally:
            del waiting[: self._tiles.size - before]

    def root(self, size: int) -> bytes:
        """Return the root of the first `size` records. Raises `MissingHash`, `BadTile`."""
        return root_hash(size, self._tiles.subtree)

    def subtree(self, level: int, index: int) -> bytes:
        """Return the hash of a complete subtree. Raises `MissingHash`, `BadTile`."""
        return self._tiles.subtree(level, index)

    def read(self, tile: Tile) -> bytes:
        """Return the hashes of a tile. Raises `MissingHash`, `BadTile`."""
        return self._tiles.read(tile)


def _split(leaves: bytes) -> list[bytes]:
    return [leaves[at : at + HASH_BYTES] for at in range(0, len(leaves), HASH_BYTES)]
