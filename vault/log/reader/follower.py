# SPDX-License-Identifier: EUPL-1.2
"""Follows one log: takes each record that was appended, holds it against the one before, and indexes it.

What the index keeps over a restart are closed segments, which never change and are on disk. Records of the open one are
taken again: after a power cut they may be others, and a writer takes back what it could not write as a whole.
"""

from __future__ import annotations

from binascii import b2a_base64
from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import accumulate, compress
from pathlib import Path
from typing import Final

import msgspec

from vault.log.format.segment import CLOSED, SEGMENT, BadSegment, Segment
from vault.log.format.tiles import BadTile, kept_leaves, kept_subtree
from vault.log.format.tree import EMPTY_ROOT, MissingHash, decode_hash, encode_hash, leaf_hashes
from vault.log.reader.closing import EndedSegment
from vault.log.reader.index.block import OpenBlock
from vault.log.reader.index.columns import MOST_RECORDS
from vault.log.reader.index.entry import Columns, decode, decode_all, nanos_of_text, nanos_of_texts
from vault.log.reader.index.store import Block, Index, IndexDamaged, IndexedSegment, StoredBlock
from vault.log.reader.kept_tree import KeptTree
from vault.log.reader.lines import Lines, SegmentGone, read_brief_manifest, read_manifest, segments_in
from vault.log.reader.messages import NONSENSE
from vault.values.times import Nanos

CHUNK: Final = 256 << 10
"""Bytes that are taken at once: about two milliseconds of work."""
LARGEST_SEGMENT: Final = (1 << 32) - 1
"""Bytes of the largest segment: places in it are numbers of four bytes."""
_END: Final = 1 << 62
"""Behind every record."""
_NO_LEAF: Final = encode_hash(EMPTY_ROOT)


class _Log(msgspec.Struct):
    log: str


_log_of: Final = msgspec.json.Decoder(_Log).decode


class _Unfit(Exception):
    """A record does not follow the one before it; the message says why."""


class ChainState(msgspec.Struct, frozen=True):
    """What is known of a log up to a record: with it one goes on from there."""

    seq: int
    leaf: str
    """Of the record before, in base64; empty where that is not known, because it was purged."""
    observed: Nanos
    tenants: Mapping[str, tuple[int, str]]
    leaves: bytes
    """Those before `seq` that no full tile has."""


def damaged(logs: Iterable[FollowedLog]) -> dict[str, int]:
    """Return by log that is damaged the first record that is not indexed, nor any behind it.

    Whatever time is asked for, records of it may be there: what is damaged may be a time.
    """
    return {log.name: log.next for log in logs if log.damage}


