# SPDX-License-Identifier: EUPL-1.2
"""The answers of OAuth 2.0 (RFC 6749 section 5.2, RFC 6750 section 3), and its small tests."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote_plus

from nhi.loopback import port_apart
from vault.framework import schema
from vault.framework.errors import Malformed
from vault.framework.reply import Reply

CHALLENGE: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}")
"""A code challenge or verifier (RFC 7636 section 4.1)."""
DENIED: Final = "permission denied"
"""What is said of a token that is none."""
_HASHES: Final = {"256": hashlib.sha256, "384": hashlib.sha384, "512": hashlib.sha512}


class OAuthError(Exception):
    """A refusal in OAuth's words; the description is ours, and repeats no input."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(error)
        self.error, self.description, self.status = error, description, status

    def reply(self, **more: str) -> Reply[Any]:
        """Return it as it is answered."""
        headers = {"cache-control": "no-store"}
        if self.error == "invalid_token":
            headers["www-authenticate"] = (
                f'Bearer error="{self.error}",error_description="{self.description}"'
            )
        if self.status == 401 and self.error == "invalid_client":
            headers["www-authenticate"] = "Basic"
        body = {"error": self.error, "error_description": self.description, **more}
        end = b"\n" if self.description == DENIED else b""  # as OpenBao answers a text that is no token
        refusal = Malformed(f"{self.error}: {self.description}")
        return Reply(raw=schema.encode(body) + end, status=self.status, headers=headers, refusal=refusal)


def answer(body: Mapping[str, object], **headers: str) -> Reply[Any]:
    """Return a document outside the envelope."""
    return Reply(raw=schema.encode(body), headers=headers)


def fits(redirect_uri: str, known: tuple[str, ...]) -> bool:
    """Whether people may be sent to an address: exactly one that is known (SL-35), loopback at any port (RFC 8252)."""
    return redirect_uri in known or any(_loopback(redirect_uri, one) for one in known)


def _loopback(given: str, known: str) -> bool:
    found = port_apart(given, known)
    return found is not None and found[0].startswith("http:") and found[1] != "0"


def proves(verifier: str, *, challenge: str, method: str) -> bool:
    """Whether a verifier is the one that a challenge was made of (RFC 7636 section 4.6)."""
    if method == "S256":
        digest = hashlib.sha256(verifier.encode()).digest()
        verifier = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    return hmac.compare_digest(verifier.encode(), challenge.encode())


def basic(credentials: str) -> tuple[str, str] | None:
    """Return id and secret of a client (RFC 6749 section 2.3.1); None where they cannot be read."""
    try:
        name, colon, secret = base64.b64decode(credentials, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return (unquote_plus(name), unquote_plus(secret)) if colon else None


def half(text: str, algorithm: str) -> str:
    """Return the left half of a hash, as identity tokens have it (OpenID Connect Core 1.0 section 3.1.3.6)."""
    digest = _HASHES.get(algorithm[2:], hashlib.sha512)(text.encode()).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).decode().rstrip("=")
