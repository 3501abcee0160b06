# SPDX-License-Identifier: EUPL-1.2
"""Backups that the server makes by itself."""

from __future__ import annotations

from vault.install import Installation
from vault.server.compose.groups.ground import Ground
from vault.server.snapshots.process import BackupProcess
from vault.server.snapshots.schedules import SNAPSHOT_KIND, Recorder, Schedules


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


def bring(schedules: Schedules) -> Installation:
    """Return what schedules have the vault do: a backup when its timer is due, and a look now and then."""
    return Installation(
        kinds=(),
        timers={SNAPSHOT_KIND: schedules.due},
        jobs={"snapshots": schedules.look},
        before_seal=(schedules.stop,),
    )
