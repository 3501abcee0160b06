# SPDX-License-Identifier: EUPL-1.2
"""Writes files so that what has their name is whole, whatever ends this process, and appends so that no part of a line stays.

It opens what a copied log has under a file's name, which may be anything. What replaces a file is written beside it, and then gets its name. All of it blocks.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

_NEW: Final = ".new"
"""What ends the name of a file that is not whole yet."""
_MODE: Final = 0o600
_CHUNK: Final = 1 << 20
_FLAGS: Final = os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


def open_file(path: Path) -> BinaryIO:
    """Open a file to read it, and never wait: what is none, as a named pipe or a device, raises `OSError` too."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    kind = os.fstat(fd).st_mode
    if not stat.S_ISREG(kind):
        os.close(fd)
        code = errno.EISDIR if stat.S_ISDIR(kind) else errno.EINVAL
        raise OSError(code, os.strerror(code) if code == errno.EISDIR else "it is no file", str(path))
    return open(fd, "rb")


def of_process() -> str:
    """Return what ends the name of an unfinished file that other processes may be writing as well."""
    return f".{os.getpid()}"


def replace_file(path: Path, content: bytes, *, beside: str = _NEW) -> None:
    """Replace a file, or make it: even after a power cut there is the old content or the new one. Raises `OSError`.

    `beside` ends the name of the unfinished file; see `of_process`.
    """
    with _written_beside(path, content, beside, synced=True) as fresh:
        fresh.replace(path)


def replace_durably(path: Path, content: bytes, *, beside: str = _NEW) -> None:
    """As `replace_file`, and the new content is on the disk when this returns. Raises `OSError`."""
    replace_file(path, content, beside=beside)
    sync_folder(path.parent)


def replace_unsynced(path: Path, content: bytes, *, beside: str = _NEW) -> None:
    """As `replace_file` where this process ends, but not where the machine does. Raises `OSError`."""
    with _written_beside(path, content, beside, synced=False) as fresh:
        fresh.replace(path)


def create_file(path: Path, content: bytes, *, beside: str = _NEW) -> None:
    """Make a file, as `replace_file`, where there is none. Raises `FileExistsError` where there is one, `OSError`."""
    with _written_beside(path, content, beside, synced=True) as fresh:
        os.link(fresh, path)
        fresh.unlink()


def append_line(path: Path, line: bytes, *, synced: bool) -> None:
    """Append a line or nothing, below what a crash has left of another; `synced` lines are on the disk after it.

    Only one process appends to the file. Raises `OSError`.
    """
    fd = os.open(path, os.O_RDWR | os.O_APPEND | _FLAGS, _MODE)
    try:
        size = os.fstat(fd).st_size
        torn = size and os.pread(fd, 1, size - 1) != b"\n"
        append_whole(fd, b"\n" + line if torn else line)
        if synced:
            os.fsync(fd)
    finally:
        os.close(fd)


def append_whole(fd: int, data: bytes) -> None:
    """Append to an open file that nobody else appends to: all of it, or nothing. Raises `OSError`."""
    written = os.write(fd, data)
    try:
        while written < len(data):
            written += os.write(fd, data[written:])
    except OSError:
        os.ftruncate(fd, os.fstat(fd).st_size - written)
        raise


def rewrite(fd: int, size: int) -> None:
    """Write the first `size` bytes of a file of lines as they are, to have them on the disk by the next sync.

    A system that could not write something says so once, and lets go of it: by then it may be in memory alone. Raises
    `OSError`, also where it is no longer there either: lines have no zeros.
    """
    at = 0
    while at < size:
        data = os.pread(fd, min(_CHUNK, size - at), at)
        if not data or b"\0" in data:
            raise OSError(errno.EIO, "what could not be written is lost")
        at += os.pwrite(fd, data, at)


def make_folder(folder: Path, mode: int = 0o700) -> None:
    """Make a folder, and those above it where they are missing, with their names on the disk. Raises `OSError`.

    Where this process may not look into the one that a new folder is in, its name is the system's affair.
    """
    if not folder.is_dir():
        make_folder(folder.parent, 0o777)  # less what the process leaves out of each mode
        folder.mkdir(mode=mode, exist_ok=True)
        with contextlib.suppress(PermissionError):
            sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk. Raises `OSError`."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextlib.contextmanager
def _written_beside(path: Path, content: bytes, beside: str, *, synced: bool) -> Iterator[Path]:
    """Yield the path of a new file with this content, which does not stay where a failure follows. Raises `OSError`."""
    fresh = path.with_name(path.name + beside)
    fd = os.open(fresh, os.O_WRONLY | os.O_TRUNC | _FLAGS, _MODE)
    try:
        try:
            append_whole(fd, content)
            if synced:
                os.fsync(fd)
        finally:
            os.close(fd)
        yield fresh
    except OSError:
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise
