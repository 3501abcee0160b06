# SPDX-License-Identifier: EUPL-1.2
"""What is in the memory of a running server."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tests.fuzz.process import VaultProcess

_LARGEST = 64 << 20
"""Bytes that are read at once."""


def in_memory(vault: VaultProcess, wanted: Iterable[bytes]) -> set[bytes]:
    """Return those that are in the writable memory of the server."""
    found: set[bytes] = set()
    with Path(f"/proc/{vault.pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{vault.pid}/maps").read_text(encoding="ascii").splitlines():
            where, rights = line.split()[:2]
            begin, end = (int(part, 16) for part in where.split("-"))
            if not rights.startswith("rw") or end - begin > _LARGEST:
                continue
            try:
                memory.seek(begin)
                content = memory.read(end - begin)
            except OSError:
                continue
            found |= {each for each in wanted if each in content}
    return found
