# SPDX-License-Identifier: EUPL-1.2
"""Roles and secret ids in their mount's data. Role ids, secret ids and accessors are found by keyed hashes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from nhi.auth.approle.model import AccessorOwner, Role, SecretId, Usage
from vault.background.mount_timers import MountTimers
from vault.barrier.stored import RecordKind, raw, text
from vault.barrier.view import ReadView, View
from vault.framework.call import Call
from vault.framework.keys.hmac import HmacKey
from vault.framework.keys.made import note_made, when_made
from vault.values.ids import SecretIdAccessor
from vault.values.times import Millis, Nanos, nanos_to_millis_up

SECRET_IDS: Final = MountTimers("approle-secret-id")
"""They end secret ids."""
_SALT: Final = "salt"
ROLES: Final = "role/"
_ROLE_ID: Final = "role-id/"
_SECRET: Final = "secret/"  # noqa: S105 -- a folder
_ACCESSOR: Final = "accessor/"
_USAGE: Final = "usage/"

_ROLE: Final = RecordKind("AppRole role", Role)
_SECRET_ID: Final = RecordKind("AppRole secret id", SecretId)
_PLACE: Final = RecordKind("AppRole accessor", AccessorOwner)
_USED: Final = RecordKind("AppRole usage", Usage)


async def prepare(view: View, salt: bytes, now: Millis) -> None:
    """Keep the key of a new mount's hashes, made at `now` (ms)."""
    await view.put(_SALT, raw(salt))
    await note_made(view, _SALT, now)


async def key_made(view: ReadView) -> Millis:
    """Return when the key of a mount's hashes was made (ms); 0 where nobody noted it."""
    return await when_made(view, _SALT)


async def keyed(view: ReadView) -> HmacKey:
    """Return what hashes under the key of a mount, for callers that hash several texts."""
    return HmacKey(await view.get(_SALT) or b"")


def hashed(by: HmacKey, what: str, text: str) -> str:
    """Return the keyed hash (HMAC-SHA256) of a text of the sort `what`."""
    return by.digest(f"{what}\0{text}".encode()).hex()


async def digest(view: ReadView, what: str, text: str) -> str:
    """As `hashed`, for one text."""
    return hashed(await keyed(view), what, text)


async def role(view: ReadView, name: str) -> Role | None:
    """Return the role with this name."""
    value = await view.get(ROLES + name)
    return _ROLE.decode(value) if value is not None else None


async def role_by_id(view: ReadView, role_id: str, by: HmacKey) -> Role | None:
    """Return the role with this role id; that there is none takes as long to find out (SL-22)."""
    name = await view.get(_ROLE_ID + hashed(by, "role-id", role_id))
    return await role(view, name.decode() if name is not None else "")


async def put_role(view: View, new: Role, old: Role | None) -> None:
    """Keep a role, and how it is found by its role id."""
    if old is not None and old.role_id != new.role_id:
        await view.delete(_ROLE_ID + await digest(view, "role-id", old.role_id))
    await view.put(_ROLE_ID + await digest(view, "role-id", new.role_id), text(new.name))
    await view.put(ROLES + new.name, _ROLE.encode(new))


async def delete_role(call: Call, old: Role) -> None:
    """Remove a role with all its secret ids."""
    view = call.tx
    async for name, secret in secrets(view, old):
        await delete_secret(call, old, name, secret)
    await view.delete(_USAGE + old.uid)
    await view.delete(_ROLE_ID + await digest(view, "role-id", old.role_id))
    await view.delete(ROLES + old.name)


async def secret(view: ReadView, owner: Role, name: str) -> SecretId | None:
    """Return a role's secret id by its hash, good or not."""
    value = await view.get(f"{_SECRET}{owner.uid}/{name}")
    return _SECRET_ID.decode(value) if value is not None else None


async def secrets(view: ReadView, owner: Role) -> AsyncIterator[tuple[str, SecretId]]:
    """Go through a role's secret ids, by their hashes."""
    for name in await view.list(f"{_SECRET}{owner.uid}/"):
        found = await secret(view, owner, name)
        if found is not None:
            yield name, found


async def replace_secret(view: View, owner: Role, name: str, new: SecretId) -> None:
    """Keep what became of a secret id; its accessor and its end stay as they are."""
    await view.put(f"{_SECRET}{owner.uid}/{name}", _SECRET_ID.encode(new))


async def put_secret(call: Call, owner: Role, name: str, new: SecretId) -> None:
    """Keep a secret id, how its accessor finds it, and when it ends."""
    view = call.tx
    await replace_secret(view, owner, name, new)
    accessor = await digest(view, "accessor", new.accessor)
    await view.put(_ACCESSOR + accessor, _PLACE.encode(AccessorOwner(uid=owner.uid, digest=name)))
    if new.expires:
        await SECRET_IDS.set(call, f"{owner.uid}/{name}", nanos_to_millis_up(new.expires))


async def delete_secret(call: Call, owner: Role, name: str, old: SecretId) -> None:
    """Remove a secret id and everything that leads to it."""
    await SECRET_IDS.cancel(call, f"{owner.uid}/{name}")
    await _remove(call.tx, owner.uid, name, old)


async def _remove(view: View, uid: str, name: str, old: SecretId) -> None:
    await view.delete(_ACCESSOR + await digest(view, "accessor", old.accessor))
    await view.delete(f"{_SECRET}{uid}/{name}")


async def place(view: ReadView, accessor: SecretIdAccessor) -> AccessorOwner | None:
    """Return where the secret id with this accessor is, whichever role's it is."""
    value = await view.get(_ACCESSOR + await digest(view, "accessor", accessor))
    return _PLACE.decode(value) if value is not None else None


async def usage(view: ReadView, owner: Role) -> Usage:
    """Return how a role was used."""
    value = await view.get(_USAGE + owner.uid)
    return _USED.decode(value) if value is not None else Usage()


async def put_usage(view: View, owner: Role, new: Usage) -> None:
    """Keep how a role was used."""
    await view.put(_USAGE + owner.uid, _USED.encode(new))


async def expire(view: View, secret_id: str, now: Nanos) -> None:
    """Remove the secret id that a timer is about, if it has ended at `now` (nanoseconds). It may be gone."""
    uid, name = secret_id.split("/")
    value = await view.get(f"{_SECRET}{uid}/{name}")
    found = _SECRET_ID.decode(value) if value is not None else None
    if found is not None and not found.alive(now):
        await _remove(view, uid, name, found)
