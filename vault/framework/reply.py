# SPDX-License-Identifier: EUPL-1.2
"""What a handler answers, before any wire encodes it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Hashable, Iterable, Mapping, Sequence
from typing import Final, Generic, TypeVar

import msgspec

from vault.framework.errors import Unauthenticated, VaultError
from vault.values.ids import NO_LEASE, NOBODY, EntityId, LeaseId, TokenAccessor
from vault.values.times import Nanos, Seconds

T = TypeVar("T", covariant=True)
JSON: Final = "application/json"


class Auth(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of a login or of a new token, on the wire's names. TTL in seconds."""

    client_token: str
    accessor: TokenAccessor
    policies: Sequence[str] | None
    token_policies: Sequence[str] | msgspec.UnsetType = msgspec.UNSET
    identity_policies: Sequence[str] | msgspec.UnsetType = msgspec.UNSET
    metadata: Mapping[str, str] | None = None
    lease_duration: Seconds = Seconds(0)
    renewable: bool = False
    entity_id: EntityId = NOBODY
    token_type: str = "service"  # noqa: S105 -- the kind of token, not a token
    orphan: bool = False
    mfa_requirement: Mapping[str, object] | None = None
    num_uses: int = 0

    def __repr__(self) -> str:
        """Show no token."""
        return f"<Auth {self.token_type}>"


class WrapInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Where a wrapped response waits, on the wire's names. TTL in seconds."""

    token: str
    accessor: TokenAccessor
    ttl: Seconds
    creation_time: str
    creation_path: str
    wrapped_accessor: str | msgspec.UnsetType = msgspec.UNSET

    def __repr__(self) -> str:
        """Show no token."""
        return f"<WrapInfo {self.creation_path}>"


class Reply(msgspec.Struct, Generic[T]):
    """What a handler answers.

    `data` None with no `auth` is an empty object; returning None instead means 204, no body. `status` 0 lets
    the wire choose. `plain` sends `data` without the envelope; `raw` sends these bytes with `content_type`.
    `pieces` are sent in place of `data`, which then is what is recorded of them: that of an envelope, encoded already, or
    with a `content_type` but JSON the whole body. They are read once; others are served between two of them.
    `stream` is sent in pieces after the rest, without a content type but one in `headers`, until it ends or the client is gone.
    `embed` repeats the data's keys on the envelope's top level, for old clients. `unended` leaves out the line
    break at the end of the body. `same`, if set, identifies `data`: replies of one mount with equal `same` have
    equal data, so results derived from it (without secrets) may be reused.
    """

    data: T | None = None
    auth: Auth | None = None
    lease_id: LeaseId = NO_LEASE
    lease_duration: Seconds = Seconds(0)
    renewable: bool = False
    warnings: list[str] = msgspec.field(default_factory=list)
    wrap_info: WrapInfo | None = None
    status: int = 0
    plain: bool = False
    raw: bytes | None = None
    pieces: Iterable[bytes] | None = None
    stream: AsyncGenerator[bytes, None] | None = None
    content_type: str = JSON
    embed: bool = False
    unended: bool = False
    same: Hashable = None
    headers: Mapping[str, str] | None = None
    own_names: bool = False
    """Whether the client chose the names of the data's members, which are then as secret as their values."""
    etag: bytes = b""
    """The entity tag of what is answered or was made, in its quotes; empty for none."""
    display_name: str = ""
    """Name of the token in `auth`, for the audit record alone."""
    long: bool = False
    """Whether the data is so large that it is encoded off the event loop."""
    recorded: Mapping[object, bytes] | None = None
    """For a long reply: what each audit device records of it, where that is encoded already."""
    refusal: VaultError | None = None
    """The refusal behind a `raw` answer of another protocol; only for the audit record."""
    issued: Nanos = Nanos(0)
    """When the token in `auth` was issued (nanoseconds), if before this call; only for the audit record."""

    def __repr__(self) -> str:
        """Show nothing of what is answered."""
        return f"<{type(self).__name__} {self.status}>"


class RefusedReply(Reply[T]):
    """The answer of a write that is refused for `reason` and still commits: a failed login is counted."""

    reason: VaultError = msgspec.field(default_factory=Unauthenticated)
