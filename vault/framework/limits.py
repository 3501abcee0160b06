# SPDX-License-Identifier: EUPL-1.2
"""What a request may be."""

from typing import Final

import msgspec

AT_ONCE: Final = 1 << 18
"""Bytes that are decoded or encoded on the event loop: of more that takes milliseconds, of 32 MiB a quarter of a second."""

NAME: Final = 4096
"""Characters of a name that somebody gives: it is folded, hashed or spelled in a URL on the event loop."""


class JsonLimits(msgspec.Struct, frozen=True):
    """What a JSON body may contain: strings, keys included, and bytes of memory once parsed.

    `unknown` is how many bytes any body may have whose sender is not known, by no token or by one that is none.
    """

    strings: int = 1000
    memory: int = 34_078_720
    unknown: int = 1_048_576


USUAL_LIMITS = JsonLimits()
"""OpenBao's defaults, and for senders who are not known ours."""
