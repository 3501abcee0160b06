# SPDX-License-Identifier: EUPL-1.2
"""Opens the log of this process, as the configuration says."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from time import monotonic

from vault.barrier.view import core_prefix
from vault.framework.telemetry.log import Log
from vault.log.common_log import CommonLog
from vault.log.forward.settings import write_settings
from vault.log.purger import Purger
from vault.log.reader.client import LogReader
from vault.log.recovery import LogInUse, open_log
from vault.log.retention import Hold, Retention, read_holds
from vault.log.writer import LogLimits
from vault.server.compose.groups.controls import Controls
from vault.server.compose.groups.ground import Ground
from vault.server.config.settings import Config
from vault.server.failure import StartFailure
from vault.values.ids import ROOT_ID
from vault.wire.v1 import STATUS


def make_log_reader(config: Config, log: Log) -> LogReader | None:
    """Return what asks the log reader, which is not started yet; None where no log is configured."""
    if not config.log.path:
        return None
    defect = partial(log.crash, "audit", "keeping a log reader met a defect; it is begun anew")
    hung = partial(
        log.caution, "audit", "the log reader did not answer and was ended; another one is started"
    )
    return LogReader(Path(config.log.path), monotonic, defect=defect, hung=hung)


def open_common_log(ground: Ground) -> CommonLog | None:
    """Return the log, None where none is configured. Raises `StartFailure` where it cannot be opened."""
    settings = ground.config.log
    if not settings.path:
        return None
    limits = LogLimits(segment_bytes=settings.segment_size, segment_seconds=settings.segment_age)
    try:
        opened = open_log(
            Path(settings.path), limits, ground.entropy, nanos=ground.clock.nanos, monotonic=monotonic()
        )
        write_settings(Path(settings.path), settings.devices)
    except LogInUse as failure:
        raise StartFailure(str(failure)) from failure
    except OSError as failure:
        raise StartFailure(
            f"log path {settings.path} cannot be used: {failure.strerror}; make it a folder of this server's user"
        ) from failure
    return CommonLog(
        opened,
        origin=settings.origin,
        clock=ground.clock,
        entropy=ground.entropy,
        log=ground.log,
        status=STATUS,
        retention=_retention(ground.config),
    )


def make_purger(ground: Ground, controls: Controls, reader: LogReader | None) -> Purger | None:
    """Return what purges the log; None where none is kept, or nobody reads it here."""
    common = controls.audit.common
    if common is None or reader is None:
        return None

    async def holds() -> Mapping[str, Hold]:
        return await read_holds(ground.barrier.reader(ROOT_ID, core_prefix(ROOT_ID)))

    return Purger(
        common,
        reader,
        controls.audit,
        holds,
        _retention(ground.config),
        ground.clock,
        ground.log,
        segment_age=ground.config.log.segment_age,
    )


def _retention(config: Config) -> Retention:
    return Retention(least=config.log.retention_min, most=config.log.retention_max)
