# SPDX-License-Identifier: EUPL-1.2
"""The process that makes an archive of a backup for a client of the API: `python -m vault.server.offline.archived`.

The storage stands on standard input, the archive goes to standard output, and what became of it to standard error. The backup
lies beside the database, or in `$TMPDIR`, without a name as soon as it is made.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from gzip import GzipFile
from pathlib import Path
from typing import BinaryIO

import msgspec

from vault.server.config.settings import StorageSettings
from vault.server.offline import backups
from vault.server.offline.scheduled import behave, read_task
from vault.server.snapshots.messages import ARCHIVE, ArchiveResult, shortened
from vault.storage.copies import archive
from vault.storage.copies.snapshot import Content, files_told
from vault.storage.copies.workplace import passing_place, workplace


def make(storage: StorageSettings, target: BinaryIO) -> ArchiveResult:
    """Write an archive. Nothing is written where no backup can be begun."""
    begun: list[GzipFile] = []

    def progress(_what: str, _hundredths: int) -> None:
        if not begun:
            begun.append(archive.begun(target))
            target.flush()  # so that who waits knows that it has begun

    try:
        with files_told(), _place(storage) as file:
            found = backups.save(
                storage, str(file), recipients=(), recipients_file="", force=True, progress=progress
            )
            content = msgspec.convert({name: found[name] for name in Content.__struct_fields__}, type=Content)
            with file.open("rb") as backup:
                file.unlink()
                sums = archive.write(begun[0], backup, os.fstat(backup.fileno()).st_size, content)
            target.flush()
    except BrokenPipeError:
        return ArchiveResult(failure="whoever asked for it is gone")
    except backups.Failures as failure:
        return ArchiveResult(failure=shortened(str(failure)))
    return ArchiveResult(sums=sums)


@contextmanager
def _place(storage: StorageSettings) -> Iterator[Path]:
    """Name a file for a backup, where there may be room for one. What a process that is killed leaves is removed by the next one."""
    if storage.is_file:
        with workplace(Path(os.path.realpath(storage.path)), ARCHIVE) as folder:
            yield folder / "backup.db"
        return
    with passing_place() as folder:
        yield folder / "backup.db"


def main() -> None:
    """Do what is on standard input."""
    storage = read_task(StorageSettings)
    try:
        result = make(storage, sys.stdout.buffer)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGTERM)
    sys.stderr.buffer.write(msgspec.json.encode(result) + b"\n")
    sys.stderr.buffer.flush()


if __name__ == "__main__":
    behave()
    main()
