# SPDX-License-Identifier: EUPL-1.2
"""The time by which servers' times are compared: whether a version is deleted by now, and for how long it is not."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """The wall clock, in UTC."""
    return datetime.now(UTC)
