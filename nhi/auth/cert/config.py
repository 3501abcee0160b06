# SPDX-License-Identifier: EUPL-1.2
"""Settings and roles of a mount."""

from __future__ import annotations

from typing import Final

import msgspec

from nhi.auth.cert.chain import authorities
from nhi.auth.cert.model import (
    CONFIG,
    OLD_NAMES,
    ROLES,
    Config,
    ConfigParams,
    Role,
    RoleParams,
)
from nhi.records import Keys, ListParams, RoleName
from vault.framework.call import Call
from vault.framework.engine import Engine
from vault.framework.errors import Malformed, NotFound
from vault.framework.fields import Json
from vault.framework.names import check_length
from vault.framework.reply import Reply
from vault.framework.route import delete, list_, read, write
from vault.token.terms import changed, shown
from vault.values.times import Seconds

_USUAL: Final = "current mount/system default"
_FIELDS: Final = tuple(name for name in Role.__struct_fields__ if name not in {"name", "terms"})


class ConfigEngine(Engine):
    """The paths of settings and roles."""

    def __init__(self, longest: Seconds) -> None:
        """`longest` is the server's longest TTL in seconds."""
        self._longest = longest

    @read("config", event="cert.config.read")
    async def read_config(self, call: Call) -> Config:
        """Show the settings."""
        return await CONFIG.find(call.reader) or Config()

    @write("config", event="cert.config.write")
    async def write_config(self, call: Call, params: ConfigParams) -> None:
        """Change settings; what is not given stays."""
        size = params.ocsp_cache_size
        if size is not None and not 2 <= size <= 100_000:
            raise Malformed("invalid cache size, must be >= 2 and <= 100000")
        given = {
            name: value for name in Config.__struct_fields__ if (value := getattr(params, name)) is not None
        }
        old = await CONFIG.find(call.tx) or Config()
        await CONFIG.keep(call.tx, msgspec.structs.replace(old, **given))

    @list_("certs", event="cert.role.list")
    async def list_roles(self, call: Call, params: ListParams) -> Keys:
        """List the names of all roles."""
        return await ROLES.names(call, params)

    @read("certs/{name:word}", event="cert.role.read")
    async def read_role(self, call: Call, params: RoleName) -> dict[str, Json]:
        """Show a role."""
        role = await ROLES.find(call.reader, params.name)
        if role is None:
            raise NotFound
        return {**{name: getattr(role, name) for name in _FIELDS}, **shown(role.terms, OLD_NAMES)}

    @write("certs/{name:word}", event="cert.role.write")
    async def write_role(self, call: Call, params: RoleParams) -> Reply[None] | None:
        """Make or change a role; what is not given stays."""
        check_length(display_name=params.display_name)
        old = await ROLES.find(call.tx, params.name) or Role(name=params.name)
        if params.ttl is None:
            params = msgspec.structs.replace(params, ttl=params.lease)
        given = {name: value for name in _FIELDS if (value := getattr(params, name)) is not None}
        role = msgspec.structs.replace(old, terms=changed(old.terms, params, OLD_NAMES), **given)
        role = msgspec.structs.replace(role, display_name=role.display_name or role.name)
        authorities(role)
        await ROLES.keep(call.tx, role.name, role)
        longest = call.mount.max_ttl or self._longest
        if role.terms.max_ttl <= longest:
            return None
        given_ttl = role.terms.max_ttl
        return Reply(
            warnings=[f"Given max_ttl of {given_ttl} seconds is greater than {_USUAL} of {longest} seconds"]
        )

    @delete("certs/{name:word}", event="cert.role.delete")
    async def delete_role(self, call: Call, params: RoleName) -> None:
        """Remove a role; nothing happens where there is none."""
        await ROLES.remove(call.tx, params.name)
