# SPDX-License-Identifier: EUPL-1.2
"""One connection to PostgreSQL: every statement has a deadline, and a failure says what to do.

Only this module knows asyncpg, which has no types.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

import asyncpg
import msgspec

from vault.storage.protocol import StorageFailure

T = TypeVar("T")

DEADLINE: Final = 5.0
"""Seconds that a statement may take, and making a connection: then the connection is given up."""
LASTING: Final = 600
"""Seconds that a statement of a copy may take, and a pause between two."""

_MEANING: Final = {
    "08": "the connection broke; it is made again by itself",
    "26000": "a prepared statement is gone; PgBouncer needs max_prepared_statements above 0",
    "28": "the server refuses this user; check user, password and client certificate, and pg_hba.conf",
    "3D": "there is no such database; make it, or name another one",
    "42501": "the user lacks a privilege; run `vaultctl operator db init` or `migrate` with -owner",
    "3F000": "there is no vault in this database; run `vaultctl operator db init`",
    "42P01": "there is no vault in this database; run `vaultctl operator db init`",
    "42P05": "a prepared statement is another one's; PgBouncer needs max_prepared_statements above 0",
    "42703": "the schema is not this release's; run `vaultctl operator db migrate`",
    "42883": "the schema is not this release's; run `vaultctl operator db migrate`",
    "53100": "the disk of the database is full; free some space, nothing stored was lost",
    "53200": "the database is out of memory",
    "53300": "the database takes no more connections; raise max_connections, or run fewer nodes",
    "55P03": "another node held the turn to write for too long",
    "57014": "the statement took too long and was ended",
    "57P": "the database stops or starts; it is tried again by itself",
    "25006": "the database is read-only: name the primary",
}
"""By the beginning of SQLSTATE, the longest that fits."""

_ENDED: Final = (
    "the connection was ended while it was made; the log of PostgreSQL says why: it stops, or it does not accept the "
    "certificate that tls_cert_file names"
)
_BROKEN: Final = (OSError, EOFError, asyncpg.InterfaceError, asyncpg.InternalClientError)


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """Where the database is, and who asks it. A secret is read when a connection is made, and kept nowhere."""

    host: str
    """A name, an address, or the absolute directory of a Unix socket."""
    port: int = 5432
    user: str
    database: str
    password: Callable[[], str | None] = lambda: None
    tls: Callable[[], ssl.SSLContext | None] = lambda: None

    def __str__(self) -> str:
        """Name it, without any secret."""
        return f"postgresql://{self.user}@{self.host}:{self.port}/{self.database}"


class Full(StorageFailure):
    """The database takes no more connections."""


class Lost(StorageFailure):
    """The connection is gone, and nobody knows whether what was asked last was done."""


class Silent(Lost):
    """The database did not answer in time.

    `late` is what is to be said where it answers others, and so was busy with this.
    """

    def __init__(self, message: str, late: str = "") -> None:
        super().__init__(message)
        self.late = late or message


class Late(StorageFailure):
    """The database ended a statement that took too long."""


class Connection:
    """What was connected to, and as of which timeline of its history."""

    def __init__(self, raw: Any, address: Address) -> None:  # noqa: ANN401 - asyncpg's, which has no types
        self._raw = raw
        self._address = address
        self.timeline = 0
        self._patience: float | None = None
        """Seconds that one statement may take; None for as long as any other."""

    @classmethod
    async def make(cls, address: Address, deadline: float = DEADLINE) -> Connection:
        """Connect. Raises `StorageFailure`."""
        try:
            tls = address.tls()
            raw = await asyncpg.connect(
                host=address.host,
                port=address.port,
                user=address.user,
                password=address.password() or "",
                database=address.database,
                ssl=False if tls is None else tls,
                timeout=deadline,
                command_timeout=deadline,
                max_cached_statement_lifetime=0,
            )
        except asyncpg.PostgresConnectionError:
            raise StorageFailure(f"storage {address}: {_ENDED}") from None
        except asyncpg.TooManyConnectionsError as error:
            raise Full(str(failure(address, error))) from None
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError, EOFError) as error:
            raise failure(address, error) from None
        return cls(raw, address)

    @property
    def usable(self) -> bool:
        """Whether it was not given up."""
        return not self._raw.is_closed()

    async def rows(self, query: str, *values: object) -> Sequence[Sequence[Any]]:
        """Return the rows of one statement. Raises `StorageFailure`, and `Lost` where the connection is gone."""
        rows: Sequence[Sequence[Any]] = await self._result(
            self._raw.fetch(query, *values, timeout=self._patience)
        )
        return rows

    async def row(self, query: str, *values: object, patience: float | None = None) -> Sequence[Any]:
        """Return the one row that a statement has. `patience` is in seconds, if not as usual. Raises as `rows` does."""
        row: Sequence[Any] = await self._result(
            self._raw.fetchrow(query, *values, timeout=patience or self._patience)
        )
        return row

    async def run(self, script: str) -> None:
        """Run statements that have neither values nor rows. Raises as `rows` does."""
        await self._result(self._raw.execute(script, timeout=self._patience))

    async def take_time(self) -> None:
        """Let the transaction that has begun last: each statement, and each pause between two, for ten minutes.

        The role's own limits are for requests. What counts or copies all that is stored takes longer as that grows, and waits
        for another disk meanwhile. Raises as `rows` does.
        """
        limits = ("statement_timeout", "idle_in_transaction_session_timeout")
        await self.run("; ".join(f"SET LOCAL {limit} = '{LASTING}s'" for limit in limits))
        self._patience = LASTING

    async def _result(self, work: Awaitable[T]) -> T:
        """Wait for a statement. If nobody does, or no answer comes, the connection is given up: it may still be busy."""
        try:
            return await work
        except asyncpg.PostgresConnectionError as error:
            self.abort()
            raise Lost(str(failure(self._address, error))) from None
        except asyncpg.QueryCanceledError as error:
            raise Late(str(failure(self._address, error))) from None
        except asyncpg.PostgresError as error:
            raise failure(self._address, error) from None
        except TimeoutError as error:
            self.abort()
            raise Silent(str(failure(self._address, error)), late(self._address)) from None
        except _BROKEN as error:
            self.abort()
            raise Lost(str(failure(self._address, error))) from None
        except asyncio.CancelledError:
            self.abort()
            raise

    def abort(self) -> None:
        """Give it up at once."""
        if not self._raw.is_closed():
            self._raw.terminate()

    async def close(self) -> None:
        """Say goodbye, unless that takes long."""
        try:
            await self._raw.close(timeout=1.0)
        except (*_BROKEN, asyncpg.PostgresError, TimeoutError):
            self.abort()


def failure(address: Address, error: BaseException) -> StorageFailure:
    """Say what went wrong and what to do, without anything that was sent or is stored."""
    return StorageFailure(f"storage {address}: {_meaning(error)}")


def late(address: Address) -> str:
    """Say that a commit took too long, though the database answers."""
    return f"storage {address}: the commit took too long and was ended; nothing of it was kept"


def _meaning(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "the database does not answer"
    if isinstance(error, asyncpg.PostgresError):
        state = str(error.sqlstate or "")
        for length in (5, 3, 2):
            if state[:length] in _MEANING:
                return _MEANING[state[:length]]
        return f"the database refused a statement (SQLSTATE {state})"
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"its certificate is not accepted ({error.verify_message}); check tls_ca_file and the host's name"
        )
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({error.reason})"
    if isinstance(error, ConnectionError | EOFError):
        return "the connection was refused or broke; check host and port, and that PostgreSQL runs"
    if isinstance(error, OSError):
        return f"no connection ({error.strerror or type(error).__name__}); check host and port, and that PostgreSQL runs"
    return f"no connection ({type(error).__name__})"
