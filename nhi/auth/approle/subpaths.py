# SPDX-License-Identifier: EUPL-1.2
"""A role's fields, each at a path of its own: a policy can give the right to one of them."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from nhi.auth.approle import store
from nhi.auth.approle.model import OLD_NAMES, Role, RoleName, RoleParams
from nhi.auth.approle.roles import checked, keep
from vault.framework.call import Call
from vault.framework.engine import Engine
from vault.framework.errors import Malformed, NotFound, UnsupportedPath
from vault.framework.fields import CommaList, Doc, Json, Span
from vault.framework.reply import Reply
from vault.framework.route import delete, read, write
from vault.token.terms import TokenTerms, changed
from vault.values.deprecation import OLD
from vault.values.times import Seconds

_ROLE: Final = "role/{role_name:word}/"
_OLD_LIST: Final = 'The "bound_cidr_list" field is deprecated and will be removed. Please use "secret_id_bound_cidrs" instead.'
_FIRST: Final = TokenTerms()


class PoliciesParams(RoleName, frozen=True):
    """The policies."""

    token_policies: Annotated[CommaList | None, Doc("Policies of the tokens.", clear=True)] = None
    policies: Annotated[CommaList | None, Doc("Old name of token_policies.", clear=True, deprecation=OLD)] = (
        None
    )


class TtlParams(RoleName, frozen=True):
    """The first lifetime."""

    token_ttl: Annotated[Span | None, Doc("First lifetime of the tokens.", clear=True)] = None


class MaxTtlParams(RoleName, frozen=True):
    """The longest lifetime."""

    token_max_ttl: Annotated[Span | None, Doc("Longest lifetime of the tokens.", clear=True)] = None


class NumUsesParams(RoleName, frozen=True):
    """The number of uses."""

    token_num_uses: Annotated[int | None, Doc("Uses of a token; 0 for unlimited.", clear=True)] = None


class BoundCidrsParams(RoleName, frozen=True):
    """The addresses that tokens are bound to."""

    token_bound_cidrs: Annotated[CommaList | None, Doc("Addresses that may use the tokens.", clear=True)] = (
        None
    )


class PeriodParams(RoleName, frozen=True):
    """The period."""

    token_period: Annotated[Span | None, Doc("Lifetime that every renewal gives.", clear=True)] = None
    period: Annotated[Span | None, Doc("Old name of token_period.", clear=True, deprecation=OLD)] = None


class SecretIdTtlParams(RoleName, frozen=True):
    """The lifetime of secret ids."""

    secret_id_ttl: Annotated[Span | None, Doc("Lifetime of a secret id; 0 for unlimited.", clear=True)] = None


class SecretIdNumUsesParams(RoleName, frozen=True):
    """The number of uses of secret ids."""

    secret_id_num_uses: Annotated[int | None, Doc("Uses of a secret id; 0 for unlimited.", clear=True)] = None


class SecretIdBoundCidrsParams(RoleName, frozen=True):
    """The addresses that may log in."""

    secret_id_bound_cidrs: Annotated[
        CommaList | None, Doc("Blocks of addresses that may log in.", clear=True)
    ] = None


class BoundCidrListParams(RoleName, frozen=True):
    """The addresses that may log in, by their old name."""

    bound_cidr_list: Annotated[
        CommaList | None, Doc("Old name of secret_id_bound_cidrs.", clear=True, deprecation=OLD)
    ] = None


class RoleIdParams(RoleName, frozen=True):
    """The role id."""

    role_id: Annotated[str, Doc("The role id.")] = ""


class TermPathEngine(Engine):
    """What a role says of its tokens."""

    def __init__(self, longest: Seconds) -> None:
        """`longest` is the server's longest TTL in seconds."""
        self._longest = longest

    @read(_ROLE + "policies", event="approle.role.read")
    async def read_policies(self, call: Call, params: RoleName) -> dict[str, Json]:
        """Show the policies of the tokens."""
        return _term(await _shown(call, params), "policies", "policies")

    @write(_ROLE + "policies", event="approle.role.write")
    async def write_policies(self, call: Call, params: PoliciesParams) -> None:
        """Set the policies of the tokens."""
        role = await _changing(call, params)
        given = {"token_policies": params.token_policies, "policies": params.policies}
        tidy = {name: _tidied(value) for name, value in given.items() if value is not None}
        await _set(call, role, "token_policies", tidy)

    @delete(_ROLE + "policies", event="approle.role.write")
    async def delete_policies(self, call: Call, params: RoleName) -> None:
        """Give the tokens the default policy alone."""
        await _clear(call, params, "policies", "policies")

    @read(_ROLE + "token-ttl", event="approle.role.read")
    async def read_ttl(self, call: Call, params: RoleName) -> dict[str, Json]:
        """Show the first lifetime of the tokens."""
        return _term(await _shown(call, params), "ttl")

    @write(_ROLE + "token-ttl", event="approle.role.write")
    async def write_ttl(self, call: Call, params: TtlParams) -> None:
        """Set the first lifetime of the tokens."""
        await _set(call, await _changing(call, params), "token_ttl", {"token_ttl": params.token_ttl})

    @delete(_ROLE + "token-ttl", event="approle.role.write")
    async def delete_ttl(self, call: Call, params: RoleName) -> None:
        """Give the tokens the mount's default lifetime."""
        await _clear(call, params, "ttl")

    @read(_ROLE + "token-max-ttl", event="approle.role.read")
    async def read_max_ttl(self, call: Call, params: RoleName) -> dict[str, Json]:
        """Show the longest lifetime of the tokens."""
        return _term(await _shown(call, params), "max_ttl")

    @write(_ROLE + "token-max-ttl", event="approle.role.write")
    async def write_max_ttl(self, call: Call, params: MaxTtlParams) -> None:
        """Set the longest lifetime of the tokens."""
        role = await _changing(call, params)
        if params.token_max_ttl and params.token_max_ttl < role.terms.ttl:
            raise Malformed("token_max_ttl should be greater than or equal to token_ttl")
        await _set(call, role, "token_max_ttl", {"token_max_ttl": params.token_max_ttl})

    @delete(_ROLE + "token-max-ttl", event="approle.role.write")
    async def delete_max_ttl(self, call: Call, params: RoleName) -> None:
        """Give the tokens the mount's longest lifetime."""
        await _clear(call, params, "max_ttl")

    @read(_ROLE + "token-num-uses", event="approle.role.read")
    async def read_num_uses(self, call: Call, params: RoleName) -> dict[str, Json]:
        """Show the number of uses of the tokens."""
        return _term(await _shown(call, params), "num_uses")

    @write(_ROLE + "token-num-uses", event="approle.role.write")
    async def write_num_uses(self, call: Call, params: NumUsesParams) -> None:
        """Set the number of uses of the tokens."""
        role = await _changing(call, params)
        await _set(call, role, "token_num_uses", {"token_num_uses": params.token_num_uses})

    @delete(_ROLE + "token-num-uses", event="approle.role.write")
    async def delete_num_uses(self, call: Call, params: RoleName) -> None:
        """Let the tokens be used without limit."""
        await _clear(call, params, "num_uses")

    @read(_ROLE + "token-bound-cidrs", event="approle.role.read")
    async def read_bound_cidrs(self, call: Call, params: RoleName) -> dict[str, Json]:
        """Show the addresses that may use the tokens."""
        return {"token_bound_cidrs": (await _shown(call, params)).terms.bound_cidrs or None}

    @write(_ROLE + "token-bound-cidrs", event="approle.role.write")
    async def write_bound_cidrs(self, call: Call, params: BoundCidrsParams) -> None:
        """Set the addresses that may use the tokens."""
        role = await _changing(call, params)
        await _set(call, role, "", {"token_bound_cidrs": params.token_bound_cidrs})

    @delete(_ROLE + "token-bound-cidrs", event="approle.role.write")
    async def delete_bound_cidrs(self, call: Call, params: RoleName) -> None:
        """Let the tokens be used from everywhere."""
        await _clear(call, params, "bound_cidrs")

    @read(_ROLE + "period", event="approle.role.read")
    async def read_period(self, call: Call, params: RoleName) -> dict[str, Json]:
        """Show the lifetime that every renewal gives."""
        return _term(await _shown(call, params), "period", "period")

    @write(_ROLE + "period", event="approle.role.write")
    async def write_period(self, call: Call, params: PeriodParams) -> None:
        """Set the lifetime that every renewal gives."""
        role = await _changing(call, params)
        if (params.token_period or params.period or 0) > (call.mount.max_ttl or self._longest):
            raise Malformed("period is greater than the backend's maximum lease TTL")
        await _set(call, role, "period", {"token_period": params.token_period, "period": params.period})

    @delete(_ROLE + "period", event="approle.role.write")
    async def delete_period(self, call: Call, params: RoleName) -> None:
        """Let renewals end at the longest lifetime."""
        await _clear(call, params, "period", "period")


