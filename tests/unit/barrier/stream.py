# SPDX-License-Identifier: EUPL-1.2
"""Entropy that is the same every time, and the vectors that were made with it."""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

VECTORS = Path(__file__).parents[2] / "vectors"


def stream(seed: str) -> Callable[[int], bytes]:
    """Return a source of bytes: SHA-256 of `seed/0`, `seed/1`, and so on, one after the other."""

    def endless() -> Iterator[int]:
        block = 0
        while True:
            yield from hashlib.sha256(f"{seed}/{block}".encode()).digest()
            block += 1

    source = endless()
    return lambda count: bytes(next(source) for _ in range(count))


def stream_of(data: bytes) -> Callable[[int], bytes]:
    """Return a source that gives `data` out, as it is asked for it."""
    rest = iter(data)
    return lambda count: bytes(next(rest) for _ in range(count))


def vectors(name: str) -> Any:
    """Return the vectors in `name`."""
    return json.loads((VECTORS / name).read_text())


def flips(data: bytes) -> Iterator[bytes]:
    """Return `data` with one bit changed, for every bit."""
    for at in range(len(data)):
        for bit in range(8):
            yield data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
