# SPDX-License-Identifier: EUPL-1.2
"""Where audit records go. A device takes a whole line or raises; it never takes half of one silently.

These functions block while they write. `vault.audit.writer` keeps that from the event loop.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import math
import os
import stat
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

import msgspec

from vault.audit.target import DISCARD, Claim, is_file, is_local, refusal, target

_CHECK_EVERY: Final = 1.0
"""Seconds between two checks that the file is still there (SL-56)."""
_FIXES: Final = {
    errno.ELOOP: "it is a link, and none is followed; name the file itself",
    errno.EISDIR: "it is a directory; name a file",
    errno.ENXIO: "nobody reads this pipe; start its reader",
    errno.EMFILE: "this process has too many files open; raise its limit (LimitNOFILE)",
}
"""Advice for errors whose text from the system would mislead."""
_LOOK_BACK: Final = 1 << 16
"""Bytes of each read from the end, to find the last whole line."""


class DeviceFailure(Exception):
    """The device did not take a record, or cannot be opened; the message names the device and the fix."""


class DeviceConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A declared device. `options` are those of OpenBao, all strings; `managed` ones come from the configuration."""

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


class AuditDevice(Protocol):
    """A sink for audit lines."""

    @property
    def prompt(self) -> bool:
        """Whether a write returns promptly."""
        ...

    def write(self, line: bytes, now: float) -> None:
        """Take one whole line. `now` is in seconds of a monotonic clock. Raises `DeviceFailure`."""
        ...

    def reopen(self) -> None:
        """Open the target again, after rotation. Raises `DeviceFailure`."""
        ...

    def close(self) -> None:
        """Release the target."""
        ...


class FileDevice:
    """Appends to a file (0600 unless `mode` says otherwise), a pipe, stdout, stderr or nowhere."""

    def __init__(self, config: DeviceConfig, claims: Sequence[Claim] = ()) -> None:
        """Open the file, if it is none of the `claims`. Raises `DeviceFailure`.

        A pipe without a reader is opened with the first line.
        """
        self._name = config.path
        self._path = target(config.options)
        self._claims = claims
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
        self.prompt = False
        """See `AuditDevice.prompt`."""
        self._unread = False
        """Whether it is a pipe without a reader."""
        self.reopen()

    def reopen(self) -> None:
        """See `AuditDevice.reopen`."""
        try:
            fresh = self._open()
        except OSError as error:
            raise self._failure(error) from error
        self.close()
        self._fd, self._unread = fresh, fresh < 0
        if self._unread:
            return
        try:
            regular = stat.S_ISREG(os.fstat(fresh).st_mode)
            self.prompt = self._path == DISCARD or (regular and is_local(fresh, self._path))
            self._torn = regular and is_file(self._path) and not _mend(fresh, self._path)
        except OSError as error:
            raise self._failure(error) from error

    def _failure(self, error: OSError) -> DeviceFailure:
        return DeviceFailure(f'audit device "{self._name}": {error.strerror}')

    def _open(self) -> int:
        """Return a descriptor; -1 for a pipe without a reader. Raises `DeviceFailure` and `OSError`."""
        if self._path == DISCARD:
            return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        if not is_file(self._path):
            return self._standard()
        problem = refusal(self._path, self._claims)
        if problem:
            raise DeviceFailure(f'audit device "{self._name}": {problem}')
        path = Path(self._path)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(path, flags, self._mode or 0o600)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return -1
            fix = _FIXES.get(error.errno or 0, f"{error.strerror}; make it writable")
            raise DeviceFailure(f'audit device "{self._name}": cannot open {path}: {fix}') from error
        try:
            os.set_blocking(fd, True)  # non-blocking was needed for opening only
            if self._mode:
                os.fchmod(fd, self._mode)
        except OSError:
            os.close(fd)
            raise
        return fd

    def _standard(self) -> int:
        stream = sys.stdout if self._path == "stdout" else sys.stderr
        try:
            return os.dup(stream.fileno())
        except (AttributeError, ValueError) as error:
            raise DeviceFailure(f'audit device "{self._name}": this process has no {self._path}') from error

    def write(self, line: bytes, now: float) -> None:
        """See `AuditDevice.write`. One append per line, so that lines of several processes never mix."""
        try:
            if self._unread or now - self._checked >= _CHECK_EVERY:
                if self._unread or (is_file(self._path) and os.fstat(self._fd).st_nlink == 0):
                    self.reopen()
                self._checked = now
            if self._unread:
                raise DeviceFailure(f'audit device "{self._name}": {_FIXES[errno.ENXIO]}')
            if self._torn:
                line = b"\n" + line
            written = os.write(self._fd, line)
            self._torn = False
            if written != len(line):
                self._finish(line, written)
        except BrokenPipeError as error:
            self.close()
            self._unread = True  # so that its next reader begins with a whole line
            raise self._failure(error) from error
        except OSError as error:
            raise self._failure(error) from error

    def _finish(self, line: bytes, written: int) -> None:
        """Write the rest after a short write; if that fails, cut off the written part of the line."""
        try:
            while written < len(line):
                written += os.write(self._fd, line[written:])
        except OSError:
            self._torn = True
            if stat.S_ISREG(os.fstat(self._fd).st_mode):
                self._torn = not _cut(self._fd, os.fstat(self._fd).st_size - written)
            raise

    def close(self) -> None:
        """See `AuditDevice.close`."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with contextlib.suppress(OSError):  # it is closed even so, and its number may be in use again
                os.close(fd)


def _cut(fd: int, size: int) -> bool:
    """Cut the file back to `size` if no other process has it open: one that has may be writing.

    It only cuts off an incomplete line, whose writer was killed or met a full disk: its request was never acted on, or
    never answered. Every process keeps a shared lock on its open file.
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


