# SPDX-License-Identifier: EUPL-1.2
"""`python -m tests.perf.lease_server`: the server, with an engine whose other system answers at once.

So what is measured of leases is the vault's own part, and not some database's.
"""

import asyncio
import os
import sys

from vault.barrier.view import ReadView, View
from vault.framework.clock import Clock, Entropy
from vault.framework.telemetry.log import Log
from vault.framework.telemetry.metrics import Metrics
from vault.lease.model import Lease
from vault.server.__main__ import run
from vault.server.application import Colleagues
from vault.server.compose import app
from vault.server.config.settings import Config
from vault.storage.protocol import Storage

KIND = "accounts"
"""The kind of mount whose leases this server can take back."""


class Accounts:
    """The engine's part: it agrees, after others had a turn."""

    async def revoke(self, data: ReadView, lease: Lease) -> None:
        """Take back what a lease is for."""
        await asyncio.sleep(0)

    async def removed(self, data: View, lease: Lease) -> None:
        """Nothing is kept for a lease."""

    async def renew(self, data: ReadView, lease: Lease) -> None:
        """Prolong it."""
        await asyncio.sleep(0)


async def build(
    config: Config,
    storage: Storage,
    *,
    clock: Clock,
    entropy: Entropy,
    metrics: Metrics,
    log: Log,
    colleagues: Colleagues | None = None,
) -> app.Vault:
    """Make the vault, and let it know the engine."""
    vault = await app.build(
        config, storage, clock=clock, entropy=entropy, metrics=metrics, log=log, colleagues=colleagues
    )
    vault.leases.endings.serve(KIND, Accounts())
    return vault


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:], os.environ, build))
