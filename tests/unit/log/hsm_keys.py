# SPDX-License-Identifier: EUPL-1.2
"""A key in an HSM without one: it answers, refuses, or hangs, as a test says."""

import asyncio

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, derive_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from vault.framework.errors import VaultError
from vault.log.hsm_line import HsmSignature


class FakeHsmKey:
    """A key on P-256. `refusal` is raised instead of a signature; `answers` is cleared to let it hang."""

    def __init__(self) -> None:
        self._private = derive_private_key(7, SECP256R1())
        self.public = self._private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.refusal: VaultError | None = None
        self.spoil = False
        self.answers = asyncio.Event()
        self.answers.set()
        self.found = 0
        self.asked = 0
        self.forgotten = False

    async def find(self) -> None:
        """See `SigningKey`."""
        self.found += 1

    async def sign(self, text: bytes) -> HsmSignature:
        """See `SigningKey`."""
        self.asked += 1
        await self.answers.wait()
        if self.refusal is not None:
            raise self.refusal
        value = self._private.sign(text + b"x" * self.spoil, ECDSA(SHA256()))
        return HsmSignature(self.public, value)

    def forget(self) -> None:
        """See `SigningKey`."""
        self.forgotten = True
