# SPDX-License-Identifier: EUPL-1.2
"""The database behind all connections: that it is the primary, of our history, and not older than what we saw.

An epoch is made of the timeline and the newest change, so that it does not come again after a failover that lost commits.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from typing import Final

from vault.storage.postgres.connection import DEADLINE, Address, Connection, Full
from vault.storage.postgres.schema import newest_version
from vault.storage.protocol import StorageFailure, StorageLost

OnStatement = Callable[[str], None]
OnTurn = Callable[[str, str], None]
"""Told the epoch that was known, and the one that the database has now; each as a timeline and a number."""

_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 2.0
_TIMELINE: Final = 64
"""Bits of an epoch below the timeline."""
_IDENTITY: Final = """
    SELECT pg_is_in_recovery(), current_setting('transaction_isolation'),
        CASE WHEN pg_is_in_recovery() THEN '' ELSE pg_walfile_name(pg_current_wal_lsn()) END,
        meta.version, meta.oldest, meta.vault
    FROM coffre.meta
"""


class Database:
    """Makes connections, and knows what all of them must be of."""

    def __init__(
        self,
        address: Address,
        on_statement: OnStatement | None = None,
        *,
        on_turn: OnTurn | None = None,
        deadline: float = DEADLINE,
    ) -> None:
        """`deadline` is how many seconds a statement may take."""
        self.address: Final = address
        self.deadline: Final = deadline
        self._on_statement = on_statement
        self._on_turn = on_turn
        self.timeline = 0
        self.epoch = 0
        """The highest that any statement saw."""
        self.closed = False
        self._vault: object = None
        self._pause = 0.0
        self._not_before = 0.0
        self._refusal = StorageFailure("")

    def announce(self, name: str) -> None:
        """Tell of a statement, which this may fail."""
        if self._on_statement is not None:
            self._on_statement(name)

    def tell_of_turn(self, known: int, found: int) -> None:
        """Tell that the history has another end than the one that was seen."""
        if self._on_turn is not None:
            self._on_turn(_shown(known), _shown(found))

    async def connect(self) -> Connection:
        """Return a new connection. Raises `StorageFailure`: at once, where there was none a moment ago."""
        if self.closed:
            raise StorageFailure("the storage is closed")
        loop = asyncio.get_running_loop()
        if loop.time() < self._not_before:
            raise type(self._refusal)(str(self._refusal))
        try:
            connection = await Connection.make(self.address, self.deadline)
            try:
                await self.check(connection)
            except BaseException:
                connection.abort()
                raise
        except StorageFailure as failure:
            self._pause = min(max(self._pause * 2, _FIRST_PAUSE), _LONGEST_PAUSE)
            self._not_before = loop.time() + self._pause * (1 + secrets.randbelow(1024) / 1024) / 2
            self._refusal = failure
            raise
        self._pause = 0.0
        return connection

    async def check(self, connection: Connection) -> None:
        """Make sure that this is the primary, with our vault, and no older history than what was seen."""
        replica, isolation, segment, version, oldest, vault = await connection.row(_IDENTITY)
        if replica:
            raise StorageFailure(f"storage {self.address}: this is a replica; name the primary")
        if isolation != "read committed":
            raise StorageFailure(
                f'storage {self.address}: transactions must be "read committed"; reset default_transaction_isolation'
            )
        self._check_schema(version, oldest)
        if self._vault is not None and vault != self._vault:
            raise StorageLost(f"storage {self.address}: another vault is in its place; start again")
        connection.timeline = int(segment[:8], 16)
        if connection.timeline < self.timeline:
            raise StorageFailure(
                f"storage {self.address}: this server was replaced by another one, which is the primary now"
            )
        self._vault = vault
        self.timeline = connection.timeline

    def _check_schema(self, version: int, oldest: int) -> None:
        """Make sure that this release can work with the tables: they are its own, or newer ones that leave it what it needs."""
        ours = newest_version()
        if version < ours:
            raise StorageFailure(
                f"storage {self.address}: the schema is version {version}, and this release's {ours}; "
                "run `vaultctl operator db migrate`"
            )
        if ours < oldest:
            kind = StorageFailure if self._vault is None else StorageLost
            raise kind(
                f"storage {self.address}: the schema is version {version}, for releases of schema {oldest} or newer, and "
                f"this release's is {ours}: it is too old; start a newer release"
            )

    def fits(self, connection: Connection) -> bool:
        """Whether a connection can still be used: a newer primary's history ends those to an older one."""
        return connection.usable and connection.timeline == self.timeline

    def epoch_of(self, connection: Connection, newest: int) -> int:
        """Return the epoch that a statement saw, given the newest change there."""
        epoch = newest and connection.timeline << _TIMELINE | newest
        self.epoch = max(self.epoch, epoch)
        return epoch

    def newest_of(self, epoch: int) -> int:
        """Return which newest change an epoch is of in this history, or -1 where it is of another one."""
        if epoch == 0:
            return 0
        return epoch & ((1 << _TIMELINE) - 1) if epoch >> _TIMELINE == self.timeline else -1


def _shown(epoch: int) -> str:
    """Return an epoch as a person can compare it with another."""
    return f"{epoch >> _TIMELINE}/{epoch & ((1 << _TIMELINE) - 1)}"


class Slot:
    """The place of one connection: it is made when it is first needed, and again when it broke.

    One that could do without is made only once those are there that it comes `after`: a node can work with these.
    """

    def __init__(self, database: Database, after: Sequence[Slot] = ()) -> None:
        self._database = database
        self._after = after
        self.lock: Final = asyncio.Lock()
        """Held by whoever needs it for more than a statement, or has borrowed it."""
        self._connection: Connection | None = None

    @property
    def connected(self) -> bool:
        """Whether there is a connection that can be used."""
        return self._connection is not None and self._database.fits(self._connection)

    async def connection(self) -> Connection:
        """Return the connection. Raises `StorageFailure`, and `Full` where there is none left for it."""
        connection = self._connection
        if connection is not None:
            if self._database.fits(connection):
                return connection
            connection.abort()
            self._connection = None
        if not all(slot.connected for slot in self._after):
            raise Full("other connections come first")
        connection = self._connection = await self._database.connect()
        return connection

    async def close(self) -> None:
        """Close what there is."""
        if self._connection is not None:
            await self._connection.close()
            self._connection = None
