# SPDX-License-Identifier: EUPL-1.2
"""Trees as RFC 6962 defines them, without a thought for speed: what ours are compared with."""

import json
from collections.abc import Sequence
from typing import Any

from tests.house.tree import ROOT
from vault.log.format.tree import EMPTY_ROOT, SubtreeHash, leaf_hash, node_hash

VECTORS: dict[str, Any] = json.loads((ROOT / "api-spec" / "vectors" / "log.json").read_text(encoding="utf-8"))

LEAVES = [leaf_hash(b"record %d" % number) for number in range(600)]


def left(size: int) -> int:
    """The largest power of two below `size`."""
    power = 1
    while power * 2 < size:
        power *= 2
    return power


def root(leaves: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962, 2.1."""
    if len(leaves) < 2:
        return leaves[0] if leaves else EMPTY_ROOT
    middle = left(len(leaves))
    return node_hash(root(leaves[:middle]), root(leaves[middle:]))


def path(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PATH of RFC 6962, 2.1.1."""
    if len(leaves) == 1:
        return []
    middle = left(len(leaves))
    if index < middle:
        return [*path(index, leaves[:middle]), root(leaves[middle:])]
    return [*path(index - middle, leaves[middle:]), root(leaves[:middle])]


def growth(old: int, leaves: Sequence[bytes], *, known: bool = True) -> list[bytes]:
    """SUBPROOF of RFC 6962, 2.1.2."""
    if old == len(leaves):
        return [] if known else [root(leaves)]
    middle = left(len(leaves))
    if old <= middle:
        return [*growth(old, leaves[:middle], known=known), root(leaves[middle:])]
    return [*growth(old - middle, leaves[middle:], known=False), root(leaves[:middle])]


def of_leaves(leaves: Sequence[bytes]) -> SubtreeHash:
    """The hashes of complete subtrees of these leaves."""
    return lambda level, index: root(leaves[index << level : (index + 1) << level])
