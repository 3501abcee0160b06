# SPDX-License-Identifier: EUPL-1.2
"""Roles: made, changed, shown and removed as a whole."""

from __future__ import annotations

import msgspec

from nhi.auth.approle import store
from nhi.auth.approle.model import OLD_NAMES, Role, RoleName, RoleParams, RoleQuery
from nhi.records import Keys, ListParams
from vault.barrier.view import View
from vault.framework.call import Call
from vault.framework.clock import Clock, Entropy
from vault.framework.engine import Engine
from vault.framework.errors import Malformed, NotFound
from vault.framework.fields import Json
from vault.framework.reply import Reply
from vault.framework.route import delete, list_, read, write
from vault.token.addresses import NoAddress, check_block
from vault.token.terms import adjustments, changed, shown
from vault.values.times import Seconds


class RoleEngine(Engine):
    """The paths of roles as a whole; `subpaths` has those of their fields."""

    def __init__(self, clock: Clock, entropy: Entropy, longest: Seconds) -> None:
        """`longest` is the server's longest TTL in seconds."""
        self._clock, self._entropy = clock, entropy
        self._longest = longest

    async def mounted(self, view: View) -> None:
        """Make the key of the mount's hashes."""
        await store.prepare(view, self._entropy.bytes(32), self._clock.millis())

    @list_("role", event="approle.role.list")
    async def list_roles(self, call: Call, params: ListParams) -> Keys:
        """List the names of all roles."""
        names = await call.reader.list(store.ROLES, after=params.after, limit=max(params.limit, 0))
        if not names:
            raise NotFound
        return Keys(names)

    @read("role/{role_name:word}", event="approle.role.read")
    async def read_role(self, call: Call, params: RoleQuery) -> dict[str, Json]:
        """Show a role; how it was used, where that is asked for."""
        role = await store.role(call.reader, params.role_name)
        if role is None:
            raise NotFound
        return {
            "bind_secret_id": role.bind_secret_id,
            "local_secret_ids": role.local_secret_ids,
            "secret_id_bound_cidrs": role.secret_id_bound_cidrs,
            "secret_id_num_uses": role.secret_id_num_uses,
            "secret_id_ttl": role.secret_id_ttl,
            **((await store.usage(call.reader, role)).shown() if params.usage else {}),
            **shown(role.terms, OLD_NAMES),
        }

    @write("role/{role_name:word}", exists="role_exists", event="approle.role.write")
    async def write_role(self, call: Call, params: RoleParams) -> Reply[None] | None:
        """Make or change a role; what is not given stays."""
        old = await store.role(call.tx, params.role_name)
        if params.local_secret_ids is not None and old is not None:
            raise Malformed("local_secret_ids can only be modified during role creation")
        if params.role_id == "":
            raise Malformed("invalid role_id supplied, or failed to generate a role_id")
        role = old or Role(name=params.role_name, uid=self._entropy.uuid(), role_id=self._entropy.uuid())
        given = {
            name: value
            for name in (
                "bind_secret_id",
                "local_secret_ids",
                "role_id",
                "secret_id_num_uses",
                "secret_id_ttl",
            )
            if (value := getattr(params, name)) is not None
        }
        blocks = (
            params.bound_cidr_list if params.secret_id_bound_cidrs is None else params.secret_id_bound_cidrs
        )
        if blocks is not None:
            given["secret_id_bound_cidrs"] = checked(blocks)
        terms = changed(role.terms, params, OLD_NAMES, adjust=True)
        await keep(call, msgspec.structs.replace(role, terms=terms, **given), old)
        warnings = adjustments(params)
        if terms.max_ttl > (call.mount.max_ttl or self._longest):
            warnings.append(
                "token_max_ttl is greater than the backend mount's maximum TTL value; issued tokens' max TTL value "
                "will be truncated"
            )
        return Reply(warnings=warnings) if warnings else None

    @delete("role/{role_name:word}", event="approle.role.delete")
    async def delete_role(self, call: Call, params: RoleName) -> None:
        """Remove a role with its secret ids; nothing happens where there is none."""
        role = await store.role(call.tx, params.role_name)
        if role is not None:
            await store.delete_role(call, role)

    async def role_exists(self, call: Call) -> bool:
        """Tell update from create."""
        return await store.role(call.reader, call.captures["role_name"].lower()) is not None


async def keep(call: Call, new: Role, old: Role | None) -> None:
    """Keep a role that holds together. Raises `Malformed`."""
    if new.secret_id_num_uses < 0:
        raise Malformed("secret_id_num_uses cannot be negative")
    if not (new.bind_secret_id or new.secret_id_bound_cidrs or new.terms.bound_cidrs):
        raise Malformed("at least one constraint should be enabled on the role", chained=True)
    other = await store.role_by_id(call.tx, new.role_id, await store.keyed(call.tx))
    if other is not None and other.name != new.name:
        raise Malformed("role_id already in use", chained=True)
    await store.put_role(call.tx, new, old)


def checked(blocks: tuple[str, ...], what: str = "CIDR blocks") -> tuple[str, ...]:
    """Return blocks of addresses, each with its length. Raises `Malformed`."""
    try:
        return tuple(check_block(block) for block in blocks)
    except NoAddress:
        raise Malformed(f"failed to validate {what}: invalid CIDR address", chained=True) from None
