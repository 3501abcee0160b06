# SPDX-License-Identifier: EUPL-1.2
"""The time by which servers' times are compared: whether a version is deleted by now, and for how long it is not."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def now() -> datetime:
    """The wall clock, in UTC."""
    return datetime.now(UTC)


def ahead(date: str, now: datetime) -> float:
    """By how many seconds the clock that wrote a header `Date` (RFC 9110, section 6.6.1) is ahead; 0 where it tells nothing."""
    try:
        return (parsedate_to_datetime(date).replace(tzinfo=UTC) - now).total_seconds()
    except ValueError:
        return 0.0
