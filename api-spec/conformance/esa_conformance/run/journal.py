# SPDX-License-Identifier: Apache-2.0
"""What a run makes is written down, and on the disk, before it is made."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

from esa_conformance.decoding import json_of
from esa_conformance.errors import TooDeep, UsageError

Kind = Literal["secret", "policy", "token", "wrapping", "mount", "auth", "quota", "namespace", "seal"]
_FIRST: Final = "esa-journal-1"


@dataclass(frozen=True)
class Entry:
    """One thing that a run makes: its kind, its name, and the namespace and mount that it is in.

    `accessor` is known of a token, and of a wrapped answer, once it was made. A wrapped answer has the name of the secret
    in it. A seal is what the run put on the server, to be opened again. `at` is when it was noted, in seconds since 1970.
    """

    number: int
    kind: Kind
    name: str
    namespace: str
    mount: str
    accessor: str = ""
    at: float = 0.0


class Journal:
    """A file of lines, each written whole and synced before the thing in it exists. Safe for threads."""

    def __init__(self, path: Path, *, run: str, address: str) -> None:
        """Begin a new file, also in the place of one that has ended and names nothing that is left.

        Raises UsageError where there is another file already, or none can be written.
        """
        self._entries: dict[int, Entry] = {}
        self._lock = threading.Lock()
        self._count = 0
        _set_aside(path)
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        except OSError as error:
            raise UsageError(f"the journal cannot be begun: {error.strerror}") from None
        self._write({"journal": _FIRST, "run": run, "address": address})

    def will_make(self, kind: Kind, name: str, *, namespace: str = "", mount: str = "") -> int:
        """Note what is about to be made; its number."""
        with self._lock:
            self._count += 1
            entry = Entry(self._count, kind, name, namespace, mount, at=int(time.time()))
            self._write({
                "make": kind, "number": entry.number, "name": name, "namespace": namespace, "mount": mount,
                "at": entry.at,
            })  # fmt: skip
            self._entries[entry.number] = entry
            return entry.number

    def made_token(self, number: int, accessor: str) -> None:
        """Note by which accessor a token can be revoked."""
        with self._lock:
            self._write({"made": number, "accessor": accessor})
            self._entries[number] = replace(self._entries[number], accessor=accessor)

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
        """Write that it has ended, and no more."""
        self._write({"ended": True})
        os.close(self._file)

    def _write(self, line: Mapping[str, object]) -> None:
        os.write(self._file, (json.dumps(line) + "\n").encode())
        os.fsync(self._file)


def _set_aside(path: Path) -> None:
    """Remove a journal that has ended and names nothing that is left. Raises UsageError for any other file."""
    if not os.path.lexists(path):
        return
    old = read_journal(path)
    if old.entries or not old.ended:
        raise UsageError(
            f"the journal cannot be begun: {path} names what another run has left or is making; "
            "remove that with cleanup, or give another file with --journal"
        )
    path.unlink(missing_ok=True)


def note_removed(path: Path, entries: Iterable[Entry]) -> None:
    """Write into the journal of a run that was ended what is gone since, and that it has ended."""
    text = path.read_bytes()
    whole = text[: text.rfind(b"\n") + 1]
    lines = [*({"gone": entry.number} for entry in entries), {"ended": True}]
    with path.open("r+b") as file:
        file.truncate(len(whole))
        file.seek(0, os.SEEK_END)
        file.write("".join(json.dumps(line) + "\n" for line in lines).encode())
        file.flush()
        os.fsync(file.fileno())


@dataclass(frozen=True)
class OldJournal:
    """The journal of a run: whose it was, what it left, and whether it came to its end or was cleaned up after."""

    run: str
    address: str
    entries: tuple[Entry, ...]
    ended: bool


def read_journal(path: Path) -> OldJournal:
    """Read a journal, whose last line may be cut off. Raises UsageError for what is none."""
    try:
        lines = list(_lines(path.read_text(encoding="utf-8", errors="replace")))
    except OSError as error:
        raise UsageError(f"the journal cannot be read: {error.strerror}") from None
    if not lines or lines[0].get("journal") != _FIRST:
        raise UsageError("this is no journal of a run")
    entries: dict[int, Entry] = {}
    ended = False
    try:
        for line in lines[1:]:
            ended = "ended" in line
            if "make" in line:
                number = int(line["number"])
                entries[number] = Entry(
                    number, line["make"], line["name"], line["namespace"], line["mount"], at=float(line["at"])
                )
            elif "made" in line:
                entries[line["made"]] = replace(entries[line["made"]], accessor=line["accessor"])
            elif not ended:
                del entries[line["gone"]]
    except (KeyError, TypeError, ValueError):
        raise UsageError("the journal has a line that no run writes") from None
    newest_first = tuple(sorted(entries.values(), key=lambda entry: -entry.number))
    return OldJournal(str(lines[0]["run"]), str(lines[0]["address"]), newest_first, ended)


def _lines(text: str) -> Iterator[dict[str, Any]]:
    whole = text.splitlines(keepends=True)
    for place, line in enumerate(whole):
        if not line.endswith("\n") and place == len(whole) - 1:
            return  # was being written when the run was ended: what it names does not exist
        try:
            decoded = json_of(line)
        except (ValueError, TooDeep):
            decoded = None
        if not isinstance(decoded, dict):
            raise UsageError("the journal has a line that no run writes")
        yield decoded
