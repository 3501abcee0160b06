# SPDX-License-Identifier: EUPL-1.2
"""Credentials that are no entries of the token store, as `auth/token` and `sys/capabilities` see them."""

from __future__ import annotations

from typing import Protocol

import msgspec

from vault.barrier.view import ReadView
from vault.framework.call import Call, Identity, Namespace
from vault.framework.reply import Reply
from vault.token.model import TokenEntry
from vault.values.times import Millis, Seconds


class OtherCredential(msgspec.Struct, frozen=True):
    """A credential that is good now: as an entry that can be shown, as the identity that it gives, and its home."""

    entry: TokenEntry
    identity: Identity
    home: Namespace


class OtherCredentials(Protocol):
    """One kind of credentials that are no entries of the token store: Biscuits."""

    def recognises(self, token: str) -> bool:
        """Whether a text has the shape of one."""
        ...

    async def look(self, call: Call, token: str) -> OtherCredential | None:
        """Return what a credential is; None for one that is not good, or not of `call`'s namespace or below."""
        ...

    async def lives(self, core: ReadView, token: str, now: Millis) -> bool:
        """Whether a credential is good at `now` (ms) but for its checks; `core` is any view of a namespace's own data."""
        ...

    async def renew(self, call: Call, token: str, increment: Seconds) -> Reply[None]:
        """Answer with a credential that lasts longer, in the open transaction. Raises `Malformed`."""
        ...

    async def revoke(self, call: Call, token: str) -> None:
        """Revoke a credential with everything made from it, in the open transaction; of one that is not good, nothing."""
        ...


class NoOtherCredentials:
    """A server without other credentials: every token is one of the store."""

    def recognises(self, token: str) -> bool:
        """See `OtherCredentials.recognises`."""
        del token
        return False

    async def look(self, call: Call, token: str) -> OtherCredential | None:
        """See `OtherCredentials.look`."""
        del call, token
        return None

    async def lives(self, core: ReadView, token: str, now: Millis) -> bool:
        """See `OtherCredentials.lives`."""
        del core, token, now
        return False

    async def renew(self, call: Call, token: str, increment: Seconds) -> Reply[None]:
        """See `OtherCredentials.renew`; it is never asked."""
        del call, token, increment
        return Reply()

    async def revoke(self, call: Call, token: str) -> None:
        """See `OtherCredentials.revoke`."""
        del call, token
