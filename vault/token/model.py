# SPDX-License-Identifier: EUPL-1.2
"""What is stored of a service token. The token itself is not: entries lie under a keyed hash of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from vault.barrier.stored import RecordKind
from vault.values.ids import NO_TOKEN_KEY, NOBODY, EntityId, TokenAccessor, TokenKey
from vault.values.times import Nanos, Seconds, nanos_to_seconds_up, time_between

TOKEN_KIND: Final = "token"  # noqa: S105 -- the kind of cached fact and timer, not a token
"""Kind of the cached fact, and of the expiry timer, of one token; the key is the token's key."""
DEEPEST: Final = 256
"""Tokens that one may hang on: each has to be asked for whether it is still there."""
TOKEN_LENGTH: Final = 24
"""Random characters of a token and of an accessor, as OpenBao's: 142 bits."""
PREFIX: Final = "s."


class TokenEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A service token. Times are nanoseconds since the epoch, 0 for never; durations are seconds."""

    accessor: TokenAccessor
    policies: tuple[str, ...]
    path: str
    display_name: str
    created: Nanos
    parent: TokenKey = NO_TOKEN_KEY
    parent_created: Nanos = Nanos(0)
    """When its parent was made: another token that was given the parent's id is none. 0 where that was not written yet."""
    depth: int = 0
    """How many tokens it hung on when it was made."""
    metadata: Mapping[str, str] | None = None
    uses: int = 0
    """Uses left; 0 is unlimited and -1 is used up."""
    granted_uses: int = 0
    """Uses that it was made with; 0 is unlimited."""
    ttl: Seconds = Seconds(0)
    explicit_max_ttl: Seconds = Seconds(0)
    period: Seconds = Seconds(0)
    renewable: bool = False
    leased: bool = True
    """Whether it came with a lease; the root token of an initialisation does not."""
    expires: Nanos = Nanos(0)
    renewed: Nanos = Nanos(0)
    current_ttl: Seconds = Seconds(0)
    """What the last renewal gave; 0 before the first."""
    orphan: bool = False
    bound_cidrs: tuple[str, ...] = ()
    """Addresses that may use it; none for any."""
    role: str = ""
    """Name of the token role that it was made with."""
    mount: str = ""
    """Uuid of the auth mount whose login it came from; empty for a token that another one made."""
    entity: EntityId = NOBODY
    """Id of the entity, of the token's own namespace, that it belongs to; empty for none."""
    login: str = ""
    """What that auth method finds the role or user of the login by."""
    claims_only: bool = False
    """Whether it is an access token of the OpenID provider: it shows claims to a client, and has no rights of its entity."""
    chain: str = ""
    """Name of the credential, no token of the store, that it or what it hangs on was made with; see `vault.token.ancestors`."""

    def alive(self, now: Nanos) -> bool:
        """Whether it may be used at `now` (nanoseconds): expiry is enforced here, not by a sweep (SL-32)."""
        return self.uses >= 0 and (self.expires == 0 or now < self.expires)

    def remaining(self, now: Nanos) -> Seconds:
        """Seconds left at `now` (nanoseconds), rounded up as OpenBao does; 0 without expiry."""
        left = nanos_to_seconds_up(time_between(now, self.expires))
        return max(Seconds(0), left) if self.expires else Seconds(0)


TOKEN: Final = RecordKind("token", TokenEntry)
