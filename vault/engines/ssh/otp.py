# SPDX-License-Identifier: EUPL-1.2
"""One-time passwords as they are kept: by a keyed hash, each under a lease."""

from __future__ import annotations

from typing import Final

import msgspec

from vault.barrier.stored import RecordKind
from vault.barrier.view import ReadView, View
from vault.framework.keys.hmac import HmacKey
from vault.lease.model import Lease
from vault.values.ids import LeaseId

_PASSWORDS: Final = "otp/"
SALT: Final = "salt"
"""Where the key of the hashes lies, in a mount's data."""
SALT_BYTES: Final = 32


class Otp(msgspec.Struct, frozen=True):
    """Whom a one-time password lets in and where, and the lease that it ends with."""

    role: str
    username: str
    address: str
    lease: LeaseId


OTP: Final = RecordKind("ssh one-time password", Otp)


async def place_of(view: ReadView, password: str) -> str:
    """Return where a one-time password lies. A path is stored in the clear, so only its keyed hash is in there."""
    return _PASSWORDS + HmacKey(await view.get(SALT) or b"").digest(password.encode()).hex()


class OtpRevoker:
    """What becomes of a one-time password when its lease ends."""

    async def revoke(self, data: ReadView, lease: Lease) -> None:
        """Nothing outside this server knows of it."""

    async def removed(self, data: View, lease: Lease) -> None:
        """Remove it together with its lease; one that was used is gone already."""
        await data.delete(lease.detail.decode())

    async def renew(self, data: ReadView, lease: Lease) -> None:
        """No such lease is renewable."""
