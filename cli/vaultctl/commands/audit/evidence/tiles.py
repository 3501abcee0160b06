# SPDX-License-Identifier: EUPL-1.2
"""Hash tiles of a log that lacks its oldest records: they stand for these, so that a copy of the rest can be verified."""

from __future__ import annotations

from vaultctl.errors import EXIT_REMOTE, CommandError
from vaultctl.invocation import ErrorPrefix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

    from vaultctl.http.client import Client


class TileDownload:
    """Copies tiles of one log that are not there yet."""

    def __init__(self, client: Client, folder: Path, log: str) -> None:
        """`folder` is that of the log's copy."""
        self._client, self._folder, self._log = client, folder, log

    def take(self, size: int) -> None:
        """Copy what stands for the first `size` records. Raises `OSError`, and `CommandError` where the server lacks it."""
        from vault.log.format.tiles import HEIGHT, WIDTH
        from vault.log.format.tree import decompose

        subtrees = [*decompose(0, size), (0, size - 1)]  # the last leaf is what the next record names
        for level, index in subtrees:
            row, rest = divmod(level, HEIGHT)
            self._take_hashes(row, index << rest, 1 << rest, leaves=size - size // WIDTH * WIDTH)

    def _take_hashes(self, row: int, first: int, count: int, *, leaves: int) -> None:
        """Copy the tile with some hashes; where it is not full yet those below it, or of leaves so many as there are."""
        from vault.log.format.tiles import WIDTH, Tile

        if self._has(Tile(row, first // WIDTH).path):
            return
        if row:
            for index in range(first, first + count):
                self._take_hashes(row - 1, index * WIDTH, WIDTH, leaves=leaves)
        elif not self._has(Tile(0, first // WIDTH, leaves).path):
            raise CommandError(
                f"{self._log}: hashes of the records before its oldest one are lost", EXIT_REMOTE
            )

    def _has(self, path: str) -> bool:
        """Whether a tile is there, after the server was asked for it if need be."""
        target = self._folder / path
        if target.exists():
            return True
        where = f"sys/log/tiles/{self._log}/{path}"
        with ErrorPrefix(f"Error reading {where}"):
            answer = self._client.send("GET", where, accept_missing=True)
        if answer.status == 404:
            return False
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        target.write_bytes(answer.body)
        return True
