# SPDX-License-Identifier: EUPL-1.2
"""Backups that the server makes by itself."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import Final

from vault.background.skew import Skew
from vault.barrier.envelope import entry_scope
from vault.engines.system.operations.raft_snapshot import RaftSnapshotEngine
from vault.engines.system.operations.snapshots import SnapshotEngine
from vault.engines.system.seal.seal import Cluster
from vault.framework.engine import Engine
from vault.install import Installation
from vault.server.compose.groups.ground import Ground
from vault.server.config.settings import StorageSettings
from vault.server.snapshots.archives import archive, clear
from vault.server.snapshots.names import mark_of
from vault.server.snapshots.process import BackupProcess
from vault.server.snapshots.schedules import SNAPSHOT_KIND, Recorder, Schedules
from vault.values.ids import ROOT_ID

_SUMS: Final = "!SHA256SUMS"
"""What the sums of an archive are sealed for: nothing is stored at a path that begins so."""


def make_schedules(
    ground: Ground, audit: Recorder, skew: Skew, cluster: Callable[[], Cluster | None]
) -> Schedules:
    """Return the schedules that are configured; `audit` is told what became of each. The `cluster` is known once the vault is open."""

    def mark() -> str:
        found = cluster()
        return mark_of(found.id) if found else ""

    config = ground.config
    return Schedules(
        config.snapshots,
        config.storage,
        ground.barrier,
        clock=ground.clock,
        shared=skew.shared,
        mark=mark,
        own=ground.entropy.uuid(),
        start=BackupProcess,
        audit=audit,
        log=ground.log,
        metrics=ground.metrics,
    )


def snapshot_engines(ground: Ground, schedules: Schedules) -> tuple[Engine, ...]:
    """Return what shows schedules, and what hands out a backup to a client; the keyring seals its sums."""
    storage = ground.config.storage

    def seal(sums: bytes) -> bytes:
        return ground.barrier.keyring.encrypt(entry_scope(ROOT_ID), _SUMS, sums, ground.entropy.bytes)

    def begin() -> AsyncGenerator[bytes, None]:
        return archive(storage, seal)

    return SnapshotEngine(schedules.facts), RaftSnapshotEngine(begin if storage.lasts else None, ground.log)


def bring(schedules: Schedules, storage: StorageSettings) -> Installation:
    """Return what schedules have the vault do: a backup when its timer is due, and a look now and then.

    What archives left whose processes were killed goes then too.
    """
    return Installation(
        kinds=(),
        timers={SNAPSHOT_KIND: schedules.due},
        jobs={"snapshots": schedules.look, "archives": partial(clear, storage)},
        before_seal=(schedules.stop,),
    )
