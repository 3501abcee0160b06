# SPDX-License-Identifier: EUPL-1.2
"""Times as inputs of a browser have them, which know no zone: they are UTC on every page."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from vault.ui.html.components import field
from vault.ui.html.elements import Html

DAY: Final = 86_400_000
"""Milliseconds."""
_NO_ZONE: Final = re.compile(r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)?")


def asked(text: str) -> str:
    """Return a time that was asked about as the server takes it: what names no zone is UTC, anything else stays."""
    if not _NO_ZONE.fullmatch(text):
        return text
    return f"{text}Z" if "T" in text else f"{text}T00:00:00Z"


def moment(millis: int) -> str:
    """Return the minute of a point in time, as an input has it."""
    return datetime.fromtimestamp(millis // 1000, UTC).isoformat()[:16]


def millis(text: str) -> int | None:
    """Return a time that the server tells in milliseconds; None for what is none."""
    found = _parsed(text)
    return None if found is None else round(found.timestamp() * 1000)


def time_field(label: str, name: str, text: str) -> Html:
    """Return an input for a time, with the one that was asked about in it."""
    found = _parsed(text)
    value = "" if found is None else found.isoformat()[:19].removesuffix(":00")
    return field(f"{label} (UTC)", name, type="datetime-local", step="any", value=value)


def _parsed(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(asked(text))
        return found.astimezone(UTC) if found.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
