# SPDX-License-Identifier: EUPL-1.2
"""What everything else of a vault stands on: the process's own, its storage, the barrier before that, and how new memory is."""

from __future__ import annotations

import msgspec

from vault.barrier.barrier import Barrier
from vault.cache.follow import Follower
from vault.framework.clock import Clock, Entropy
from vault.framework.concurrency.offload import Pool
from vault.framework.telemetry.log import Log
from vault.framework.telemetry.metrics import Metrics
from vault.server.compose.groups.storage_watch import StorageWatch
from vault.server.config.settings import Config
from vault.server.otlp.feed import CollectorFeed, make_feed
from vault.storage.protocol import Storage


class Ground(msgspec.Struct, frozen=True, kw_only=True):
    """What is there before anything of a vault is, and what each of its other groups is made with."""

    config: Config
    storage: Storage
    clock: Clock
    entropy: Entropy
    log: Log
    metrics: Metrics
    barrier: Barrier
    follower: Follower
    pool: Pool
    storage_watch: StorageWatch
    feed: CollectorFeed | None
    """What a collector is sent; None where there is none."""

    @property
    def address(self) -> str:
        """The URL at which clients reach this server: `api_addr`, or one made of the first TCP listener."""
        if self.config.api_addr:
            return self.config.api_addr
        for listener in self.config.listeners:
            if listener.kind == "tcp":
                return f"{'http' if listener.tls_disable else 'https'}://{listener.address}"
        return ""

    def chance(self) -> float:
        """Return a number from 0 to below 1."""
        return self.entropy.bytes(1)[0] / 256


def make_ground(
    config: Config, storage: Storage, *, clock: Clock, entropy: Entropy, metrics: Metrics, log: Log
) -> Ground:
    """Make it, with a barrier that is sealed. Raises `StartFailure` for a collector that cannot be sent anything."""
    feed = make_feed(config, metrics, log, clock, entropy)
    if feed is not None and feed.traces:
        from vault.server.otlp.parts import TracedStorage

        storage = TracedStorage(storage)
    return Ground(
        config=config,
        storage=storage,
        clock=clock,
        entropy=entropy,
        log=log,
        metrics=metrics,
        barrier=Barrier(storage, now=clock.millis, random=entropy.bytes),
        follower=Follower(storage),
        pool=Pool(),
        storage_watch=StorageWatch(storage, metrics, log, elsewhere=config.storage.is_shared),
        feed=feed,
    )
