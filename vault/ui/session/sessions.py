# SPDX-License-Identifier: EUPL-1.2
"""Who is signed in to the page. A browser keeps a random number and no token; the token stays here, in memory.

A session ends at sign-out, after an hour without a request, with its token, and with the process. Each node has its
own sessions. A person with too many sessions replaces an own one. When all places are taken, a new person replaces a
session of the person who has most; if every person has one, the sign-in is refused. So no person, with however many
tokens, can keep others out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

import msgspec

from vault.framework.clock import Clock, Entropy
from vault.framework.secret import Secret
from vault.values.times import Millis, Seconds

IDLE: Final = 3600.0
"""Seconds without a request after which a session ends."""
LONGEST: Final = 12 * 3600.0
"""Seconds after which any session ends."""
OF_TOKEN: Final = 8
OF_PERSON: Final = 32
OF_ADDRESS: Final = 256
MOST: Final = 10_000
"""Sessions at a time: of one token, of one entity or workload, from one address, and in all."""
_CHARACTERS: Final = 43


class Session(msgspec.Struct):
    """One sign-in. `form` is the secret in each of its forms, which no other site can know.

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
    """A digest of the entity or workload of the token; `owner` where it has neither."""
    address: str = ""
    """The address of the sign-in."""


class UiSessions:
    """The sessions of this process, by the digest of their number."""

    def __init__(self, clock: Clock, entropy: Entropy) -> None:
        self._clock = clock
        self._entropy = entropy
        self._kept: dict[bytes, Session] = {}

    def now(self) -> Millis:
        """Return the time in milliseconds, to compare with expiry times of the server."""
        return self._clock.millis()

    def secret(self) -> str:
        """Return a new random text, for the cookie or for forms."""
        return self._entropy.base62(_CHARACTERS)

    def begin(
        self, token: Secret, *, namespace: str, name: str, address: str, ttl: Seconds, person: str = ""
    ) -> str | None:
        """Begin a session, and return the number that the browser keeps; None where there are too many already.

        `ttl` is the token's TTL in seconds, 0 for ever; `address` is that of the client; `person` names the entity or
        workload of the token, which the holder of the token cannot choose.
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
        """Return the keys of the sessions that a new one replaces; None where it may not begin."""
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
        """Return the session of a number, and note that it is in use."""
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
