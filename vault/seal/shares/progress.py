# SPDX-License-Identifier: EUPL-1.2
"""How far an unseal has come: the shares given so far, and what they combine to. Pure."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field, replace
from typing import Final
from uuid import UUID

from vault.barrier.key import KEY_BYTES, Key, Random
from vault.seal.failure import SealRefusal
from vault.seal.shares.shamir import CombineFailure, combine
from vault.values.encoding import NotBase64, from_base64, from_hex

SHORTEST_SHARE: Final = 16
LONGEST_SHARE: Final = KEY_BYTES + 1

WRONG_KEY: Final = (
    "unable to retrieve stored keys: invalid key: failed to decrypt keys from storage: "
    "cipher: message authentication failed"
)
"""OpenBao's answer when the shares fit together but give another key."""

_AES_KEY_SIZES: Final = (16, 24, 32)


def parse_share(text: str) -> bytes:
    """Decode a share from hexadecimal if that gives the right length, else from base64; raises `SealRefusal`."""
    share = from_hex(text)
    if share is not None and SHORTEST_SHARE <= len(share) <= LONGEST_SHARE:
        return share
    try:
        return from_base64(text)
    except NotBase64:
        raise SealRefusal("'key' must be a valid hex or base64 string") from None


def check_length(share: bytes) -> None:
    """Raise `SealRefusal` when `share` cannot be one of ours."""
    if len(share) < SHORTEST_SHARE:
        raise SealRefusal(f"invalid key: key is shorter than minimum {SHORTEST_SHARE} bytes")
    if len(share) > LONGEST_SHARE:
        raise SealRefusal(f"invalid key: key is longer than maximum {LONGEST_SHARE} bytes")


def fresh_nonce(random: Random) -> str:
    """Return an identifier in the form of a UUID."""
    return str(UUID(bytes=random(16)))


@dataclass(frozen=True, slots=True)
class Progress:
    """The shares given for one initialisation (`generation`); empty to begin with."""

    generation: str = ""
    nonce: str = ""
    shares: tuple[bytes, ...] = field(default=(), repr=False, compare=False)

    def add(self, share: bytes, generation: str, random: Random) -> Progress:
        """Return the progress with one more share; a repeated one changes nothing.

        Shares for another generation are dropped, and the nonce is made with the first share.
        """
        if generation != self.generation or not self.shares:
            return Progress(generation, fresh_nonce(random), (share,))
        known = False
        for other in self.shares:
            known |= hmac.compare_digest(other, share)
        return self if known else replace(self, shares=(*self.shares, share))

    def combined(self) -> bytes:
        """Combine the shares; a single one is the key itself. Raises `SealRefusal` in OpenBao's words."""
        try:
            return self.shares[0] if len(self.shares) == 1 else combine(self.shares)
        except CombineFailure as failure:
            raise SealRefusal(f"invalid key: failed to compute combined key: {failure}") from None

    def key(self) -> Key:
        """Combine the shares to an unseal key; raises `SealRefusal` in OpenBao's words."""
        value = self.combined()
        if len(value) not in _AES_KEY_SIZES:
            size = len(value)
            raise SealRefusal(f"invalid key: failed to setup unseal key: crypto/aes: invalid key size {size}")
        if len(value) != KEY_BYTES:
            raise SealRefusal(WRONG_KEY)
        return Key(value)
