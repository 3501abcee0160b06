# SPDX-License-Identifier: EUPL-1.2
"""`vaultctl operator migrate`: carries a vault from the storage that a file names to another one that it names."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from vault.server.config import files as configuration
from vault.server.config import stanzas
from vault.server.config.reader import Findings, body, unknown
from vault.server.config.settings import StorageSettings
from vault.server.failure import StartFailure
from vault.server.process import storages
from vault.storage.copies import sqlite_ends
from vault.storage.copies.move import MoveResult, move
from vault.storage.copies.snapshot import Progress, files_told
from vault.storage.copies.workplace import FOR_COPY, require_room
from vault.storage.protocol import StorageFailure

Failures: Final = (StartFailure, StorageFailure)
"""What the functions here raise."""
_ENDS: Final = ("storage_source", "storage_destination")
_BESIDE: Final = ("cluster_addr",)
"""What OpenBao's files have beside it."""
_SOURCE, _DESTINATION = _ENDS


def ends(file: str) -> tuple[StorageSettings, StorageSettings]:
    """Return from where and to where a file wants a vault carried. Raises `StartFailure`."""
    findings = Findings()
    found: dict[str, StorageSettings] = {}
    for entry in configuration.parsed([file]):
        name = entry.item.key
        if name in found:
            findings.refuse(entry, f"{name} is there twice; keep one of them")
        elif name in _ENDS:
            content = body(entry, 1, findings)
            if content is not None:
                found[name] = stanzas.storage(entry, content, findings)
                if not found[name].lasts:
                    findings.refuse(entry, 'storage "inmem" is gone when its server stops')
        elif name not in _BESIDE:
            unknown("", entry, [*_ENDS, *_BESIDE], findings)
    for name in _ENDS:
        if name not in found and not findings.problems:
            findings.problems.append(f'{file}: no {name}; add `{name} "sqlite" {{ path = "FILE" }}`')
    if found.get(_SOURCE) is not None and found.get(_SOURCE) == found.get(_DESTINATION):
        findings.problems.append(f"{file}: {_SOURCE} and {_DESTINATION} are the same; name another one")
    findings.raise_first()
    return found[_SOURCE], found[_DESTINATION]


def carry(source: StorageSettings, destination: StorageSettings, progress: Progress) -> Mapping[str, Any]:
    """Carry everything, compare it, and keep it; return what there was, by name. Raises `StorageFailure`."""
    return msgspec.structs.asdict(asyncio.run(_carry(source, destination, progress)))


async def _carry(source: StorageSettings, destination: StorageSettings, progress: Progress) -> MoveResult:
    async with _postgres(source, as_target=False) as near, _postgres(destination, as_target=True) as far:
        # Files come last: root acts for their owner meanwhile, who need not be allowed to read a password.
        async with _sqlite(source, near, as_target=False) as origin:
            _require_room(destination, await origin.size())
            async with _sqlite(destination, far, as_target=True) as target:
                return await move(origin, target, progress)


@files_told()
def _require_room(destination: StorageSettings, wanted: int) -> None:
    """Raise `StorageFailure` unless a file that is made has room on its disk; nobody here sees that of a PostgreSQL."""
    folder = Path(destination.path).absolute().parent
    if destination.is_file and folder.is_dir():  # what is not there is refused with the file
        require_room(folder, {FOR_COPY: wanted})


@asynccontextmanager
async def _postgres(settings: StorageSettings, *, as_target: bool) -> AsyncIterator[Any]:
    """Open one end, if it is in PostgreSQL."""
    if not settings.is_shared:
        yield None
        return
    address = storages.address(settings)
    from vault.storage.copies import postgres_ends

    async with postgres_ends.target(address) if as_target else postgres_ends.origin(address) as end:
        yield end


@asynccontextmanager
async def _sqlite(settings: StorageSettings, known: Any, *, as_target: bool) -> AsyncIterator[Any]:  # noqa: ANN401 - one of both ends
    """Open one end, unless it is `known` as it is in PostgreSQL."""
    if known is not None:
        yield known
        return
    path = Path(settings.path)
    with sqlite_ends.target(path) if as_target else sqlite_ends.origin(path) as end:
        yield end
