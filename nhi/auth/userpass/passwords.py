# SPDX-License-Identifier: EUPL-1.2
"""Passwords to hashes: argon2id (RFC 9106) for new ones, bcrypt for those that were hashed elsewhere.

Hashing takes a core and memory on purpose. It happens in a few threads, never on the event loop and never inside a
transaction. Clients take turns there, by mount and address, and only so many may wait: who guesses through many
connections keeps himself waiting.
"""

from __future__ import annotations

import re
from typing import Final

import bcrypt
from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from vault.framework.concurrency.offload import Client, Pool
from vault.framework.errors import Malformed

THREADS: Final = 2
"""Passwords that are hashed at one time."""
_BCRYPT: Final = re.compile(r"\$2[aby]\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}")
_MOST_COST: Final = 16
"""Up to 2^16 rounds: every one more doubles what a login costs this server."""
_LEAST_GIVEN: Final = 5
_MOST_GIVEN: Final = 12
"""What users are given, as in OpenBao."""
_BCRYPT_BYTES: Final = 72
_MEMORY: Final = 47_104
"""KiB that argon2id fills."""
_NOBODY: Final = "the password of nobody"


def argon2id() -> PasswordHasher:
    """Return the hash of new passwords: 46 MiB, one pass, one lane."""
    return PasswordHasher(time_cost=1, memory_cost=_MEMORY, parallelism=1)


def is_bcrypt(text: str) -> bool:
    """Whether a text is a bcrypt hash that logins can be checked against."""
    found = _BCRYPT.fullmatch(text)
    return found is not None and int(found[1]) <= _MOST_COST


def refuse_unfit_bcrypt(text: str) -> None:
    """Raise `Malformed` for what is no bcrypt hash to give a user. Those that users have since earlier releases are good."""
    found = _BCRYPT.fullmatch(text)
    if found is None:
        raise Malformed("password_hash is not a valid bcrypt hash")
    cost = int(found[1])
    if cost < _LEAST_GIVEN:
        raise Malformed(f"bcrypt cost of {cost} is too low, want {_LEAST_GIVEN} at minimum")
    if cost > _MOST_GIVEN:
        raise Malformed(f"bcrypt cost of {cost} exceeds maximum cost of {_MOST_GIVEN}")


class Passwords:
    """Hashes passwords and compares them, in threads, a few at a time."""

    def __init__(self, hasher: PasswordHasher) -> None:
        self._hasher = hasher
        self._pool = Pool(threads=THREADS, name="password")
        self._dummy = ""

    async def hash(self, client: Client, password: str) -> str:
        """Return the hash of a new password. Raises `Busy`."""
        return await self._pool.run(client, lambda: self._hasher.hash(password))

    async def match(self, client: Client, password: str, secret: str | None) -> bool:
        """Whether a password is the one with this hash. Without a hash it takes as long, and is not (SL-22).

        Raises `Busy`.
        """
        return await self._pool.run(client, lambda: self._match(password, secret))

    def _match(self, password: str, secret: str | None) -> bool:
        if secret is not None and is_bcrypt(secret):
            raw = password.encode()
            good = bcrypt.checkpw(
                raw[:_BCRYPT_BYTES], secret.encode()
            )  # of a longer one too: it takes as long
            return good and len(raw) <= _BCRYPT_BYTES
        if secret is None and not self._dummy:
            self._dummy = self._hasher.hash(_NOBODY)
        try:
            self._hasher.verify(secret or self._dummy, password)
        except (Argon2Error, InvalidHashError):
            return False
        return secret is not None
