# SPDX-License-Identifier: EUPL-1.2
"""What is kept of identity tokens: signing keys by name, and roles. Durations in seconds, times in nanoseconds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from nhi.jose.signing_key import SigningKey
from vault.barrier.stored import RecordKind
from vault.barrier.view import ReadView, View
from vault.storage.protocol import Timer
from vault.values.ids import NamespaceId
from vault.values.times import DAY, Nanos, Seconds, nanos_after, nanos_to_millis_up

KEY_KIND: Final = "identity-key"
"""Kind of the timer at which a signing key is rotated; its key is what `timer_key` makes."""
CONFIG: Final = "identity/oidc/config"
KEYS: Final = "identity/oidc/key/"
ROLES: Final = "identity/oidc/role/"
DEFAULT: Final = "default"
"""The key that every namespace has; it is made when it is first needed."""


class RetiredKey(msgspec.Struct, frozen=True):
    """A public key that signs nothing more, published until `expires`."""

    public: Mapping[str, str]
    expires: Nanos


class NamedKey(msgspec.Struct, frozen=True, kw_only=True):
    """A named key: one pair that signs, one that is published already and signs next, and those of before."""

    name: str
    algorithm: str = "RS256"
    rotation_period: Seconds = DAY
    verification_ttl: Seconds = DAY
    allowed_client_ids: tuple[str, ...] = ()
    current: SigningKey | None = None
    following: SigningKey | None = None
    retired: tuple[RetiredKey, ...] = ()
    rotates: Nanos = Nanos(0)

    def published(self, now: Nanos) -> list[Mapping[str, str]]:
        """Return the JWKs that verifiers get at `now`."""
        pairs = [pair.public for pair in (self.current, self.following) if pair is not None]
        return [*pairs, *(old.public for old in self.retired if old.expires > now)]

    def allows(self, client_id: str) -> bool:
        """Whether tokens for this client may be signed with it."""
        return "*" in self.allowed_client_ids or client_id in self.allowed_client_ids

    def with_pairs(self, current: SigningKey, following: SigningKey, now: Nanos, ttl: Seconds) -> NamedKey:
        """Return it with new pairs; the one that signed until now verifies for `ttl` more."""
        kept = [old for old in self.retired if old.expires > now]
        if self.current is not None and self.current.kid != current.kid:
            kept.append(RetiredKey(self.current.public, nanos_after(now, ttl)))
        return msgspec.structs.replace(
            self,
            current=current,
            following=following,
            retired=tuple(kept),
            rotates=nanos_after(now, self.rotation_period),
        )


class Role(msgspec.Struct, frozen=True, kw_only=True):
    """What tokens of a role are like."""

    name: str
    key: str
    client_id: str
    template: str = ""
    ttl: Seconds = DAY


_KEY: Final = RecordKind("OIDC key", NamedKey)
_ROLE: Final = RecordKind("OIDC role", Role)


def timer_key(namespace_id: NamespaceId, name: str) -> str:
    """Name the rotation of one key of one namespace. An id has no colon."""
    return f"{namespace_id}:{name}"


async def named_key(core: ReadView, name: str) -> NamedKey | None:
    """Return a key; the default one too where it was never used, without pairs."""
    value = await core.get(KEYS + name)
    if value is not None:
        return _KEY.decode(value)
    return NamedKey(name=name, allowed_client_ids=("*",)) if name == DEFAULT else None


async def put_key(core: View, namespace_id: NamespaceId, key: NamedKey) -> None:
    """Write a key, and say when it is rotated."""
    await core.put(KEYS + key.name, _KEY.encode(key))
    if key.rotates:
        await core.at(Timer(KEY_KIND, timer_key(namespace_id, key.name), nanos_to_millis_up(key.rotates)))


async def key_names(core: ReadView) -> list[str]:
    """Return the names of all keys, sorted."""
    return sorted({DEFAULT, *await core.list(KEYS)})


async def role(core: ReadView, name: str) -> Role | None:
    """Return a role."""
    value = await core.get(ROLES + name)
    return _ROLE.decode(value) if value is not None else None


async def put_role(core: View, new: Role) -> None:
    """Write a role."""
    await core.put(ROLES + new.name, _ROLE.encode(new))


async def roles_of(core: ReadView, key: str) -> list[Role]:
    """Return the roles whose tokens a key signs."""
    found = [await role(core, name) for name in await core.list(ROLES)]
    return [one for one in found if one is not None and one.key == key]
