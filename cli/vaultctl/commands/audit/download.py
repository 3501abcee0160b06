# SPDX-License-Identifier: EUPL-1.2
"""Copies one log to a folder, so that it can be verified there.

A closed segment is copied as the server gives it out, part by part, and goes on where an earlier copy was cut off. It is
kept uncompressed, if its SHA-256 is what the server says. What is not closed yet is copied record by record, up to the
newest checkpoint.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib

from vaultctl.commands.audit.evidence.checkpoints import newest_note
from vaultctl.commands.audit.following import FollowedLog
from vaultctl.commands.audit.pages import LARGEST_PAGE
from vaultctl.errors import EXIT_REMOTE, CommandError
from vaultctl.invocation import ErrorPrefix
from vaultctl.text.json import compact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from vaultctl.http.client import Client

_PART = 4 << 20
"""Bytes that are asked for at once."""
CHUNK = 1 << 20
_TIMES = 6
"""How often it is asked for records that a checkpoint covers: after the first time the index has a second to have them."""
_SIZE = "X-Segment-Size"


class LogDownload:
    """The copy of one log."""

    def __init__(self, client: Client, folder: Path, log: str) -> None:
        """`folder` gets a folder for the log. Raises `OSError`."""
        self._client, self._folder, self._log = client, folder / log, log
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.records = 0
        """How many records the log has, up to where it is copied."""
        self._note: str | None = None
        """The newest checkpoint when the first segment came that was not closed: all such are copied up to it."""

    def take(self, entry: Mapping[str, object], end: int | None) -> None:
        """Copy a segment that the server lists; `end` is where the next one begins, None for the last.

        Raises `OSError`, and `CommandError` for one that is not what it is to be.
        """
        first = self.first_of(entry)
        if first > self.records and self._note is not None:
            return  # the checkpoint ends before: the next copy goes on there
        if first > self.records:
            self._take_tiles(first)
        if entry.get("closed"):
            self._take_closed(first, entry)
        else:
            self._take_open(first, end)

    def first_of(self, entry: Mapping[str, object]) -> int:
        """The record that a listed segment begins with. Raises `CommandError`."""
        first = entry.get("first")
        if not isinstance(first, int):
            raise CommandError(f"{self._log}: the server lists a segment without a number", EXIT_REMOTE)
        return first

    def _take_tiles(self, first: int) -> None:
        """Copy what stands for records that are not there any more."""
        from vaultctl.commands.audit.evidence.tiles import TileDownload
        from vaultctl.commands.audit.evidence.trust import OfflineErrors

        with OfflineErrors():
            TileDownload(self._client, self._folder, self._log).take(first)

    def _take_closed(self, first: int, entry: Mapping[str, object]) -> None:
        target, digest = self._path(first, ".jsonl"), str(entry.get("sha256"))
        if not (target.exists() and _digest(target) == digest):
            part = self._path(first, ".jsonl.gz.part")
            self._fetch(first, part)
            self._unpack(part, target, digest, entry.get("size"))
        self._keep_note(first, str(entry.get("checkpoint") or ""))
        last = entry.get("last")
        self.records = last + 1 if isinstance(last, int) else self.records

    def _fetch(self, first: int, part: Path) -> None:
        """Ask for what is not there yet."""
        path = f"sys/log/segments/{self._log}/{first}"
        with ErrorPrefix(f"Error reading {path}"), open(os.open(part, _APPEND, 0o600), "ab") as file:
            offset = file.tell()
            while True:
                answer = self._client.send("GET", path, query={"offset": str(offset), "length": str(_PART)})
                file.write(answer.body)
                offset += len(answer.body)
                size = answer.header(_SIZE)
                if size.isdigit() and offset >= int(size):
                    return
                if not answer.body:
                    raise CommandError(
                        f"{path}: the server's answer ends before the segment does", EXIT_REMOTE
                    )

    def _unpack(self, part: Path, target: Path, digest: str, size: object) -> None:
        """Unpack a segment to the size and digest that the server says, and no further."""
        new, found = target.with_name(f"{target.name}.new"), hashlib.sha256()
        try:
            with gzip.open(part) as packed, open(os.open(new, _ANEW, 0o600), "wb") as plain:
                while chunk := packed.read(CHUNK):
                    found.update(chunk)
                    plain.write(chunk)
                    if isinstance(size, int) and plain.tell() > size:
                        break
        except (gzip.BadGzipFile, EOFError, zlib.error):
            found = hashlib.sha256()
        part.unlink()
        if found.hexdigest() != digest:
            new.unlink()
            raise CommandError(
                f"{self._log}: segment {target.name[:20].lstrip('0') or '0'} is not what the server says of it: "
                "its SHA-256 is another",
                EXIT_REMOTE,
            )
        new.replace(target)

    def _take_open(self, first: int, end: int | None) -> None:
        """Copy what is not closed: all of a segment that is about to be, else what a checkpoint covers."""
        if self._note is None:
            self._note = newest_note(self._client, self._log)
        note = self._note
        size = [*note.split("\n"), "", ""][1]
        signed = int(size) if size.isascii() and size.isdigit() else 0
        until = signed if end is None else min(signed, end)
        if until > first:
            self._follow(first, until)
            self._keep_note(first, note if until == signed else "")
            self.records = until

    def _follow(self, first: int, size: int) -> None:
        followed = FollowedLog(self._client, self._log, first - 1, tenant=False)
        target = self._path(first, ".jsonl")
        new = target.with_name(f"{target.name}.new")
        left = _TIMES
        with open(os.open(new, _ANEW, 0o600), "wb") as file:
            while followed.after < size - 1:
                lines, wrong = followed.page(
                    0 if left == _TIMES else 1, most=min(LARGEST_PAGE, size - 1 - followed.after)
                )
                left = _TIMES if lines else left - 1
                if wrong or not left:
                    told = "; ".join(wrong) or f"{self._log}: ends before its checkpoint"
                    raise CommandError(told, EXIT_REMOTE)
                file.writelines(line + b"\n" for line in lines)
        new.replace(target)

    def _keep_note(self, first: int, note: str) -> None:
        if note:
            with open(
                os.open(self._path(first, ".checkpoints"), _ANEW, 0o600), "w", encoding="utf-8"
            ) as file:
                file.write(compact({"note": note}) + "\n")

    def _path(self, first: int, kind: str) -> Path:
        return self._folder / f"{first:020}{kind}"


_ANEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
