# SPDX-License-Identifier: EUPL-1.2
"""The process that makes a backup for a server: `python -m vault.server.offline.scheduled`, with its task on standard input.

What it does takes no time of the server's event loop, and less of the processor than the server where both want it. It ends
when the server does: the server keeps its standard input open.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from vault.server.offline import backups
from vault.server.snapshots.destinations import Destination, destination
from vault.server.snapshots.messages import LONGEST, MOST_REMOVED, Outcome, Task, shortened
from vault.server.snapshots.names import name_of, own, surplus
from vault.server.snapshots.process import PATIENCE
from vault.storage.copies.encryption import STANZA
from vault.storage.copies.snapshot import files_told
from vault.storage.protocol import StorageFailure

if TYPE_CHECKING:
    from types import FrameType

T = TypeVar("T")
_UNSEEN: Final = "the new one is not listed where it was put; until it is, none goes"
_NICE: Final = 10
"""How much this process stands behind others at the processor (nice(2))."""
_MOST_MEMORY: Final = 1 << 30
"""Bytes of its memory: it takes a tenth, and whoever keeps the backups may answer without end."""


def make(task: Task) -> Outcome:
    """Make a backup, and remove those that are to go then."""
    settings = task.snapshot
    name = name_of(settings.name, task.begun, encrypted=settings.encrypts, mark=task.mark)
    found: dict[str, int] = {}

    def save(file: Path) -> None:
        found.update(
            backups.save(
                task.storage,
                str(file),
                recipients=settings.recipients,
                recipients_file=settings.recipients_file,
                given_by=STANZA,
                force=False,
                progress=lambda _what, _hundredths: None,
            )
        )

    try:
        with files_told():
            place = destination(settings, task.mark)
            cleared = place.clear()
            size = place.put(name, save)
    except backups.Failures as failure:
        return Outcome(failure=shortened(str(failure)))
    removed, unremoved = _retained(place, task, name)
    return Outcome(
        name=name,
        size=size,
        entries=found["entries"],
        epoch=found["epoch"],
        removed=removed,
        cleared=cleared,
        unremoved=unremoved,
    )


def _retained(place: Destination, task: Task, newest: str) -> tuple[list[str], str]:
    """Remove what is to go now that there is a new backup; return what went, and why the rest did not."""
    settings, removed = task.snapshot, list[str]()
    try:
        with files_told():
            found = place.items()
            if not any(item.name == newest and item.verified for item in found):
                return removed, _UNSEEN
            items = own(settings.name, found, task.mark)
            gone = surplus(settings.name, items, newest=newest, keep=settings.keep, max_age=settings.max_age)
            for name in gone[:MOST_REMOVED]:
                place.remove(name)
                removed.append(name)
    except StorageFailure as failure:
        return removed, shortened(str(failure))
    return removed, ""


def main() -> None:
    """Do the task that is on standard input; say on standard output what became of it."""
    task = read_task(Task)
    try:
        outcome = make(task)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGTERM)
    sys.stdout.buffer.write(msgspec.json.encode(outcome) + b"\n")
    sys.stdout.buffer.flush()


def behave() -> None:
    """Stand behind others at the processor and in memory, and have SIGTERM end what is under way with nothing left."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
    os.nice(_NICE)
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    if hard == resource.RLIM_INFINITY or hard > _MOST_MEMORY:
        resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, hard))


def read_task(form: type[T]) -> T:
    """Return what is on the first line of standard input, and end with whoever keeps that open."""
    task = msgspec.json.decode(sys.stdin.buffer.readline(LONGEST), type=form)
    threading.Thread(target=_end_with_server, daemon=True).start()
    return task


def _end_with_server() -> None:
    """Wait until the server closes its end, as it does when it dies, and end then, so that nothing is left behind."""
    os.read(sys.stdin.fileno(), 1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(PATIENCE)
    os.kill(os.getpid(), signal.SIGKILL)  # it waits for a disk or a server that does not answer


if __name__ == "__main__":
    behave()
    main()
