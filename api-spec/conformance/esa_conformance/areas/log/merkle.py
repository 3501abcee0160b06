# SPDX-License-Identifier: Apache-2.0
"""Proofs that a record is in a log: C2SP tlog-proof over the tree of RFC 6962."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Proof:
    """The path from a leaf to the root of a checkpoint with `size` leaves."""

    index: int
    path: Sequence[bytes]
    size: int
    root: bytes

    def leads_from(self, leaf: bytes) -> bool:
        """Whether the path leads from this leaf to the root (RFC 9162, 2.1.3.2)."""
        if not 0 <= self.index < self.size:
            return False
        place, last, found = self.index, self.size - 1, leaf
        for beside in self.path:
            if last == 0:
                return False
            if place % 2 or place == last:
                found = _node(beside, found)
                while place % 2 == 0 and place:
                    place, last = place >> 1, last >> 1
            else:
                found = _node(found, beside)
            place, last = place >> 1, last >> 1
        return last == 0 and found == self.root


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The root of a tree with these leaves (RFC 9162, 2.1.1)."""
    level = list(leaves)
    if not level:
        return hashlib.sha256(b"").digest()
    while len(level) > 1:
        odd = level[-1:] if len(level) % 2 else []
        level = [_node(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)] + odd
    return level[0]


def continues(old: tuple[int, bytes], new: tuple[int, bytes], path: Sequence[bytes]) -> bool:
    """Whether a proof shows that the tree of the size and root `new` begins with that of `old` (RFC 9162, 2.1.4.2)."""
    (first, old_root), (second, new_root) = old, new
    if not 0 < first <= second or (first == second) != (not path):
        return False
    if first == second:
        return old_root == new_root
    hashes = [old_root, *path] if first & (first - 1) == 0 else list(path)
    place, last = first - 1, second - 1
    while place % 2:
        place, last = place >> 1, last >> 1
    one = two = hashes[0]
    for beside in hashes[1:]:
        if last == 0:
            return False
        if place % 2 or place == last:
            one, two = _node(beside, one), _node(beside, two)
            while place % 2 == 0 and place:
                place, last = place >> 1, last >> 1
        else:
            two = _node(two, beside)
        place, last = place >> 1, last >> 1
    return last == 0 and one == old_root and two == new_root


def leaf_hash(line: bytes) -> bytes:
    """The leaf of a record's line."""
    return hashlib.sha256(b"\x00" + line).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def proof_of(text: str) -> Proof | None:
    """Read a proof; None for what is none."""
    head, _, checkpoint = text.partition("\n\n")
    lines = head.split("\n")
    if lines[0] != "c2sp.org/tlog-proof@v1":
        return None
    lines = [line for line in lines[1:] if not line.startswith("extra ")]
    try:
        if not lines[0].startswith("index "):
            return None
        _, size, root, *_ = checkpoint.split("\n")
        hashes = [base64.b64decode(line, validate=True) for line in [*lines[1:], root]]
        return Proof(int(lines[0].removeprefix("index ")), hashes[:-1], int(size), hashes[-1])
    except (ValueError, IndexError):
        return None
