# SPDX-License-Identifier: EUPL-1.2
"""Times in the inputs of a browser. They have no time zone: on every page they are UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from vault.ui.html.components import field
from vault.ui.html.elements import Html
from vault.values.times import Millis, millis_to_seconds

_NO_ZONE: Final = re.compile(r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)?")


def to_utc(text: str) -> str:
    """Return a time from a form as the server takes it: UTC if it names no zone, else unchanged."""
    if not _NO_ZONE.fullmatch(text):
        return text
    return f"{text}Z" if "T" in text else f"{text}T00:00:00Z"


def moment(millis: Millis) -> str:
    """Return a point in time as the value of an input, to the minute."""
    return datetime.fromtimestamp(millis_to_seconds(millis), UTC).isoformat()[:16]


def millis(text: str) -> Millis | None:
    """Return a time of the server in milliseconds; None if it is no time."""
    found = _parsed(text)
    return None if found is None else Millis(round(found.timestamp() * 1000))


def time_field(label: str, *, name: str, text: str) -> Html:
    """Return an input for a time, with the present value."""
    found = _parsed(text)
    value = "" if found is None else found.isoformat()[:19].removesuffix(":00")
    return field(f"{label} (UTC)", name, type="datetime-local", step="any", value=value)


def _parsed(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(to_utc(text))
        return found.astimezone(UTC) if found.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
