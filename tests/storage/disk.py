# SPDX-License-Identifier: EUPL-1.2
"""What a disk may hold after a power cut, from what `forgetful.c` wrote down of a process.

Durable is what a flush (`fsync`, `fdatasync`) that was done by then had found. Of what came later each sector of 512 bytes
is of a moment of its own: no flush orders it. The size of a file is too, and so is each name: a new file has its name for
certain when its folder was flushed, and that folder's own name too. A file that is only appended to keeps a beginning of what is not flushed, as on file
systems that write data before sizes (ext4, xfs): a hole in its middle would need a disk that lies.
"""

from __future__ import annotations

import bisect
import random
import struct
import subprocess
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

SECTOR: Final = 512
_HEAD: Final = struct.Struct("=IIQQQ")
_SOURCE: Final = Path(__file__).with_name("forgetful.c")
_GONE: Final = 0
"""What a name leads to once it was removed: no inode has this number."""
_TOP: Final = -1
"""The number of the folder itself."""


class Record(NamedTuple):
    """One entry of the log; `kind` as `forgetful.c` calls it."""

    kind: str
    path: str
    inode: int
    offset: int
    data: bytes


class Change(NamedTuple):
    """One change of a file, `at` its place in the log: bytes from `offset` on, or a new size without any."""

    at: int
    offset: int
    data: bytes | None

    def size(self, before: int) -> int:
        """Return the file's size behind it."""
        return self.offset if self.data is None else max(before, self.offset + len(self.data))


@dataclass
class Inode:
    """What was done to one file or folder."""

    changes: list[Change] = field(default_factory=list)
    flushes: list[tuple[int, int]] = field(default_factory=list)
    """Where in the log each one was done, and where it had begun."""

    def flushed(self, moment: int) -> int:
        """Return up to where in the log everything is durable at `moment`."""
        return max((began for done, began in self.flushes if done < moment), default=-1)


