# SPDX-License-Identifier: EUPL-1.2
"""Who is signed in to the page. A browser keeps a random number and no token; the token stays here, in memory.

Signing out, an hour without a request, and the end of the process end a session. Each node has its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from vault.framework.clock import Clock, Entropy
from vault.framework.secret import Secret

IDLE: Final = 3_600_000
"""Milliseconds after which a session that nobody uses ends."""
LONGEST: Final = 12 * 3_600_000
"""Milliseconds after which any session ends."""
MOST: Final = 1000
"""Sessions at a time; whoever signs in beyond that takes the place of the one longest unused."""
_CHARACTERS: Final = 43


@dataclass(slots=True)
class Session:
    """One sign-in. `form` is what each form of it carries, which no other site can know."""

    token: Secret
    namespace: str
    name: str
    form: Secret
    began: int
    used: int


class Sessions:
    """The sessions of this process, found by the digest of their number."""

    def __init__(self, clock: Clock, entropy: Entropy) -> None:
        self._clock = clock
        self._entropy = entropy
        self._kept: dict[bytes, Session] = {}

    def begin(self, token: Secret, namespace: str, name: str) -> str:
        """Begin a session, and return the number that the browser keeps."""
        now = self._clock.millis()
        self._kept = {key: one for key, one in self._kept.items() if not _over(one, now)}
        while len(self._kept) >= MOST:
            del self._kept[min(self._kept, key=lambda key: self._kept[key].used)]
        number = self._entropy.base62(_CHARACTERS)
        form = Secret(self._entropy.base62(_CHARACTERS))
        self._kept[_digest(number)] = Session(token, namespace, name, form, now, now)
        return number

    def find(self, number: str) -> Session | None:
        """Return the session of a number, and count it as used."""
        now = self._clock.millis()
        session = self._kept.get(_digest(number))
        if session is None or _over(session, now):
            self.end(number)
            return None
        session.used = now
        return session

    def end(self, number: str) -> None:
        """End a session."""
        self._kept.pop(_digest(number), None)


def _digest(number: str) -> bytes:
    return sha256(number.encode()).digest()


def _over(session: Session, now: int) -> bool:
    return now - session.used >= IDLE or now - session.began >= LONGEST
