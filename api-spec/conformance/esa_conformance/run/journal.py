# SPDX-License-Identifier: Apache-2.0
"""What a run makes is written down, and on the disk, before it is made."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from esa_conformance.errors import UsageError

Kind = Literal["secret", "policy", "token", "wrapping", "mount", "auth", "quota", "namespace", "seal"]
_FIRST: Final = "esa-journal-1"


@dataclass(frozen=True)
class Entry:
    """One thing that a run makes: its kind, its name, and the namespace and mount that it is in.

    `accessor` is known of a token, and of a wrapped answer, once it was made. A wrapped answer has the name of the secret
    in it. A seal is what the run put on the server, to be opened again.
    """

    number: int
    kind: Kind
    name: str
    namespace: str
    mount: str
    accessor: str = ""


class Journal:
    """A file of lines, each written whole and synced before the thing in it exists. Safe for threads."""

    def __init__(self, path: Path, *, run: str, address: str) -> None:
        """Begin a new file. Raises UsageError where there is one already, or none can be written."""
        self._entries: dict[int, Entry] = {}
        self._lock = threading.Lock()
        self._count = 0
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        except OSError as error:
            raise UsageError(f"the journal cannot be begun: {error.strerror}") from None
        self._write({"journal": _FIRST, "run": run, "address": address})

    def will_make(self, kind: Kind, name: str, *, namespace: str = "", mount: str = "") -> int:
        """Note what is about to be made; its number."""
        with self._lock:
            self._count += 1
            entry = Entry(self._count, kind, name, namespace, mount)
            self._write(
                {"make": kind, "number": entry.number, "name": name, "namespace": namespace, "mount": mount}
            )
            self._entries[entry.number] = entry
            return entry.number

    def made_token(self, number: int, accessor: str) -> None:
        """Note by which accessor a token can be revoked."""
        with self._lock:
            self._write({"made": number, "accessor": accessor})
            old = self._entries[number]
            self._entries[number] = Entry(number, old.kind, old.name, old.namespace, old.mount, accessor)

    def removed(self, number: int) -> None:
        """Note that it is gone."""
        with self._lock:
            self._write({"gone": number})
            del self._entries[number]

    def left(self) -> list[Entry]:
        """What is not gone, the newest first."""
        with self._lock:
            return sorted(self._entries.values(), key=lambda entry: -entry.number)

    @property
    def count(self) -> int:
        """How many things were noted."""
        return self._count

    def close(self) -> None:
        """Write no more."""
        os.close(self._file)

    def _write(self, line: Mapping[str, object]) -> None:
        os.write(self._file, (json.dumps(line) + "\n").encode())
        os.fsync(self._file)


@dataclass(frozen=True)
class OldJournal:
    """The journal of a run that ended: whose it was, and what it left."""

    run: str
    address: str
    entries: tuple[Entry, ...]


def read_journal(path: Path) -> OldJournal:
    """Read a journal, whose last line may be cut off. Raises UsageError for what is none."""
    try:
        lines = list(_lines(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UsageError(f"the journal cannot be read: {error.strerror}") from None
    if not lines or lines[0].get("journal") != _FIRST:
        raise UsageError("this is no journal of a run")
    entries: dict[int, Entry] = {}
    try:
        for line in lines[1:]:
            if "make" in line:
                number = int(line["number"])
                entries[number] = Entry(number, line["make"], line["name"], line["namespace"], line["mount"])
            elif "made" in line:
                old = entries[line["made"]]
                entries[old.number] = Entry(
                    old.number, old.kind, old.name, old.namespace, old.mount, line["accessor"]
                )
            else:
                del entries[line["gone"]]
    except (KeyError, TypeError, ValueError):
        raise UsageError("the journal has a line that no run writes") from None
    newest_first = tuple(sorted(entries.values(), key=lambda entry: -entry.number))
    return OldJournal(str(lines[0]["run"]), str(lines[0]["address"]), newest_first)


def _lines(text: str) -> Iterator[dict[str, Any]]:
    whole = text.splitlines(keepends=True)
    for place, line in enumerate(whole):
        if not line.endswith("\n") and place == len(whole) - 1:
            return  # was being written when the run was ended: what it names does not exist
        try:
            decoded = json.loads(line)
        except ValueError:
            decoded = None
        if not isinstance(decoded, dict):
            raise UsageError("the journal has a line that no run writes")
        yield decoded
