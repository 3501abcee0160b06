# SPDX-License-Identifier: EUPL-1.2
"""The cluster that a mount asks, and its roles."""

from __future__ import annotations

from typing import Final

import msgspec

from nhi.auth.kubernetes import selector
from nhi.auth.kubernetes.model import (
    CONFIG,
    NAME,
    OLD_NAMES,
    ROLES,
    UID,
    Config,
    ConfigParams,
    Role,
    RoleParams,
)
from nhi.auth.kubernetes.pod import Pod
from nhi.jose.signature import from_pem
from nhi.records import Keys, ListParams, RoleName
from vault.framework.call import Call
from vault.framework.engine import Engine
from vault.framework.errors import Malformed, NotFound
from vault.framework.fields import Json
from vault.framework.reply import Reply
from vault.framework.route import delete, list_, read, write
from vault.token.terms import changed, shown
from vault.values.times import Seconds

_HIDDEN: Final = "token_reviewer_jwt"
_TRUNCATED: Final = (
    "max_ttl is greater than the system or backend mount's maximum TTL value; issued tokens' max TTL value will be "
    "truncated"
)


class ConfigEngine(Engine):
    """The configuration and the roles."""

    def __init__(self, pod: Pod, longest: Seconds) -> None:
        """`longest` is the server's longest TTL in seconds."""
        self._pod = pod
        self._longest = longest

    @read("config", event="kubernetes.config.read")
    async def read_config(self, call: Call) -> dict[str, Json]:
        """Show the configuration, without the reviewer's token."""
        config = await CONFIG.find(call.reader)
        if config is None:
            raise NotFound
        shown = (name for name in Config.__struct_fields__ if name != _HIDDEN)
        found = {name: getattr(config, name) for name in shown}
        return {**found, f"{_HIDDEN}_set": bool(config.token_reviewer_jwt)}

    @write("config", event="kubernetes.config.write")
    async def write_config(self, call: Call, params: ConfigParams) -> None:
        """Change the configuration as a whole; what is not given is empty from now on."""
        if not params.kubernetes_host:
            raise Malformed("no host provided")
        if params.disable_local_ca_jwt and not params.kubernetes_ca_cert:
            raise Malformed("kubernetes_ca_cert must be given when disable_local_ca_jwt is true")
        try:
            from_pem(params.pem_keys)
        except Malformed:
            raise Malformed("data does not contain any valid public keys") from None
        if not params.kubernetes_ca_cert and not self._pod.authorities():
            raise Malformed(f"open {self._pod.ca_file}: no such file or directory")
        new = Config(**{name: getattr(params, name) for name in Config.__struct_fields__})
        await CONFIG.keep(call.tx, new)

    @list_("role", event="kubernetes.role.list")
    async def list_roles(self, call: Call, params: ListParams) -> Keys:
        """List the names of all roles."""
        return await ROLES.names(call, params)

    @read("role/{name:word}", event="kubernetes.role.read")
    async def read_role(self, call: Call, params: RoleName) -> dict[str, Json]:
        """Show a role."""
        role = await ROLES.find(call.reader, params.name)
        if role is None:
            raise NotFound
        found: dict[str, Json] = {
            "bound_service_account_names": role.names,
            "bound_service_account_namespaces": role.namespaces,
            "bound_service_account_namespace_selector": role.selector,
            "alias_name_source": role.alias_name_source,
            **shown(role.terms, OLD_NAMES),
        }
        return {**found, "audience": role.audience} if role.audience else found

    @write("role/{name:word}", exists="role_exists", event="kubernetes.role.write")
    async def write_role(self, call: Call, params: RoleParams) -> Reply[None] | None:
        """Make or change a role; what is not given stays, but for the selector."""
        old = await ROLES.find(call.tx, params.name) or Role(name=params.name)
        given = {
            "names": params.bound_service_account_names,
            "namespaces": params.bound_service_account_namespaces,
            "selector": params.bound_service_account_namespace_selector or "",
            "audience": params.audience,
            "alias_name_source": params.alias_name_source,
        }
        role = msgspec.structs.replace(
            old,
            terms=changed(old.terms, params, OLD_NAMES),
            **{name: value for name, value in given.items() if value is not None},
        )
        check(role)
        await ROLES.keep(call.tx, role.name, role)
        if role.terms.max_ttl <= (call.mount.max_ttl or self._longest):
            return None
        return Reply(warnings=[_TRUNCATED])

    @delete("role/{name:word}", event="kubernetes.role.delete")
    async def delete_role(self, call: Call, params: RoleName) -> None:
        """Remove a role; nothing happens where there is none."""
        await ROLES.remove(call.tx, params.name)

    async def role_exists(self, call: Call) -> bool:
        """Tell update from create."""
        return await ROLES.find(call.reader, call.captures["name"].lower()) is not None


def check(role: Role) -> None:
    """Make sure that a role binds to something (SL-36). Raises `Malformed`."""
    if not role.names:
        raise Malformed('"bound_service_account_names" can not be empty')
    if not role.namespaces and not role.selector:
        raise Malformed(
            '"bound_service_account_namespaces" can not be empty if "bound_service_account_namespace_selector" is '
            "not set"
        )
    for listed in (role.names, role.namespaces or ()):
        if "*" in listed and len(listed) > 1:
            raise Malformed('can not mix "*" with values')
    if role.selector:
        selector.parse(role.selector)
    if role.alias_name_source not in {UID, NAME}:
        raise Malformed(f"invalid alias_name_source, must be one of: {UID}, {NAME}")
