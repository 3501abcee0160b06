# SPDX-License-Identifier: EUPL-1.2
"""What is found out once about the credential of one call, however often the call starts over."""

from __future__ import annotations

from hashlib import sha256
from typing import NamedTuple

import msgspec

from vault.framework.call import Call
from vault.framework.secret import Secret
from vault.values.times import Seconds


class ProofEnd(NamedTuple):
    """When a proof is too old: in seconds by the monotonic clock, and by the wall clock that judges it.

    It is forgotten once both say so. A wall clock that is set ahead makes nothing be forgotten that counts once it is
    right again; one that is set back makes a proof count anew whose seconds are over.
    """

    monotonic: float
    wall: Seconds


class ProvedKeys(msgspec.Struct):
    """What one request proves. `proof` is what its signed proof is known by, and `end` is when that is too old."""

    keys: dict[str, str]
    proof: bytes = b""
    end: ProofEnd = ProofEnd(0.0, Seconds(0))
    spent: bool = False
    """Whether something that names the key has let this request through by the proof."""


class CallFacts:
    """What `call.credential` is for a Biscuit, and for a login that gives one."""

    __slots__ = ("_digest", "_token", "noted", "proved")

    def __init__(self) -> None:
        self._token: Secret | None = None
        self._digest = b""
        self.noted = False
        """Whether the presentation was noted, if it was to be."""
        self.proved: ProvedKeys | None = None
        """The keys that the request proves to hold; None until they are asked for."""

    def digest(self, token: Secret) -> bytes:
        """Return the SHA-256 of the call's token."""
        if token is not self._token:
            self._token, self._digest = token, sha256(token.reveal().encode()).digest()
        return self._digest


def facts_of(call: Call) -> CallFacts:
    """Return what is known of the credential of a call, to be added to."""
    facts = call.credential
    if not isinstance(facts, CallFacts):
        call.credential = facts = CallFacts()
    return facts
