# SPDX-License-Identifier: EUPL-1.2
"""`sys/storage/raft/snapshot`: a backup for OpenBao's clients, whatever the storage is. It is brought back offline.

It holds what every tenant stores: values sealed as they are, and names. So it takes sudo, and is the root namespace's alone.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import Final

from vault.framework.call import Call
from vault.framework.engine import Engine
from vault.framework.errors import Busy, Unavailable, UnsupportedPath
from vault.framework.reply import Reply
from vault.framework.route import read
from vault.framework.telemetry.log import Log
from vault.storage.protocol import StorageFailure
from vault.values.times import Seconds

_MOST: Final = 2
"""Backups that are handed out at once."""
_LATER: Final = Seconds(10)
_HEADERS: Final = {"Content-Type": "application/gzip", "Content-Disposition": "attachment"}

Archive = Callable[[], AsyncGenerator[bytes, None]]
"""Begins an archive: it yields nothing once it has begun, and then its pieces. Raises `StorageFailure`."""


class RaftSnapshotEngine(Engine):
    """A backup as a client gets it."""

    def __init__(self, archive: Archive | None, log: Log) -> None:
        """`archive` is None where the storage ends with its server."""
        self._archive, self._log = archive, log
        self._taken = 0

    @read("storage/raft/snapshot", sudo=True, event="snapshot.read")
    async def read_snapshot(self, call: Call) -> Reply[None]:
        """Hand out a backup of all that is stored, as of one moment: a tar in gzip, which `vaultctl operator snapshot restore` brings back."""
        del call
        if self._archive is None:
            raise UnsupportedPath
        if self._taken >= _MOST:
            raise Busy("other backups are handed out; try again", retry_after=_LATER)
        pieces = self._pieces(self._archive())
        try:
            await anext(pieces)
        except StorageFailure as failure:
            self._log.failure("background", "no backup was handed out", reason=str(failure))
            raise Unavailable(
                "no backup can be made; the server's log says why", detail=str(failure)
            ) from None
        return Reply(stream=pieces, headers=_HEADERS, plain=True)

    async def _pieces(self, archive: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        self._taken += 1
        try:
            async for piece in archive:
                yield piece
        finally:
            self._taken -= 1
            await archive.aclose()
