# SPDX-License-Identifier: EUPL-1.2
"""What an audit device may write to: a file of its own, a pipe, standard output or error, or nowhere.

Opening alone can do harm: closing a file of the database drops its POSIX locks, and a device file of the machine may
act on being opened. So a path is examined before it is opened.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

DISCARD: Final = "discard"
_STANDARD: Final = {
    **dict.fromkeys(("stdout", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"), "stdout"),
    **dict.fromkeys(("stderr", "/dev/stderr", "/dev/fd/2", "/proc/self/fd/2"), "stderr"),
    DISCARD: DISCARD,
    os.devnull: DISCARD,
}
_KERNEL: Final = ("/proc/", "/sys/")
"""File systems of the kernel: a record written there is lost."""
_LOCAL: Final = frozenset(
    {"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "overlay", "ramfs", "tmpfs", "xfs", "zfs"}
)
"""Local file systems: an append goes to memory. On others it may wait for another server."""
_BEGINNING: Final = 4096
"""Bytes at the start of a file within which its first record begins, after the device's prefix."""
_BESIDE: Final = ("-wal", "-shm", "-journal", "-turn")


class Claim(NamedTuple):
    """A file that another part of this server uses, and the setting that names it."""

    setting: str
    path: str


def target(options: Mapping[str, str]) -> str:
    """Return the target of a device with these `options`: a path, `stdout`, `stderr`, `discard`, or "" for none.

    OpenBao's names count in any case, and so do paths such as `/dev/stdout`.
    """
    given = options.get("file_path") or options.get("path", "")
    return _STANDARD.get(given.lower() if "/" not in given else given, given)


def is_file(place: str) -> bool:
    """Whether a `target` is a path."""
    return place not in {"", "stdout", "stderr", DISCARD}


def beside(database: str) -> Sequence[str]:
    """Return the paths of a database's files."""
    return [database, *(os.path.realpath(database) + end for end in _BESIDE)]


def refusal(place: str, claims: Sequence[Claim]) -> str:
    """Return why no device may write to a path, or "". It opens and creates nothing."""
    real = os.path.realpath(place)
    found = _identity(place)
    for claim in claims:
        if real == os.path.realpath(claim.path) or _same(found, _identity(claim.path)):
            return (
                f"file_path is a file that this server needs, {claim.setting}; give the device one of its own"
            )
    if found is not None and stat.S_ISDIR(found.st_mode):
        return f"cannot open {place}: it is a directory; name a file"
    odd = found is not None and not (stat.S_ISREG(found.st_mode) or stat.S_ISFIFO(found.st_mode))
    if odd or real.startswith(_KERNEL):
        return f"{place} is not a regular file or a pipe; name one, or stdout, stderr or discard"
    return ""


def is_foreign(place: str) -> bool:
    """Whether a path is a regular file that does not begin with a record. The API refuses to append to such a file."""
    found = _identity(place)
    if found is None or not stat.S_ISREG(found.st_mode) or not found.st_size:
        return False
    try:
        with open(place, "rb") as file:
            return b'{"time":"' not in file.read(_BEGINNING).partition(b"\n")[0]
    except OSError:
        return True


def is_local(fd: int, path: str, mounts: str = "/proc/self/mountinfo") -> bool:
    """Whether an open file lies on a local file system, by the file `mounts` (proc(5)); False where that is unknown."""
    device = os.fstat(fd).st_dev
    number, real = f"{os.major(device)}:{os.minor(device)}", os.path.realpath(path)
    kind, longest = "", -1
    try:
        lines = Path(mounts).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    for mount in lines:  # id, parent, device, root, mount point, options, …, "-", type, …
        fields = mount.split()
        point = fields[4].rstrip("/")
        over = 1 << 20 if fields[2] == number else len(point) if f"{real}/".startswith(f"{point}/") else -1
        if over >= longest and over >= 0:
            kind, longest = fields[fields.index("-") + 1], over
    return kind in _LOCAL


def _identity(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except (OSError, ValueError):
        return None


def _same(one: os.stat_result | None, other: os.stat_result | None) -> bool:
    return one is not None and other is not None and (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
