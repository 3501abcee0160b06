# SPDX-License-Identifier: EUPL-1.2
"""What an authenticator takes in: `otpauth` URLs (Key URI Format), spelled as OpenBao spells them."""

from __future__ import annotations

import base64
from typing import Final
from urllib.parse import quote

_LABEL: Final = "$&+,/:;=@"
"""What stays as it is in the label beside letters, digits and `-._~`: much that a path may hold (RFC 3986, 3.3)."""
_VALUE: Final = "$:@"
"""The same within a value, where nothing that parts values may stay."""


def otpauth(issuer: str, account: str, *, algorithm: str, digits: int, period: int, secret: bytes) -> str:
    """Return the URL of a secret for one-time codes (RFC 6238) of an account with an issuer; `period` in seconds."""
    spelled = base64.b32encode(secret).decode().rstrip("=")
    return (
        f"otpauth://totp/{quote(f'{issuer}:{account}', safe=_LABEL)}?algorithm={algorithm}&digits={digits}"
        f"&issuer={quote(issuer, safe=_VALUE)}&period={period}&secret={spelled}"
    )
