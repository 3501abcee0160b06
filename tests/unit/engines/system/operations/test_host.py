# SPDX-License-Identifier: EUPL-1.2
"""The machine: what Linux tells, and what is said where it tells nothing."""

import os
from pathlib import Path

import msgspec

from vault.engines.system.operations import host

CPUINFO = """processor : 3
vendor_id : GenuineIntel
cpu family : 6
stepping : 7
cpu MHz : 2400.000
cache size : 512 KB
flags : fpu hypervisor

processor : 4
cpu MHz : fast
Features : fp asimd

Hardware : a board
"""


def test_what_linux_tells_is_shown_in_the_fields_form(tmp_path: Path) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "7").mkdir()
    (tmp_path / "cpuinfo").write_text(CPUINFO)
    (tmp_path / "stat").write_text("cpu  1 2 3\ncpu3 100 50 25 75\ncpufreq 9\n\nbtime 1700000000\n")
    (tmp_path / "uptime").write_text("12.9 8.0\n")
    (tmp_path / "filesystems").write_text("nodev\tproc\n\text4\n")
    spaced = tmp_path / "a b"
    spaced.mkdir()
    mount = str(spaced).replace(" ", "\\040")
    lines = (f"/dev/a {mount} ext4 rw 0 0", f"/dev/a {tmp_path} ext4 rw 0 0", "proc /proc proc rw 0 0", "odd", "/dev/b /not/there ext4 rw 0 0")  # fmt: skip
    (tmp_path / "self" / "mounts").write_text("\n".join(lines))
    (tmp_path / "meminfo").write_text("MemTotal: 8 kB\nMemAvailable: 6 kB\nCached: 2 kB\nSReclaimable: 1 kB\nHugePages_Total: 5\n")  # fmt: skip
    found = msgspec.to_builtins(host.machine(tmp_path))
    first, second = found["cpu"]
    assert (first["cpu"], first["vendorId"], first["mhz"], first["cacheSize"]) == (
        3,
        "GenuineIntel",
        2400,
        512,
    )
    assert (second["flags"], second["mhz"], second["modelName"]) == (["fp", "asimd"], 0, "")
    (times,) = found["cpu_times"]
    assert (times["cpu"], times["user"], times["guestNice"]) == (
        "cpu3",
        100 / os.sysconf("SC_CLK_TCK"),
        0,
    )
    (disk,) = found["disk"]
    assert (disk["path"], disk["fstype"]) == (str(spaced), "ext4") and 0 < disk["usedPercent"] < 100
    assert {name: found["host"][name] for name in ("uptime", "bootTime", "procs", "virtualizationRole")} == {
        "uptime": 12, "bootTime": 1_700_000_000, "procs": 1, "virtualizationRole": "guest",
    }  # fmt: skip
    memory = found["memory"]
    assert (memory["total"], memory["used"], memory["usedPercent"]) == (8192, 2048, 25.0)
    assert (memory["cached"], memory["sreclaimable"], memory["hugepagestotal"]) == (3072, 1024, 5)


def test_a_service_that_may_not_look_shows_what_it_can(tmp_path: Path) -> None:
    found = msgspec.to_builtins(host.machine(tmp_path / "nothing"))
    assert (found["cpu"], found["cpu_times"], found["disk"]) == ([], [], [])
    assert found["memory"]["total"] > found["memory"]["available"] > 0
    assert found["host"]["hostname"] and found["host"]["uptime"] == 0
