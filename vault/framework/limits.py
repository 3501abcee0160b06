# SPDX-License-Identifier: EUPL-1.2
"""Limits on requests."""

from __future__ import annotations

from typing import Final

import msgspec

AT_ONCE: Final = 1 << 18
"""Bytes that are decoded or encoded on the event loop: more takes milliseconds, 32 MiB a quarter of a second."""

NAME: Final = 4096
"""Characters of a name that a client chooses: it is folded, hashed or spelled in a URL on the event loop."""


class JsonLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What a JSON body may contain: strings, keys included, and bytes of memory once parsed.

    `unknown` is how many bytes a body may have whose sender has no token or an invalid one.
    """

    strings: int = 1000
    memory: int = 34_078_720
    unknown: int = 1_048_576


USUAL_LIMITS = JsonLimits()
"""OpenBao's defaults; the limit for unknown senders is ours."""
