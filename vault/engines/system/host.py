# SPDX-License-Identifier: EUPL-1.2
"""What may be said of the machine: its name, its system and its memory. Nothing of other processes or disks."""

from __future__ import annotations

import os
import platform
import socket
import sys

import msgspec


class HostFacts(msgspec.Struct, frozen=True, rename="camel"):
    """Name and system."""

    hostname: str
    os: str
    kernel_version: str
    kernel_arch: str


class MemoryFacts(msgspec.Struct, frozen=True):
    """Bytes of memory of the machine."""

    total: int
    available: int


class CpuFacts(msgspec.Struct, frozen=True):
    """How many processors this process may use."""

    cores: int


class Machine(msgspec.Struct, frozen=True):
    """Everything together."""

    cpu: CpuFacts
    host: HostFacts
    memory: MemoryFacts


def machine() -> Machine:
    """Ask the operating system."""
    page = os.sysconf("SC_PAGE_SIZE")
    return Machine(
        CpuFacts(len(os.sched_getaffinity(0))),
        HostFacts(socket.gethostname(), sys.platform, platform.release(), platform.machine()),
        MemoryFacts(page * os.sysconf("SC_PHYS_PAGES"), page * os.sysconf("SC_AVPHYS_PAGES")),
    )
