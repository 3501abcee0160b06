# SPDX-License-Identifier: EUPL-1.2
"""Files that are never half-written under their name, and never lead root astray.

A copy is written under a name of its own (`NAME.partial`), which a process that is killed leaves behind and the next one
removes; what has the right name is whole and on the disk.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec

from vault.storage.protocol import StorageFailure

_NO_LINKS: Final = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


class UnfinishedFile(msgspec.Struct, frozen=True):
    """A file that is being written, and a handle of it, which stays with it whatever its name is given to."""

    file: Path
    handle: int

    @property
    def size(self) -> int:
        """How much is written."""
        return os.fstat(self.handle).st_size

    def place(self, name: Path, *, over: bool) -> None:
        """Give the finished file its name. Raises `StorageFailure` if that is taken, unless it may go `over` it."""
        self.require_name()
        try:
            if over:
                os.replace(self.file, name)
            else:
                _name_once(self.file, name)
            flush(name.parent)
        except FileExistsError as error:
            raise StorageFailure(f"{name}: it is there already; name another file") from error
        except OSError as error:
            raise StorageFailure(f"{name}: it cannot be made: {error.strerror}") from error

    def require_name(self) -> None:
        """Raise `StorageFailure` unless the name is still its own: else SQLite made another one, which others may read."""
        if not self.has_name:
            raise StorageFailure(
                f"{self.file}: somebody removed or exchanged it while it was written; begin anew"
            )

    def hide(self) -> None:
        """Say that all who need it have it open: what is not to stay has no name from then on, and this one keeps it."""

    @property
    def has_name(self) -> bool:
        """Whether the name is its own."""
        try:
            return os.path.samestat(os.fstat(self.handle), os.lstat(self.file))
        except FileNotFoundError:
            return False


class PassingFile(UnfinishedFile, frozen=True):
    """One that is never placed: it ends with this process, however that ends, once it has no name."""

    def require_name(self) -> None:
        """See `UnfinishedFile.require_name`: it has none."""

    def hide(self) -> None:
        """See `UnfinishedFile.hide`: its name is taken away."""
        if self.has_name:
            self.file.unlink()


@contextmanager
def partial(name: Path) -> Iterator[UnfinishedFile]:
    """Give an empty private file beside `name`, which nobody else writes; it is removed if the block fails.

    Within the block it is filled, flushed, and then placed.
    """
    file = Path(f"{name}.partial")
    handle = _claim(file)
    try:
        yield UnfinishedFile(file, handle)
    except BaseException:
        for left in (Path(f"{file}-journal"), file):
            left.unlink(missing_ok=True)
        raise
    finally:
        os.close(handle)  # last: it would take away the locks of connections


@contextmanager
def passing(file: Path) -> Iterator[PassingFile]:
    """Give an empty private file for what is not to stay; within the block it is hidden as soon as it is open."""
    handle = _claim(file)
    made = PassingFile(file, handle)
    try:
        yield made
    finally:
        if made.has_name:
            Path(f"{file}-journal").unlink(missing_ok=True)
        made.hide()
        os.close(handle)  # last, as above


def _claim(file: Path) -> int:
    """Make the file and lock it. One that a killed process left is removed, even where it is a name of a whole copy."""
    try:
        while True:
            handle = os.open(
                file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600
            )
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                mine = os.fstat(handle)
                with suppress(FileNotFoundError):
                    if os.path.samestat(mine, os.stat(file, follow_symlinks=False)):
                        # A pipe of this name is empty too, and takes nothing that is written at a place.
                        if (
                            stat.S_ISREG(mine.st_mode)
                            and mine.st_size == 0
                            and mine.st_nlink == 1
                            and mine.st_uid == os.geteuid()
                        ):
                            os.fchmod(handle, 0o600)
                            Path(f"{file}-journal").unlink(missing_ok=True)
                            return handle
                        file.unlink()
            except BaseException:
                os.close(handle)
                raise
            os.close(handle)
    except BlockingIOError as error:
        raise StorageFailure(f"{file}: another process is writing it; wait for it") from error
    except OSError as error:
        raise StorageFailure(f"{file}: it cannot be made: {error.strerror}") from error


def _name_once(file: Path, name: Path) -> None:
    try:
        os.link(file, name)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(name):
            raise FileExistsError from error
        os.rename(file, name)
    else:
        file.unlink()


def flush(name: Path) -> None:
    """Have the disk keep a file's bytes, or a directory's names."""
    try:
        handle = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise StorageFailure(f"{name}: the disk refused to keep it: {error.strerror}") from error


@contextmanager
def acting_for_owner(file: Path) -> Iterator[None]:
    """Let root act as the user whose directory `file` is in, or whose the file is; anybody else acts as himself.

    What is made belongs to that user then, and no link that he puts there leads to what only root may touch.
    """
    user, group = owner_of(file)
    if os.geteuid() != 0 or user == 0:
        yield
        return
    before = (os.getegid(), os.getgroups())
    try:
        os.setgroups([])
        os.setegid(group)
        os.seteuid(user)
        yield
    finally:
        os.seteuid(0)
        os.setegid(before[0])
        os.setgroups(before[1])


def owner_of(file: Path) -> tuple[int, int]:
    """Return the user and the group of the directory of `file`, or of the file, where the directory is root's."""
    found = os.stat(file.parent)
    if found.st_uid == 0:
        with suppress(FileNotFoundError):
            found = os.lstat(file)
    return found.st_uid, found.st_gid
