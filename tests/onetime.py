# SPDX-License-Identifier: EUPL-1.2
"""One-time codes of a second factor, as an authenticator makes them of its secret in base32 (RFC 6238)."""

import base64
import time

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

_PERIOD = 30
_FAR = 10
"""Periods around now of which a code may still be taken, or be taken already, on any machine."""


def code(secret: str, *, later: int = 0) -> str:
    """The code of now, or of so many periods later."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    totp = TOTP(key, 6, SHA1(), _PERIOD)  # noqa: S303 -- what authenticators know
    return totp.generate(int(time.time()) + later * _PERIOD).decode()


def wrong_code(secret: str) -> str:
    """Six digits that are the code of no moment near this one."""
    right = {code(secret, later=later) for later in range(-_FAR, _FAR + 1)}
    return next(text for text in (f"{number:06}" for number in range(len(right) + 1)) if text not in right)
