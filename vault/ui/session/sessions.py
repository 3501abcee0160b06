# SPDX-License-Identifier: EUPL-1.2
"""Who is signed in to the page. A browser keeps a random number and no token; the token stays here, in memory.

Signing out, an hour without a request, the end of its token and the end of the process end a session. Each node has its
own. Whoever signs in too often takes the place of an own session. Where all places are taken, somebody new gets one of
whoever has the most of them, and none where everybody has just one: so no one, with however many tokens, keeps others out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

import msgspec

from vault.framework.clock import Clock, Entropy
from vault.framework.secret import Secret

IDLE: Final = 3600.0
"""Seconds after which a session that nobody uses ends."""
LONGEST: Final = 12 * 3600.0
"""Seconds after which any session ends."""
OF_TOKEN: Final = 8
OF_PERSON: Final = 32
OF_ADDRESS: Final = 256
MOST: Final = 10_000
"""Sessions at a time of one token, of one entity or workload, from one address, in all."""
_CHARACTERS: Final = 43


class Session(msgspec.Struct):
    """One sign-in. `form` is what each form of it carries, which no other site can know.

    Times are in seconds by the monotonic clock.
    """

    token: Secret
    namespace: str
    name: str
    form: Secret
    began: float
    used: float
    ends: float = 0.0
    """When its token ends; 0 for never."""
    owner: bytes = b""
    """The digest of its token."""
    person: bytes = b""
    """A digest of whose token it is; `owner` where it is nobody's."""
    address: str = ""
    """Whence somebody signed in."""


class Sessions:
    """The sessions of this process, found by the digest of their number."""

    def __init__(self, clock: Clock, entropy: Entropy) -> None:
        self._clock = clock
        self._entropy = entropy
        self._kept: dict[bytes, Session] = {}

    def now(self) -> int:
        """Return the time in milliseconds, to compare with what the server tells of ends."""
        return self._clock.millis()

    def secret(self) -> str:
        """Return a new random text, as numbers and forms have."""
        return self._entropy.base62(_CHARACTERS)

    def begin(
        self, token: Secret, namespace: str, name: str, address: str, ttl: int, person: str = ""
    ) -> str | None:
        """Begin a session, and return the number that the browser keeps; None where there are too many already.

        `ttl` are the seconds for which the token is good, 0 for ever; `address` is whence somebody signs in; `person`
        names the entity or workload that the token belongs to, which whoever has the token cannot choose.
        """
        now, owner = self._clock.monotonic(), _digest(token.reveal())
        self._kept = {key: one for key, one in self._kept.items() if not _over(one, now)}
        ends = now + ttl if ttl > 0 else 0.0
        whose = _digest(person) if person else owner
        new = Session(token, namespace, name, Secret(self.secret()), now, now, ends, owner, whose, address)
        leaving = self._leaving(new)
        if leaving is None:
            return None
        for key in leaving:
            del self._kept[key]
        number = self.secret()
        self._kept[_digest(number)] = new
        return number

    def _leaving(self, new: Session) -> Sequence[bytes] | None:
        """Return the keys of the sessions whose places a new one takes; None where it may take none."""
        leaving: list[bytes] = []
        for what, most in (("owner", OF_TOKEN), ("person", OF_PERSON), ("address", OF_ADDRESS), ("", MOST)):
            among = {
                key: one
                for key, one in self._kept.items()
                if key not in leaving and (not what or getattr(one, what) == getattr(new, what))
            }
            if len(among) < most:
                continue
            places = Counter(one.person for one in among.values())
            loser = new.person if new.person in places else max(places, key=lambda one: places[one])
            if loser != new.person and places[loser] < 2:
                return None
            leaving.append(
                min(
                    (key for key, one in among.items() if one.person == loser),
                    key=lambda key: among[key].used,
                )
            )
        return leaving

    def find(self, number: str) -> Session | None:
        """Return the session of a number, and count it as used."""
        now = self._clock.monotonic()
        session = self._kept.get(_digest(number))
        if session is None or _over(session, now):
            self.end(number)
            return None
        session.used = now
        return session

    def end(self, number: str) -> None:
        """End a session."""
        self._kept.pop(_digest(number), None)

    def end_all(self, ended: Session) -> None:
        """End every session of a token that has ended."""
        self._kept = {key: one for key, one in self._kept.items() if one.owner != ended.owner}


def _digest(text: str) -> bytes:
    return sha256(text.encode()).digest()


def _over(session: Session, now: float) -> bool:
    if session.ends and now >= session.ends:
        return True
    return now - session.used >= IDLE or now - session.began >= LONGEST