def compiled(folder: Path) -> Path:
    """Return the shim, made by the machine's compiler."""
    shim = folder / "forgetful.so"
    command = ["gcc", "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(shim), str(_SOURCE)]
    subprocess.run(command, check=True)
    return shim


def variables(shim: Path, folder: Path, log: Path) -> Mapping[str, str]:
    """Return the environment in which a process is recorded."""
    return {"LD_PRELOAD": str(shim), "FORGETFUL_FOLDER": str(folder), "FORGETFUL_LOG": str(log)}


def promise(log: Path, line: str) -> None:
    """Add what the recorded process has answered by now."""
    data = f"{line}\n".encode()
    with log.open("ab", buffering=0) as file:
        file.write(_HEAD.pack(ord("A"), 0, 0, 0, len(data)) + data)


def records(log: Path) -> Iterator[Record]:
    """Read the log; a record that a killed process did not finish ends it."""
    content, at = memoryview(log.read_bytes()), 0
    while at + _HEAD.size <= len(content):
        kind, path, inode, offset, length = _HEAD.unpack_from(content, at)
        middle = at + _HEAD.size + path
        at = middle + length
        if at <= len(content):
            yield Record(
                chr(kind),
                bytes(content[middle - path : middle]).decode(),
                inode,
                offset,
                bytes(content[middle:at]),
            )


class Disk:
    """The history of the files in `folder`."""

    def __init__(self, folder: Path, log: Path) -> None:
        self._folder = str(folder.resolve())
        self.promises: list[tuple[int, str]] = []
        """Each line that the process said, and where in the log."""
        self.names: dict[str, list[tuple[int, int]]] = defaultdict(list)
        """By name below the folder, which inode it led to from where in the log on; `_GONE` for none."""
        self._folders = {_TOP}
        """The inodes that are folders."""
        self._inodes: dict[int, Inode] = defaultdict(Inode)
        self._numbers: dict[int, int] = {}
        """The system uses the number of an inode again; here each file has its own."""
        begun: dict[int, int] = {}
        self.length = 0
        for at, record in enumerate(records(log)):
            self.length = at + 1
            self._take(at, record, begun)

    def _take(self, at: int, record: Record, begun: dict[int, int]) -> None:
        kind, path, number, offset, data = record
        name = self._name(path)
        if kind == "A":
            self.promises += [(at, line) for line in data.decode(errors="replace").splitlines()]
        elif kind in {"C", "M"}:
            self._numbers[number] = at + 1
            self.names[name].append((at, at + 1))
            if kind == "M":
                self._folders.add(at + 1)
        elif kind == "U":
            self.names[name].append((at, _GONE))
        elif kind == "R":
            moved = self.names[name][-1][1]
            assert moved not in self._folders, "what is in a folder would have other names"
            self.names[self._name(data.decode())].append((at, moved))
            self.names[name].append((at, _GONE))
        elif kind == "L":
            self.names[self._name(data.decode())].append((at, self.names[name][-1][1]))
        elif kind == "F":
            begun[offset] = at
        elif kind == "D":
            self._inode(path, number).flushes.append((at, begun.pop(offset)))
        else:
            self._inode(path, number).changes.append(Change(at, offset, data if kind == "W" else None))

    def _name(self, path: str) -> str:
        return path[len(self._folder) + 1 :]

    def _inode(self, path: str, number: int) -> Inode:
        return self._inodes[_TOP if path == self._folder else self._numbers[number]]

    def written(self, name: str) -> Sequence[Change]:
        """Return all that was done to the file that first had this name."""
        return self._inodes[self.names[name][0][1]].changes

    def image(
        self, moment: int, chance: random.Random, *, appended: tuple[str, ...] = ()
    ) -> dict[str, bytes]:
        """Return what may be on the disk after a power cut at this place in the log: content by name; `/` ends a folder's.

        Files whose names end so as `appended` says lose an end, all others any sectors.
        """
        newest = chance.choice((0.0, 1.0, chance.random()))
        kept = _Kept(newest, chance)
        folders = {"": _TOP}
        image = {}
        for name in sorted(self.names):  # a folder comes before what is in it
            parent = folders.get(name.rpartition("/")[0], _GONE)
            if parent == _GONE:
                continue
            past = [(at, number) for at, number in self.names[name] if at < moment]
            certain = bisect.bisect(past, (self._inodes[parent].flushed(moment), 1 << 62))
            number = ([(0, _GONE), *past][certain + kept.of(len(past) - certain)])[1]
            if number in self._folders:
                folders[name], image[f"{name}/"] = number, b""
            elif number != _GONE:
                image[name] = self._content(self._inodes[number], moment, kept, whole=name.endswith(appended))
        return image

    @staticmethod
    def _content(inode: Inode, moment: int, kept: _Kept, *, whole: bool) -> bytes:
        durable = inode.flushed(moment)
        past = inode.changes[: bisect.bisect_left(inode.changes, moment, key=lambda change: change.at)]
        certain = bisect.bisect_left(past, durable, key=lambda change: change.at)
        content = bytearray()
        for change in past[:certain]:
            _apply(content, change.offset, change.data)
        later = past[certain:]
        if whole:
            before = len(content)
            for change in later:
                _apply(content, change.offset, change.data)
            return bytes(content[: before + kept.of(len(content) - before)])
        sizes = [len(content)]
        for change in later:
            sizes.append(change.size(sizes[-1]))
        size = sizes[kept.of(len(later))]
        content.extend(bytes(max(sizes) - len(content)))
        for sector, pieces in _pieces(later, max(sizes)).items():
            for at, data in pieces[: kept.of(len(pieces))]:
                start = sector * SECTOR + at
                content[start : start + len(data)] = data
        return bytes(content[:size])


class _Kept:
    """Chooses how many of the changes that no flush ordered are on the disk: with a share of `newest`, all of them."""

    def __init__(self, newest: float, chance: random.Random) -> None:
        self._newest = newest
        self._chance = chance

    def of(self, count: int) -> int:
        """Return how many of `count`; with a share of 0 mostly none."""
        if not count or self._chance.random() < self._newest:
            return count
        return 0 if self._newest == 0 and self._chance.random() < 0.9 else self._chance.randrange(count)


def _apply(content: bytearray, offset: int, data: bytes | None) -> None:
    if data is None:
        del content[offset:]
    end = offset + len(data or b"")
    content.extend(bytes(max(0, end - len(content))))
    content[offset:end] = data or b""


def _pieces(changes: Sequence[Change], largest: int) -> Mapping[int, list[tuple[int, bytes]]]:
    """Return for each sector what was done to it: where in it, and with which bytes. What was cut off is zeros."""
    pieces: dict[int, list[tuple[int, bytes]]] = defaultdict(list)
    for change in changes:
        at, data = change.offset, change.data
        if data is None:
            data = bytes(largest - at) if largest > at else b""
        while data:
            sector, start = divmod(at, SECTOR)
            part, data = data[: SECTOR - start], data[SECTOR - start :]
            pieces[sector].append((start, part))
            at += len(part)
    return pieces
