# SPDX-License-Identifier: EUPL-1.2
"""Container images without a daemon or an image registry: buildah in a chroot, on a base made by debootstrap."""

import configparser
import hashlib
import json
import os
import resource
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

BASE = "localhost/coffre-base"
BASE_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""What the base says of itself: where its programs are."""
_SUITE = "trixie"
_PACKAGES = "python3,python3-venv,ca-certificates,systemd-standalone-sysusers"
# What a package index asks of pip; paths of this machine's own wheels and caches stay outside.
_PIP_KEYS = ("index-url", "extra-index-url", "trusted-host", "proxy", "cert", "timeout")
_BUILD_SECONDS = 600


class Buildah:
    """buildah with storage of its own, below a folder that the caller removes."""

    def __init__(self, folder: Path) -> None:
        """Prepare storage, limits within the host's, and a policy that accepts what is built here."""
        self._folder = folder
        (folder / "containers.conf").write_text(f"[containers]\n{limits()}\n", encoding="utf-8")
        (folder / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        (folder / "pip.conf").write_text(pip_configuration(), encoding="utf-8")
        self._environment = {
            **os.environ,
            "CONTAINERS_CONF": str(folder / "containers.conf"),
            "BUILDAH_ISOLATION": "chroot",
        }
        self._prefix = ["buildah", "--storage-driver", "vfs"]
        self._prefix += ["--root", str(folder / "storage"), "--runroot", str(folder / "run")]

    def command(self, *arguments: str) -> str:
        """Run one buildah command and return what it printed; fails with its messages."""
        finished = subprocess.run(
            [*self._prefix, *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=_BUILD_SECONDS,
            check=False,
        )
        assert finished.returncode == 0, f"buildah {arguments[0]}: {finished.stdout}\n{finished.stderr}"
        return finished.stdout.strip()

    def add_base(self) -> None:
        """Make the base image from the cached Debian file system."""
        container = self.command("from", "scratch")
        self.command("add", container, str(root_archive("base")), "/")
        self.command("config", "--env", BASE_PATH, container)
        policy = f"--signature-policy={self._folder / 'policy.json'}"
        self.command("commit", "--rm", policy, container, BASE)

    def build(self, context: Path, image: str) -> None:
        """Build the Containerfile of `context`, with the host's way to the package index."""
        volumes = [f"{self._folder / 'pip.conf'}:/etc/pip.conf:ro"]
        if Path("/etc/ssl/certs").is_dir():
            volumes.append("/etc/ssl/certs:/etc/ssl/certs:ro")
        arguments = [
            "--format",
            "docker",
            "--pull=never",
            "--isolation",
            "chroot",
            "--build-arg",
            f"BASE={BASE}",
        ]
        arguments += [f"--signature-policy={self._folder / 'policy.json'}", "-t", image]
        arguments += [part for volume in volumes for part in ("--volume", volume)]
        self.command("build", *arguments, str(context))

    def start(self, image: str) -> tuple[str, Path]:
        """Make a container of the image; returns its name and where its file system is mounted."""
        container = self.command("from", "--pull=never", image)
        return container, Path(self.command("mount", container))

    def configuration(self, image: str) -> dict[str, Any]:
        """The image's own configuration: User, Env, Entrypoint, Cmd, Healthcheck, Volumes."""
        described = json.loads(self.command("inspect", "--type", "image", image))
        configuration: dict[str, Any] = described["Docker"]["config"]
        return configuration

    def run(self, container: str, *arguments: str) -> str:
        """Run a command in the container as the image's user."""
        return self.command("run", "--isolation", "chroot", container, "--", *arguments)


def read_only_command(
    root: Path, mounts: Sequence[tuple[Path, str, str]], command: Sequence[str], user: int = 10001
) -> list[str]:
    """The command line that runs `command` in `root`, mounted read-only, as a user and its group.

    `mounts` are (source, place in the container, "ro" or "rw"). Everything is mounted in a name space of
    its own, so that nothing is left behind when the command ends, however it ends.
    """
    script = ['mount --bind "$1" "$1"']
    for source, place, mode in mounts:
        target = shlex.quote(f"{root}{place}")
        script.append(f"mount --bind {shlex.quote(str(source))} {target}")
        script.append(f"mount -o remount,bind,{mode} {target}")
    script += [
        'mount -t proc proc "$1/proc"',
        'mount --rbind /dev "$1/dev"',
        'mount -o remount,bind,ro "$1"',
        'shift; exec "$@"',
    ]
    inside = ["chroot", f"--userspec={user}:{user}", str(root), *command]
    shell = ["unshare", "--mount", "sh", "-euc", "\n".join(script), "sh", str(root)]
    return [*shell, *inside]


def _kept(name: str, packages: str, ending: str = "") -> Path:
    """Where what is made of these packages is kept, in the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "coffre-tests"
    cache.mkdir(parents=True, exist_ok=True)
    kind = hashlib.sha256(packages.encode()).hexdigest()[:8]
    return cache / f"{name}-{kind}-{os.uname().machine}{ending}"


def root_archive(name: str, packages: str = _PACKAGES) -> Path:
    """A Debian file system with these packages, by commas, made once and kept in the user's cache."""
    archive = _kept(f"{name}-{_SUITE}", packages, ".tar")
    if archive.exists():
        return archive
    root = archive.parent / f"making-{os.getpid()}"
    try:
        _checked("debootstrap", "--variant=minbase", f"--include={packages}", _SUITE, str(root))
        for waste in (
            "var/cache/apt",
            "var/lib/apt/lists",
            "usr/share/doc",
            "usr/share/locale",
            "usr/share/man",
        ):
            shutil.rmtree(root / waste, ignore_errors=True)
        made = archive.with_suffix(f".{os.getpid()}")
        _checked("tar", "--numeric-owner", "--exclude=./dev/*", "-C", str(root), "-cf", str(made), ".")
        made.rename(archive)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    return archive


def package_folder(packages: str) -> Path:
    """A folder of Debian packages, these by commas and what they depend on, from which apt installs without a mirror.

    Made once and kept in the user's cache.
    """
    folder = _kept(f"packages-{_SUITE}", packages)
    if folder.exists():
        return folder
    root = folder.parent / f"downloading-{os.getpid()}"
    try:
        options = ("--download-only", "--variant=minbase", f"--include={packages}")
        _checked("debootstrap", *options, _SUITE, str(root))
        found = root / "var/cache/apt/archives"
        shutil.rmtree(found / "partial", ignore_errors=True)
        _checked("sh", "-euc", 'cd "$1"; dpkg-scanpackages . /dev/null > Packages', "sh", str(found))
        found.rename(folder)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    return folder


def _checked(*command: str) -> None:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    finished = subprocess.run(
        command,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=_BUILD_SECONDS,
        check=False,
    )
    assert finished.returncode == 0, f"{command[0]}: {finished.stdout[-2000:]}\n{finished.stderr[-2000:]}"


def limits() -> str:
    """The line of `containers.conf` that keeps containers within this machine's own limits."""
    kinds = {"nofile": resource.RLIMIT_NOFILE, "nproc": resource.RLIMIT_NPROC}
    return f"default_ulimits = {json.dumps([f'{name}={_within(kind)}' for name, kind in kinds.items()])}"


def _within(limit: int) -> str:
    """`soft:hard` at the host's hard limit, or a number where that has none."""
    _, hard = resource.getrlimit(limit)
    value = 65536 if hard == resource.RLIM_INFINITY else hard
    return f"{value}:{value}"


def pip_configuration() -> str:
    """The host's settings that lead pip to its index, from pip's files and PIP_* variables."""
    found: dict[str, str] = {}
    for path in ("/etc/pip.conf", "~/.pip/pip.conf", "~/.config/pip/pip.conf", f"{sys.prefix}/pip.conf"):
        parser = configparser.RawConfigParser()
        parser.read(Path(path).expanduser(), encoding="utf-8")
        if parser.has_section("global"):
            found |= {key: value for key, value in parser["global"].items() if key in _PIP_KEYS}
    for key in _PIP_KEYS:
        value = os.environ.get("PIP_" + key.upper().replace("-", "_"))
        if value:
            found[key] = value
    return "\n".join(["[global]", *(f"{key} = {value}" for key, value in found.items())]) + "\n"
