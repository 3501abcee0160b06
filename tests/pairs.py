# SPDX-License-Identifier: EUPL-1.2
"""Two PostgreSQL servers, one of which follows the other and can take its place, behind one name."""

import asyncio
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from tests.postgres import Cluster, give_to_user, started
from vault.storage.postgres.connection import Address
from vault.storage.postgres.storage import PostgresStorage

_DEADLINE = 3.0


class Pair:
    """A primary, its standby, and a name that leads to one of them."""

    def __init__(self, primary: Cluster, standby: Cluster, folder: Path) -> None:
        self.primary, self.standby = primary, standby
        self.link = folder / "lead"
        self.database = primary.empty()
        primary.wait_for(standby)
        self.lead(primary)

    def lead(self, cluster: Cluster) -> None:
        """Let the name lead to a server."""
        self.link.unlink(missing_ok=True)
        self.link.symlink_to(cluster.folder)

    def address(self, host: str = "") -> Address:
        return msgspec.structs.replace(self.primary.direct(self.database), host=host or str(self.link))

    def storage(self, host: str = "") -> PostgresStorage:
        """Open it by the name, or through what is at `host` and goes by that."""
        return PostgresStorage(self.address(host), deadline=_DEADLINE)

    async def synchronise(self) -> None:
        """Let commits wait for the standby from now on."""
        await asyncio.to_thread(self.primary.synchronise)

    async def replace(self) -> None:
        """Let the standby take the place of a primary that is gone."""
        await asyncio.to_thread(self.standby.promote)
        self.lead(self.standby)


@contextmanager
def paired() -> Generator[Pair]:
    """Start both; the name leads to the primary."""
    with (
        started() as primary,
        primary.standby() as standby,
        tempfile.TemporaryDirectory(prefix="pg-") as folder,
    ):
        give_to_user(Path(folder))
        yield Pair(primary, standby, Path(folder))