class RolePathEngine(Engine):
    """What a role says of itself and of its secret ids."""

    @read(_ROLE + "secret-id-ttl", event="approle.role.read")
    async def read_secret_id_ttl(self, call: Call, params: RoleName) -> dict[str, Json]:
        """Show the lifetime of secret ids."""
        return {"secret_id_ttl": (await _shown(call, params)).secret_id_ttl}

    @write(_ROLE + "secret-id-ttl", event="approle.role.write")
    async def write_secret_id_ttl(self, call: Call, params: SecretIdTtlParams) -> None:
        """Set the lifetime of secret ids."""
        await _put(call, params, "secret_id_ttl", params.secret_id_ttl)

    @delete(_ROLE + "secret-id-ttl", event="approle.role.write")
    async def delete_secret_id_ttl(self, call: Call, params: RoleName) -> None:
        """Let secret ids live without limit."""
        await _reset(call, params, "secret_id_ttl", 0)

    @read(_ROLE + "secret-id-num-uses", event="approle.role.read")
    async def read_secret_id_num_uses(self, call: Call, params: RoleName) -> dict[str, Json]:
        """Show the number of uses of secret ids."""
        return {"secret_id_num_uses": (await _shown(call, params)).secret_id_num_uses}

    @write(_ROLE + "secret-id-num-uses", event="approle.role.write")
    async def write_secret_id_num_uses(self, call: Call, params: SecretIdNumUsesParams) -> None:
        """Set the number of uses of secret ids."""
        await _put(call, params, "secret_id_num_uses", params.secret_id_num_uses)

    @delete(_ROLE + "secret-id-num-uses", event="approle.role.write")
    async def delete_secret_id_num_uses(self, call: Call, params: RoleName) -> None:
        """Let secret ids be used without limit."""
        await _reset(call, params, "secret_id_num_uses", 0)

    @read(_ROLE + "secret-id-bound-cidrs", event="approle.role.read")
    async def read_secret_id_bound_cidrs(self, call: Call, params: RoleName) -> dict[str, Json]:
        """Show the addresses that may log in."""
        return {"secret_id_bound_cidrs": (await _shown(call, params)).secret_id_bound_cidrs}

    @write(_ROLE + "secret-id-bound-cidrs", event="approle.role.write")
    async def write_secret_id_bound_cidrs(self, call: Call, params: SecretIdBoundCidrsParams) -> None:
        """Set the addresses that may log in."""
        await _bind(call, params, params.secret_id_bound_cidrs)

    @delete(_ROLE + "secret-id-bound-cidrs", event="approle.role.write")
    async def delete_secret_id_bound_cidrs(self, call: Call, params: RoleName) -> None:
        """Let everybody with a secret id log in, from everywhere."""
        await _reset(call, params, "secret_id_bound_cidrs", None)

    @read(_ROLE + "bound-cidr-list", deprecation=OLD, event="approle.role.read")
    async def read_bound_cidr_list(self, call: Call, params: RoleName) -> Reply[dict[str, Json]]:
        """Show nothing any more: the addresses are at secret-id-bound-cidrs."""
        await _shown(call, params)
        return Reply({"bound_cidr_list": None}, warnings=[_OLD_LIST])

    @write(_ROLE + "bound-cidr-list", deprecation=OLD, event="approle.role.write")
    async def write_bound_cidr_list(self, call: Call, params: BoundCidrListParams) -> None:
        """Set the addresses that may log in, by their old name."""
        await _bind(call, params, params.bound_cidr_list)

    @delete(_ROLE + "bound-cidr-list", deprecation=OLD, event="approle.role.write")
    async def delete_bound_cidr_list(self, call: Call, params: RoleName) -> None:
        """Do nothing: the addresses are removed at secret-id-bound-cidrs."""

    @read(_ROLE + "local-secret-ids", event="approle.role.read")
    async def read_local_secret_ids(self, call: Call, params: RoleName) -> dict[str, Json]:
        """Show whether secret ids are said to be of this cluster alone."""
        return {"local_secret_ids": (await _shown(call, params)).local_secret_ids}

    @read(_ROLE + "role-id", event="approle.role_id.read")
    async def read_role_id(self, call: Call, params: RoleName) -> dict[str, Json]:
        """Show the role id."""
        return {"role_id": (await _shown(call, params)).role_id}

    @write(_ROLE + "role-id", event="approle.role_id.write")
    async def write_role_id(self, call: Call, params: RoleIdParams) -> None:
        """Set the role id; the old one is good for nothing from then on."""
        await _put(call, params, "role_id", params.role_id or None)


