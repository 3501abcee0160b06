# SPDX-License-Identifier: Apache-2.0
"""Names of what a run makes: each begins with `esa-` and the run, which holds the time from which anybody may sweep it."""

from __future__ import annotations

import re
import secrets
from typing import Final

_NAME: Final = re.compile(r"(?:token-)?esa-([0-9a-f]{8})[0-9a-f]{6}(?:-|$)")


def new_run(now: float, ttl_s: int) -> str:
    """An id of a run that may be swept `ttl_s` seconds after `now`, in seconds since 1970."""
    return f"{int(now) + ttl_s:08x}{secrets.token_hex(3)}"


def run_of(name: str) -> str:
    """The run that a name belongs to; empty for what no run has made."""
    return name.removeprefix("token-")[4:18] if _NAME.match(name) else ""


def ended(name: str, now: float) -> bool:
    """Whether a run made this, and its end of life is past."""
    found = _NAME.match(name)
    return found is not None and int(found[1], 16) < now
