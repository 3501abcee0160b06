# SPDX-License-Identifier: EUPL-1.2
"""What is kept of second factors: methods, enforcements, secrets of entities, and logins that wait for one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from vault.barrier.stored import RecordKind
from vault.barrier.view import ReadView, View
from vault.token.model import TokenEntry
from vault.values.ids import EntityId, MountAccessor
from vault.values.times import Nanos, Seconds

METHODS: Final = "identity/mfa/method/"
ENFORCEMENTS: Final = "identity/mfa/enforcement/"
SECRETS: Final = "identity/mfa/secret/"
WAITING: Final = "identity/mfa/waiting/"
MFA_KIND: Final = "mfa-request"
"""Kind of the timer at which a login that waits is forgotten; its key is namespace id and request id."""
WAITS: Final = Seconds(300)
"""Seconds for which a login waits for its second factor."""


class Method(msgspec.Struct, frozen=True, kw_only=True):
    """A TOTP method (RFC 6238). `period` in seconds; `skew` is how many periods beside the current one count."""

    id: str
    issuer: str
    name: str = ""
    period: Seconds = Seconds(30)
    digits: int = 6
    algorithm: str = "SHA1"
    skew: int = 1
    key_size: int = 20
    qr_size: int = 200
    max_validation_attempts: int = 5


class Enforcement(msgspec.Struct, frozen=True, kw_only=True):
    """Whose logins need one of these methods: those of a mount, a kind of mount, a group or an entity."""

    id: str
    name: str
    methods: tuple[str, ...]
    accessors: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    entities: tuple[str, ...] = ()


class Seed(msgspec.Struct, frozen=True, kw_only=True):
    """An entity's secret for a method. `used` is the newest period whose code was taken: none before it is (SL-24).

    It has the terms that its authenticator was told, whatever the method says by now; see `Method`.
    """

    secret: bytes
    period: Seconds = Seconds(30)
    digits: int = 6
    algorithm: str = "SHA1"
    skew: int = 1
    used: int = -1
    failures: int = 0
    failed: Nanos = Nanos(0)
    """When the last failure was, in nanoseconds."""

    def __repr__(self) -> str:
        """Keep the secret out of logs."""
        return "<Seed>"


class PendingLogin(msgspec.Struct, frozen=True, kw_only=True):
    """A login that everything but the second factor was right of; times in nanoseconds."""

    entry: TokenEntry
    kind: str
    accessor: MountAccessor
    mount_kind: str
    expires: Nanos
    warnings: tuple[str, ...] = ()


_METHOD: Final = RecordKind("MFA method", Method)
_ENFORCEMENT: Final = RecordKind("MFA enforcement", Enforcement)
_SEED: Final = RecordKind("MFA secret", Seed)
_WAITING: Final = RecordKind("login that waits for MFA", PendingLogin)


async def method(core: ReadView, method_id: str) -> Method | None:
    """Return a method by its id."""
    value = await core.get(METHODS + method_id)
    return _METHOD.decode(value) if value is not None else None


async def methods(core: ReadView) -> Sequence[Method]:
    """Return all methods, by id."""
    found = [await method(core, name) for name in await core.list(METHODS)]
    return [one for one in found if one is not None]


async def put_method(core: View, new: Method) -> None:
    """Write a method."""
    await core.put(METHODS + new.id, _METHOD.encode(new))


async def enforcement(core: ReadView, name: str) -> Enforcement | None:
    """Return an enforcement by its name."""
    value = await core.get(ENFORCEMENTS + name)
    return _ENFORCEMENT.decode(value) if value is not None else None


async def enforcements(core: ReadView) -> Sequence[Enforcement]:
    """Return all enforcements, by name."""
    found = [await enforcement(core, name) for name in await core.list(ENFORCEMENTS)]
    return [one for one in found if one is not None]


async def put_enforcement(core: View, new: Enforcement) -> None:
    """Write an enforcement."""
    await core.put(ENFORCEMENTS + new.name, _ENFORCEMENT.encode(new))


async def seed(core: ReadView, method_id: str, entity_id: EntityId) -> Seed | None:
    """Return what an entity shares with its authenticator for a method."""
    value = await core.get(f"{SECRETS}{method_id}/{entity_id}")
    return _SEED.decode(value) if value is not None else None


async def seeds(core: ReadView, entity_id: EntityId) -> Sequence[tuple[str, Seed]]:
    """Return all that an entity shares with its authenticators, each by the id of its method."""
    found = [
        (name.rstrip("/"), await seed(core, name.rstrip("/"), entity_id)) for name in await core.list(SECRETS)
    ]
    return [(method_id, one) for method_id, one in found if one is not None]


async def put_seed(core: View, method_id: str, entity_id: EntityId, new: Seed) -> None:
    """Write what an entity shares with its authenticator."""
    await core.put(f"{SECRETS}{method_id}/{entity_id}", _SEED.encode(new))


async def delete_seed(core: View, method_id: str, entity_id: EntityId) -> None:
    """Forget what an entity shares with its authenticator."""
    await core.delete(f"{SECRETS}{method_id}/{entity_id}")


async def pending_login(core: ReadView, request: str) -> PendingLogin | None:
    """Return a login that waits."""
    value = await core.get(WAITING + request)
    return _WAITING.decode(value) if value is not None else None


async def put_pending_login(core: View, request: str, new: PendingLogin) -> None:
    """Let a login wait."""
    await core.put(WAITING + request, _WAITING.encode(new))
