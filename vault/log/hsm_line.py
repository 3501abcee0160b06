# SPDX-License-Identifier: EUPL-1.2
"""The second signature of checkpoints, by a key on P-256 that stays in an HSM (signed-note, type 0x02).

A checkpoint does not wait for an HSM that is away: it is signed without it, and the HSM is tried beside, now and then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

import msgspec

from vault.framework.errors import VaultError
from vault.framework.telemetry.log import Log
from vault.log.format.note import Signer
from vault.log.format.note_key import BadKey, BadSignature, KeyKind, Verifier

DEADLINE: Final = 0.5
"""Seconds that a checkpoint waits for an HSM that answered the last time."""
LAST_DEADLINE: Final = 2.0
"""Seconds that the last checkpoint before the seal waits for one, whatever it did before."""
PAUSE: Final = 5.0
"""Seconds after a failure in which the HSM is not tried again."""

_MISSING: Final = (
    "checkpoints of the log have no signature of the key in the HSM: they are signed with Ed25519 alone"
)
_BACK: Final = "checkpoints of the log have the signature of the key in the HSM again"


class HsmSignature(msgspec.Struct, frozen=True):
    """What an HSM signed with, as an SPKI in DER, and its signature."""

    public: bytes
    value: bytes


class SigningKey(Protocol):
    """A key in an HSM."""

    async def find(self) -> None:
        """Look whether there is the key, and whether it may be used. Raises `VaultError`."""
        ...

    async def sign(self, text: bytes) -> HsmSignature:
        """Return a signature of the key that was found last, with SHA-256. It takes its time. Raises `VaultError`."""
        ...

    def forget(self) -> None:
        """Forget what was found."""
        ...


class HsmState(msgspec.Struct, frozen=True, kw_only=True):
    """How the key in the HSM is: its verifier key under the log's name, and why checkpoints have no signature of it."""

    key: str
    trouble: str


class HsmLine:
    """Signs with a key in an HSM, one text at a time."""

    def __init__(
        self,
        key: SigningKey,
        log: Log,
        now: Callable[[], float],
        *,
        deadline: float = DEADLINE,
        pause: float = PAUSE,
    ) -> None:
        """`now` is a monotonic clock's, in seconds, as are `deadline` and `pause`."""
        self._key, self._log, self._now = key, log, now
        self._deadline, self._pause = deadline, pause
        self._attempt: asyncio.Task[Signer | None] | None = None
        self._made: tuple[str, str, Signer] | None = None
        """The last signature: the name, the text, and what gives it again."""
        self._ready = False
        """Whether the last attempt had a signature in time."""
        self._again = self._now()
        self._told = False
        self.verifier: Verifier | None = None
        """The key of the last signature."""
        self.trouble = ""
        """Why there is no signature; empty where there is, or none was asked for."""

    async def sign(self, name: str, text: str) -> Signer | None:
        """Return what signs a text, and nothing else, as the log of this name; None where the HSM gave nothing in time."""
        if self._made is not None and self._made[:2] == (name, text):
            return self._made[2]
        if self._attempt is not None or (not self._ready and self._now() < self._again):
            return None
        attempt = self._begin(name, text, find=True)
        if not self._ready:
            return None  # it is tried beside, and what comes of it is for the next time
        return await self._within(attempt, self._deadline)

    async def sign_last(self, name: str, text: str) -> Signer | None:
        """As `sign`, with the key that was found last, and though the HSM gave nothing before."""
        if self._made is not None and self._made[:2] == (name, text):
            return self._made[2]
        deadline = self._now() + LAST_DEADLINE
        if self._attempt is not None:
            await asyncio.wait({self._attempt}, timeout=LAST_DEADLINE)
        return await self._within(self._begin(name, text, find=False), max(0.0, deadline - self._now()))

    def forget(self) -> None:
        """Sign no more, and forget the key."""
        if self._attempt is not None:
            self._attempt.cancel()
        self._attempt = self._made = None
        self._ready = self._told = False
        self._again, self.trouble = self._now(), ""
        self._key.forget()

    def state(self, name: str) -> HsmState:
        """Return how the key is, under the name of a log."""
        return HsmState(
            key="" if self.verifier is None else self.verifier.under(name).vkey, trouble=self.trouble
        )

    def _begin(self, name: str, text: str, *, find: bool) -> asyncio.Task[Signer | None]:
        self._attempt = attempt = asyncio.get_running_loop().create_task(self._try(name, text, find=find))
        attempt.add_done_callback(self._end)
        return attempt

    def _end(self, attempt: asyncio.Task[Signer | None]) -> None:
        if self._attempt is attempt:
            self._attempt = None

    async def _within(self, attempt: asyncio.Task[Signer | None], seconds: float) -> Signer | None:
        """Return what comes of an attempt in so many seconds; it goes on where nothing does."""
        done, _ = await asyncio.wait({attempt}, timeout=seconds)
        if not done:
            self._fail(f"it did not answer within {self._deadline:g} s")
            return None
        return None if attempt.cancelled() else attempt.result()

    async def _try(self, name: str, text: str, *, find: bool) -> Signer | None:
        begun = self._now()
        try:
            if find:
                await self._key.find()
            signed = await self._key.sign(text.encode())
            verifier = Verifier(name, KeyKind.ECDSA, signed.public)
            verifier.verify(text.encode(), signed.value)
        except VaultError as failure:
            self._fail(failure.message or type(failure).__name__)
            return None
        except (BadKey, BadSignature) as failure:
            self._fail(str(failure))
            return None
        signer = Signer(verifier, lambda _: signed.value)
        self.verifier, self._made = verifier, (name, text, signer)
        if self._now() - begun > self._deadline:
            self._fail(f"it takes longer than {self._deadline:g} s")
        else:
            self._succeed()
        return signer

    def _fail(self, reason: str) -> None:
        self._ready, self._again, self.trouble = False, self._now() + self._pause, reason
        if not self._told:
            self._told = True
            self._log.caution("audit", _MISSING, reason=reason)

    def _succeed(self) -> None:
        self._ready, self.trouble = True, ""
        if self._told:
            self._told = False
            self._log.note("audit", _BACK)
