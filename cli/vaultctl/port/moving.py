# SPDX-License-Identifier: EUPL-1.2
"""A move while others go on writing.

1. Everything is copied.
2. What changed meanwhile is copied, until a pass finds little or has been made a few times.
3. If the switch-over is wanted, mounts of secrets are set aside at the source, and what changed last is copied.

A move that fails, or is interrupted, while mounts are set aside puts them back: until the switch-over is done, the source is what clients use.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

from vaultctl.errors import CommandError
from vaultctl.port.aside import Aside
from vaultctl.port.copying import Copier
from vaultctl.port.ground.entry import Name
from vaultctl.port.ground.report import Report
from vaultctl.port.ground.server import Server
from vaultctl.port.kv.mount import Mount
from vaultctl.port.kv.undeletion import Undeletion
from vaultctl.port.settings.mounts import ENGINE
from vaultctl.port.source import ServerSource

_PASSES = 6
_FEW = 20
"""Entries that a pass writes at most for the next to be the last."""


def move(
    server: Server,
    report: Report,
    copier: Copier,
    aside: Aside,
    *,
    undeletion: Undeletion,
    undelete: bool,
    switch: bool,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Do what the module says; the report tells how many passes there were, and how long the source was set aside."""

    def source() -> ServerSource:
        return ServerSource(
            server,
            report,
            undelete=undeletion if undelete else None,
            known=copier.journal.versions,
            aside=aside.places,
        )

    try:
        with undeletion.settled(server, lambda: source().versioned()):
            _passes(report, copier, aside, source, switch=switch, clock=clock)
    except CommandError as error:
        if aside.places:
            raise aside.undo(error) from error
        raise
    except KeyboardInterrupt:
        if aside.places:
            aside.take_back()
        raise


def _passes(
    report: Report,
    copier: Copier,
    aside: Aside,
    source: Callable[[], ServerSource],
    *,
    switch: bool,
    clock: Callable[[], float],
) -> None:
    # 1. and 2.
    written = [copier.run(source().items())]
    while written[-1] > _FEW and len(written) < _PASSES:
        report.begin_pass()
        written.append(copier.run(source().items()))
    report.facts["passes"] = written
    if not switch:
        return
    # 3.
    begun = clock()
    aside.put(_arrived(source().mounts(), report))
    last = copier.run(source().secrets())
    aside.finish()
    report.facts["switch-over"] = {"seconds": round(clock() - begun, 3), "written": last}
    report.facts["set aside"] = {"".join(where): where[0] + at for where, at in aside.places.items()}


def _arrived(found: Iterable[Mount], report: Report) -> Iterator[Mount]:
    """The mounts that are at the destination too. From others nobody could read there, so clients keep them."""
    for mount in found:
        name = Name(ENGINE, mount.namespace, mount.path)
        if report.has(name):
            yield mount
        else:
            report.leave(name, "it is not set aside: it is not at the destination")
