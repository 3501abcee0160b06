# SPDX-License-Identifier: EUPL-1.2
"""The operating system's side: no core dumps, private files, locked memory, many connections, one process id file."""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import os
import re
import resource
import stat
import sys
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import BinaryIO, Final

from vault.server.failure import StartFailure

_PR_SET_DUMPABLE: Final = 4
_MCL_CURRENT: Final = 1
_MCL_FUTURE: Final = 2
_MCL_ONFAULT: Final = 4
NO_PROCESS_ID: Final = "is there and holds no process id; choose another path"
"""Why a file is not taken for the process id."""
_PROCESS_ID: Final = re.compile(rb"\s*+[0-9]*+\s*+")
_LONGEST_ID: Final = 64


def harden(*, lock_memory: bool) -> list[str]:
    """Forbid core dumps and other processes' looks into this one, make new files private, lock memory.

    Connections are files: as many may be open as the hard limit allows.
    Locking is tried. Returns what could not be had, and what an operator can do about it.
    """
    missing: list[str] = []
    if sys.__stderr__ is not None:  # or a signal such as SIGBUS would end it without a word
        faulthandler.enable(sys.__stderr__, all_threads=False)
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        missing.append("the system does not let this process forbid core dumps; forbid them for its user")
    if lock_memory and not _lock_memory(libc):
        missing.append(
            "memory is not locked, so secrets may reach the swap; turn swap off, raise the limit of locked"
            " memory to infinity (LimitMEMLOCK), or set disable_mlock"
        )
    return missing


def _lock_memory(libc: ctypes.CDLL) -> bool:
    """Lock all memory, if no limit could make a later allocation fail because of it."""
    _, most = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if most != resource.RLIM_INFINITY:
        return False
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (most, most))
    return bool(libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT) == 0)


@contextlib.contextmanager
def pid_file(path: str) -> Iterator[None]:
    """Keep the process id in the file `path`, if there is to be one. Raises `StartFailure`.

    A file of anything else is left alone: it would be lost. So is one that another process took over meanwhile.
    """
    if not path:
        yield
        return
    own = b"%d\n" % os.getpid()
    try:
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
        with os.fdopen(opened, "r+b", buffering=0) as file:
            if not holds_process_id(file):
                raise StartFailure(f"pid_file {path}: {NO_PROCESS_ID}")
            file.seek(0)
            if stat.S_ISREG(os.fstat(opened).st_mode):
                file.truncate()
            file.write(own)
            mine = os.fstat(opened)
    except OSError as error:
        raise StartFailure(
            f"pid_file {path}: cannot be written: {error.strerror}; choose another path"
        ) from error
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            if os.path.samestat(os.stat(path), mine) and Path(path).read_bytes() == own:
                os.unlink(path)


def holds_process_id(file: BinaryIO | FileIO) -> bool:
    """Whether a process id, or nothing, is in a file that was just opened."""
    return _PROCESS_ID.fullmatch(file.read(_LONGEST_ID) or b"") is not None
