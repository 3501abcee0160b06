# SPDX-License-Identifier: EUPL-1.2
"""Redirect URIs of programs on the user's own machine, whose port is not known beforehand (RFC 8252 section 7.3).

They are compared as text. A parser of URLs leaves out tabs, line ends and empty parts, and what it left out would still
be in the address that the browser is sent to.
"""

from __future__ import annotations

import re
from typing import Final

_URL: Final = re.compile(r"(https?://(?:localhost|127\.0\.0\.1|\[::1\]))(?::([0-9]{1,5}))?((?:[/?][!-~]*)?)")


def port_apart(given: str, known: str) -> tuple[str, str] | None:
    """Return scheme with host, and port ("" for none), of a URL that differs from `known` in its port at most."""
    one, other = _URL.fullmatch(given), _URL.fullmatch(known)
    if one is None or other is None or (one[1], one[3]) != (other[1], other[3]):
        return None
    return one[1], one[2] or ""
