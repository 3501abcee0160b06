# SPDX-License-Identifier: EUPL-1.2
"""The index on disk: packed blocks in an SQLite file that can be thrown away at any time.

It is a row of blocks for each log, each of which stands for itself: what it has of a kind is one value of a row, with a
checksum. Nothing is spread over a tree by its value, so that a block costs the same however many there are. What was
written is found again after `kill -9` and after a power cut up to some commit (write-ahead log, synced when it is
copied back); whatever is damaged is told by `IndexDamaged`, and then the file is removed and made anew.
"""

from __future__ import annotations

import sqlite3
import struct
import sys
from array import array
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final
from zlib import crc32

import msgspec

from vault.log.reader.index.block import Column, OpenBlock, find, groups, read_tenants
from vault.log.reader.index.columns import BadColumn, Candidates, Criterion
from vault.log.reader.index.entry import Kind
from vault.values.times import Nanos

VERSION: Final = f"3 {sys.byteorder}"
"""Of what is in the file. An index of another one is made anew."""
FILE: Final = "index.db"
_COLUMNS: Final = 16
"""Numbers between two blocks in the table of columns: more than there are of these."""
KEPT_BYTES: Final = 32 << 20
"""Bytes of values that are kept in memory."""
_CACHE_KIB: Final = 8192
_AHEAD_BYTES: Final = 64 << 20
"""What the write-ahead log is cut to when it was copied back."""
_MAPPED_BYTES: Final = 1 << 40
"""All of the file is mapped: a search reads each block, and copies of its pages would cost more than looking at them."""
_SUM: Final = struct.Struct("=I")
_NUMBERS: Final = struct.Struct("=7q")
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_FULL: Final = frozenset(
    {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}
)

_TABLES: Final = """
CREATE TABLE meta (version TEXT NOT NULL);
CREATE TABLE log (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE block (id INTEGER PRIMARY KEY, log INTEGER NOT NULL, first INTEGER NOT NULL, count INTEGER NOT NULL,
    segment INTEGER NOT NULL, begins INTEGER NOT NULL, ends INTEGER NOT NULL, sum INTEGER NOT NULL,
    superseded BLOB NOT NULL, times BLOB NOT NULL, places BLOB NOT NULL);
CREATE TABLE part (id INTEGER PRIMARY KEY, packed BLOB NOT NULL);
CREATE TABLE segment (log INTEGER NOT NULL, first INTEGER NOT NULL, packed BLOB NOT NULL, PRIMARY KEY (log, first));
"""


class IndexDamaged(Exception):
    """The index is not what was written, or of another version. It is to be removed and made anew."""


class BlockGone(Exception):
    """A block is not there any more: its records were purged, or are taken again. Nothing is damaged."""


class IndexFull(Exception):
    """The index cannot be written now, as on a full disk. Nothing is lost: it can be tried again."""


class IndexedSegment(msgspec.Struct, frozen=True):
    """A closed segment that is in the index as a whole, and what going on behind it needs."""

    first: int
    last: int
    sha256: str
    leaf: bytes
    """The leaf of its last record."""
    leaves: bytes
    """Leaves of the records behind the last full tile."""


class StoredBlock(msgspec.Struct, frozen=True, eq=False):
    """A packed block: where it is in its log, and when its first and last records were made. The rest is read when asked for."""

    index: Index
    superseded: Sequence[int]
    """The numbers of the records, here or before, that records here take the place of."""
    id: int
    first: int
    count: int
    segment: int
    begins: Nanos
    ends: Nanos

    @property
    def times(self) -> Sequence[int]:
        """When each record was made, in nanoseconds."""
        return memoryview(self.index.value("block", "times", self.id)).cast("q")

    @property
    def places(self) -> Sequence[int]:
        """Where the first line begins in the segment, and where each ends."""
        return memoryview(self.index.value("block", "places", self.id)).cast("I")

    @property
    def tenants(self) -> Mapping[str, int]:
        """By tenant, the number that its first record here has in its own chain."""
        with _believing():
            return read_tenants(self._packed(Column.TENANT))

    def find(self, criterion: Criterion) -> Iterator[Candidates]:
        """Yield the records that have, or may have, what a criterion asks for."""
        with _believing():
            return iter([*find(criterion, self._packed)])

    def groups(self, kind: Kind) -> Mapping[str, int]:
        """Return by value the records that have it, of a kind with few values."""
        with _believing():
            return groups(kind, self._packed)

    def _packed(self, column: Column) -> bytes:
        return self.index.value("part", "packed", self.id * _COLUMNS + column)


