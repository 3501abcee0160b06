# SPDX-License-Identifier: EUPL-1.2
"""The chain: gives each record its number, its time and the hash of the record before it, in the log and in its tenant's part.

Records are appended to the chain at once, and to the file together with others: these have one time. What could not be
written is taken back, so that the numbers in the file have no gap.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import b2a_base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from operator import itemgetter
from typing import Final, NamedTuple

import msgspec

from vault.framework.clock import rfc3339_whole
from vault.log.draft import Draft
from vault.log.format.tree import EMPTY_ROOT, CompactRange, ended_leaf, leaf_hash
from vault.values.times import Nanos

START: Final = b64encode(EMPTY_ROOT)
"""`prev_hash` of a first record: the hash of nothing."""
_TOGETHER: Final = 500
"""Tenants that are encoded in one piece, and leaves that the tree grows by at once."""


TenantHead = tuple[int, bytes]
"""Where the part of one tenant goes on: the number of its next record, and the hash of its last one in base64."""
_NEW_TENANT: Final[TenantHead] = (0, START)


class ChainState(msgspec.Struct, frozen=True, kw_only=True):
    """Where a log goes on, as stored beside a segment: before its first record. Hashes are in base64."""

    seq: int = 0
    last: str = START.decode()
    observed: Nanos = Nanos(0)
    tree: tuple[str, ...] = ()
    tenants: Mapping[str, tuple[int, str]] = {}


class Position(NamedTuple):
    """Where a log goes on, in memory: quickly taken, and encoded in a thread, as there is a head for each tenant."""

    seq: int
    last: bytes
    observed: Nanos
    tree: list[bytes]
    tenants: dict[str, TenantHead]

    def encode(self) -> Iterator[bytes]:
        """Yield a `ChainState` in pieces, none of which takes the interpreter for long."""
        tree = tuple(b64encode(one).decode() for one in self.tree)
        state = ChainState(seq=self.seq, last=self.last.decode(), observed=self.observed, tree=tree)
        yield msgspec.json.encode(state).removesuffix(b"{}}") + b"{"
        heads, comma = iter(self.tenants.items()), b""
        while some := {name: (seq, last.decode()) for name, (seq, last) in islice(heads, _TOGETHER)}:
            yield comma + msgspec.json.encode(some)[1:-1]
            comma = b","
        yield b"}}"


_Unwritten = tuple[int, bytes, str, TenantHead | None]
"""A record that is in the chain and not in the file yet: the bytes of its line, its leaf, its tenant, and that one's head before it."""
_SIZE: Final[Callable[[_Unwritten], int]] = itemgetter(0)
_LEAF: Final[Callable[[_Unwritten], bytes]] = itemgetter(1)


class Chain:
    """The end of one log, and what is appended to it."""

    def __init__(self, log: str, state: ChainState, now: Callable[[], Nanos]) -> None:
        """`log` is the log's id; `now` is in nanoseconds since the epoch."""
        self._log, self._now = b'"log":"%b","observed_timestamp":"' % log.encode(), now
        self._begun = b""
        """The members `log` and `observed_timestamp` of the records that are written next."""
        self.seq = state.seq
        """The number of the next record."""
        self._last = state.last.encode()
        self._observed = state.observed
        self._tenants = {name: (seq, last.encode()) for name, (seq, last) in state.tenants.items()}
        self._tree = CompactRange(state.seq, [b64decode(one) for one in state.tree])
        self._leaves: list[bytes] = []
        """Those of records in the file that the tree does not have yet: it is cheaper to give it many at once."""
        self._unwritten: list[_Unwritten] = []
        self._written_last = self._last

    @property
    def last(self) -> str:
        """The hash of the last record, in base64."""
        return self._last.decode()

    @property
    def observed(self) -> Nanos:
        """When the newest record was appended, by the clock of then: the next one is not earlier (LOG-008)."""
        return self._observed

    @property
    def written(self) -> int:
        """How many records are in the file."""
        return self._tree.size + len(self._leaves)

    def count_in(self, lines: bytes) -> int:
        """Return how many records whole lines are; 0 unless they are the first ones that are not in the file yet."""
        count = lines.count(b"\n")
        return count if sum(map(_SIZE, self._unwritten[:count])) == len(lines) else 0

    def append(self, draft: Draft) -> bytes:
        """Return a record as its line, with the line break; from now on the next one names its hash."""
        unwritten, frame, seq = self._unwritten, draft.frame, self.seq
        if not unwritten:
            self._begin()
        before = self._tenants.get(frame.tenant)
        number, tenants_last = before or _NEW_TENANT
        rest = b"".join(
            (
                self._begun,
                frame.decision,
                self._last,
                draft.request,
                frame.resource,
                b"%d," % seq,
                draft.span,
                frame.status,
                tenants_last,
                b'","tenant_seq":%d,"timestamp":"%b' % (number, draft.timestamp),
                draft.trace,
                frame.closing,
            )
        )
        begun = frame.begun
        leaf = leaf_hash(frame.opening + rest) if begun is None else ended_leaf(begun, rest)
        self._last = last = b2a_base64(leaf, newline=False)
        self.seq = seq + 1
        self._tenants[frame.tenant] = number + 1, last
        line = b"%b%b\n" % (frame.opening, rest)
        unwritten.append((len(line), leaf, frame.tenant, before))
        return line

    def _begin(self) -> None:
        """Take the time of records that are written together. Where the clock was set back, it stands still (LOG-008)."""
        self._observed = max(self._now(), self._observed)
        self._begun = b'%b%b",' % (self._log, rfc3339_whole(self._observed))

    def wrote(self, count: int) -> None:
        """Note that the first `count` unwritten records are in the file."""
        leaves = self._leaves
        leaves += map(_LEAF, self._unwritten[:count])
        del self._unwritten[:count]
        if count:
            self._written_last = b2a_base64(leaves[-1], newline=False)
        if len(leaves) >= _TOGETHER:
            self._grow()

    def take_back(self) -> None:
        """Forget every record that is not in the file."""
        _go_back(self._tenants, self._unwritten)
        self._unwritten.clear()
        self.seq, self._last = self.written, self._written_last

    def root(self) -> tuple[int, bytes]:
        """Return the size of the written part, and the root of its tree."""
        self._grow()
        return self._tree.size, self._tree.root()

    def _grow(self) -> None:
        """Have all that is in the file in the tree."""
        self._tree.extend(self._leaves)
        self._leaves.clear()

    def position(self) -> Position:
        """Return where the file goes on. It takes back nothing: a segment may begin with records that wait already."""
        self._grow()
        tenants = dict(self._tenants)
        _go_back(tenants, self._unwritten)
        return Position(self._tree.size, self._written_last, self._observed, list(self._tree.hashes), tenants)

    def continued(self, leaf: bytes, tenant: str, observed: Nanos) -> None:
        """Note a record that is in the file already, at a start."""
        last = b2a_base64(leaf, newline=False)
        head = self._tenants.get(tenant) or _NEW_TENANT
        self._tenants[tenant] = head[0] + 1, last
        self.seq, self._last, self._written_last = self.seq + 1, last, last
        self._observed = max(self._observed, observed)
        self._tree.append(leaf)


def _go_back(tenants: dict[str, TenantHead], unwritten: Sequence[_Unwritten]) -> None:
    """Give every tenant the head that it had before these records."""
    for _, _, tenant, before in reversed(unwritten):
        if before is None:
            del tenants[tenant]
        else:
            tenants[tenant] = before
