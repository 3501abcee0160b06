# SPDX-License-Identifier: EUPL-1.2
"""A new root token, with the consent of a threshold of the share holders: `sys/generate-root-token`.

Shares are collected until they are enough, checked, and forgotten. The caller then makes the token. It is shown
encrypted only: to a PGP key, or under a one-time pad that only the client that began the attempt has.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
from dataclasses import dataclass, field, replace
from typing import Final

from vault.barrier.key import Random
from vault.seal.consent.share_holders import ShareHolders
from vault.seal.failure import SealRefusal
from vault.seal.lifecycle import WRONG_RECOVERY_KEY
from vault.seal.shares.pgp import Recipient, UnreadableKey
from vault.seal.shares.progress import check_length, fresh_nonce, parse_share
from vault.seal.shares.shamir import CombineFailure, combine
from vault.values.times import Millis

_ABORTED: Final = "root generation aborted: unable to authenticate: "
_WRONG_KEY: Final = (
    "unable to retrieve stored keys: invalid key: failed to decrypt keys from storage: "
    "cipher: message authentication failed"
)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to make a root token; `nonce` is empty when there is none."""

    nonce: str = ""
    pad: str = field(default="", repr=False)
    recipient: Recipient | None = None
    given: tuple[bytes, ...] = field(default=(), repr=False)

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the PGP key, where the token is encrypted to one."""
        return self.recipient.fingerprint if self.recipient is not None else ""

    def present(self, token: str) -> str:
        """Return `token` as the answer shows it: base64 of its PGP message, or under the pad and without padding."""
        if self.recipient is not None:
            return base64.b64encode(self.recipient.encrypt(token)).decode()
        mixed = bytes(a ^ b for a, b in zip(token.encode(), self.pad.encode(), strict=True))
        return base64.b64encode(mixed).decode().rstrip("=")


class RootGeneration:
    """At most one attempt at a time; forgotten when what the shares are of is sealed."""

    def __init__(self, holders: ShareHolders, random: Random) -> None:
        """`random` gives entropy."""
        self._holders = holders
        self._random = random
        self._lock = asyncio.Lock()
        self.attempt = Attempt()
        holders.on_seal(self.cancel)

    async def required(self) -> int:
        """Return how many shares it takes."""
        return await self._holders.required()

    def begin(self, pad: str, pgp_key: str, now: Millis, *, length: int) -> None:
        """Begin, at `now` (ms). A `pad` has `length` bytes, and goes before a PGP key. Raises `SealRefusal`."""
        recipient = None
        if pad:
            if len(pad.encode()) != length:
                raise SealRefusal("OTP string has incorrect length")
        else:
            try:
                recipient = Recipient.parse(pgp_key, now)
                recipient.encrypt("")
            except UnreadableKey as failure:
                raise SealRefusal(f"error parsing PGP key: {failure}") from None
        if self.attempt.nonce:
            raise SealRefusal("root generation already in progress for this namespace")
        self.attempt = Attempt(fresh_nonce(self._random), pad, recipient)

    def cancel(self) -> None:
        """Forget it, with everything that was given."""
        self.attempt = Attempt()

    async def submit(self, key: str, nonce: str) -> Attempt | None:
        """Take a share; return the attempt, which has ended, once enough were given. Raises `SealRefusal`."""
        share = parse_share(key)
        async with self._lock:
            attempt = self.attempt
            if not attempt.nonce:
                raise SealRefusal("no root generation in progress")
            if nonce != attempt.nonce:
                raise SealRefusal(
                    f'incorrect nonce supplied; nonce for this root generation operation is "{attempt.nonce}"'
                )
            check_length(share)
            if any(hmac.compare_digest(share, other) for other in attempt.given):
                raise SealRefusal("given key has already been provided during this generation operation")
            self.attempt = attempt = replace(attempt, given=(*attempt.given, share))
            if len(attempt.given) < await self.required():
                return None
            self.attempt = replace(attempt, given=())
            await self._check(attempt.given)
            if self.attempt.nonce != nonce:
                raise SealRefusal("no root generation in progress")
            self.cancel()
            return attempt

    async def _check(self, given: tuple[bytes, ...]) -> None:
        try:
            key = given[0] if len(given) == 1 else combine(given)
        except CombineFailure as failure:
            raise SealRefusal(f"failed to compute root key: {failure}") from None
        if await self._holders.accepts_key(key):
            return
        if await self._holders.opens_itself():
            raise SealRefusal(f"{_ABORTED}recovery key verification failed: {WRONG_RECOVERY_KEY}")
        raise SealRefusal(_ABORTED + _WRONG_KEY)
