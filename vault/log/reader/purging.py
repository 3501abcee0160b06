# SPDX-License-Identifier: EUPL-1.2
"""Purges the oldest segments of a log. Hash tiles stay: what follows is proven with them, and what came before.

A segment is gone with its manifest, which is removed first; what else it had is removed after that, or by whoever comes
next. So nothing that is still listed lacks a file, whenever this process ends.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from vault.log.format.files import sync_folder
from vault.log.format.segment import (
    CHECKPOINTS,
    CLOSED,
    COSIGNED,
    MANIFEST,
    STATE,
    BadSegment,
    Manifest,
    Segment,
)
from vault.log.format.tiles import TILE_BYTES, WIDTH, BadTile, Tile, keep_partial
from vault.log.format.tree import HASH_BYTES, MissingHash, encode_hash
from vault.log.reader.kept_tree import KeptTree
from vault.log.reader.lines import SegmentGone, read_manifest, segments_in
from vault.log.reader.messages import Refused

_REMAINS: Final = re.compile(
    r"([0-9]{20})\.(?:jsonl\.gz|checkpoints|cosigned|state|jsonl\.gz\.new|manifest\.new|state\.new)"
)


_UNFIT: Final = "nothing is purged, as hash tiles do not stand for these records"


def oldest_closed(folder: Path, through: int) -> list[Manifest]:
    """Return the oldest segments of a log that end with a record up to `through`: closed ones, and never the newest."""
    found: list[Manifest] = []
    for first in [*segments_in(folder)][:-1]:
        with suppress(SegmentGone, BadSegment):
            manifest = read_manifest(folder, first)
            if manifest.last <= through:
                found.append(manifest)
                continue
        break
    return found


def leaves_to_keep(tree: KeptTree, last: Manifest) -> bytes:
    """Return the leaves that no full tile has once `last` and all before it are gone.

    Raises `Refused` where the tree is another than what was purged would have, or hashes of it are lost.
    """
    index, width = divmod(last.last + 1, WIDTH)
    try:
        if encode_hash(tree.root(last.last + 1)) != last.root:
            raise Refused("damaged", f"{_UNFIT}: their root is another")
        return tree.read(Tile(0, index, width)) if width else b""
    except (MissingHash, BadTile) as error:
        raise Refused("damaged", f"{_UNFIT}: {error}") from None


def require_tiles(folder: Path, first: int, last: int) -> None:
    """Make sure that all tiles are there that became full with some records of a log. It blocks.

    The root of the tree alone does not tell: it needs the highest tiles, and proofs the others too.
    Raises `Refused`, `OSError`.
    """
    level, begin, end = 0, first, last + 1
    while end:
        begin, end = begin // WIDTH, end // WIDTH
        for index in range(begin, end):
            path = Tile(level, index).path
            size = -1
            with suppress(FileNotFoundError, NotADirectoryError):
                size = (folder / path).stat().st_size
            if size != TILE_BYTES:
                raise Refused("damaged", f"{_UNFIT}: {path} is lost, put it back from a backup")
        level += 1


def purge_segments(folder: Path, segments: Sequence[Manifest], leaves: bytes) -> None:
    """Remove segments, the oldest first; `leaves` are kept in a partial tile before. It blocks. Raises `OSError`."""
    if leaves:
        keep_partial(folder, (segments[-1].last + 1 - len(leaves) // HASH_BYTES) // WIDTH, leaves)
    for segment in segments:
        Segment(folder, segment.first).path(MANIFEST).unlink(missing_ok=True)
        sync_folder(folder)
        for kind in (CLOSED, CHECKPOINTS, COSIGNED, STATE):
            Segment(folder, segment.first).path(kind).unlink(missing_ok=True)
    sync_folder(folder)


def remove_remains(folder: Path) -> None:
    """Remove what purged segments left: whoever purged them was ended before. Raises `OSError`."""
    oldest = next(iter(segments_in(folder)), 0)
    for path in folder.iterdir():
        found = _REMAINS.fullmatch(path.name)
        if found is not None and int(found[1]) < oldest:
            path.unlink(missing_ok=True)
