# SPDX-License-Identifier: EUPL-1.2
"""What an examination of what is there has shown, one look after the other, and the exit code for all of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, Protocol

Status = Literal["ok", "warn", "fail"]
_CODES: Final = {"ok": 0, "warn": 2, "fail": 1}
_SHOWN: Final = {"ok": "success", "warn": "warning", "fail": "failure"}


class Finding(Protocol):
    """What one look has shown."""

    @property
    def name(self) -> str:
        """What was looked at."""

    @property
    def status(self) -> Status:
        """How it is."""

    @property
    def message(self) -> str:
        """What there is to say of it."""


def told(found: Sequence[Finding]) -> tuple[list[dict[str, str]], int]:
    """Return what is printed, and the exit code: 0 good, 1 where one has failed, 2 where one is a warning."""
    worst = max(found, key=lambda one: (one.status == "fail", one.status == "warn"))
    shown = [{"name": one.name, "status": _SHOWN[one.status], "message": one.message} for one in found]
    return shown, _CODES[worst.status]
