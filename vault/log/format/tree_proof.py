# SPDX-License-Identifier: EUPL-1.2
"""Proofs about a hash tree: that a record is in it, and that a larger tree begins with a smaller one.

They are made of kept hashes (RFC 6962, 2.1.1 and 2.1.2) and verified without them (RFC 9162, 2.1.3.2 and 2.1.4.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from vault.log.format.tree import LARGEST_SIZE, SubtreeHash, node_hash, range_hash

MOST_HASHES: Final = 64
"""A proof has no more: an inclusion proof at most 63, as no tree has more than 2**63 - 1 leaves."""


class BadProof(ValueError):
    """A proof does not show what it is said to show."""


def inclusion_proof(index: int, size: int, subtree: SubtreeHash) -> list[bytes]:
    """Return the hashes beside the way from leaf `index` up to the root of `size` leaves, the leaf's neighbour first.

    Raises `ValueError` for a leaf that such a tree does not have, `MissingHash` for hashes that are not kept.
    """
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    beside = []
    begin, end = 0, size
    while end - begin > 1:
        middle = begin + _left(end - begin)
        if index < middle:
            beside.append((middle, end))
            end = middle
        else:
            beside.append((begin, middle))
            begin = middle
    return [range_hash(first, last, subtree) for first, last in reversed(beside)]


def consistency_proof(old: int, size: int, subtree: SubtreeHash) -> list[bytes]:
    """Return the hashes that show how the tree of `size` leaves contains that of its first `old`.

    Of an empty tree, and of the same tree, there is nothing to show. Raises `ValueError` where `old` is larger,
    `MissingHash` for hashes that are not kept.
    """
    if not 0 <= old <= size:
        raise ValueError(f"a tree of {size} leaves does not begin with {old}")
    if old in {0, size}:
        return []
    parts = []
    begin, end = 0, size
    while end != old:
        middle = begin + _left(end - begin)
        if old <= middle:
            parts.append((middle, end))
            end = middle
        else:
            parts.append((begin, middle))
            begin = middle
    if begin:  # a power of two is the root of the old tree, which whoever verifies has
        parts.append((begin, end))
    return [range_hash(first, last, subtree) for first, last in reversed(parts)]


def check_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Make sure that a tree of `size` leaves with this root has `leaf` at `index`. Raises `BadProof`."""
    if not 0 <= index < size <= LARGEST_SIZE:
        raise BadProof(f"a tree of {size} leaves has no leaf {index}")
    node, last, value = index, size - 1, leaf
    for beside in proof:
        if not last:
            raise BadProof("the proof has more hashes than there are levels")
        if node & 1 or node == last:
            value = node_hash(beside, value)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            value = node_hash(value, beside)
        node, last = node >> 1, last >> 1
    if last:
        raise BadProof("the proof has fewer hashes than there are levels")
    if value != root:
        raise BadProof("the proof leads to another root")


def check_consistency(old: int, size: int, proof: Sequence[bytes], old_root: bytes, root: bytes) -> None:
    """Make sure that the tree of `size` leaves with root `root` begins with that of `old`. Raises `BadProof`.

    Nothing is compared with an empty tree: every tree begins with it.
    """
    if not 0 <= old <= size <= LARGEST_SIZE:
        raise BadProof(f"a tree of {size} leaves does not begin with {old}")
    if old in {0, size}:
        if proof:
            raise BadProof("there is nothing to prove, and the proof has hashes")
        if old and old_root != root:
            raise BadProof("two roots of one size differ")
        return
    _check_growth(old, size, proof, old_root, root)


def _check_growth(old: int, size: int, proof: Sequence[bytes], old_root: bytes, root: bytes) -> None:
    """Follow RFC 9162, 2.1.4.2, from its second step."""
    beside = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not beside:
        raise BadProof("the proof has no hashes")
    node, last = old - 1, size - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    before = after = beside[0]
    for value in beside[1:]:
        if not last:
            raise BadProof("the proof has more hashes than there are levels")
        if node & 1 or node == last:
            before, after = node_hash(value, before), node_hash(value, after)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            after = node_hash(after, value)
        node, last = node >> 1, last >> 1
    if last:
        raise BadProof("the proof has fewer hashes than there are levels")
    if before != old_root:
        raise BadProof("the proof does not begin with the smaller tree")
    if after != root:
        raise BadProof("the proof does not lead to the larger tree")


def _left(size: int) -> int:
    """Return how many of `size` leaves, two at least, are in the left subtree: the largest power of two below it."""
    return 1 << ((size - 1).bit_length() - 1)
