# SPDX-License-Identifier: Apache-2.0
"""Waits for a server that a run seals, and opens it."""

from __future__ import annotations

import time
from typing import Final

from esa_conformance.binding.client import Client
from esa_conformance.errors import UnknownOutcome

_OPEN_WITHIN_S: Final = 30.0
_SEALED_WITHIN_S: Final = 15.0
"""A server that was told to seal itself may answer before it does, and is busy."""


def await_seal(nobody: Client) -> None:
    """Wait until a server is sealed that was told so, and whose answer was lost; perhaps it was never told."""
    until = time.monotonic() + _SEALED_WITHIN_S
    while time.monotonic() < until and nobody.health().ok:
        time.sleep(0.1)


def unseal(nobody: Client, key: str | None) -> bool:
    """Give the key until the server serves again, also where connections are cut. Whether it does; without key it may."""
    until = time.monotonic() + _OPEN_WITHIN_S
    while time.monotonic() < until:
        if nobody.health().ok:
            return True
        if key is None:
            return False
        try:
            nobody.send("POST", "sys/unseal", {"key": key})
        except UnknownOutcome:
            pass  # health tells whether it was done
        time.sleep(0.1)
    return False
