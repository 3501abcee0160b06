# SPDX-License-Identifier: EUPL-1.2
"""A Debian machine for a test: a root file system of its own, and with `booted` a systemd that runs it as any would.

What is not a machine's own is the kernel, and with it devices: it has no TPM, and no network but its loopback. apt installs from a
folder of Debian's packages.
"""

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.integration.images import package_folder, root_archive
from tests.integration.processes import PATIENCE

WITH_SYSTEMD = "python3,python3-venv,ca-certificates,systemd,systemd-sysv,dbus,logrotate,openssl"
HOME = "/root"
"""Of who is at work."""
_ENVIRONMENT = (
    "/usr/bin/env",
    "-i",
    "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
    f"HOME={HOME}",
    "DEBIAN_FRONTEND=noninteractive",
)
_NAMESPACES = ("--mount", "--pid", "--ipc", "--uts", "--cgroup", "--net")
_BOOT = r"""
mount --make-rprivate /
mount --bind "$1" "$1"
cd "$1"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t devtmpfs devtmpfs dev
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs tmpfs tmp
pivot_root . mnt
exec chroot . /bin/sh -c 'umount -l /mnt; mount --make-rshared /; exec env -i container=other PATH=/usr/sbin:/usr/bin /lib/systemd/systemd'
"""


class Machine:
    """Its files are below `root`. What runs before it is booted does so in a chroot, and afterwards within."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._first = 0

    def tried(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command as root of the machine."""
        inside: list[str] = ["chroot", str(self.root)]
        if self._first:
            place = f"/proc/{self._first}/root"
            inside = ["nsenter", f"--target={self._first}", *_NAMESPACES, f"--root={place}", f"--wd={place}"]
        return subprocess.run(
            [*inside, *_ENVIRONMENT, *command], capture_output=True, text=True, timeout=300, check=False
        )

    def does(self, *command: str) -> str:
        """Run a command that must work; return what it prints."""
        done = self.tried(*command)
        assert done.returncode == 0, f"{command}: {done.stdout}\n{done.stderr}"
        return done.stdout

    def takes(self, file: Path, folder: str = "/srv") -> str:
        """Copy a file into it; return its name there."""
        place = self.root / folder.removeprefix("/")
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, place)
        return f"{folder}/{file.name}"

    def offers(self, packages: str) -> None:
        """Let apt install these packages of Debian, by commas, and nothing else."""
        place = self.root / "srv/packages"
        shutil.copytree(package_folder(packages), place)
        (self.root / "etc/apt/sources.list").write_text("deb [trusted=yes] file:/srv/packages ./\n")
        for other in (self.root / "etc/apt/sources.list.d").glob("*"):
            other.unlink()

    @contextlib.contextmanager
    def booted(self) -> Iterator[None]:
        """Let systemd be its first process, until the end of the block."""
        command = [
            "unshare",
            *_NAMESPACES,
            "--fork",
            "--kill-child",
            "sh",
            "-euc",
            _BOOT,
            "sh",
            str(self.root),
        ]
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            try:
                children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
                deadline = time.monotonic() + PATIENCE
                while not self._runs(children):
                    assert time.monotonic() < deadline, "systemd did not come up"
                    assert process.poll() is None, "systemd ended"
                    time.sleep(0.2)
                yield
            finally:
                self._first = 0
                process.kill()

    def _runs(self, children: Path) -> bool:
        first = children.read_text().split()
        if not first or Path(f"/proc/{first[0]}/comm").read_text() != "systemd\n":
            return False
        self._first = int(first[0])
        return self.tried("systemctl", "is-system-running", "--wait").stdout in {"running\n", "degraded\n"}


class Shell:
    """What an operator types as root of a machine, in one shell: its variables stay."""

    def __init__(self, machine: Machine, **variables: str) -> None:
        self.machine = machine
        self._variables: Mapping[str, str] = variables

    def types(self, command: str) -> str:
        """Type a command that must work; return what it prints."""
        script = f"cd {HOME}\n{command}\nenv -0 > /srv/variables"
        said = [f"{name}={value}" for name, value in self._variables.items()]
        done = self.machine.does("env", *said, "bash", "-eu", "-o", "pipefail", "-c", script)
        read = (self.machine.root / "srv/variables").read_text().split("\0")
        self._variables = dict(line.split("=", 1) for line in read if line)
        return done

    def writes(self, file: str, text: str) -> None:
        """Write a file, as an editor does."""
        path = self.machine.root / file.removeprefix("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@contextlib.contextmanager
def machine(folder: Path, name: str, packages: str = "") -> Iterator[Machine]:
    """A machine with these packages, by commas, or else those of the base of images; gone afterwards."""
    root = folder / "root"
    root.mkdir()
    archive = root_archive(name, packages) if packages else root_archive(name)
    subprocess.run(["tar", "-C", str(root), "-xpf", str(archive)], check=True)
    (root / "dev" / "null").unlink(missing_ok=True)
    (root / "etc/dpkg/dpkg.cfg.d/fast").write_text("force-unsafe-io\n")  # it need not outlive a power cut
    os.mknod(root / "dev" / "null", 0o20666, os.makedev(1, 3))
    try:
        yield Machine(root)
    finally:
        shutil.rmtree(root, ignore_errors=True)
