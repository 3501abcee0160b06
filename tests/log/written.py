# SPDX-License-Identifier: EUPL-1.2
"""Writes log folders as servers do, one record at a time, without a server: small ones, for tests of what reads them."""

import gzip
import json
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from tests.unit.log.format.signing import ed25519, p256
from vault.log.format.canonical import encode_record
from vault.log.format.checkpoint import Checkpoint, sign_checkpoint
from vault.log.format.note import Signer
from vault.log.format.segment import CHECKPOINTS, CLOSED, MANIFEST, SEGMENT, Manifest, Segment
from vault.log.format.tiles import Tiles
from vault.log.format.tree import EMPTY_ROOT, CompactRange, encode_hash, leaf_hash

LOG = "0123abcd-0-1"
ORIGIN = "vault.example.eu/log"
MEMBER = 4
"""Records that are compressed together here: so few that small segments have several members."""

Record = dict[str, Any]


def time_of(seconds: int) -> str:
    """A time of the first day of the log, `seconds` after its beginning."""
    return f"2026-11-28T{9 + seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.000000000Z"


def record(seq: int, *, tenant: str = "root", log: str = LOG) -> Record:
    """A read of a secret, without what `chained` adds."""
    return {
        "actor": {"id": f"entity-{seq % 3}", "type": "workload"},
        "event_name": "esa.kv.read",
        "log": log,
        "observed_timestamp": time_of(seq),
        "outcome": "success",
        "phase": "outcome",
        "resource": {"id": f"kv/équipe/{seq}", "type": "kv.secret"},
        "schema": "https://coffre.eu/schemas/log/v1",
        "tenant": tenant,
        "timestamp": time_of(seq),
    }


def purge_of(log: str, last: int, seq: int, *, own: str = LOG) -> Record:
    """The record number `seq` of a log which announces that the records of a log up to `last` go."""
    fields = {"checkpoint": "", "first": 0, "last": last, "log": log, "root": ""}
    said = {**record(seq, log=own), "event_name": "esa.log.purge", "fields": fields, "phase": "notice"}
    return {name: value for name, value in said.items() if name not in {"outcome", "resource"}}


def chained(records: Iterable[Record]) -> list[bytes]:
    """The lines of records in their order, each with its number and the hashes of those before it."""
    lines: list[bytes] = []
    last, tenants = EMPTY_ROOT, dict[str, tuple[int, bytes]]()
    for seq, each in enumerate(records):
        number, before = tenants.get(each["tenant"], (0, EMPTY_ROOT))
        links = {
            "prev_hash": encode_hash(last), "seq": seq, "tenant_prev_hash": encode_hash(before), "tenant_seq": number,
        }  # fmt: skip
        lines.append(encode_record({**each, **links}))
        last = leaf_hash(lines[-1])
        tenants[each["tenant"]] = (number + 1, last)
    return lines


def root_of(lines: Sequence[bytes]) -> bytes:
    """The root of a tree with these lines."""
    tree = CompactRange()
    for line in lines:
        tree.append(leaf_hash(line))
    return tree.root()


class WrittenLog:
    """One log of a folder: its lines, where its segments begin, and at which sizes it is signed.

    Change any of it, and write it again: what is derived, as manifests, is made anew.
    """

    def __init__(
        self, folder: Path, lines: Sequence[bytes], *, log: str = LOG, starts: Sequence[int] = (0,)
    ) -> None:
        self.folder = folder / log
        self.log = log
        self.origin = f"{ORIGIN}/{log}"
        self.lines = list(lines)
        self.starts = list(starts)
        self.notes: dict[int, bytes] = {}
        """Signed checkpoints by their sizes."""
        self.signers: list[Signer] = [ed25519(self.origin), p256(self.origin)]

    def sign(self, *sizes: int) -> None:
        """Sign the log as it is at these sizes."""
        for size in sizes:
            checkpoint = Checkpoint(origin=self.origin, size=size, root=root_of(self.lines[:size]))
            self.notes[size] = sign_checkpoint(checkpoint, self.signers)

    def write(self, *, tail: bytes = b"") -> None:
        """Write all files anew. Every segment that another one follows is closed; `tail` ends the open one."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(self.folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        for first, end in zip(self.starts, [*self.starts[1:], None], strict=True):
            self._write_segment(Segment(self.folder, first), end)
        if tail:
            with Segment(self.folder, self.starts[-1]).path(SEGMENT).open("ab") as file:
                file.write(tail)
        tiles = Tiles(self.folder)
        for line in self.lines:
            tiles.append(leaf_hash(line))

    def _write_segment(self, segment: Segment, end: int | None) -> None:
        lines = self.lines[segment.first : end]
        last = segment.first + len(lines)
        notes = [note for size, note in self.notes.items() if segment.first < size <= last]
        said = [{"time": time_of(0), "note": note.decode()} for note in notes]
        if said:
            segment.path(CHECKPOINTS).write_bytes(
                b"".join(msgspec.json.encode(each) + b"\n" for each in said)
            )
        if end is None:
            segment.path(SEGMENT).write_bytes(b"".join(line + b"\n" for line in lines))
            return
        packed, members, size = b"", [], 0
        for at in range(0, len(lines), MEMBER):
            part = b"".join(line + b"\n" for line in lines[at : at + MEMBER])
            members.append((segment.first + at, len(packed), size))
            packed, size = packed + gzip.compress(part, mtime=0), size + len(part)
        segment.path(CLOSED).write_bytes(packed)
        manifest = Manifest(
            first=segment.first,
            last=last - 1,
            sha256=sha256(b"".join(line + b"\n" for line in lines)).hexdigest(),
            root=encode_hash(root_of(self.lines[:last])),
            checkpoint=notes[-1].decode() if notes else "",
            size=size,
            members=tuple(members),
            tenants=_tenants(self.lines[:last]),
            begins=_time(lines[0]),
            ends=_time(lines[-1]),
        )
        segment.path(MANIFEST).write_bytes(manifest.encode())


def _tenants(lines: Sequence[bytes]) -> dict[str, tuple[int, str]]:
    found = {}
    for line in lines:
        said = _read(line)
        if said:
            found[said["tenant"]] = (said["tenant_seq"], encode_hash(leaf_hash(line)))
    return found


def _time(line: bytes) -> str:
    return str(_read(line).get("observed_timestamp", ""))


def _read(line: bytes) -> Record:
    try:
        said = json.loads(line)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def written(
    folder: Path,
    count: int,
    *,
    starts: Sequence[int] = (0,),
    signed: Sequence[int] = (),
    tenant: Callable[[int], str] = lambda seq: ("root", "ns1", "ns2")[seq % 3],
    log: str = LOG,
) -> WrittenLog:
    """A log of `count` records, written: its segments begin at `starts`, and it is signed at the sizes `signed`."""
    made = WrittenLog(
        folder,
        chained(record(seq, tenant=tenant(seq), log=log) for seq in range(count)),
        log=log,
        starts=starts,
    )
    made.sign(*signed)
    made.write()
    return made