class FollowedLog:
    """One log. `step` is called again and again; nothing here waits but for the disk."""

    open: OpenBlock
    """The newest block."""
    _start: ChainState
    """Where the segment that is read begins."""
    _segment: int
    _offset: int
    _next: int
    _leaf: str
    _observed: Nanos
    _tree: KeptTree

    def __init__(
        self, name: str, folder: Path, lines: Lines, index: Index, close: Callable[[EndedSegment], None]
    ) -> None:
        """Go on where the index ends. `close` is told of each segment that another one follows.

        Raises `IndexDamaged`, `IndexFull`, `OSError`.
        """
        self.name: Final = name
        self.folder: Final = folder / name
        self._lines, self._index, self._close = lines, index, close
        self.segments = segments_in(self.folder)
        """By its first record whether a segment is closed, the oldest first."""
        self.damage = ""
        """Why no more of the log is indexed: which record is not as it should be."""
        self.unclosed = ""
        """Why a segment that another one follows is not closed."""
        self.blocks: list[StoredBlock] = []
        self._reread = -1
        self._tenants: dict[str, tuple[int, str]] = {}
        self._ended: dict[int, ChainState] = {}
        self._begins, self._ends = "", ""
        self._sizes: dict[int, int] = {}
        self.superseded: list[int] = []
        """The outcomes that later records take the place of, in order: their commits failed."""
        self.waking = -1
        """The newest record that wakes a tail."""
        self.tenants_waking: dict[str, int] = {}
        """By tenant the number that it has in that tenant's chain."""
        self._begin(self._resumed())

    # ------------------------------------------------------------------------------------------ where it stands
    @property
    def first(self) -> int:
        """The oldest record that is there."""
        return self.blocks[0].first if self.blocks else self.open.first

    @property
    def next(self) -> int:
        """The record that comes next: all before it are indexed."""
        return self._next

    def block_of(self, seq: int) -> Block | None:
        """Return the block that has a record."""
        if self.open.first <= seq < self._next:
            return self.open
        at = bisect_right(self.blocks, seq, key=lambda block: block.first) - 1
        found = self.blocks[at] if at >= 0 else None
        return found if found is not None and seq < found.first + found.count else None

    def blocks_within(self, *, begins: Nanos, ends: Nanos) -> list[tuple[Block, int]]:
        """Return the blocks that may have records from a time and before another, and how many each has by now."""
        low = bisect_left(self.blocks, begins, key=lambda block: block.ends)
        high = bisect_left(self.blocks, ends, key=lambda block: block.begins)
        found: list[tuple[Block, int]] = [(block, block.count) for block in self.blocks[low:high]]
        if self.open.count and self.open.begins < ends and self.open.ends >= begins:
            found.append((self.open, self.open.count))
        return found

    def tenant_through(self, tenant: str) -> int:
        """Return the number of a tenant's last indexed record in its own chain, -1 where it has none."""
        return self._tenants.get(tenant, (-1, ""))[0]

    @property
    def tree(self) -> KeptTree:
        """The tree of what is indexed."""
        return self._tree

    @property
    def observed(self) -> Nanos:
        """When the last indexed record was made; 0 before there is one."""
        return self._observed

    @property
    def stored_bytes(self) -> int:
        """How many bytes its segments take on disk, compressed or not."""
        return sum(self._stored_bytes(segment, closed=closed) for segment, closed in self.segments.items())

    def _stored_bytes(self, segment: int, *, closed: bool) -> int:
        known = self._sizes.get(segment, -1)
        if known < 0:
            try:
                known = Segment(self.folder, segment).path(CLOSED if closed else SEGMENT).stat().st_size
            except FileNotFoundError:
                return 0
            if closed:
                self._sizes[segment] = known  # which never changes
        return known

    @property
    def behind(self) -> int:
        """How many records are not yet indexed, without those of the newest segment, whose number nobody knows."""
        return max(0, next(reversed(self.segments), 0) - self._next)

    @property
    def behind_bytes(self) -> int:
        """How many bytes of the newest segment are not yet indexed."""
        newest = next(reversed(self.segments), 0)
        try:
            size = self._lines.size(self.name, newest)
        except (SegmentGone, BadSegment):
            return 0
        return max(0, size - self._offset) if newest == self._segment else size

    # ------------------------------------------------------------------------------------------ going on
    def step(self) -> bool:
        """Take some records more, or go on to the next segment. Return whether there may be more to do at once.

        Raises `IndexDamaged`, `IndexFull`, and `OSError`: then it can be called again.
        """
        if self.damage:
            return False
        try:
            if self.open.count and (self.open.full or self.open.segment != self._segment):
                self._flush()
            followed = self._next in self.segments and self._next != self._segment
            lines = self._lines.following(self.name, self._segment, begin=self._offset, most=CHUNK)
            if lines:
                self._take(lines)
            elif followed:
                self._end_segment()
            else:
                return self._look()
        except _Unfit as unfit:
            self._fail(str(unfit))
        except BadSegment as error:
            self._fail(f"record {self._next}: {error}")
        except SegmentGone:
            return self._vanished()
        return True

    def look_again(self) -> None:
        """Find the segments that are new, closed or gone by now. Raises what `step` does."""
        self.segments = segments_in(self.folder)
        oldest = next(iter(self.segments), self._segment)
        if self.blocks and self.blocks[0].segment < oldest:
            self._purged(oldest)

    def closed(self, segment: int, sha256: str) -> None:
        """Note that a segment has been closed, and so is indexed for good. Raises `IndexDamaged`, `IndexFull`."""
        self.segments[segment] = True
        self._lines.forget(self.name, segment)
        state = self._ended.pop(segment, None)
        if state is not None:
            self._note_segment(segment, state, sha256)

    # ------------------------------------------------------------------------------------------ records
    def _take(self, lines: list[bytes]) -> None:
        """Take whole lines, as many as the open block has room for. Raises `_Unfit` at one that does not follow."""
        self._begin_chunk(lines[0])
        del lines[MOST_RECORDS - self.open.count :]
        try:
            self._take_all(lines)
        except _Unfit:
            for line in lines:
                self._take_all([line])

    def _take_all(self, lines: Sequence[bytes]) -> None:
        """Take these lines, or none of them: what is done for each record is done for all at once, which is faster.

        Raises `_Unfit`.
        """
        seq, count = self._next, len(lines)
        try:
            records = decode_all(lines)
            times = nanos_of_texts(records.times)
        except NONSENSE as error:
            raise _Unfit(f"record {seq}: it cannot be read: {error}") from None
        leaves = leaf_hashes(lines)
        hashes = [b2a_base64(leaf, newline=False).decode() for leaf in leaves]
        if records.seqs != (*range(seq, seq + count),):
            raise _Unfit(f"record {seq}: it has another number")
        if records.prev_hashes != (self._leaf or records.prev_hashes[0], *hashes[:-1]):
            raise _Unfit(f"record {seq}: it names another hash than that of the record before it")
        if [self._observed, *times] != sorted([self._observed, *times]):
            raise _Unfit(f"record {seq}: its time goes back")
        if seq < self._tree.believed and not self._tree.agrees(seq, leaves):
            raise _Unfit(f"record {seq}: it is not the one whose leaf is in the tree")
        ends = [*accumulate([len(line) + 1 for line in lines], initial=self._offset)][1:]
        if ends[-1] > LARGEST_SEGMENT:
            raise _Unfit(f"record {seq}: its segment has more than {LARGEST_SEGMENT} bytes")
        last = dict(zip(records.tenants, records.tenant_seqs, strict=True))
        self._check_tenants(records.tenants, last)
        leaf_of = dict(zip(records.tenants, hashes, strict=True))
        self._tenants.update({tenant: (number, leaf_of[tenant]) for tenant, number in last.items()})
        self._next, self._leaf, self._offset, self._observed = (
            seq + count,
            hashes[-1],
            ends[-1],
            times[-1],
        )
        self.open.extend(records, times, ends)
        for earlier in records.superseded:
            insort(self.superseded, earlier)
        self._note_waking(records, last)
        self._ends = records.times[-1]
        self._tree.extend(leaves)

    def _check_tenants(self, tenants: Sequence[str], last: Mapping[str, int]) -> None:
        """Make sure that the last number of each tenant is that of the one before and all that came since. Raises `_Unfit`."""
        purged = next(iter(self.segments), 0)  # the first record of a tenant may be gone
        for tenant, count in Counter(tenants).items():
            known = self._tenants.get(tenant)
            if last[tenant] + 1 != (known[0] + 1 if known is not None else 0) + count and (
                known or not purged
            ):
                raise _Unfit(f"record {self._next}: it has another number in its tenant's chain")

    def _note_waking(self, records: Columns, last: Mapping[str, int]) -> None:
        """Note the newest records that wake tails; `last` has the newest of each tenant, whether it does or not."""
        if not records.reading:
            self.waking = records.seqs[-1]
            self.tenants_waking.update(last)
            return
        waking = records.waking
        self.waking = max(compress(records.seqs, waking), default=self.waking)
        self.tenants_waking.update(compress(zip(records.tenants, records.tenant_seqs, strict=True), waking))

    def _begin_chunk(self, line: bytes) -> None:
        """Look at the first line of what is taken at once. Raises `_Unfit` for one of another log."""
        try:
            if _log_of(line).log != self.name:
                raise _Unfit(f"record {self._next}: it is of another log")
            if not self._offset:
                self._begins = decode(line).time
        except NONSENSE as error:
            raise _Unfit(f"record {self._next}: it cannot be read: {error}") from None

    # ------------------------------------------------------------------------------------------ segments
    def _flush(self) -> None:
        """Pack the open block and begin the next one."""
        self.blocks.append(self._index.add_block(self.name, self.open))
        self.open = OpenBlock(self._next, segment=self._segment, begin=self._offset)

    def _end_segment(self) -> None:
        """Leave a segment that another one follows."""
        segment, closed = self._segment, self.segments[self._segment]
        if self._lines.size(self.name, segment) != self._offset:
            raise _Unfit(f"record {self._next}: its line has no end, and another segment follows")
        if self.open.count:
            self._flush()
        state, root = self._state(), self._root()
        if closed:
            manifest = self._lines.manifest(self.name, segment)
            if (manifest.last, root or manifest.root) != (self._next - 1, manifest.root):
                raise _Unfit(f"record {self._next - 1}: the segment ends otherwise than its manifest says")
            self._note_segment(segment, state, manifest.sha256)
        elif not root:
            self.unclosed = f"segment {segment} is not closed: hashes of the tree are lost"
        else:
            self._ended[segment] = state
            self._close(
                EndedSegment(
                    log=self.name, first=segment, last=self._next - 1, size=self._offset, root=root,
                    tenants=state.tenants, begins=self._begins, ends=self._ends,
                )
            )  # fmt: skip
        self._start, self._segment, self._offset = state, self._next, 0
        self.open = OpenBlock(self._next, segment=self._next, begin=0)

    def _root(self) -> str:
        """Return the root of all records so far, in base64; nothing where hashes of the tree are lost."""
        if not self._tree.whole:
            return ""
        try:
            return encode_hash(self._tree.root(self._next))
        except (MissingHash, BadTile):
            return ""

    def _note_segment(self, segment: int, state: ChainState, sha256: str) -> None:
        self._index.add_segment(
            self.name, IndexedSegment(segment, state.seq - 1, sha256, decode_hash(state.leaf), state.leaves)
        )

    def _look(self) -> bool:
        """See whether the writer began another segment, or took back what was read of this one.

        It takes back what it could not write as a whole. Raises `_Unfit` where another segment follows than the next one.
        """
        if self._lines.size(self.name, self._segment) < self._offset:
            self._rewind()
            return True
        if self._next != self._segment and Segment(self.folder, self._next).path(SEGMENT).exists():
            self.segments[self._next] = False
            return True
        if next(reversed(self.segments), 0) > self._segment:
            self._check_following()
        return False

    def _check_following(self) -> None:
        """Make sure that no later segment is there while the next one is not. Raises `_Unfit`.

        A writer begins a segment when all records before it are written: these came meanwhile, or are lost.
        """
        segments = segments_in(self.folder)
        later = next((segment for segment in segments if segment > self._segment), self._next)
        if self._segment not in segments or later == self._next:
            return
        if self._lines.following(self.name, self._segment, begin=self._offset, most=CHUNK):
            return
        if later < self._next:
            raise _Unfit(f"record {later}: another segment begins with it")
        raise _Unfit(f"record {self._next}: it is missing, and later ones are there")

    def _vanished(self) -> bool:
        """Go on with the oldest segment that is there, where the one that was to be read was purged."""
        self.segments = segments_in(self.folder)
        later = [segment for segment in self.segments if segment > self._segment]
        if not later or self._segment in self.segments:
            return False
        self._purged(later[0])
        self._begin(self._after_purge(later[0]))
        return True

    def _after_purge(self, oldest: int) -> ChainState:
        """Return what is known where the records before one were purged: their leaves, unless tiles are lost too."""
        leaf, leaves = "", b""
        with suppress(MissingHash, BadTile, OSError):
            leaf = encode_hash(kept_subtree(self.folder)(0, oldest - 1))
            leaves = kept_leaves(self.folder, oldest)
        return ChainState(oldest, leaf, Nanos(0), {}, leaves)

    def _purged(self, oldest: int) -> None:
        self._index.remove_between(self.name, 0, oldest)
        for segment in {block.segment for block in self.blocks if block.segment < oldest}:
            self._lines.forget(self.name, segment)
        self.blocks = [block for block in self.blocks if block.segment >= oldest]

    def _fail(self, problem: str) -> None:
        """Read the open segment once more; what is wrong then is damage."""
        if self.segments.get(self._segment) or self._reread == self._next:
            self.damage = problem
        else:
            self._reread = self._next
            self._rewind()

    def _rewind(self) -> None:
        """Take the records of the open segment once more."""
        self._index.remove_between(self.name, self._segment, _END)
        self._lines.forget(self.name, self._segment)
        self.blocks = [block for block in self.blocks if block.segment < self._segment]
        self._begin(self._start)

    # ------------------------------------------------------------------------------------------ beginning
    def _resumed(self) -> ChainState:
        """Return where the index ends: behind the last closed segment that is in it as a whole. Drop what else it has."""
        oldest = next(iter(self.segments), 0)
        last = self._last_indexed(oldest)
        state = self._after_purge(oldest) if oldest else ChainState(0, _NO_LEAF, Nanos(0), {}, b"")
        if last is not None:
            with suppress(
                SegmentGone, BadSegment, ValueError
            ):  # all is indexed again, and then says what is wrong
                manifest = read_manifest(self.folder, last.first)
                observed = nanos_of_text(manifest.ends)
                state = ChainState(
                    last.last + 1, encode_hash(last.leaf), observed, manifest.tenants, last.leaves
                )
        blocks = self._index.blocks(self.name)
        if blocks and blocks[0].first < oldest:
            self._index.remove_between(self.name, 0, oldest)
        if blocks and blocks[-1].first >= state.seq:
            self._index.remove_between(self.name, state.seq, _END)
        self.blocks = [block for block in blocks if oldest <= block.first < state.seq]
        firsts = [*accumulate([block.count for block in self.blocks], initial=oldest)]
        if firsts != [*(block.first for block in self.blocks), state.seq]:
            raise IndexDamaged("blocks of a log are missing")
        return state

    def _last_indexed(self, oldest: int) -> IndexedSegment | None:
        """Return the last of the closed segments that follow each other and are in the index as they are."""
        known = {segment.first: segment for segment in self._index.segments(self.name)}
        end, last = oldest, None
        while self.segments.get(end) and (indexed := known.get(end)) is not None:
            manifest = read_brief_manifest(self.folder, end)
            if manifest is None or (manifest.sha256, manifest.last) != (indexed.sha256, indexed.last):
                break
            end, last = manifest.last + 1, indexed
        return last

    def _begin(self, state: ChainState) -> None:
        """Go on from the beginning of a segment."""
        self._start, self._segment, self._offset = state, state.seq, 0
        self._next, self._leaf, self._observed = state.seq, state.leaf, state.observed
        self._tenants = dict(state.tenants)
        self.superseded = sorted(earlier for block in self.blocks for earlier in block.superseded)
        self._tree = KeptTree(self.folder, max(self._closed(), state.seq), state.seq, state.leaves)
        self.open = OpenBlock(state.seq, segment=state.seq, begin=0)

    def _closed(self) -> int:
        """Return how many records there are up to the newest closed segment."""
        newest = max((segment for segment, closed in self.segments.items() if closed), default=-1)
        try:
            return read_manifest(self.folder, newest).last + 1 if newest >= 0 else 0
        except (SegmentGone, BadSegment):
            return newest

    def _state(self) -> ChainState:
        return ChainState(self._next, self._leaf, self._observed, dict(self._tenants), self._tree.newest)
