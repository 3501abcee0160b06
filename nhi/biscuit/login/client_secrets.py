# SPDX-License-Identifier: EUPL-1.2
"""Client secrets: what is kept of them, and whether one is right.

One that was made here has 256 random bits, so it cannot be guessed, and a plain hash of it is enough. One whose hash was imported
may be a password: its hash may take its time, and a name is locked for a while after some wrong ones. Where any was
imported, whatever is wrong is compared with such a hash too: how long that takes does not tell who has one (SL-22).
"""

from __future__ import annotations

import hmac
import re
from hashlib import sha256
from typing import Final

from nhi.auth.userpass.passwords import Passwords, is_bcrypt
from vault.framework.concurrency.offload import Client
from vault.framework.errors import Malformed

MADE: Final = "made-here"
IMPORTED: Final = "imported"
_SHA256: Final = re.compile(r"sha256:([0-9a-f]{64})\Z")
_ARGON: Final = re.compile(
    r"\$argon2id\$v=19\$m=([0-9]{1,6}),t=([0-9]{1,2}),p=([0-9]{1,2})\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{22,86}\Z"
)
_MOST_MEMORY: Final = 262_144
"""KiB that checking an imported hash may fill."""
_MOST_PASSES: Final = 10
_MOST_LANES: Final = 8


def hashed(secret: str) -> str:
    """Return what is kept of a secret that was made here."""
    return sha256(secret.encode()).hexdigest()


def imported(text: str) -> str:
    """Return what is kept of a hash from elsewhere. Raises `Malformed`."""
    argon = _ARGON.match(text)
    if argon and (
        int(argon[1]) > _MOST_MEMORY or int(argon[2]) > _MOST_PASSES or int(argon[3]) > _MOST_LANES
    ):
        raise Malformed("secret_hash: this argon2id takes too much memory or time at each login")
    if _SHA256.match(text) or argon or is_bcrypt(text):
        return text
    raise Malformed("secret_hash: must be sha256:HEX (small letters), a bcrypt hash or an argon2id hash")


def origin(kept: str) -> str:
    """Return where a secret was made; empty for none."""
    return (IMPORTED if kept[:1] in {"$", "s"} else MADE) if kept else ""


class ClientSecrets:
    """Compares client secrets with what is kept of them, in the same time whether or not there is one (SL-22)."""

    def __init__(self, passwords: Passwords) -> None:
        self._passwords = passwords

    async def match(self, client: Client, secret: str, kept: str) -> bool:
        """Whether a secret is the one that is kept; without one it is not. Raises `Busy`."""
        if kept.startswith("$"):
            return await self._passwords.match(client, secret, kept)
        right = hmac.compare_digest(hashed(secret), kept.removeprefix("sha256:") or hashed(""))
        return bool(kept) and right
