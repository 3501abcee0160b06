# SPDX-License-Identifier: EUPL-1.2
"""Token roles: what a caller may ask for, and what the tokens have. Each namespace has its own."""

from __future__ import annotations

import re
from typing import Annotated, Final

import msgspec

from vault.barrier.stored import RecordKind
from vault.barrier.view import ReadView
from vault.engines.token.model import Keys
from vault.framework.call import Call
from vault.framework.engine import Engine
from vault.framework.errors import Malformed, NotFound
from vault.framework.fields import Doc
from vault.framework.names import folded
from vault.framework.reply import Reply
from vault.framework.route import Params, delete, list_, read, write
from vault.policy.names import normalise
from vault.token.lifetime import LifetimeLimits
from vault.token.terms import BareBool, BareCommas, BareInt, BareSpan, BareText, addresses
from vault.values.deprecation import OLD
from vault.values.times import Seconds

_PREFIX: Final = "token/role/"
_SUFFIX: Final = re.compile(r"[0-9A-Za-z_][0-9A-Za-z_.-]+[0-9A-Za-z_]")
_LONGEST_ALIASES: Final = 1 << 18
"""Characters of all aliases together: a request for a token compares its alias with each of them."""
_TYPES: Final = frozenset({"service", "batch", "default-service", "default-batch"})


