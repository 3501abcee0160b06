# SPDX-License-Identifier: EUPL-1.2
"""The machine that a server runs on, in OpenBao's form, from Linux' `/proc` (proc(5)) and `statvfs`.

Values that a hardened service may not read are 0, empty or missing. Only file systems with a device of their own are
counted as disks, so no remote file server can delay this.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from vault.values.times import Seconds

_PROC: Final = Path("/proc")
_TIMES: Final = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest", "guest_nice")
_OCTAL: Final = re.compile(r"\\([0-7]{3})")
_LONGEST: Final = 4 << 20
"""Most bytes read of a file; `/proc/cpuinfo` of a thousand processors has two million."""


class CpuFacts(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One processor; `mhz` and `cache_size` (KiB) are the kernel's values."""

    cpu: int
    vendor_id: str = ""
    family: str = ""
    model: str = ""
    stepping: int = 0
    physical_id: str = ""
    core_id: str = ""
    cores: int = 1
    model_name: str = ""
    mhz: float = 0.0
    cache_size: int = 0
    flags: list[str]
    microcode: str = ""


class CpuTimes(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Seconds that one processor has spent on each kind of work since boot."""

    cpu: str
    user: float
    system: float
    idle: float
    nice: float
    iowait: float
    irq: float
    softirq: float
    steal: float
    guest: float
    guest_nice: float


class DiskFacts(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Bytes and inodes of one file system; `free` is what others than root may use."""

    path: str
    fstype: str
    total: int
    free: int
    used: int
    used_percent: float
    inodes_total: int
    inodes_used: int
    inodes_free: int
    inodes_used_percent: float


class HostFacts(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Name and system; `uptime` in seconds, `boot_time` in seconds since the epoch."""

    hostname: str
    uptime: Seconds
    boot_time: Seconds
    procs: int
    os: str
    platform: str
    platform_family: str
    platform_version: str
    kernel_version: str
    kernel_arch: str
    virtualization_system: str
    virtualization_role: str
    hostid: str


class MemoryFacts(msgspec.Struct, frozen=True, kw_only=True, rename={"used_percent": "usedPercent"}):
    """Bytes of memory; the counts of huge pages are in pages."""

    total: int = 0
    available: int = 0
    used: int = 0
    used_percent: float = 0.0
    free: int = 0
    active: int = 0
    inactive: int = 0
    wired: int = 0
    laundry: int = 0
    buffers: int = 0
    cached: int = 0
    writeback: int = 0
    dirty: int = 0
    writebacktmp: int = 0
    shared: int = 0
    slab: int = 0
    sreclaimable: int = 0
    sunreclaim: int = 0
    pagetables: int = 0
    swapcached: int = 0
    commitlimit: int = 0
    committedas: int = 0
    hightotal: int = 0
    highfree: int = 0
    lowtotal: int = 0
    lowfree: int = 0
    swaptotal: int = 0
    swapfree: int = 0
    mapped: int = 0
    vmalloctotal: int = 0
    vmallocused: int = 0
    vmallocchunk: int = 0
    hugepagestotal: int = 0
    hugepagesfree: int = 0
    hugepagesize: int = 0


class Machine(msgspec.Struct, frozen=True):
    """All facts about the machine."""

    cpu: list[CpuFacts]
    cpu_times: list[CpuTimes]
    disk: list[DiskFacts]
    host: HostFacts
    memory: MemoryFacts


def machine(proc: Path = _PROC) -> Machine:
    """Read all facts, those that Linux tells below `proc`. It may take some milliseconds for each processor and disk."""
    processors = _processors(proc)
    stat = _text(proc / "stat")
    guest = any("hypervisor" in processor.flags for processor in processors)
    return Machine(
        processors, _times(stat), list(_disks(proc)), _host(proc, stat, guest=guest), _memory(proc)
    )


def _text(path: Path) -> str:
    with contextlib.suppress(OSError), path.open("rb") as file:
        return file.read(_LONGEST).decode("utf-8", "replace")
    return ""


def _number(text: str) -> int:
    digits = text.strip().partition(" ")[0]
    return int(digits) if digits.isdecimal() else 0


def _processors(proc: Path) -> list[CpuFacts]:
    found = []
    for block in _text(proc / "cpuinfo").split("\n\n"):
        said = {
            name.strip(): value.strip()
            for name, colon, value in (line.partition(":") for line in block.splitlines())
            if colon
        }
        if "processor" not in said:
            continue
        mhz = said.get("cpu MHz", "")
        found.append(
            CpuFacts(
                cpu=_number(said["processor"]),
                vendor_id=said.get("vendor_id", ""),
                family=said.get("cpu family", ""),
                model=said.get("model", ""),
                stepping=_number(said.get("stepping", "")),
                physical_id=said.get("physical id", ""),
                core_id=said.get("core id", ""),
                model_name=said.get("model name", ""),
                mhz=_whole(float(mhz)) if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", mhz) else 0,
                cache_size=_number(said.get("cache size", "")),
                flags=said.get("flags", said.get("Features", "")).split(),
                microcode=said.get("microcode", ""),
            )
        )
    return found


def _times(stat: str) -> list[CpuTimes]:
    tick = os.sysconf("SC_CLK_TCK")
    found = []
    for line in stat.splitlines():
        name, *spent = line.split()[: len(_TIMES) + 1] or [""]
        if re.fullmatch(r"cpu\d{1,9}", name):
            seconds = [_whole(_number(one) / tick) for one in spent] + [0] * (len(_TIMES) - len(spent))
            found.append(CpuTimes(cpu=name, **dict(zip(_TIMES, seconds, strict=True))))
    return found


def _disks(proc: Path) -> Iterator[DiskFacts]:
    devices = {line.strip() for line in _text(proc / "filesystems").splitlines() if line[:1] == "\t"}
    seen = set()
    for line in _text(proc / "self" / "mounts").splitlines():
        device, place, kind, *_ = [*line.split(" "), "", "", ""]
        if kind not in devices or device in seen:
            continue
        seen.add(device)
        path = _OCTAL.sub(lambda code: chr(int(code[1], 8)), place)
        with contextlib.suppress(OSError):
            size = os.statvfs(path)
            used, free = (size.f_blocks - size.f_bfree) * size.f_frsize, size.f_bavail * size.f_frsize
            inodes = size.f_files - size.f_ffree
            yield DiskFacts(
                path=path,
                fstype=kind,
                total=size.f_blocks * size.f_frsize,
                free=free,
                used=used,
                used_percent=_percent(used, used + free),
                inodes_total=size.f_files,
                inodes_used=inodes,
                inodes_free=size.f_ffree,
                inodes_used_percent=_percent(inodes, size.f_files),
            )


def _whole(value: float) -> float:
    """Return a number as Go writes it: a whole one has no point."""
    return int(value) if value.is_integer() else value


def _percent(part: int, whole: int) -> float:
    return part / whole * 100 if whole else 0.0


def _host(proc: Path, stat: str, *, guest: bool) -> HostFacts:
    release: Mapping[str, str] = {}
    with contextlib.suppress(OSError):
        release = platform.freedesktop_os_release()
    name = release.get("ID", "")
    debian = _text(Path("/etc/debian_version")).strip() if name == "debian" else ""
    boot = next((line for line in stat.splitlines() if line.startswith("btime ")), "")
    processes = 0
    with contextlib.suppress(OSError):
        processes = sum(entry.isdecimal() for entry in os.listdir(proc))
    return HostFacts(
        hostname=socket.gethostname(),
        uptime=Seconds(_number(_text(proc / "uptime").partition(".")[0])),
        boot_time=Seconds(_number(boot.partition(" ")[2])),
        procs=processes,
        os=sys.platform,
        platform=name,
        platform_family=release.get("ID_LIKE", name).partition(" ")[0],
        platform_version=debian or release.get("VERSION_ID", ""),
        kernel_version=platform.release(),
        kernel_arch=platform.machine(),
        virtualization_system="",
        virtualization_role="guest" if guest else "",
        hostid=_host_id(),
    )


def _host_id() -> str:
    """Return the machine's id (machine-id(5)) as a UUID; "" where there is none."""
    found = _text(Path("/etc/machine-id")).strip()
    if not re.fullmatch(r"[0-9a-f]{32}", found):
        return ""
    return "-".join((found[:8], found[8:12], found[12:16], found[16:20], found[20:]))


def _memory(proc: Path) -> MemoryFacts:
    said = {}
    for line in _text(proc / "meminfo").splitlines():
        name, _, value = line.partition(":")
        said[name.lower().replace("_", "")] = _number(value) * (1024 if value.endswith(" kB") else 1)
    page = os.sysconf("SC_PAGE_SIZE")
    total = said.get("memtotal", 0) or page * os.sysconf("SC_PHYS_PAGES")
    available = said.get("memavailable", 0) or page * os.sysconf("SC_AVPHYS_PAGES")
    known = {name: said[name] for name in MemoryFacts.__struct_fields__ if name in said}
    known |= {
        "total": total,
        "available": available,
        "used": total - available,
        "free": said.get("memfree", 0),
        "cached": said.get("cached", 0) + said.get("sreclaimable", 0),
        "shared": said.get("shmem", 0),
    }
    return MemoryFacts(**known, used_percent=_percent(total - available, total))
