# SPDX-License-Identifier: EUPL-1.2
"""One witness, as a log asks it: it is handed each checkpoint with a proof, and its cosignature is verified.

Whatever a witness answers, or does not, changes nothing but what is said of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from vault.log.format.note import Signature
from vault.log.format.note_key import Verifier
from vault.log.witness.newest import Cosignature, SignedNow
from vault.log.witness.submission import (
    PATH,
    NoCosignature,
    Submission,
    cosignature_in,
    parse_size,
)

_TRIES: Final = 3
"""Submissions of one checkpoint: two sizes may be told before the right one."""
_PROOF_TRIES: Final = 10
PROOF_PAUSE: Final = 1.0
"""Seconds between two questions for a proof that the log reader has not yet."""


class WitnessAway(Exception):
    """A witness gave no answer; the message says why, in words that are no secret."""


class NoProof(Exception):
    """There is no proof: `later` tells that there will be one soon."""

    def __init__(self, reason: str, *, later: bool = False) -> None:
        super().__init__(reason)
        self.later = later


class OtherView(Exception):
    """A witness has seen another log than this one, or says so."""


class WitnessReply(msgspec.Struct, frozen=True):
    """What a witness answered."""

    status: int
    body: bytes


class Post(Protocol):
    """Sends to a witness, in bounded time, and returns an answer of bounded size."""

    async def __call__(self, url: str, body: bytes, authorities: str) -> WitnessReply:
        """Return the answer; `authorities` are as `WitnessSettings` has them. Raises `WitnessAway`."""
        ...


class Proofs(Protocol):
    """Proves that the log grows."""

    async def consistency(self, log: str, old: int, new: int) -> Sequence[bytes]:
        """Return the proof that a log of `new` records begins with the first `old`. Raises `NoProof`."""
        ...


class WitnessSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A witness as it is configured: where it is, its key, and PEM certificates that its server's is checked against."""

    name: str
    url: str
    key: Verifier
    authorities: str = ""


class Witness:
    """Asks one witness about one log. One question at a time."""

    def __init__(
        self, settings: WitnessSettings, log: str, post: Post, proofs: Proofs, pause: float = PROOF_PAUSE
    ) -> None:
        """`log` is the log's id; `pause` is in seconds."""
        self.settings = settings
        self._log, self._post, self._proofs, self._pause = log, post, proofs, pause
        self._seen = 0
        """What it has cosigned, as far as is known."""
        self.cosigned: Cosignature | None = None
        """Its newest cosignature that was verified."""
        self.trouble = ""
        """Why the last question had no cosignature; empty where it had."""
        self.conflict = False
        """Whether that is because the witness has seen another log."""

    def resume(self, cosigned: Cosignature) -> None:
        """Go on from a cosignature that was stored."""
        self.cosigned, self._seen = cosigned, cosigned.records

    def line(self, size: int) -> Signature | None:
        """Return its cosignature of the checkpoint of so many records; None where there is none."""
        return self.cosigned.line if self.cosigned is not None and self.cosigned.records == size else None

    async def ask(self, newest: SignedNow) -> None:
        """Ask for the cosignature of a checkpoint. Where none comes, `trouble` says why."""
        size = newest.checkpoint.size
        if self._seen > size:
            self._seen = 0  # what it told may have been untrue: it is asked again
        try:
            line, time = await self._ask(newest)
        except (WitnessAway, NoProof, NoCosignature, OtherView) as failure:
            self.trouble, self.conflict = str(failure), isinstance(failure, OtherView)
            return
        self.resume(Cosignature(records=size, time=time, line=line))
        self.trouble, self.conflict = "", False

    async def _ask(self, newest: SignedNow) -> tuple[Signature, int]:
        url = self.settings.url.rstrip("/") + PATH
        size = newest.checkpoint.size
        for _ in range(_TRIES):
            if self._seen > size:
                raise OtherView(f"it has seen {self._seen} records of this log, which has {size}")
            proof = await self._proof(size)
            body = Submission(old=self._seen, proof=tuple(proof), note=newest.note).format()
            reply = await self._post(url, body, self.settings.authorities)
            if reply.status == 200:
                return cosignature_in(reply.body, newest.checkpoint.text(), self.settings.key)
            seen = parse_size(reply.body) if reply.status == 409 else None
            if reply.status == 422:
                raise OtherView("it does not believe that the log only grew since it saw it last")
            if seen is None:
                raise NoCosignature(_REFUSALS.get(reply.status, f"it answers with status {reply.status}"))
            self._seen = seen
        raise NoCosignature("it tells another size each time")

    async def _proof(self, size: int) -> Sequence[bytes]:
        """Return the proof that the log continues what the witness has seen, once there is one. Raises `NoProof`."""
        if self._seen in {0, size}:
            return ()
        for _ in range(_PROOF_TRIES):
            try:
                return await self._proofs.consistency(self._log, self._seen, size)
            except NoProof as failure:
                if not failure.later:
                    raise
            await asyncio.sleep(self._pause)
        raise NoProof("the log reader is too far behind to prove how the log grew")


_REFUSALS: Final = {
    400: "it calls the submission malformed",
    403: "it does not know the key that signs the log",
    404: "it does not know the log",
    409: "it tells no size",
    429: "it is asked too often",
    507: "it has no room for another log",
}
