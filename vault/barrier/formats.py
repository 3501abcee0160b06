# SPDX-License-Identifier: EUPL-1.2
"""Which kinds and versions of records a database may hold: said in it before the first is written, asked at each opening.

So an older release refuses the whole database at its start, and seals itself where it runs already, and does not refuse
one record after the other. It lies in the clear, as
the seal's configuration does: whoever changes it gains nothing, since every record says its own version.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

from vault.barrier.failure import BarrierFailure
from vault.barrier.stored import KINDS, NewerFormat, RecordKind
from vault.storage.protocol import ReadTx, Storage, Tx

FORMATS_PATH: Final = "core/formats"
"""In the clear part of storage."""
FORMATS_KIND: Final = "formats"
"""Kind of the invalidation (key "") when a database may hold more than before: who runs already looks again."""
FORMER: Final[Mapping[str, int]] = {}
"""Kinds that are written no more, with their last versions: a database of before may name them."""


class TooNew(BarrierFailure):
    """This release cannot serve beside the older one that does."""


_FORMATS: Final = RecordKind("formats", dict[str, int], json=True)


async def check(tx: ReadTx) -> Mapping[str, int]:
    """Return what the database says. Raises `NewerFormat` where that is more than this release knows."""
    return said(await tx.get(FORMATS_PATH))


def said(data: bytes | None) -> Mapping[str, int]:
    """Return what the row says. Raises as `check` does."""
    said = _FORMATS.decode(data) if data is not None else {}
    known = {**FORMER, **_own()}
    newer = sorted(name for name, version in said.items() if version > known.get(name, 0))
    if newer:
        told = ", ".join(
            f"'{name}' version {said[name]} (known: {known.get(name) or 'none'})" for name in newer
        )
        raise NewerFormat(
            f"a newer release wrote this database, with stored records that this one does not know: {told}; nothing was "
            "changed: start the newer release, or restore a backup of before the upgrade"
        )
    return said


async def note(storage: Storage) -> None:
    """Say in the database what this release writes, and write all of it from now on. Raises `NewerFormat`."""
    said = await check(storage.reader())
    if ahead(said):
        async with storage.write() as tx:
            await note_in(tx)
    hold(None)


def ahead(said: Mapping[str, int]) -> Mapping[str, int]:
    """Return what this release writes and the database does not speak of: kinds, and what it says of each (0: nothing)."""
    return {name: said.get(name, 0) for name, version in _own().items() if said.get(name, 0) < version}


def hold(said: Mapping[str, int] | None) -> None:
    """Have this process write no more than the database speaks of, for as long as an older release serves on it too.

    `None` ends that. Raises `TooNew`, and holds nothing, where this release cannot do without.
    """
    held = ahead(said) if said is not None else {}
    told = ", ".join(wanting(held))
    if told:
        raise TooNew(
            f"an older release serves on this database, and this one cannot write it as that does: {told}; "
            "stop every server of the older release first"
        )
    for name, kind in KINDS.items():
        kind.write_up_to(held.get(name, kind.version))


def digest() -> str:
    """Return what tells this program from one with other kinds or versions of records, whatever they call themselves.

    It is the first eight hexadecimal digits of a SHA-256 over their names and versions: it tells apart what was built by
    chance alike, and proves nothing to anybody.
    """
    told = ",".join(f"{name}:{version}" for name, version in sorted(_own().items()))
    return hashlib.sha256(told.encode()).hexdigest()[:8]


def wanting(ahead: Mapping[str, int]) -> Sequence[str]:
    """Return, in words, of which kinds this release cannot write what the database speaks of."""
    return [
        f"'{name}' version {KINDS[name].version} (now: {version})"
        for name, version in sorted(ahead.items())
        if not KINDS[name].writes(version)
    ]


def holds() -> bool:
    """Whether this process writes less than it could."""
    return any(kind.held for kind in KINDS.values())


async def note_in(tx: Tx) -> None:
    """As `note`, within a transaction."""
    said = {**await check(tx), **_own()}
    await tx.put(FORMATS_PATH, _FORMATS.encode(dict(sorted(said.items()))))
    await tx.invalidate(FORMATS_KIND, "")


def _own() -> Mapping[str, int]:
    return {kind.name: kind.version for kind in KINDS.values()}
