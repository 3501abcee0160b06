# SPDX-License-Identifier: EUPL-1.2
"""Routes and members that are due to go, announced where they are used (RFC 9745, RFC 8594, ESA-GEN-011)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from email.utils import format_datetime
from typing import Final

import msgspec

_LEAST: Final = timedelta(days=180)
"""For how long at least something stays after it was announced that it goes."""


class Deprecation(msgspec.Struct, frozen=True):
    """Since when something is due to go, and when it goes, once that is set. It is refused where that is too soon."""

    since: date
    sunset: date | None = None

    def __post_init__(self) -> None:
        """Raise `ValueError` for an end that is too near."""
        if self.sunset is not None and self.sunset - self.since < _LEAST:
            raise ValueError(f"goes {self.sunset}, less than {_LEAST.days} days after it was announced")

    @property
    def headers(self) -> Sequence[tuple[bytes, bytes]]:
        """What an answer says of it."""
        said = [(b"deprecation", b"@%d" % _midnight(self.since).timestamp())]
        if self.sunset is not None:
            said.append((b"sunset", format_datetime(_midnight(self.sunset), usegmt=True).encode()))
        return said


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


OLD: Final = Deprecation(since=date(2026, 11, 30))
"""What OpenBao 2.7.2 calls deprecated: old names of members, and routes that others took the place of. No end is set."""
