# SPDX-License-Identifier: EUPL-1.2
"""How far an export came, and how it knows next time that a log is still the one that it has read.

A power cut may take records that were given out before they were on the disk, and the log goes on with others under
their numbers. So an export remembers hashes: of the last record of each log, and of the last one that a checkpoint
covered. What was signed is on the disk, and is not lost so.
"""

from __future__ import annotations

import os
from base64 import b64encode
from hashlib import sha256

from vaultctl.commands.audit.pages import place_of
from vaultctl.errors import CommandError
from vaultctl.text.json import as_map, compact, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

_HASHES, _SIGNED = "hashes", "signed"
"""What a file has beside the numbers; no log is called so."""


class OtherLog(Exception):
    """A log is not the one that was exported before: nothing of it is exported. The message says why, for people."""


class Mark:
    """How far the export of one log came."""

    def __init__(self, last: int = -1, hashes: Mapping[int, str] | None = None, signed: int = -1) -> None:
        """`last` is the number of the last record, -1 where there is none; `hashes` are those of some records by number.

        `signed` is the number of the last one that a checkpoint covered, -1 where none is known.
        """
        self.last, self.signed = last, signed
        self.hashes = dict(hashes or {})
        self.size = -1
        """How many records of the log are signed by now; -1 where that is not known."""

    @property
    def hash(self) -> str:
        """That of the last record; empty where it is not known."""
        return self.hashes.get(self.last, "")

    @property
    def lasts(self) -> bool:
        """Whether no power cut takes what was exported."""
        return self.last == self.signed and bool(self.hash)

    def go_back(self, read: Callable[[int], bytes | None], log: str) -> str:
        """Go back to the newest record that is known to be the one that was exported, and return what is to be told of it.

        `read` returns the line of a record: nothing where it is not there, None where nobody can say any more. Raises
        `OtherLog` where what a checkpoint covered is another: then the mark stays, for it is the evidence of that.
        """
        if not self.hash:
            return ""
        exported, line = self.last, None
        for number in sorted(self.hashes, reverse=True):
            line = read(number)
            if line is None or leaf(line) == self.hashes[number]:
                break
            if number == self.signed:
                raise OtherLog(
                    f"record {number} was under a checkpoint when it was exported, and is {'another' if line else 'not there'} "
                    f"now: this is no power cut. Nothing of this log is exported: verify it, or give -after={log}:{exported}"
                )
        else:
            number = -1
        if number < exported:
            self.hashes = {number: self.hashes[number]} if number >= 0 else {}
            self.last = self.signed = number
        if line and number >= 0:
            self.grow(number, [line])
        if number == exported:
            return ""
        what = f"what follows record {number} is" if number >= 0 else "all records are"
        return (
            f"record {exported} is not there any more as it was exported, so records were lost, as in a power cut, "
            f"and {what} exported again"
        )

    def require(self, end: int, log: str, what: str) -> None:
        """Raise `OtherLog` where the last record of `what`, `end`, is before the last one that was exported."""
        if not self.hash or end >= self.last:
            return
        if self.signed > end:
            why = f"it is not complete, or records were taken away, for a checkpoint covered record {self.signed}"
        else:
            why = "it is not complete yet, or records were lost, as in a power cut"
        again = f", or -after={log}:{self.signed} is given" if 0 <= self.signed <= end else ""
        raise OtherLog(
            f"record {self.last} was exported, and {what} ends with record {end}: {why}. Nothing of this log is exported "
            f"before it is longer{again}"
        )

    def grow(self, last: int, lines: Sequence[bytes]) -> None:
        """Note records that were exported, of which `last` is the number of the last one."""
        kept = {self.signed: self.hashes[self.signed]} if self.signed in self.hashes else {}
        if self._is_signed(lines[0]):
            count = next(at for at in range(len(lines), 0, -1) if self._is_signed(lines[at - 1]))
            self.signed = last - len(lines) + count
            kept = {self.signed: leaf(lines[count - 1])}
        self.last, self.hashes = last, {**kept, last: leaf(lines[-1])}

    def _is_signed(self, line: bytes) -> bool:
        try:
            seq = as_map(parse(line)).get("seq")
        except ValueError:
            return False  # in a copied folder, where it is for `audit verify` to say
        return isinstance(seq, int) and seq < self.size


class ExportState:
    """How far an export came in each log, and the file that says so."""

    def __init__(self, path: str) -> None:
        """Read the file, where there is one; without a path nothing is kept."""
        self._path = path
        self._marks: dict[str, Mark] = {}
        try:
            if path and os.path.exists(path):
                with open(path, encoding="utf-8") as file:
                    self._marks = _parsed(as_map(parse(file.read())))
        except (OSError, ValueError):
            raise CommandError(
                f"cannot read the file {path}: it does not say where an export ended"
            ) from None

    @property
    def kept(self) -> bool:
        """Whether there is a file, which the next export reads."""
        return bool(self._path)

    def begin_behind(self, places: Iterable[str]) -> None:
        """Begin behind LOG:SEQ in these logs, whatever the file says of them."""
        for log, number in map(place_of, places):
            self._marks[log] = Mark(number)

    def of(self, log: str) -> Mark:
        """How far it came in a log."""
        return self._marks.setdefault(log, Mark())

    def places(self) -> list[str]:
        """How far it came in all, each as LOG:SEQ."""
        return [f"{log}:{mark.last}" for log, mark in sorted(self._marks.items()) if mark.last >= 0]

    def keep(self) -> None:
        """Write down how far it is, once what was exported is on its way."""
        if not self._path:
            return
        marks = {log: mark for log, mark in sorted(self._marks.items()) if mark.last >= 0}
        hashes = {log: {str(seq): one for seq, one in mark.hashes.items()} for log, mark in marks.items()}
        stored: dict[str, object] = {log: mark.last for log, mark in marks.items()}
        stored[_HASHES] = {log: some for log, some in hashes.items() if some}
        stored[_SIGNED] = {log: mark.signed for log, mark in marks.items() if mark.signed >= 0}
        fresh = f"{self._path}.new"
        try:
            with open(
                os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
            ) as file:
                file.write(compact(stored) + "\n")
            os.replace(fresh, self._path)
        except OSError as failure:
            raise CommandError(f"cannot write the file {self._path}: {failure.strerror}") from None


def _parsed(stored: Mapping[str, object]) -> dict[str, Mark]:
    """What a file says; one of an older release has the numbers alone. ValueError where it makes no sense."""
    hashes, signed = as_map(stored.get(_HASHES)), as_map(stored.get(_SIGNED))
    found: dict[str, Mark] = {}
    for log, last in stored.items():
        if isinstance(last, int):
            number = signed.get(log)
            known = {int(seq): str(one) for seq, one in as_map(hashes.get(log)).items()}
            found[log] = Mark(last, known, number if isinstance(number, int) else -1)
    return found


def leaf(line: bytes) -> str:
    """The hash of a record, as the one after it names it."""
    return b64encode(sha256(b"\0" + line).digest()).decode()


def signed_size(note: str) -> int:
    """How many records a checkpoint covers; -1 for what is none."""
    _, _, rest = note.partition("\n")
    size = rest.partition("\n")[0]
    return int(size) if size.isascii() and size.isdigit() and len(size) < 19 else -1
