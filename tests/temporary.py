# SPDX-License-Identifier: EUPL-1.2
"""Where tests have their files: in memory, where there is room, as nearly each of them waits for a disk otherwise.

A server, a token or a log asks the disk to have written all before it goes on. What is to outlive a power cut is
tested by what is asked for, and not by waiting for it; what outlives `kill -9` is the same in memory.
"""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_MEMORY: Final = Path("/dev/shm")
_DISK: Final = "/var/tmp"
_ROOM: Final = 4 << 30
"""Bytes that are to be free: several times what a whole run has there at once."""


def use_memory(memory: Path = _MEMORY) -> None:
    """Let this process and all that it starts make their files in memory, unless `TMPDIR` says where, or there is no room."""
    if "TMPDIR" not in os.environ and has_room(memory):
        folder = memory / f"t{os.geteuid()}"  # short, as the name of a socket may have 107 bytes
        folder.mkdir(exist_ok=True)
        if folder.stat(follow_symlinks=False).st_uid == os.geteuid():
            folder.chmod(0o777 | stat.S_ISVTX)  # others too: PostgreSQL is nobody who matters
            os.environ["TMPDIR"] = str(folder)
            tempfile.tempdir = None  # Python looks again


def has_room(folder: Path, room: int = _ROOM) -> bool:
    """Whether a folder is there, has so many bytes left, and lets programs that lie in it be run."""
    if not folder.is_dir():
        return False
    return shutil.disk_usage(folder).free >= room and not os.statvfs(folder).f_flag & os.ST_NOEXEC


@contextmanager
def on_disk() -> Iterator[Path]:
    """A folder for what is large, such as images, or has devices in it, which memory that all may write to lets nobody open."""
    with tempfile.TemporaryDirectory(dir=_DISK, ignore_cleanup_errors=True) as folder:
        yield Path(folder)
