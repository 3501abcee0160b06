# SPDX-License-Identifier: EUPL-1.2
"""What is done already, so that the same command goes on where it was ended, and what a delta begins from.

A file of lines, each of which is true by itself. Names stand in it as digests with a key that is made for the file; of
what secrets hold nothing stands in it.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from vaultctl.errors import CommandError
from vaultctl.port.ground import canonical
from vaultctl.port.ground.entry import Name
from vaultctl.text.json import as_list, as_map, parse

FORMAT = "coffre-port-journal-1"


class Journal:
    """An open journal, which no other process has."""

    def __init__(self, file: Path, ends: Mapping[str, str], *, begin: bool = True) -> None:
        """Open it, or begin it for what `ends` says. CommandError where it is of other ends, or in use.

        Without `begin` it has to be there, and may have more ends than are asked for.
        """
        self.file = file
        self._lock = threading.Lock()
        self.marks: dict[str, str] = {}
        self._versions: dict[str, str] = {}
        self._ours: set[str] = set()
        self.lines: list[Mapping[str, object]] = []
        self._handle = self._claim(os.O_CREAT if begin else 0)
        try:
            self._read(dict(ends), begin=begin)
        except BaseException:
            self.close()
            raise

    def _read(self, ends: Mapping[str, str], *, begin: bool) -> None:
        found = list(self._whole_lines())
        if not found and begin:
            found = [{"format": FORMAT, "key": secrets.token_hex(32), "ends": dict(ends)}]
            self._append(found[0])
            os.fsync(self._handle)
        self.head = head = found[0] if found else {}
        had = as_map(head.get("ends"))
        other = [name for name in {**ends, **(had if begin else {})} if had.get(name) != ends.get(name)]
        if head.get("format") != FORMAT or other:
            why = f", with another {', '.join(other)}" if head else ""
            raise CommandError(f"{self.file}: it is the journal of something else{why}")
        self.key = bytes.fromhex(str(head.get("key")))
        for line in found[1:]:
            self._take(line)

    @classmethod
    def copy_marks(cls, earlier: Path, file: Path, ends: Mapping[str, str]) -> None:
        """Begin a journal with what the one of an earlier export says was done, under the same key.

        CommandError where that is of another source, or of another archive than the `base` of `ends`.
        """
        if not earlier.exists():
            raise CommandError(f"{earlier}: there is no journal; a delta needs that of the earlier export")
        found = cls(earlier, {name: ends[name] for name in ("kind", "source")}, begin=False)
        try:
            if {"complete": ends["base"]} not in found.lines:
                raise CommandError(f"{earlier}: it is not the journal of the archive beside it")
            lines: list[dict[str, object]] = [
                {**found.head, "ends": dict(ends)},
                {"done": [[name, mark] for name, mark in found.marks.items()]},
            ]
        finally:
            found.close()
        partial = file.with_name(f"{file.name}.partial")
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb") as target:
            target.write(b"".join(canonical.encode(line) + b"\n" for line in lines))
            target.flush()
            os.fsync(handle)
        partial.replace(file)

    def close(self) -> None:
        """Let others have it."""
        os.close(self._handle)

    def holds(self, name: Name) -> bool:
        """Whether what is there under that name was written by this move, and so may be overwritten and removed by it."""
        return name.digest(self.key) in self._ours

    def knows(self, name: Name) -> bool:
        """Whether this move saw it at the destination, or brought it there."""
        return name.digest(self.key) in self.marks or self.holds(name)

    def own(self, name: Name) -> None:
        """Say, before it is written, that what will be there is ours."""
        self.add({"ours": name.digest(self.key)})

    def is_done(self, name: Name, mark: str) -> bool:
        """Whether it says that the entry was done as it is now."""
        return bool(mark) and self.marks.get(name.digest(self.key)) == self.mark(mark)

    def versions(self, name: Name) -> str:
        """Which versions of a secret were copied with their values, as `note` was told."""
        return self._versions.get(name.digest(self.key), "")

    def mark(self, mark: str) -> str:
        """A mark as it stands in the file."""
        return canonical.digest(self.key, mark)[:32] if mark else ""

    def note(self, name: Name, mark: str, versions: str = "") -> None:
        """Say that an entry is at the destination as it is; without a mark, that only reading it would tell."""
        self.add({"done": [[name.digest(self.key), self.mark(mark), versions]]})

    def forget(self, name: Name) -> None:
        """Say that what was done is undone, or was never begun: nothing there is ours."""
        self.add({"gone": name.digest(self.key)})

    def doubt(self) -> None:
        """Say that what was done may be otherwise by now: it is whose it was, and has to be looked at again."""
        self.add({"done": [[name, "", ""] for name in self.marks]})

    def add(self, line: Mapping[str, object], *, durable: bool = False) -> None:
        """Write a line. What is written outlives this process at once, and the machine's power if `durable`."""
        with self._lock:
            self._append(line)
            if durable:
                os.fsync(self._handle)
            self._take(line)

    def _take(self, line: Mapping[str, object]) -> None:
        for pair in as_list(line.get("done")):
            name, mark, *versions = map(str, as_list(pair))
            self.marks[name] = mark
            if versions:
                self._versions[name] = versions[0]
        if "ours" in line:
            self._ours.add(str(line["ours"]))
        if "gone" in line:
            self.marks.pop(
                str(line["gone"]), None
            )  # where it stood in an archive stays known: it comes back by none
            self._ours.discard(str(line["gone"]))
        if not {"done", "gone", "ours"} & set(line) or "part" in line:
            self.lines.append(line)

    def _claim(self, how: int) -> int:
        try:
            handle = os.open(
                self.file, how | os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600
            )
        except OSError as error:
            raise CommandError(f"{self.file}: {error.strerror}") from None
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid() or about.st_mode & 0o022:
            os.close(handle)
            raise CommandError(
                f"{self.file}: others may write to it, and it says what may be overwritten; give a file of your own"
            )
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            raise CommandError(f"{self.file}: another process is using it") from None
        return handle

    def _whole_lines(self) -> Iterator[dict[str, object]]:
        """The lines of before; one that was not finished is cut off."""
        size = 0
        with self.file.open("rb") as content:
            for line in content:
                if not line.endswith(b"\n"):
                    break
                try:
                    value = parse(line)
                except ValueError:
                    value = None
                if not isinstance(value, dict):
                    raise CommandError(f"{self.file}: it is no journal")
                size += len(line)
                yield value
        os.ftruncate(self._handle, size)

    def _append(self, line: Mapping[str, object]) -> None:
        text = canonical.encode(dict(line)) + b"\n"
        while text:
            text = text[os.write(self._handle, text) :]