def _mend(fd: int, path: str) -> bool:
    """Make the file end with a whole line, or raise. Takes the shared lock."""
    size = os.fstat(fd).st_size
    try:
        whole = _whole(path, size)
    except OSError:
        whole = size  # it may be append-only for us: then its lines are taken to be whole
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


def open_device(config: DeviceConfig, claims: Sequence[Claim] = ()) -> FileDevice:
    """Open a device, which must write to none of the `claims`. Raises `DeviceFailure`."""
    if config.kind != "file":
        raise DeviceFailure(f'unknown backend type: "{config.kind}"; this server has: file')
    return FileDevice(config, claims)


class AbsentDevice:
    """A device that could not be opened here: it takes nothing before it can, and is tried again by who writes to it."""

    def __init__(self, open_it: Callable[[], AuditDevice], failure: DeviceFailure) -> None:
        """`open_it` opens it, or raises `DeviceFailure`; `failure` is what it raised before."""
        self._open = open_it
        self._failure = str(failure)
        self._tried = -math.inf
        self._device: AuditDevice | None = None

    @property
    def prompt(self) -> bool:
        """See `AuditDevice.prompt`: opening may take its time."""
        return self._device is not None and self._device.prompt

    def write(self, line: bytes, now: float) -> None:
        """See `AuditDevice.write`. It is not tried twice in a second."""
        if self._device is None:
            if now - self._tried < _CHECK_EVERY:
                raise DeviceFailure(self._failure)
            self._tried = now
        self._opened().write(line, now)

    def reopen(self) -> None:
        """See `AuditDevice.reopen`."""
        if self._device is None:
            self._opened()
        else:
            self._device.reopen()

    def _opened(self) -> AuditDevice:
        try:
            self._device = self._device or self._open()
        except DeviceFailure as failure:
            self._failure = str(failure)
            raise
        return self._device

    def close(self) -> None:
        """See `AuditDevice.close`."""
        if self._device is not None:
            self._device.close()
