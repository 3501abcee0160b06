# SPDX-License-Identifier: EUPL-1.2
"""Where a copy is made that is not to stay: a folder of its own beside a file, and room for it that is looked for before."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from vault.storage.protocol import StorageFailure

_MIB: Final = 1 << 20
_LEFT_FREE: Final = 16 * _MIB
"""Bytes that stay free at least, and a tenth of the copy: who else writes to the disk goes on, a server above all."""
FOR_COPY: Final = "for the copy"
FOR_ENCRYPTED: Final = "for it encrypted"
"""What they want room for."""
_MOST: Final = 10_000
"""Names beside a file that are looked at."""


def require_room(
    folder: Path, parts: Mapping[str, int], advice: str = "free some space, or name another disk"
) -> None:
    """Raise `StorageFailure` unless a folder's disk has room for so many bytes for each of the parts, and some that stay free."""
    found, wanted = os.statvfs(folder), sum(parts.values())
    free, needed = found.f_bavail * found.f_frsize, wanted + wanted // 10 + _LEFT_FREE
    if free < needed:
        named = ", ".join(f"{_mib(size)} {what}" for what, size in parts.items() if size)
        raise StorageFailure(
            f"{folder}: {free // _MIB} MiB are free, and {_mib(needed)} are needed: {named}, and some for who else writes there; "
            f"{advice}"
        )


def _mib(size: int) -> str:
    """Return bytes as what they begin to fill."""
    return f"{-(-size // _MIB)} MiB"


@contextmanager
def workplace(file: Path, what: str) -> Iterator[Path]:
    """Have a private folder beside a file until the end of the block; `clear_workplaces` leaves it alone so long.

    `what` is in its name. What others have left is removed first.
    """
    clear_workplaces(file, what)
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f"{file.name}.{what}-", dir=file.parent))
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(handle, fcntl.LOCK_EX)
        if folder.exists():
            break
        os.close(handle)  # somebody has just cleared it
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


@contextmanager
def passing_place() -> Iterator[Path]:
    """Have a private folder in `$TMPDIR` until the end of the block. What others were killed over is removed first."""
    with workplace(Path(tempfile.gettempdir()) / "coffre", "passing") as folder:
        yield folder


def clear_workplaces(file: Path, what: str) -> int:
    """Remove the folders of those who were killed; return how many. Raises `OSError` where nothing can be looked at."""
    with os.scandir(file.parent) as found:
        names = [entry.name for _, entry in zip(range(_MOST), found, strict=False)]
    return sum(_cleared(file.parent / name) for name in names if name.startswith(f"{file.name}.{what}-"))


def _cleared(folder: Path) -> bool:
    """Remove a folder unless somebody holds it, or it is another's."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        if os.fstat(handle).st_uid != os.geteuid():
            return False
        with suppress(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
            return not folder.exists()
        return False
    finally:
        os.close(handle)
