# SPDX-License-Identifier: EUPL-1.2
"""Values as Go's fmt prints them, because tables show them so: map[a:1], [x y], <nil>, 1h30m."""

from __future__ import annotations

from vaultctl.text.json import scalar

_DURATION_WORDS = ("ttl", "period", "duration", "lease_max", "ttl_max")


def go_text(value: object) -> str:
    """The value as `%v` prints it."""
    if value is None:
        return "<nil>"
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{go_text(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, (list, tuple)):
        return "[" + " ".join(go_text(item) for item in value) + "]"
    return scalar(value)


def quoted_list(value: object) -> str:
    """A list of strings as `%q` prints it: ["a" "b"]."""
    items = value if isinstance(value, list) else []
    return "[" + " ".join(scalar(str(item)) for item in items) + "]"


def is_duration_key(key: str) -> bool:
    """Whether a field holds seconds that tables show as 768h."""
    return any(key == word or key.endswith("_" + word) for word in _DURATION_WORDS)


def duration_text(nanoseconds: int) -> str:
    """Go's Duration.String for whole seconds and longer: 1h0m0s, 0s, 1.5s."""
    sign, rest = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    if 0 < rest < 10**9:
        for unit, size in (("ms", 10**6), ("µs", 10**3), ("ns", 1)):
            if rest >= size:
                return f"{sign}{_decimal(rest, size)}{unit}"
    minutes, below = divmod(rest, 60 * 10**9)
    hours, minutes = divmod(minutes, 60)
    text = f"{_decimal(below, 10**9)}s"
    if hours:
        return f"{sign}{hours}h{minutes}m{text}"
    return f"{sign}{minutes}m{text}" if minutes else sign + text


def human_duration(seconds: int) -> str:
    """Seconds as tables show them: 768h, 1m, 59m59s, 0s."""
    if seconds == 0:
        return "0s"
    text = duration_text(seconds * 10**9)
    if text.endswith("m0s"):
        text = text[:-2]
    if text.endswith("h0m"):
        text = text[:-2]
    return text


def _decimal(value: int, size: int) -> str:
    whole, fraction = divmod(value, size)
    digits = f"{fraction:0{len(str(size)) - 1}d}".rstrip("0") if fraction else ""
    return f"{whole}.{digits}" if digits else str(whole)
