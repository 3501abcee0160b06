# SPDX-License-Identifier: EUPL-1.2
"""Versions that are undeleted for the time of a read. What was ended meanwhile is deleted again before anything else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

from vaultctl.errors import ApiError, CommandError
from vaultctl.port.ground.entry import Name
from vaultctl.port.ground.journal import Journal
from vaultctl.port.ground.server import Server
from vaultctl.port.kv.mount import Mount, walk
from vaultctl.text.json import as_list

KIND = "kv2"


class Undeletion:
    """Writes down, on the disk, what is about to be undeleted, and that it is deleted again."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._open: dict[str, list[int]] = {}
        for line in journal.lines:
            if "undeleted" in line:
                versions = [version for version in as_list(line.get("versions")) if isinstance(version, int)]
                self._note(str(line["undeleted"]), versions)

    def read(
        self,
        server: Server,
        mount: Mount,
        name: Name,
        number: int,
        read: Callable[[], dict[str, object] | None],
    ) -> dict[str, object] | None:
        """What `read` finds while one deleted version is none."""
        key = mount.key(name.path)
        self._begin(name, [number])
        try:
            server.write(f"{mount.base}undelete/{key}", {"versions": [number]})
        except ApiError as error:
            if error.status < 500:  # by its rules: nothing was done
                self._end(name)
                raise
            self._delete(server, mount, name, [number])
            raise
        except BaseException:
            self._delete(server, mount, name, [number])
            raise
        try:
            return read()
        finally:
            self._delete(server, mount, name, [number])

    @contextmanager
    def settled(self, server: Server, mounts: Callable[[], Iterable[Mount]]) -> Iterator[None]:
        """Delete what a run before left undeleted, and what this one leaves, however it ends. CommandError where it cannot."""
        self._settle(server, mounts)
        if self._open:
            raise CommandError(
                f"{len(self._open)} secrets have versions that a run before undeleted to read them, and this token does not "
                "see all folders: give one that does, and they are deleted again"
            )
        try:
            yield
        finally:
            with suppress(CommandError):  # the next run does it
                self._settle(server, mounts)

    def _settle(self, server: Server, mounts: Callable[[], Iterable[Mount]]) -> None:
        refused: list[str] = []
        for mount in mounts() if self._open else ():
            for key, _ in walk(server, mount, "metadata/", refused=lambda folder, _: refused.append(folder)):
                name = Name(KIND, mount.namespace, mount.path + key)
                versions = self._open.get(name.digest(self._journal.key))
                if versions:
                    self._delete(server, mount, name, versions)
            if not self._open:
                return
        if not refused:
            self._open.clear()  # they are gone

    def _delete(self, server: Server, mount: Mount, name: Name, numbers: list[int]) -> None:
        server.write(f"{mount.base}delete/{mount.key(name.path)}", {"versions": numbers})
        self._end(name)

    def _begin(self, name: Name, versions: list[int]) -> None:
        """Say that these versions are undeleted from now on."""
        digest = name.digest(self._journal.key)
        self._note(digest, versions)
        self._journal.add({"undeleted": digest, "versions": versions}, durable=True)

    def _end(self, name: Name) -> None:
        """Say that they are deleted again."""
        digest = name.digest(self._journal.key)
        self._journal.add({"undeleted": digest, "versions": []})
        self._note(digest, [])

    def _note(self, digest: str, versions: list[int]) -> None:
        if versions:
            self._open[digest] = versions
        else:
            self._open.pop(digest, None)
