# SPDX-License-Identifier: EUPL-1.2
"""What every process does first that holds a PIN beside a vendor's module."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4
_LOCK_ALL: Final = 1 | 2 | 4
"""`MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT`."""
_LOCK_NONE: Final = 0
"""Refused without effect. With a limit, locking all that is to come would make a later allocation fail."""

MOST_MEMORY: Final = 256 << 20
"""Bytes that a process with a module may take beyond what it has: a module that lies about the length of an attribute
is believed by python-pkcs11, which asks for as much.
"""
_STACK: Final = 8 << 20
"""Bytes of a thread's stack."""


def limit_memory(threads: int) -> None:
    """Let this process take so much more memory for data, beside the stacks of `threads`; asking for more fails.

    Python raises `MemoryError` then, a module has its own way to say so, or dies of it.
    """
    taken = int(_status("VmData")) << 10
    limit = taken + MOST_MEMORY + threads * _STACK
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def _status(name: str) -> str:
    """Return what the kernel says of this process, in KiB."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as lines:
        return next(line.split()[1] for line in lines if line.startswith(f"{name}:"))


def harden() -> None:
    """Die with the parent, leave no core dump, let nobody trace or read this process, stay out of swap."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    forbid_core_dumps()
    unlimited = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY
    libc.mlockall(_LOCK_ALL if unlimited else _LOCK_NONE)


def fall_silent() -> None:
    """Let what this process prints go nowhere: a module may print PINs and handles, or without end.

    People read the server's log who may know none of that.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)


def forbid_core_dumps() -> None:
    """Leave no core dump, here and in every child."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
