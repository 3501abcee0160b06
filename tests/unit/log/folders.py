# SPDX-License-Identifier: EUPL-1.2
"""Logs for tests: folders, drafts, and what a folder holds."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vault.framework.clock import Entropy
from vault.log.draft import Draft, Frame
from vault.log.recovery import OpenedLog, open_log
from vault.log.writer import LogLimits
from vault.values.times import Nanos

USUAL = LogLimits()
NOON = Nanos(1_796_040_000_000_000_000)


class Ticks:
    """A clock that goes on by a second with each reading."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> Nanos:
        self.now = Nanos(self.now + 1_000_000_000)
        return self.now


def draft(event: str = "esa.kv.read", tenant: str = "root") -> Draft:
    """A record as the renderer makes it, with few members."""
    frame = Frame(
        opening=b'{"event_name":"%b",' % event.encode(),
        decision=b'"outcome":"success","prev_hash":"',
        resource=b'"seq":',
        status=b'"tenant":"%b","tenant_prev_hash":"' % tenant.encode(),
        closing=b"}",
        tenant=tenant,
    )
    return Draft(frame, b"2026-11-29T12:00:00.000000000Z", b'","request.id":"x",')


def opened(folder: Path, *, limits: LogLimits = USUAL, nanos: Callable[[], Nanos] | None = None) -> OpenedLog:
    return open_log(folder, limits, Entropy(), nanos=nanos or Ticks(), monotonic=0.0)


def wrote(log: OpenedLog, *drafts: Draft) -> None:
    """Write records one by one."""
    for each in drafts:
        log.writer.write(log.writer.chain.append(each), 0.0)


def records(folder: Path) -> list[Any]:
    """Every record of every log in a folder, by log and number."""
    found = [
        json.loads(line)
        for path in sorted(folder.rglob("*.jsonl"))
        for line in path.read_bytes().splitlines()
    ]
    return sorted(found, key=lambda record: (record["log"], record["seq"]))
