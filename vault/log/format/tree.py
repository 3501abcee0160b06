# SPDX-License-Identifier: EUPL-1.2
"""The hash tree of a log (RFC 6962, 2.1): its hashes, and what a writer keeps of one that grows.

A leaf is the hash of one record. The hash of a subtree that is complete never changes, however large the tree becomes.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final, Protocol, Self

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = sha256(b"").digest()
"""The root of a tree without leaves; a chain begins with it too."""

_LEAF: Final = sha256(b"\0")
"""What the hash of every leaf begins with; a copy of it is cheaper than to begin anew."""
_NODE: Final = sha256(b"\1")
"""What every other hash begins with."""

LARGEST_SIZE: Final = (1 << 63) - 1
"""The most leaves that a tree may have."""

SubtreeHash = Callable[[int, int], bytes]
"""Returns the hash of the `index`-th complete subtree of 2**`level` leaves, given `(level, index)`.

Raises `MissingHash` for one that is not kept.
"""


class MissingHash(LookupError):
    """The hash of a subtree is not kept, or the tree is not so large."""


class BadHash(ValueError):
    """A text that should be a hash is none."""


def leaf_hash(record: bytes) -> bytes:
    """Return the leaf of a record; `record` is its line without the newline."""
    leaf = _LEAF.copy()
    leaf.update(record)
    return leaf.digest()


class BegunLeaf(Protocol):
    """The leaf of a record whose beginning is known."""

    def copy(self) -> Self:
        """Return another one, to go on with."""
        ...

    def update(self, data: bytes, /) -> None:
        """Take more of the record."""
        ...

    def digest(self) -> bytes:
        """Return the leaf, of what was taken."""
        ...


def begin_leaf(beginning: bytes) -> BegunLeaf:
    """Return the leaf of records that begin alike, as far as that goes: `ended_leaf` goes on, and can again and again."""
    leaf = _LEAF.copy()
    leaf.update(beginning)
    return leaf


def ended_leaf(begun: BegunLeaf, rest: bytes) -> bytes:
    """Return the leaf of a record whose beginning has a leaf that is begun."""
    leaf = begun.copy()
    leaf.update(rest)
    return leaf.digest()


def leaf_hashes(records: Sequence[bytes]) -> list[bytes]:
    """Return the leaf of each of some records: `leaf_hash`, called for every one otherwise."""
    begun, leaves = _LEAF.copy, []
    for record in records:
        leaf = begun()
        leaf.update(record)
        leaves.append(leaf.digest())
    return leaves


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash over two hashes of the tree."""
    node = _NODE.copy()
    node.update(left + right)
    return node.digest()


def encode_hash(value: bytes) -> str:
    """Return a hash as records, checkpoints and proofs have it: base64."""
    return binascii.b2a_base64(value, newline=False).decode("ascii")


def decode_hash(text: str | bytes) -> bytes:
    """Return the hash that a text stands for. Raises `BadHash` for any other spelling than `encode_hash` makes."""
    try:
        value = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        raise BadHash("a hash is 44 characters of base64") from None
    written = text if isinstance(text, str) else text.decode("ascii")
    if len(value) != HASH_BYTES or encode_hash(value) != written:
        raise BadHash("a hash is 44 characters of base64")
    return value


def complete_hash(hashes: Sequence[bytes]) -> bytes:
    """Return the hash of a complete subtree above `hashes`, whose number is a power of two."""
    layer = hashes
    while len(layer) > 1:
        layer = [*map(node_hash, layer[::2], layer[1::2])]
    return layer[0]


class CompactRange:
    """What has to be kept of a tree to go on with it: one hash for each bit of its size, the largest subtree first."""

    __slots__ = ("_hashes", "size")

    def __init__(self, size: int = 0, hashes: Sequence[bytes] = ()) -> None:
        """Begin an empty tree, or go on with `hashes` of one with `size` leaves."""
        if len(hashes) != size.bit_count():
            raise ValueError(f"a tree of {size} leaves has {size.bit_count()} hashes, and not {len(hashes)}")
        self.size = size
        """How many leaves there are."""
        self._hashes = list(hashes)

    @classmethod
    def of(cls, size: int, subtree: SubtreeHash) -> CompactRange:
        """Return the first `size` leaves of a tree whose hashes are kept. Raises `MissingHash`."""
        return cls(size, [subtree(level, index) for level, index in decompose(0, size)])

    @property
    def hashes(self) -> tuple[bytes, ...]:
        """The hashes to go on with, as the constructor takes them."""
        return tuple(self._hashes)

    def append(self, leaf: bytes) -> None:
        """Add a leaf: one hash over two others, on average."""
        hashes, size = self._hashes, self.size
        self.size = size + 1
        while size & 1:
            leaf = node_hash(hashes.pop(), leaf)
            size >>= 1
        hashes.append(leaf)

    def extend(self, leaves: Sequence[bytes]) -> None:
        """Add leaves in their order, as `append` does, level by level, which is faster for many."""
        size, rest, layer = self.size, [], [*leaves]
        self.size += len(layer)
        while size or layer:
            if size & 1:
                layer.insert(0, self._hashes.pop())
            if len(layer) & 1:
                rest.append(layer.pop())
            layer = [*map(node_hash, layer[::2], layer[1::2])]
            size >>= 1
        self._hashes = rest[::-1]

    def root(self) -> bytes:
        """Return the hash over all leaves."""
        return _joined(self._hashes)

    def copy(self) -> CompactRange:
        """Return the tree as it is now, apart from this one."""
        return CompactRange(self.size, self._hashes)


def decompose(begin: int, end: int) -> list[tuple[int, int]]:
    """Return the complete subtrees, `(level, index)`, that make up the leaves from `begin` to before `end`.

    `begin` is a multiple of the largest power of two in `end - begin`, as in every part of a tree that a proof is
    made of; so they become smaller from left to right.
    """
    parts = []
    while begin < end:
        level = (end - begin).bit_length() - 1
        parts.append((level, begin >> level))
        begin += 1 << level
    return parts


def range_hash(begin: int, end: int, subtree: SubtreeHash) -> bytes:
    """Return the hash over the leaves from `begin` to before `end`, for such as `decompose` takes. Raises `MissingHash`."""
    return _joined([subtree(level, index) for level, index in decompose(begin, end)])


def root_hash(size: int, subtree: SubtreeHash) -> bytes:
    """Return the root of the first `size` leaves. Raises `MissingHash`."""
    return range_hash(0, size, subtree)


def _joined(hashes: Sequence[bytes]) -> bytes:
    """Return the hash over subtrees that become smaller from left to right."""
    if not hashes:
        return EMPTY_ROOT
    value = hashes[-1]
    for left in reversed(hashes[:-1]):
        value = node_hash(left, value)
    return value