class TokenRole(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A role. Durations in seconds, 0 for none; `old_names` were used to set their fields."""

    name: str
    allowed_policies: tuple[str, ...] = ()
    allowed_policies_glob: tuple[str, ...] = ()
    disallowed_policies: tuple[str, ...] = ()
    disallowed_policies_glob: tuple[str, ...] = ()
    allowed_entity_aliases: tuple[str, ...] | None = None
    orphan: bool = False
    renewable: bool = True
    path_suffix: str = ""
    bound_cidrs: tuple[str, ...] = ()
    explicit_max_ttl: Seconds = Seconds(0)
    no_default_policy: bool = False
    num_uses: int = 0
    period: Seconds = Seconds(0)
    type: str = "default-service"
    old_names: tuple[str, ...] = ()

    @property
    def restricts(self) -> bool:
        """Whether it says anything about policies; if not, its makers' own limit the tokens."""
        return bool(
            self.allowed_policies
            or self.allowed_policies_glob
            or self.disallowed_policies
            or self.disallowed_policies_glob
        )


_KIND: Final = RecordKind("token role", TokenRole)


async def role_named(core: ReadView, name: str) -> TokenRole | None:
    """Return the role with this name in the namespace of `core`."""
    value = await core.get(_PREFIX + name)
    return _KIND.decode(value) if value is not None else None


class RoleParams(Params, frozen=True, kw_only=True):
    """A token role; what is not given stays."""

    role_name: Annotated[str, Doc("Name of the role.")]
    allowed_policies: Annotated[BareCommas | None, Doc("Policies that its tokens may have.", clear=True)] = (
        None
    )
    allowed_policies_glob: Annotated[
        BareCommas | None, Doc("Patterns, with *, of more of them.", clear=True)
    ] = None
    disallowed_policies: Annotated[
        BareCommas | None, Doc("Policies that its tokens may not have.", clear=True)
    ] = None
    disallowed_policies_glob: Annotated[
        BareCommas | None, Doc("Patterns, with *, of more of them.", clear=True)
    ] = None
    allowed_entity_aliases: Annotated[BareCommas | None, Doc("Entity aliases that may be asked for.")] = None
    orphan: Annotated[BareBool | None, Doc("Whether its tokens are orphans.", clear=True)] = None
    renewable: Annotated[BareBool | None, Doc("Whether its tokens may be renewed; true.", clear=True)] = None
    path_suffix: Annotated[
        BareText | None, Doc("Last part of the path that its tokens are made at.", clear=True)
    ] = None
    token_bound_cidrs: Annotated[BareCommas | None, Doc("Addresses that may use its tokens.", clear=True)] = (
        None
    )
    token_explicit_max_ttl: Annotated[
        BareSpan | None, Doc("Longest lifetime, whatever renewals.", clear=True)
    ] = None
    token_no_default_policy: Annotated[BareBool | None, Doc("Leave the default policy out.", clear=True)] = (
        None
    )
    token_num_uses: Annotated[BareInt | None, Doc("Uses of a token; 0 for unlimited.", clear=True)] = None
    token_period: Annotated[BareSpan | None, Doc("Lifetime that every renewal gives.", clear=True)] = None
    token_type: Annotated[
        BareText | None, Doc("service, batch, default-service or default-batch.", clear=True)
    ] = None
    bound_cidrs: Annotated[
        BareCommas | None, Doc("Old name of token_bound_cidrs.", clear=True, deprecation=OLD)
    ] = None
    explicit_max_ttl: Annotated[
        BareSpan | None, Doc("Old name of token_explicit_max_ttl.", clear=True, deprecation=OLD)
    ] = None
    period: Annotated[BareSpan | None, Doc("Old name of token_period.", clear=True, deprecation=OLD)] = None


class RoleName(Params, frozen=True):
    """A token role."""

    role_name: Annotated[str, Doc("Name of the role.")]


class ListParams(Params, frozen=True):
    """Which part of a list."""

    after: Annotated[str, Doc("Begin after this name.")] = ""
    limit: Annotated[int, Doc("How many names to show at most; 0 or less for all.", clear=True)] = 0


class RoleInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What is shown of a role. The older names show a value where they were used to set it."""

    allowed_entity_aliases: tuple[str, ...] | None
    allowed_policies: tuple[str, ...]
    allowed_policies_glob: tuple[str, ...]
    bound_cidrs: tuple[str, ...] | msgspec.UnsetType
    disallowed_policies: tuple[str, ...]
    disallowed_policies_glob: tuple[str, ...]
    explicit_max_ttl: Seconds
    name: str
    orphan: bool
    path_suffix: str
    period: Seconds
    renewable: bool
    token_bound_cidrs: tuple[str, ...] | msgspec.UnsetType
    token_explicit_max_ttl: Seconds
    token_no_default_policy: bool
    token_num_uses: int | msgspec.UnsetType
    token_period: Seconds
    token_type: str


class RoleRoutes(Engine):
    """The routes of token roles."""

    def __init__(self, limits: LifetimeLimits) -> None:
        """`limits` are the server's."""
        self._longest = limits.longest

    def _core(self, call: Call) -> ReadView:
        """Return the data of the call's namespace."""
        raise NotImplementedError

    @list_("roles", event="auth.token.role.list")
    async def list_roles(self, call: Call, params: ListParams) -> Keys:
        """List token roles."""
        names = await self._core(call).list(_PREFIX, after=params.after, limit=max(params.limit, 0))
        if not names:
            raise NotFound
        return Keys(names)

    @read("roles/{role_name:word}", event="auth.token.role.read")
    async def read_role(self, call: Call, params: RoleName) -> RoleInfo:
        """Read a token role."""
        role = await role_named(self._core(call), params.role_name)
        if role is None:
            raise NotFound
        return _info(role)

    @write("roles/{role_name:word}", exists="role_exists", event="auth.token.role.write")
    async def write_role(self, call: Call, params: RoleParams) -> Reply[None] | None:
        """Make or change a token role; what is not given stays."""
        old = await role_named(call.core, params.role_name)
        role, warnings = _changed(old or TokenRole(name=params.role_name), params)
        _check(role)
        longest = call.mount.max_ttl or self._longest
        if role.explicit_max_ttl > longest:
            warnings.append(
                f"Given explicit max TTL of {role.explicit_max_ttl} is greater than system/mount allowed value of "
                f"{longest} seconds; until this is fixed attempting to create tokens against this role will result "
                "in an error"
            )
        await call.core.put(_PREFIX + role.name, _KIND.encode(role))
        return Reply(warnings=warnings) if warnings else None

    @delete("roles/{role_name:word}", event="auth.token.role.delete")
    async def delete_role(self, call: Call, params: RoleName) -> None:
        """Remove a token role; its tokens live on, and cannot be renewed."""
        await call.core.delete(_PREFIX + params.role_name)

    async def role_exists(self, call: Call) -> bool:
        """Tell update from create."""
        return await role_named(self._core(call), call.captures["role_name"]) is not None


_OLD: Final = {"bound_cidrs": "bound_cidrs", "explicit_max_ttl": "explicit_max_ttl", "period": "period"}
_POLICIES: Final = (
    "allowed_policies",
    "allowed_policies_glob",
    "disallowed_policies",
    "disallowed_policies_glob",
)
_PLAIN: Final = ("orphan", "renewable", "path_suffix")
_TERMS: Final = ("bound_cidrs", "explicit_max_ttl", "no_default_policy", "num_uses", "period", "type")


def _changed(old: TokenRole, params: RoleParams) -> tuple[TokenRole, list[str]]:
    given = {name: getattr(params, name) for name in _PLAIN}
    given |= {name: getattr(params, f"token_{name}") for name in _TERMS}
    given |= {name: _tidied(getattr(params, name)) for name in _POLICIES}
    aliases = params.allowed_entity_aliases
    given["allowed_entity_aliases"] = None if aliases is None else _aliases(aliases)
    shown, warnings = set(old.old_names), []
    for name in _OLD:
        value = getattr(params, name)
        if value is not None and given[name] is not None:
            warnings.append(
                f"Both 'token_{name}' and deprecated '{name}' value supplied, ignoring the deprecated value"
            )
        elif value is not None:
            given[name] = value
            shown.add(name)
            continue
        if given[name] is not None:
            shown.discard(name)
    if given["bound_cidrs"] is not None:
        try:
            given["bound_cidrs"] = addresses(given["bound_cidrs"])
        except Malformed as wrong:
            raise Malformed(f"error parsing role fields: {wrong.message}") from None
    values = {name: value for name, value in given.items() if value is not None}
    return msgspec.structs.replace(old, **values, old_names=tuple(sorted(shown))), warnings


def _tidied(names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Return names in their one form. The root policy stands alone: beside it others mean nothing."""
    if names is None:
        return None
    found = {normalise(name) for name in names} - {""}
    return ("root",) if "root" in found else tuple(sorted(found))


def _aliases(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return patterns of aliases in their one form, as they are compared. Raises `Malformed`."""
    if sum(map(len, names)) > _LONGEST_ALIASES:
        raise Malformed(f"field 'allowed_entity_aliases' may have at most {_LONGEST_ALIASES} characters")
    return tuple(sorted({folded(name) for name in names}))


def _check(role: TokenRole) -> None:
    if role.path_suffix and not _SUFFIX.fullmatch(role.path_suffix):
        raise Malformed(r"given role path suffix contains invalid characters; must match \w[\w-.]+\w")
    if ".." in role.path_suffix:
        raise Malformed("error registering path suffix: path cannot contain parent references")
    if role.type not in _TYPES:
        raise Malformed("invalid 'token_type' value")
    if role.num_uses < 0:
        raise Malformed("error parsing role fields: 'token_num_uses' cannot be negative")
    if role.type == "batch":
        for wrong, words in (
            (not role.orphan, "non-orphan tokens"),
            (role.period, "periodic tokens"),
            (role.renewable, "renewable tokens"),
            (role.explicit_max_ttl, "tokens with an explicit max TTL"),
        ):
            if wrong:
                raise Malformed(f"'token_type' cannot be 'batch' when role is set to generate {words}")


def _info(role: TokenRole) -> RoleInfo:
    unset = msgspec.UNSET
    old = {name: getattr(role, name) for name in role.old_names}
    return RoleInfo(
        allowed_entity_aliases=role.allowed_entity_aliases,
        allowed_policies=role.allowed_policies,
        allowed_policies_glob=role.allowed_policies_glob,
        bound_cidrs=old.get("bound_cidrs") or unset,
        disallowed_policies=role.disallowed_policies,
        disallowed_policies_glob=role.disallowed_policies_glob,
        explicit_max_ttl=old.get("explicit_max_ttl", 0),
        name=role.name,
        orphan=role.orphan,
        path_suffix=role.path_suffix,
        period=old.get("period", 0),
        renewable=role.renewable,
        token_bound_cidrs=role.bound_cidrs or unset,
        token_explicit_max_ttl=role.explicit_max_ttl,
        token_no_default_policy=role.no_default_policy,
        token_num_uses=role.num_uses or unset,
        token_period=role.period,
        token_type=role.type,
    )
