# SPDX-License-Identifier: EUPL-1.2
"""What is known of a device: whether it takes records, and how far it is behind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from vault.log.forward.settings import Kind, Policy

State = Literal["healthy", "behind", "retrying", "stuck"]

STUCK_AFTER: Final = 60.0
"""Seconds of failures after which a device is stuck, whatever its failure is."""


class DeviceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One device, as it is now."""

    name: str
    kind: Kind
    policy: Policy
    deadline: float
    """Seconds in which the newest record is to be taken."""
    state: State
    """Whether the last record was taken in time, is late, could not be sent and is sent again, or needs a person."""
    error: str = ""
    """Why it does not take records, in fixed words; what it was last where it takes them again."""
    caught_up: bool = False
    """Whether it has had all there was, once. One that has not is being filled."""
    lag_records: int = 0
    """Records that it has not taken."""
    lag_seconds: float = 0.0
    """The age of the oldest of them."""
    idle_seconds: float = 0.0
    """How long it has taken nothing although there was something."""
    accepted: int = 0
    """Records that it has taken; this and what follows counts since the process began."""
    repeated: int = 0
    """Records that were sent again after a connection was lost."""
    failures: int = 0
    purged: int = 0
    """Records that were purged before it took them."""
    refused: int = 0
    """Records that the receiver said that it will not have."""
    rewound: int = 0
    """How often a log had changed under it, since the machine fell, and it was sent again from what was signed."""
    logs: Mapping[str, int] = {}
    """By log the next record."""

    @property
    def failing(self) -> bool:
        """Whether it does not take records, or takes them too late. One that is being filled is not late."""
        return self.state in {"retrying", "stuck"} or (self.state == "behind" and self.caught_up)
