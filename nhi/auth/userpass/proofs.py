# SPDX-License-Identifier: EUPL-1.2
"""What was found out about a call's password before its transaction: hashing is too slow to do inside one."""

from __future__ import annotations

from typing import Final

from nhi.auth.userpass.passwords import Passwords
from vault.cache.follow import Bounded
from vault.framework.call import Call
from vault.framework.errors import Unavailable

_KEPT: Final = 1024
"""Calls whose result is kept: more than can wait for a password at one time, several times over."""


class Proofs:
    """Hashes by the ids of calls, which the server chose. A call that starts over finds its own again."""

    def __init__(self, passwords: Passwords) -> None:
        self._passwords = passwords
        self._found: Bounded[str, str] = Bounded(_KEPT)

    async def hash(self, call: Call, password: str) -> None:
        """Hash a call's new password. Raises `Limited`."""
        self._found.put(call.id, await self._passwords.hash(password))

    async def match(self, call: Call, password: str, secret: str | None, decoy: str) -> bool:
        """Compare a call's password with a hash, or where there is none with a decoy or nobody's (SL-22).

        The hash that it is good for is remembered.
        """
        good = await self._passwords.match(password, secret or decoy or None)
        if not good or secret is None:
            return False
        self._found.put(call.id, secret)
        return True

    def take(self, call: Call) -> str:
        """Return the hash that this call's password is good for. Raises `Unavailable` where it is not known any more."""
        found = self._found.get(call.id)
        if found is None:
            raise Unavailable(detail="a password's hash was lost")
        return found
