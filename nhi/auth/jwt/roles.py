# SPDX-License-Identifier: EUPL-1.2
"""Roles: made, changed, shown and removed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from nhi.auth.jwt import templates
from nhi.auth.jwt.model import OLD_NAMES, ROLES, Role, RoleParams
from nhi.records import Keys, ListParams, RoleName, nulled
from vault.framework.call import Call
from vault.framework.engine import Engine
from vault.framework.errors import Malformed, NotFound
from vault.framework.fields import Json
from vault.framework.reply import Reply
from vault.framework.route import delete, list_, read, write
from vault.token.terms import changed, shown
from vault.values.times import Seconds

_FIELDS: Final = tuple(name for name in Role.__struct_fields__ if name not in {"name", "terms", "role_type"})
_METADATA: Final = frozenset({"access_token", "id_token", "refresh_token"})


class RoleEngine(Engine):
    """The paths of roles."""

    def __init__(self, longest: Seconds) -> None:
        """`longest` is the server's longest TTL in seconds."""
        self._longest = longest

    @list_("role", event="jwt.role.list")
    async def list_roles(self, call: Call, params: ListParams) -> Keys:
        """List the names of all roles."""
        return await ROLES.names(call, params)

    @read("role/{name:word}", event="jwt.role.read")
    async def read_role(self, call: Call, params: RoleName) -> dict[str, Json]:
        """Show a role."""
        role = await ROLES.find(call.reader, params.name)
        if role is None:
            raise NotFound
        found = {name: getattr(role, name) for name in ("role_type", *_FIELDS)}
        if not role.poll_interval:
            del found["poll_interval"]
        return {**found, **shown(role.terms, OLD_NAMES)}

    @write("role/{name:word}", exists="role_exists", event="jwt.role.write")
    async def write_role(self, call: Call, params: RoleParams) -> Reply[None] | None:
        """Make or change a role; what is not given stays, but for its types, and how a browser comes back."""
        old = await ROLES.find(call.tx, params.name) or Role(name=params.name)
        given = {name: value for name in _FIELDS if (value := getattr(params, name)) is not None}
        usual: dict[str, Json] = {
            "callback_mode": "client",
            "oidc_disable_confirmation": False,
            "bound_claims_type": "string",
        }
        given |= {name: None for name in ("bound_claims", "claim_mappings") if nulled(call, name)}
        role = msgspec.structs.replace(
            old,
            role_type=params.role_type or "oidc",
            terms=changed(old.terms, params, OLD_NAMES),
            **{**usual, **given},
        )
        check(role)
        await ROLES.keep(call.tx, role.name, role)
        warnings: list[str] = []
        if role.terms.max_ttl > (call.mount.max_ttl or self._longest):
            warnings.append(
                "token max ttl is greater than the system or backend mount's maximum TTL value; issued tokens' max "
                "TTL value will be truncated"
            )
        if role.verbose_oidc_logging:
            warnings.append(
                "verbose_oidc_logging has been enabled for this role. This is not recommended in production since "
                "sensitive information may be present in OIDC responses."
            )
        return Reply(warnings=warnings) if warnings else None

    @delete("role/{name:word}", event="jwt.role.delete")
    async def delete_role(self, call: Call, params: RoleName) -> None:
        """Remove a role; nothing happens where there is none."""
        await ROLES.remove(call.tx, params.name)

    async def role_exists(self, call: Call) -> bool:
        """Tell update from create."""
        return await ROLES.find(call.reader, call.captures["name"].lower()) is not None


def check(role: Role) -> None:
    """Make sure that a role holds together, and binds to something (SL-26, SL-36). Raises `Malformed`."""
    if role.role_type not in {"oidc", "jwt"}:
        raise Malformed("invalid 'role_type'")
    if not role.user_claim:
        raise Malformed("a user claim must be defined on the role")
    if role.bound_claims_type not in {"string", "glob"}:
        raise Malformed("invalid 'bound_claims_type'")
    if role.callback_mode not in {"client", "direct", "device"}:
        raise Malformed("invalid 'callback_mode'")
    if role.bound_claims_type == "glob":
        _check_globs(role.bound_claims or {})
    _check_mappings(role.claim_mappings or {})
    if not set(role.oauth2_metadata or ()) <= _METADATA:
        raise Malformed("Unrecognized oauth2 metadata name")
    if role.role_type == "oidc" and not role.allowed_redirect_uris:
        raise Malformed("'allowed_redirect_uris' must be set if 'role_type' is 'oidc' or unspecified.")
    bound = role.bound_audiences or role.bound_subject or role.bound_claims or role.terms.bound_cidrs
    if role.role_type == "jwt" and not bound:
        raise Malformed("must have at least one bound constraint when creating/updating a role")
    if role.token_policies_template_claims:
        templates.check(role.terms.policies)


def _check_globs(bound: Mapping[str, Json]) -> None:
    for wanted in bound.values():
        listed = wanted if isinstance(wanted, list | tuple) else (wanted,)
        if not all(isinstance(one, str) for one in listed):
            raise Malformed("claim is not a string")


def _check_mappings(mappings: Mapping[str, str]) -> None:
    names = list(mappings.values())
    if "role" in names:
        raise Malformed('metadata key "role" is reserved and may not be a mapping destination')
    for name in names:
        if names.count(name) > 1:
            raise Malformed("multiple keys are mapped to one metadata key")
