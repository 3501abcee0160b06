# SPDX-License-Identifier: EUPL-1.2
"""A machine for Podman: this one, with mounts, processes and a network of its own, and a layer of its own over /etc.

All of it is gone once this process is: containers, what they mounted, and images, which are in memory (a gigabyte). No image comes from a registry: the base
that the Containerfile names is Debian's Python (`tests/integration/images.py`), by its name.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.house.tree import ROOT
from tests.integration.images import BASE_PATH, limits, pip_configuration, root_archive

_NAMESPACES = ("--mount", "--pid", "--ipc", "--cgroup")
_CLIENT = ROOT / "tests/packages/distant_client.py"
_BOOT = r"""
mount --make-rprivate /
mount -t proc proc /proc
mount -t cgroup2 cgroup2 /sys/fs/cgroup
cp --dereference /etc/resolv.conf "$1/etc/"
mount -t overlay -o "lowerdir=/etc,upperdir=$1/etc,workdir=$1/work" overlay /etc
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=755 tmpfs "$1/storage"
ip link set lo up
echo ready
cat
"""
_BUILD_SECONDS = 900
_SECONDS = 180


class Podman:
    """What an operator types, as root, in a folder."""

    def __init__(self, folder: Path, first: int) -> None:
        """Configure it; `first` is the machine's first process, as this one numbers it."""
        self.home = folder / "home"
        self._first = first
        engine = '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
        (folder / "containers.conf").write_text(f'[containers]\ncgroups = "disabled"\n{limits()}\n{engine}')
        roots = f'graphroot = "{folder}/storage"\nrunroot = "{folder}/run"\n'
        (folder / "storage.conf").write_text(f'[storage]\ndriver = "overlay"\n{roots}')
        (folder / "pip.conf").write_text(pip_configuration(), encoding="utf-8")
        volumes = [f"{folder}/pip.conf:/etc/pip.conf:ro", "/etc/ssl/certs:/etc/ssl/certs:ro"]
        (folder / "build.conf").write_text(
            f'[containers]\nnetns = "host"\nvolumes = {json.dumps(volumes)}\n', encoding="utf-8"
        )
        self._environment = {
            **os.environ,
            "CONTAINERS_CONF": str(folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
            "CONTAINERS_REGISTRIES_CONF": os.devnull,
        }
        self._building = {**self._environment, "CONTAINERS_CONF_OVERRIDE": str(folder / "build.conf")}

    def tried(self, command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Type a command; what is built is built from the sources, with this machine's way to the package index."""
        building = command.startswith("podman build")
        return subprocess.run(
            self._within(command, network=not building, folder=ROOT if building else self.home),
            env={**(self._building if building else self._environment), **variables},
            capture_output=True,
            text=True,
            timeout=_BUILD_SECONDS if building else _SECONDS,
            check=False,
        )

    def types(self, command: str, **variables: str) -> str:
        """Type a command that must work; return what it prints."""
        done = self.tried(command, **variables)
        assert done.returncode == 0, f"{command}: {done.stdout}\n{done.stderr}"
        return done.stdout

    def answers(self, command: str, prompt: str, text: str) -> str:
        """Type a command that must work, and a text once it asks for it; return what it printed after that."""
        with subprocess.Popen(
            self._within(command),
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stdout is not None
            asked = b""
            while prompt.encode() not in asked:
                read = os.read(process.stdout.fileno(), 4096)
                assert read, f"{command}: {asked!r}"
                asked += read
            said, problems = process.communicate(f"{text}\n".encode(), timeout=_SECONDS)
            assert process.returncode == 0, f"{command}: {said!r}\n{problems!r}"
            return said.decode()

    def client(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a client on this machine (`distant_client.py`)."""
        command = shlex.join([sys.executable, str(_CLIENT), *arguments])
        return subprocess.Popen(
            self._within(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def _within(self, command: str, *, network: bool = True, folder: Path | None = None) -> Sequence[str]:
        script = f"cd {shlex.quote(str(folder or self.home))}\n{command}"
        networks = ["--net"] if network else []
        inside = ["nsenter", f"--target={self._first}", *_NAMESPACES, *networks]
        return [*inside, "bash", "-euo", "pipefail", "-c", script]


@contextmanager
def podman(folder: Path) -> Iterator[Podman]:
    """Podman with the base that the Containerfile names, for the block; afterwards `folder` is gone."""
    for name in ("etc", "work", "home", "storage"):
        (folder / name).mkdir()
    first = ["sh", "-euc", _BOOT, "sh", str(folder)]
    command = ["unshare", *_NAMESPACES, "--net", "--fork", "--kill-child", *first]
    try:
        # It ends when its input does: also where this process is killed.
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n", "the machine did not come up"
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
            made = Podman(folder, int(children))
            named = re.search(r"^ARG BASE=(\S+)$", (ROOT / "Containerfile").read_text(), re.MULTILINE)
            assert named
            made.types(f"podman import --change ENV={BASE_PATH} {root_archive('base')} {named[1]}")
            yield made
    finally:
        shutil.rmtree(folder)
