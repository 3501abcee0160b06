# SPDX-License-Identifier: EUPL-1.2
"""Where the boxes of a tree go: a column for each hop, a parent level with its first child, nothing upon another.

So a line of blocks reads from left to right, and a block is found above whatever was made from it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from nhi.picture.node import Node, walk

BOX: Final = 258
"""Width of a box."""
PITCH: Final = 292
"""From one column to the next."""
GAP: Final = 10
"""Between boxes of one column."""
MARGIN: Final = 16
HEAD: Final = 40
"""Room above, for the columns' titles."""


@dataclass(frozen=True, slots=True)
class Box:
    """A node's place, in pixels; `parent` is the number of another box, or -1."""

    node: Node
    depth: int
    x: int
    y: int
    height: int
    parent: int


@dataclass(frozen=True, slots=True)
class Layout:
    """All boxes, parents first, and the size of what holds them."""

    boxes: tuple[Box, ...]
    width: int
    height: int
    columns: int


def place(root: Node, height_of: Callable[[Node], int]) -> Layout:
    """Return the layout of a tree whose boxes have these heights. It depends on nothing else."""
    nodes = list(walk(root))
    number_of = {id(node): number for number, (node, _) in enumerate(nodes)}
    parents = [-1] * len(nodes)
    for number, (node, _) in enumerate(nodes):
        for child in node.children:
            parents[number_of[id(child)]] = number
    heights = [height_of(node) for node, _ in nodes]
    needed = [0] * len(nodes)
    below = [0] * len(nodes)
    for number in range(len(nodes) - 1, -1, -1):  # children come after their parents, so they are known here
        needed[number] = max(heights[number] + GAP, below[number])
        if parents[number] >= 0:
            below[parents[number]] += needed[number]
    free = [HEAD + MARGIN] * len(nodes)
    boxes = []
    for number, (node, depth) in enumerate(nodes):
        parent = parents[number]
        top = HEAD + MARGIN if parent < 0 else free[parent]
        if parent >= 0:
            free[parent] = top + needed[number]
        free[number] = top
        boxes.append(Box(node, depth, MARGIN + depth * PITCH, top, heights[number], parent))
    columns = 1 + max(depth for _, depth in nodes)
    width = 2 * MARGIN + (columns - 1) * PITCH + BOX
    return Layout(tuple(boxes), width, HEAD + 2 * MARGIN + needed[0] - GAP, columns)
