# SPDX-License-Identifier: EUPL-1.2
"""Backups that the server makes by itself."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Final

from vault.barrier.envelope import entry_scope
from vault.engines.system.operations.raft_snapshot import RaftSnapshotEngine
from vault.engines.system.operations.snapshots import SnapshotEngine
from vault.framework.engine import Engine
from vault.install import Installation
from vault.server.compose.groups.ground import Ground
from vault.server.snapshots.archives import archive
from vault.server.snapshots.process import BackupProcess
from vault.server.snapshots.schedules import SNAPSHOT_KIND, Recorder, Schedules
from vault.values.ids import ROOT_ID

_SUMS: Final = "!SHA256SUMS"
"""What the sums of an archive are sealed for: nothing is stored at a path that begins so."""


def make_schedules(ground: Ground, audit: Recorder) -> Schedules:
    """Return the schedules that are configured; `audit` is told what became of each."""
    config = ground.config
    return Schedules(
        config.snapshots,
        config.storage,
        ground.barrier,
        clock=ground.clock,
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


def bring(schedules: Schedules) -> Installation:
    """Return what schedules have the vault do: a backup when its timer is due, and a look now and then."""
    return Installation(
        kinds=(),
        timers={SNAPSHOT_KIND: schedules.due},
        jobs={"snapshots": schedules.look},
        before_seal=(schedules.stop,),
    )
