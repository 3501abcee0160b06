# SPDX-License-Identifier: EUPL-1.2
"""Randomness from the operating system and from a token, mixed so that the better of the two counts.

HKDF (RFC 5869) extracts from both; nobody who knows or even chose one of them can tell the result. What the
token gives is watched as SP 800-90B §4.4 says, with cutoffs for a source of full entropy.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Literal

from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from hsm.errors import HsmError, SlotUnavailable

LARGEST: Final = 255 * 64
"""Bytes that one call may ask for (RFC 5869 §2.3)."""
Policy = Literal["require", "prefer"]
"""What to do without the token: fail, or go on with the operating system's randomness alone."""

_INFO: Final = b"vault entropy v1"
_SALT_BYTES: Final = 32
_SOURCE_BYTES: Final = 64

REPETITION_CUTOFF: Final = 6
"""So many equal bytes in a row come from a healthy source once in 2^40 times (SP 800-90B §4.4.1)."""
PROPORTION_WINDOW: Final = 512
PROPORTION_CUTOFF: Final = 20
"""So many of 512 bytes are equal to the first once in 2^40 times (SP 800-90B §4.4.2)."""


class HealthTestFailed(SlotUnavailable):
    """The token's randomness fails a health test; nothing of it is used."""


class HealthTests:
    """Continuous tests over everything that one token gave."""

    def __init__(self) -> None:
        self._block = b""
        self._forget()

    def feed(self, block: bytes) -> None:
        """Take what the token gave. Raises `HealthTestFailed`; the next block is judged anew."""
        if block == self._block:
            raise HealthTestFailed("the token gave the same random bytes twice")
        self._block = block
        for byte in block:
            if self._repeated(byte) or self._frequent(byte):
                self._forget()
                raise HealthTestFailed("the token's random bytes fail the health tests of SP 800-90B")

    def _forget(self) -> None:
        """Begin anew."""
        self._last = -1
        self._run = 0
        self._first = 0
        self._equal = 0
        self._position = 0

    def _repeated(self, byte: int) -> bool:
        self._run = self._run + 1 if byte == self._last else 1
        self._last = byte
        return self._run >= REPETITION_CUTOFF

    def _frequent(self, byte: int) -> bool:
        if self._position == 0:
            self._first, self._equal = byte, 0
        self._equal += byte == self._first
        self._position = (self._position + 1) % PROPORTION_WINDOW
        return self._equal >= PROPORTION_CUTOFF


class MixedEntropy:
    """Random bytes from `local` (the operating system) and `token` (`Pkcs11Slot.random`)."""

    def __init__(
        self,
        local: Callable[[int], bytes],
        token: Callable[[int], Awaitable[bytes]],
        *,
        policy: Policy = "prefer",
    ) -> None:
        self._local = local
        self._token = token
        self._policy = policy
        self._tests = HealthTests()
        self.fallbacks = 0
        """How often the token gave nothing that could be used."""
        self.problem = ""
        """Why not, the last time; empty when the token's bytes went into the last answer."""

    async def random(self, size: int) -> bytes:
        """Return `size` bytes, at most `LARGEST`.

        Raises `SlotUnavailable` when the policy is `require` and the token gives nothing that can be used.
        """
        if not 0 < size <= LARGEST:
            raise ValueError(f"entropy: must ask for 1 to {LARGEST} bytes, not {size}")
        given = await self._from_token()
        source = self._local(_SOURCE_BYTES) + given
        return HKDF(SHA512(), size, salt=self._local(_SALT_BYTES), info=_INFO).derive(source)

    async def _from_token(self) -> bytes:
        try:
            given = await self._token(_SOURCE_BYTES)
            if len(given) != _SOURCE_BYTES:
                raise HealthTestFailed(f"the token gave {len(given)} random bytes, not {_SOURCE_BYTES}")
            self._tests.feed(given)
        except HsmError as error:
            self.fallbacks += 1
            self.problem = str(error)
            if self._policy == "require":
                raise SlotUnavailable(f"entropy: {error}", ckr=error.ckr) from error
            return b""
        self.problem = ""
        return given
