# SPDX-License-Identifier: EUPL-1.2
"""The chain: gives each record its number, its time and the hash of the record before it, in the log and in its tenant's part.

Records are appended to the chain at once, and to the file together with others. What could not be written is taken
back, so that the numbers in the file have no gap.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import b2a_base64
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Final, NamedTuple

import msgspec

from vault.framework.clock import rfc3339_whole
from vault.log.draft import Draft
from vault.log.format.tree import EMPTY_ROOT, CompactRange, leaf_hash
from vault.values.times import Nanos

START: Final = b64encode(EMPTY_ROOT)
"""`prev_hash` of a first record: the hash of nothing."""
_LINE: Final = (
    b'%b"log":"%b","observed_timestamp":"%b",%b"prev_hash":"%b",%b"seq":%d,%b'
    b'"tenant_prev_hash":"%b","tenant_seq":%d,%b'
)
_TOGETHER: Final = 500
"""Tenants that are encoded in one piece."""


class TenantHead(msgspec.Struct, frozen=True, gc=False):
    """Where the part of one tenant goes on: the number of its next record, and the hash of its last one in base64."""

    seq: int
    last: bytes


_NEW_TENANT: Final = TenantHead(0, START)


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
        while some := {name: (head.seq, head.last.decode()) for name, head in islice(heads, _TOGETHER)}:
            yield comma + msgspec.json.encode(some)[1:-1]
            comma = b","
        yield b"}}"


class _Unwritten(msgspec.Struct, frozen=True, gc=False):
    """A record that is in the chain and not in the file yet, and what its tenant's head was before it."""

    leaf: bytes
    tenant: str
    before: TenantHead | None


class Chain:
    """The end of one log, and what is appended to it."""

    def __init__(self, log: str, state: ChainState, now: Callable[[], Nanos]) -> None:
        """`log` is the log's id; `now` is in nanoseconds since the epoch."""
        self._log, self._now = log.encode(), now
        self._seq, self._last = state.seq, state.last.encode()
        self._observed = state.observed
        self._tenants = {name: TenantHead(seq, last.encode()) for name, (seq, last) in state.tenants.items()}
        self._tree = CompactRange(state.seq, [b64decode(one) for one in state.tree])
        self._unwritten: deque[_Unwritten] = deque()
        self._written_last = self._last

    @property
    def seq(self) -> int:
        """The number of the next record."""
        return self._seq

    @property
    def last(self) -> str:
        """The hash of the last record, in base64."""
        return self._last.decode()

    @property
    def written(self) -> int:
        """How many records are in the file."""
        return self._tree.size

    @property
    def waiting(self) -> int:
        """How many records are not in the file yet."""
        return len(self._unwritten)

    def append(self, draft: Draft) -> bytes:
        """Return a record as its line, with the line break; from now on the next one names its hash."""
        # Where the clock was set back, the log's time stands still (LOG-008).
        self._observed = observed = max(self._now(), self._observed)
        before = self._tenants.get(draft.tenant)
        head = before or _NEW_TENANT
        line = _LINE % (
            draft.opening,
            self._log,
            rfc3339_whole(observed),
            draft.decision,
            self._last,
            draft.request,
            self._seq,
            draft.status,
            head.last,
            head.seq,
            draft.closing,
        )
        leaf = leaf_hash(line)
        self._last = last = b2a_base64(leaf, newline=False)
        self._seq += 1
        self._tenants[draft.tenant] = TenantHead(head.seq + 1, last)
        self._unwritten.append(_Unwritten(leaf, draft.tenant, before))
        return line + b"\n"

    def wrote(self, count: int) -> None:
        """Note that the first `count` unwritten records are in the file."""
        leaf = b""
        for _ in range(count):
            leaf = self._unwritten.popleft().leaf
            self._tree.append(leaf)
        if leaf:
            self._written_last = b2a_base64(leaf, newline=False)

    def take_back(self) -> None:
        """Forget every record that is not in the file."""
        _go_back(self._tenants, self._unwritten)
        self._unwritten.clear()
        self._seq, self._last = self._tree.size, self._written_last

    def root(self) -> tuple[int, bytes]:
        """Return the size of the written part, and the root of its tree."""
        return self._tree.size, self._tree.root()

    def position(self) -> Position:
        """Return where the file goes on. It takes back nothing: a segment may begin with records that wait already."""
        tenants = dict(self._tenants)
        _go_back(tenants, self._unwritten)
        return Position(self._tree.size, self._written_last, self._observed, list(self._tree.hashes), tenants)

    def continued(self, leaf: bytes, tenant: str, observed: Nanos) -> None:
        """Note a record that is in the file already, at a start."""
        last = b2a_base64(leaf, newline=False)
        head = self._tenants.get(tenant) or _NEW_TENANT
        self._tenants[tenant] = TenantHead(head.seq + 1, last)
        self._seq, self._last, self._written_last = self._seq + 1, last, last
        self._observed = max(self._observed, observed)
        self._tree.append(leaf)


def _go_back(tenants: dict[str, TenantHead], unwritten: deque[_Unwritten]) -> None:
    """Give every tenant the head that it had before these records."""
    for one in reversed(unwritten):
        if one.before is None:
            del tenants[one.tenant]
        else:
            tenants[one.tenant] = one.before
