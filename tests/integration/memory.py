# SPDX-License-Identifier: EUPL-1.2
"""What is in the memory of a running process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from pathlib import Path

_AT_ONCE = 64 << 20
"""Bytes that are read at once."""


def in_memory(pid: int, wanted: Collection[bytes]) -> Counter[bytes]:
    """Count those that are in the writable memory of a process; what is not there is not in the answer."""
    found: Counter[bytes] = Counter()
    alike: dict[bytes, set[bytes]] = {}  # one search for all that begin alike, as tokens do
    for each in wanted:
        alike.setdefault(each[:2], set()).add(each)
    alike = {min(those) if len(those) == 1 else start: those for start, those in alike.items()}
    sizes = {start: {len(each) for each in those} for start, those in alike.items()}
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines():
            where, rights = line.split()[:2]
            begin, end = (int(part, 16) for part in where.split("-"))
            if not rights.startswith("rw"):
                continue
            longest = max(map(len, wanted))
            while begin < end:
                try:
                    memory.seek(begin)
                    content = memory.read(min(end - begin, _AT_ONCE))
                except OSError:
                    break
                for start, those in alike.items():
                    at = content.find(start)
                    while at >= 0:
                        found.update(those & {content[at : at + size] for size in sizes[start]})
                        at = content.find(start, at + 1)
                if len(content) < longest or begin + len(content) >= end:
                    break
                begin += len(content) - longest + 1
    return found
