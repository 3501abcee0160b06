# SPDX-License-Identifier: EUPL-1.2
"""The key in an HSM that signs the log beside its own: an external key of the root namespace, granted to `sys`."""

from __future__ import annotations

from functools import partial
from time import monotonic
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from msgspec.structs import replace

from vault.barrier.failure import BarrierFailure, BarrierSealed
from vault.framework.call import NOWHERE, ROOT
from vault.framework.errors import Failed, Unavailable
from vault.framework.keys.external import ExternalKey, ExternalKeys, PrivateKey
from vault.framework.telemetry.log import Log
from vault.log.hsm_line import HsmLine, HsmSignature
from vault.log.signing import Checkpoints
from vault.storage.protocol import StorageFailure

_SYS: Final = replace(NOWHERE, path="sys/")
"""What a grant names for the server itself: nothing else can be mounted there."""


class ExternalSigningKey:
    """See `vault.log.hsm_line.SigningKey`. It is looked for before each signature, so that a grant that ends is heeded."""

    def __init__(self, keys: ExternalKeys, ref: str) -> None:
        """`ref` is `<config>:<key>`."""
        self._keys, self._ref = keys, ref
        self._found: ExternalKey | None = None

    async def find(self) -> None:
        """See `SigningKey`."""
        try:
            self._found = await self._keys.find(ROOT, _SYS, self._ref)
        except (BarrierFailure, BarrierSealed, StorageFailure) as failure:
            raise Unavailable("the storage does not tell where the key is") from failure

    async def sign(self, text: bytes) -> HsmSignature:
        """See `SigningKey`."""
        if self._found is None:
            raise Unavailable("the key was not found yet")
        return await self._found.use(None, partial(_sign, text))

    def forget(self) -> None:
        """See `SigningKey`."""
        self._found = None


def sign_with_hsm(checkpoints: Checkpoints, keys: ExternalKeys, ref: str, log: Log) -> None:
    """Have checkpoints signed by an external key too; without a `ref` nothing changes."""
    if ref:
        checkpoints.sign_beside(HsmLine(ExternalSigningKey(keys, ref), log, monotonic))


def _sign(text: bytes, private: PrivateKey) -> HsmSignature:
    """Sign in a thread. Raises `Failed` for a key of another kind."""
    if not isinstance(private, EllipticCurvePrivateKey) or private.curve.name != "secp256r1":
        raise Failed("the key is none on P-256")
    public = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return HsmSignature(public, private.sign(text, ECDSA(SHA256())))
