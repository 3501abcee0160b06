# SPDX-License-Identifier: EUPL-1.2
"""Where audit records go. A device takes a whole line or raises; it never takes half of one silently."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

import msgspec

NO_FILES: Final = frozenset({"", "stdout", "stderr", "discard"})
"""Targets of a device that are not files."""
_CHECK_EVERY: Final = 1.0
"""Seconds between two looks at whether the file is still there (SL-56)."""
_FIXES: Final = {
    errno.ELOOP: "it is a link, and none is followed; name the file itself",
    errno.EISDIR: "it is a directory; name a file",
    errno.EMFILE: "this process has too many files open; raise its limit (LimitNOFILE)",
}
"""What helps where the system's words would lead astray."""
_LOOK_BACK: Final = 1 << 16
"""Bytes that are read at a time, from the end, to find the last whole line."""


class DeviceFailure(Exception):
    """The device did not take a record, or cannot be opened; the message names the device and the fix."""


class DeviceConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A declared device. `options` are the field's, all strings; `managed` ones come from the configuration."""

    path: str
    kind: str
    description: str = ""
    local: bool = False
    options: Mapping[str, str] = {}
    managed: bool = True

    def flag(self, name: str, *, default: bool) -> bool:
        """Return a boolean option. Raises `DeviceFailure` for anything that is not one."""
        text = self.options.get(name, str(default)).lower()
        if text not in {"true", "false", "1", "0", "t", "f"}:
            raise DeviceFailure(f'audit device "{self.path}": option {name} must be true or false')
        return text in {"true", "1", "t"}


def target(options: Mapping[str, str]) -> str:
    """Return what a device with these `options` writes to: the path of a file, or one of `NO_FILES`."""
    return options.get("file_path") or options.get("path", "")


class Device(Protocol):
    """A sink for audit lines."""

    def write(self, line: bytes, now: float) -> None:
        """Take one whole line. `now` in seconds that only grow. Raises `DeviceFailure`."""
        ...

    def reopen(self) -> None:
        """Open the target again, after rotation. Raises `DeviceFailure`."""
        ...

    def close(self) -> None:
        """Release the target."""
        ...


class FileDevice:
    """Appends to a file (0600 unless `mode` says otherwise), or to stdout, stderr or nowhere."""

    def __init__(self, config: DeviceConfig) -> None:
        """Open the file. Raises `DeviceFailure`."""
        self._name = config.path
        self._path = target(config.options)
        if not self._path:
            raise DeviceFailure("file_path is required")
        try:
            self._mode = int(config.options.get("mode", "0600") or "0600", 8)
        except ValueError:
            raise DeviceFailure(f'audit device "{self._name}": mode must be octal, as 0600') from None
        if self._mode & 0o111:
            raise DeviceFailure(f'audit device "{self._name}": mode must not make the file executable')
        self._fd = -1
        self._checked = -_CHECK_EVERY
        self._torn = False
        self.reopen()

    def reopen(self) -> None:
        """See `Device.reopen`."""
        standard = {"stdout": sys.stdout, "stderr": sys.stderr}.get(self._path)
        try:
            fresh = os.dup(standard.fileno()) if standard else self._open()
            self.close()
            self._fd = fresh
            self._torn = standard is None and self._path != "discard"
            self._torn = self._torn and not _mended(fresh, self._path)
        except OSError as error:
            raise self._failure(error) from error

    def _failure(self, error: OSError) -> DeviceFailure:
        return DeviceFailure(f'audit device "{self._name}": {error.strerror}')

    def _open(self) -> int:
        if self._path == "discard":
            return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        path = Path(self._path)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            fd = os.open(path, flags, self._mode or 0o600)
        except OSError as error:
            fix = _FIXES.get(error.errno or 0, f"{error.strerror}; make it writable")
            raise DeviceFailure(f'audit device "{self._name}": cannot open {path}: {fix}') from error
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise DeviceFailure(f'audit device "{self._name}": {path} is not a regular file')
        try:
            if self._mode:
                os.fchmod(fd, self._mode)
        except OSError:
            os.close(fd)
            raise
        return fd

    def write(self, line: bytes, now: float) -> None:
        """See `Device.write`. One append per line, so that lines of several processes never mix."""
        try:
            if now - self._checked >= _CHECK_EVERY:
                if os.fstat(self._fd).st_nlink == 0:
                    self.reopen()
                self._checked = now
            if self._torn:
                line = b"\n" + line
            written = os.write(self._fd, line)
            self._torn = False
            if written != len(line):
                self._finish(line, written)
        except OSError as error:
            raise self._failure(error) from error

    def _finish(self, line: bytes, written: int) -> None:
        """Write what a short write left over; if that fails, take back what was written of the line."""
        try:
            while written < len(line):
                written += os.write(self._fd, line[written:])
        except OSError:
            self._torn = True
            self._torn = not _cut(self._fd, os.fstat(self._fd).st_size - written)
            raise

    def close(self) -> None:
        """See `Device.close`."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with contextlib.suppress(
                OSError
            ):  # it is closed all the same, and its number may be another's by now
                os.close(fd)


def _cut(fd: int, size: int) -> bool:
    """Cut the file back to `size` if no other process has it open: one that has may be writing.

    Only ever the beginning of a line is cut off, whose writer was killed or met a full disk: what it was to
    record was never done, or never answered. Every process keeps a shared lock on its open file.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(fd, size)
    except OSError:
        return False
    finally:
        with contextlib.suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return True


def _mended(fd: int, path: str) -> bool:
    """Let the file end with a whole line, or tell that it does not. Takes the shared lock."""
    size = os.fstat(fd).st_size
    try:
        whole = _whole(path, size)
    except OSError:
        whole = size  # it may be appended to and not read: its lines are taken to be whole
    if whole == size:
        with contextlib.suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return True
    return _cut(fd, whole)


def _whole(path: str, size: int) -> int:
    """Return how many of the file's first `size` bytes are whole lines."""
    end = size
    with open(path, "rb") as file:
        while end:
            start = max(0, end - _LOOK_BACK)
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            if newline >= 0:
                return start + newline + 1
            end = start
    return 0


def open_device(config: DeviceConfig) -> Device:
    """Open a declared device. Raises `DeviceFailure`."""
    if config.kind != "file":
        raise DeviceFailure(f'unknown backend type: "{config.kind}"; this server has: file')
    return FileDevice(config)
