# SPDX-License-Identifier: EUPL-1.2
"""An archive as it is written: entries gather to parts; a part is sealed, on the disk, and then in the journal."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from vaultctl.port.archive.manifest import LONGEST_ENTRY, NAME, Manifest, Part, part_of, read_part, write_file
from vaultctl.port.archive.sealing import Recipients, seal
from vaultctl.port.archive.signature import signature_of
from vaultctl.port.ground import clock
from vaultctl.port.ground.entry import WRITTEN, Entry, Item, Outcome
from vaultctl.port.ground.journal import Journal

PART = 1 << 20
"""Bytes after which a part is closed."""


class ArchiveWriter:
    """Takes entries in their order."""

    parallel = False

    def __init__(
        self,
        folder: Path,
        journal: Journal,
        recipients: Recipients,
        *,
        size: int = PART,
        longest: int = LONGEST_ENTRY,
    ) -> None:
        """Go on where the journal ends. CommandError where a part of before is not there as it was written.

        A part is closed after `size` bytes. What has more than `longest` is refused: no import would take it.
        """
        self._longest = longest
        self._folder, self._journal, self._recipients, self._size = folder, journal, recipients, size
        self._parts: list[Part] = [part_of(line["part"]) for line in journal.lines if "part" in line]
        for part in self._parts:
            read_part(folder, part)
        self._lines: list[bytes] = []
        self._done: list[list[str]] = []
        self._counts: Counter[str] = Counter()
        self._bytes = 0

    def put(self, item: Item, entry: Entry) -> Outcome:
        """Take an entry; it is on the disk once its part is closed."""
        line = entry.line()
        if len(line) >= self._longest:
            return Outcome(
                "refused", f"it has more than the {self._longest} bytes that an archive takes of one entry"
            )
        if self._bytes + len(line) >= self._longest:
            self.flush()
        self._lines.append(line)
        self._bytes += len(line) + 1
        self._counts[entry.name.kind] += 1
        self._done.append([item.name.digest(self._journal.key), self._journal.mark(item.mark)])
        if self._bytes >= self._size:
            self.flush()
        return WRITTEN

    def flush(self) -> None:
        """Close the part."""
        if not self._lines:
            return
        plain = b"".join(line + b"\n" for line in self._lines)
        content = seal(plain, self._recipients.keys) if self._recipients.keys else plain
        suffix = "age" if self._recipients.keys else "jsonl"
        name = f"part-{len(self._parts) + 1:06d}.{suffix}"
        write_file(self._folder / name, content)
        part = Part(name, len(content), hashlib.sha256(content).hexdigest(), dict(self._counts))
        self._journal.add({"part": part.written(), "done": self._done}, durable=True)
        self._parts.append(part)
        self._lines, self._done, self._counts, self._bytes = [], [], Counter(), 0

    def finish(
        self, source: Mapping[str, object], *, base: str, sign: Callable[[bytes], bytes] | None
    ) -> Manifest:
        """Sign the manifest where somebody does, and write it last: an archive that has one is complete."""
        self.flush()
        manifest = Manifest(
            source,
            clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
            self._recipients.encryption,
            base,
            tuple(self._parts),
        )
        signature_of(self._folder).unlink(missing_ok=True)  # of a run that was ended here
        if sign is not None:
            write_file(signature_of(self._folder), sign(manifest.encode()))
        self._journal.add({"complete": manifest.digest}, durable=True)
        write_file(self._folder / NAME, manifest.encode())
        return manifest