Block = OpenBlock | StoredBlock
"""A block of a log, newest or stored."""
_segment: Final = msgspec.msgpack.Decoder(IndexedSegment).decode


class Index:
    """The file. One thread uses it. Every method raises `IndexDamaged`; those that write, `IndexFull` too."""

    def __init__(self, folder: Path, kept_bytes: int = KEPT_BYTES) -> None:
        """Open the index of a folder, or make it. Of what is read so many bytes are kept in memory."""
        self._path = folder / FILE
        self._kept: OrderedDict[tuple[str, str, int], bytes] = OrderedDict()
        self._kept_bytes, self._most_kept = 0, kept_bytes
        self._logs: dict[str, int] = {}
        self._last = 0
        self._removed: set[int] = set()
        """Blocks that were removed since: a search may still have them."""
        self.uncopied = 0
        """How many blocks were added and not yet copied back, as far as whoever has that done says."""
        with _telling():
            self._db = sqlite3.connect(self._path, isolation_level=None, cached_statements=64)
            try:
                self._begin()
            except BaseException:
                self._db.close()
                raise

    def _begin(self) -> None:
        self._path.chmod(0o600)
        for setting in (
            "journal_mode = WAL",
            "synchronous = NORMAL",
            "wal_autocheckpoint = 0",
            f"journal_size_limit = {_AHEAD_BYTES}",
            f"mmap_size = {_MAPPED_BYTES}",
            f"cache_size = -{_CACHE_KIB}",
        ):
            self._db.execute(f"PRAGMA {setting}")
        if not self._db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            self._db.executescript(f"BEGIN; {_TABLES} COMMIT")
            self._db.execute("INSERT INTO meta VALUES (?)", (VERSION,))
        found = self._db.execute("SELECT version FROM meta").fetchall()
        if found != [(VERSION,)]:
            raise IndexDamaged("the index is of another version")
        (self._last,) = self._db.execute("SELECT coalesce(max(id), 0) FROM block").fetchone()
        self._logs = {name: id for id, name in self._db.execute("SELECT id, name FROM log")}

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @staticmethod
    def remove(folder: Path) -> None:
        """Remove the index of a folder: the next one is made from the segments."""
        for end in ("", "-wal", "-shm"):
            (folder / f"{FILE}{end}").unlink(missing_ok=True)

    @property
    def size(self) -> int:
        """How many bytes the file has."""
        return self._path.stat().st_size

    def segments(self, log: str) -> list[IndexedSegment]:
        """Return the closed segments of a log that are indexed as a whole, the oldest first."""
        with _telling():
            rows = self._db.execute(
                "SELECT packed FROM segment WHERE log = ? ORDER BY first", (self._log(log),)
            )
            return [_segment(_checked(packed)) for (packed,) in rows]

    def blocks(self, log: str) -> list[StoredBlock]:
        """Return the blocks of a log, the oldest first."""
        with _telling():
            rows = self._db.execute(
                "SELECT superseded, id, first, count, segment, begins, ends, sum, log FROM block"
                " WHERE log = ? ORDER BY first",
                (self._log(log),),
            ).fetchall()
        for _, *numbers, sum_, of in rows:
            if crc32(_NUMBERS.pack(*numbers, of)) != sum_:
                raise IndexDamaged("a block's numbers are not those that were written")
        return [StoredBlock(self, array("q", _checked(row[0])), *row[1:7]) for row in rows]

    def add_block(self, log: str, block: OpenBlock) -> StoredBlock:
        """Store a block that is full or the last of its segment, and return it."""
        parts = [(column, _summed(block.packed(column))) for column in Column]
        self.uncopied += 1
        self._last += 1  # never one that was used before: a search may still have that block
        numbers = (self._last, block.first, block.count, block.segment, block.begins, block.ends)
        superseded = array("q", block.superseded)
        with self._write():
            of = self._log(log)
            self._db.execute(
                "INSERT INTO block (id, first, count, segment, begins, ends, sum, log, superseded, times, places)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*numbers, crc32(_NUMBERS.pack(*numbers, of)), of, _summed(superseded.tobytes()),
                 _summed(block.times.tobytes()), _summed(block.places.tobytes())),
            )  # fmt: skip
            self._db.executemany(
                "INSERT INTO part VALUES (?, ?)",
                [(self._last * _COLUMNS + column, packed) for column, packed in parts],
            )
        return StoredBlock(self, superseded, *numbers)

    @staticmethod
    def copy_back(folder: Path) -> None:
        """Copy what was written back into the file, and sync it, beside whoever uses the index. It blocks: call it in a thread."""
        with _telling(), closing(sqlite3.connect(folder / FILE, isolation_level=None)) as db:
            db.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def add_segment(self, log: str, segment: IndexedSegment) -> None:
        """Note that all blocks of a closed segment are there."""
        with self._write():
            self._db.execute(
                "INSERT OR REPLACE INTO segment VALUES (?, ?, ?)",
                (self._log(log), segment.first, _summed(msgspec.msgpack.encode(segment))),
            )

    def remove_between(self, log: str, first: int, end: int) -> None:
        """Forget the blocks and segments of a log that begin with a record from `first` on, and before `end`."""
        with self._write():
            of = self._log(log)
            ids = self._db.execute(
                "SELECT id FROM block WHERE log = ? AND first >= ? AND first < ?", (of, first, end)
            ).fetchall()
            self._removed.update(id for (id,) in ids)
            for (id,) in ids:
                self._db.execute(
                    "DELETE FROM part WHERE id >= ? AND id < ?", (id * _COLUMNS, (id + 1) * _COLUMNS)
                )
                self._db.execute("DELETE FROM block WHERE id = ?", (id,))
            self._db.execute(
                "DELETE FROM segment WHERE log = ? AND first >= ? AND first < ?", (of, first, end)
            )
        self._kept.clear()
        self._kept_bytes = 0

    def value(self, table: str, column: str, id: int) -> bytes:
        """Return what is in a row, without its checksum. Raises `BlockGone` too."""
        key = (table, column, id)
        kept = self._kept.get(key)
        if kept is not None:
            self._kept.move_to_end(key)
            return kept
        with _telling():
            found = self._db.execute(_QUERIES[table, column], (id,)).fetchone()
        if found is None:
            if (id if table == "block" else id // _COLUMNS) in self._removed:
                raise BlockGone
            raise IndexDamaged("a row of the index is missing")
        value = _checked(found[0])
        self._kept[key] = value
        self._kept_bytes += len(value)
        while self._kept_bytes > self._most_kept:
            self._kept_bytes -= len(self._kept.popitem(last=False)[1])
        return value

    def _log(self, name: str) -> int:
        if name not in self._logs:
            with _telling():
                self._logs[name] = self._db.execute(
                    "INSERT INTO log (name) VALUES (?) RETURNING id", (name,)
                ).fetchone()[0]
        return self._logs[name]

    @contextmanager
    def _write(self) -> Iterator[None]:
        with _telling():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise


_QUERIES: Final = {
    (table, column): f"SELECT {column} FROM {table} WHERE id = ?"  # noqa: S608 -- names of our own
    for table, column in (
        ("block", "times"),
        ("block", "places"),
        ("part", "packed"),
    )
}


def _summed(value: bytes) -> bytes:
    return _SUM.pack(crc32(value)) + value


def _checked(value: object) -> bytes:
    if (
        not isinstance(value, bytes)
        or len(value) < _SUM.size
        or _SUM.unpack_from(value)[0] != crc32(value[_SUM.size :])
    ):
        raise IndexDamaged("a value of the index is not what was written")
    return value[_SUM.size :]


@contextmanager
def _telling() -> Iterator[None]:
    """Turn what SQLite says into what is to be done about it."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        if code in _FULL:
            raise IndexFull(f"the index cannot be written: {error.sqlite_errorname}") from error
        raise IndexDamaged(f"SQLite says {getattr(error, 'sqlite_errorname', 'nothing')}") from error
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise IndexDamaged("a value of the index cannot be read") from error


@contextmanager
def _believing() -> Iterator[None]:
    """Take what cannot be read for damage of the index."""
    try:
        yield
    except BadColumn as error:
        raise IndexDamaged(str(error)) from None