async def _shown(call: Call, params: RoleName) -> Role:
    role = await store.role(call.reader, params.role_name)
    if role is None:
        raise NotFound
    return role


async def _changing(call: Call, params: RoleName) -> Role:
    role = await store.role(call.tx, params.role_name)
    if role is None:
        raise UnsupportedPath
    return role


def _term(role: Role, name: str, old_name: str = "") -> dict[str, Json]:
    value = getattr(role.terms, name)
    shown = {f"token_{name}": value}
    return shown | {old_name: value} if old_name in role.terms.old_names else shown


def _tidied(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({name.strip().lower() for name in names} - {""}))


async def _set(call: Call, role: Role, needed: str, given: dict[str, Json]) -> None:
    """Change what a role says of its tokens; `needed` names what may not be left out."""
    if all(value is None for value in given.values()):
        if needed:
            raise Malformed(f"missing {needed}")
        return
    terms = changed(role.terms, RoleParams(role_name=role.name, **given), OLD_NAMES)
    await keep(call, msgspec.structs.replace(role, terms=terms), role)


async def _clear(call: Call, params: RoleName, name: str, old_name: str = "") -> None:
    role = await store.role(call.tx, params.role_name)
    if role is None:
        return
    old_names = tuple(one for one in role.terms.old_names if one != old_name)
    terms = msgspec.structs.replace(role.terms, **{name: getattr(_FIRST, name)}, old_names=old_names)
    await keep(call, msgspec.structs.replace(role, terms=terms), role)


async def _put(call: Call, params: RoleName, name: str, value: Json) -> None:
    role = await _changing(call, params)
    if value is None:
        raise Malformed(f"missing {name}")
    await keep(call, msgspec.structs.replace(role, **{name: value}), role)


async def _reset(call: Call, params: RoleName, name: str, value: Json) -> None:
    role = await store.role(call.tx, params.role_name)
    if role is not None:
        await keep(call, msgspec.structs.replace(role, **{name: value}), role)


async def _bind(call: Call, params: RoleName, blocks: tuple[str, ...] | None) -> None:
    role = await _changing(call, params)
    if blocks is not None:
        await keep(call, msgspec.structs.replace(role, secret_id_bound_cidrs=checked(blocks)), role)
