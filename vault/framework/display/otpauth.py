# SPDX-License-Identifier: EUPL-1.2
"""`otpauth` URLs (Key URI Format) for authenticator apps, spelled as OpenBao spells them."""

from __future__ import annotations

import base64
from typing import Final
from urllib.parse import quote

from vault.values.times import Seconds

_LABEL: Final = "$&+,/:;=@"
"""Characters of the label that are not escaped, beside letters, digits and `-._~` (RFC 3986, 3.3)."""
_VALUE: Final = "$:@"
"""The same for a value, where no separator of values may stay."""


def otpauth(issuer: str, account: str, *, algorithm: str, digits: int, period: Seconds, secret: bytes) -> str:
    """Return the URL of a secret for one-time codes (RFC 6238) of an account with an issuer; `period` in seconds."""
    spelled = base64.b32encode(secret).decode().rstrip("=")
    return (
        f"otpauth://totp/{quote(f'{issuer}:{account}', safe=_LABEL)}?algorithm={algorithm}&digits={digits}"
        f"&issuer={quote(issuer, safe=_VALUE)}&period={period}&secret={spelled}"
    )
