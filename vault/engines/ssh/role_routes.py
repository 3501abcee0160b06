# SPDX-License-Identifier: EUPL-1.2
"""Roles: written, read, listed and removed."""

from __future__ import annotations

from vault.engines.ssh.forms.answers import CertificateRole, ListedRole, PasswordRole, RoleList
from vault.engines.ssh.forms.params import PageParams, RoleName, RoleParams
from vault.engines.ssh.roles.role import CA, OTP, ROLE, ROLES, Role, find_role, role_of
from vault.engines.ssh.roles.zero_address import remove_zero_address
from vault.framework.call import Call
from vault.framework.concurrency.time_slice import TimeSlice
from vault.framework.engine import Engine
from vault.framework.errors import NotFound
from vault.framework.names import check_length
from vault.framework.route import delete, list_, read, write


class RoleEngine(Engine):
    """Roles."""

    @write("roles/{role:name}", contained=True, event="ssh.role.write")
    async def write_role(self, call: Call, params: RoleParams) -> None:
        """Write a role as a whole: what is not given has its usual value."""
        check_length(role=params.role)
        await call.tx.put(ROLES + params.role, ROLE.encode(role_of(params)))

    @read("roles/{role:name}", event="ssh.role.read")
    async def read_role(self, call: Call, params: RoleName) -> CertificateRole | PasswordRole:
        """Show a role."""
        role = await find_role(call.reader, params.role)
        if role is None:
            raise NotFound
        return _password_role(role) if role.kind == OTP else _certificate_role(role)

    @list_("roles", event="ssh.role.list")
    async def list_roles(self, call: Call, params: PageParams) -> RoleList:
        """List the names of all roles, and what each is for."""
        names = await call.reader.list(ROLES, after=params.after, limit=max(params.limit, 0))
        shown = {}
        turn = TimeSlice()
        for name in names:
            role = await find_role(call.reader, name)
            if role is not None:
                shown[name] = ListedRole(role.kind, role.issuer) if role.kind == CA else ListedRole(role.kind)
            await turn.step()
        if not shown:
            raise NotFound
        return RoleList(list(shown), shown)

    @delete("roles/{role:name}", contained=True, event="ssh.role.delete")
    async def delete_role(self, call: Call, params: RoleName) -> None:
        """Remove a role; nothing happens where there is none. What was given out with it stays good."""
        await call.tx.delete(ROLES + params.role)
        await remove_zero_address(call.tx, params.role)


def _password_role(role: Role) -> PasswordRole:
    return PasswordRole(
        allowed_users=role.allowed_users,
        cidr_list=role.cidr_list,
        default_user=role.default_user,
        exclude_cidr_list=role.exclude_cidr_list,
        key_type=role.kind,
        port=role.port,
    )


def _certificate_role(role: Role) -> CertificateRole:
    return CertificateRole(
        algorithm_signer=role.algorithm,
        allow_bare_domains=role.bare_domains,
        allow_commas_in_identity_templates=role.commas_in_templates,
        allow_empty_principals=role.empty_principals,
        allow_host_certificates=role.host_certificates,
        allow_subdomains=role.subdomains,
        allow_user_certificates=role.user_certificates,
        allow_user_key_ids=role.user_key_ids,
        allow_wildcards_in_identity_templates=role.wildcards_in_templates,
        allowed_critical_options=role.allowed_critical_options,
        allowed_domains=role.allowed_domains,
        allowed_domains_template=role.allowed_domains_template,
        allowed_extensions=role.allowed_extensions,
        allowed_user_key_lengths={name: sizes or None for name, sizes in role.key_lengths.items()},
        allowed_users=role.allowed_users,
        allowed_users_template=role.allowed_users_template,
        default_critical_options=role.default_critical_options,
        default_extensions=role.default_extensions,
        default_extensions_template=role.default_extensions_template,
        default_user=role.default_user,
        default_user_template=role.default_user_template,
        issuer_ref=role.issuer,
        key_id_format=role.key_id_format,
        key_type=role.kind,
        max_ttl=role.max_ttl,
        not_before_duration=role.not_before,
        ttl=role.ttl,
    )
