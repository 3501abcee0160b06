# SPDX-License-Identifier: EUPL-1.2
"""What AppRole keeps, takes and answers. Secret ids themselves are never kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Final

import msgspec

from vault.framework.clock import rfc3339
from vault.framework.fields import CommaList, Doc, LowerCase, Span
from vault.framework.route import Params
from vault.token.terms import BareBool, BareCommas, BareInt, BareSpan, BareText, TermsParams, TokenTerms
from vault.values.deprecation import OLD
from vault.values.ids import SecretIdAccessor
from vault.values.times import Nanos, Seconds

OLD_NAMES: Final = {"policies": "policies", "period": "period"}
"""Older names of fields of the terms."""
NEVER: Final = "0001-01-01T00:00:00Z"
"""How OpenBao writes a time that does not come."""
_SHOWN: Final = "Whether to show how often, and when last, it was used to log in."


class Role(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A role. `uid` stays when it is renamed or its role id changes; durations in seconds."""

    name: str
    uid: str
    role_id: str
    terms: TokenTerms = TokenTerms()
    bind_secret_id: bool = True
    local_secret_ids: bool = False
    secret_id_bound_cidrs: tuple[str, ...] | None = None
    secret_id_num_uses: int = 0
    secret_id_ttl: Seconds = Seconds(0)


class Usage(msgspec.Struct, frozen=True):
    """How often something was used to log in, and when last (nanoseconds)."""

    count: int = 0
    last: Nanos = Nanos(0)

    def shown(self) -> dict[str, str | int]:
        """Return it as OpenBao shows it."""
        return {"last_used_time": rfc3339(self.last) if self.last else NEVER, "use_count": self.count}


class SecretId(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A secret id, without itself. Times in nanoseconds, 0 for never; `uses` are left, 0 for unlimited."""

    accessor: SecretIdAccessor
    created: Nanos
    updated: Nanos
    expires: Nanos = Nanos(0)
    ttl: Seconds = Seconds(0)
    uses: int = 0
    metadata: Mapping[str, str] = {}
    cidrs: tuple[str, ...] = ()
    token_cidrs: tuple[str, ...] = ()
    usage: Usage = Usage()

    def alive(self, now: Nanos) -> bool:
        """Whether it may be used at `now` (nanoseconds): expiry is enforced here, not by a sweep (SL-32)."""
        return not self.expires or now < self.expires


class AccessorOwner(msgspec.Struct, frozen=True, kw_only=True):
    """Where the secret id of an accessor is: the uid of its role, and its own hash."""

    uid: str
    digest: str


class RoleName(Params, frozen=True, kw_only=True):
    """Names a role."""

    role_name: Annotated[LowerCase, Doc("Name of the role.")]


class RoleQuery(RoleName, frozen=True, kw_only=True):
    """Which role, and whether how it was used is shown too."""

    usage: Annotated[bool, Doc(_SHOWN, clear=True)] = False


class RoleParams(TermsParams, frozen=True, kw_only=True):
    """A role; what is not given stays."""

    role_name: Annotated[LowerCase, Doc("Name of the role.")]
    bind_secret_id: Annotated[BareBool | None, Doc("Whether logins need a secret id; true.", clear=True)] = (
        None
    )
    bound_cidr_list: Annotated[
        BareCommas | None, Doc("Old name of secret_id_bound_cidrs.", clear=True, deprecation=OLD)
    ] = None
    local_secret_ids: Annotated[
        BareBool | None, Doc("Kept for clients; every secret id is in this cluster alone.", clear=True)
    ] = None
    period: Annotated[BareSpan | None, Doc("Old name of token_period.", clear=True, deprecation=OLD)] = None
    policies: Annotated[
        BareCommas | None, Doc("Old name of token_policies.", clear=True, deprecation=OLD)
    ] = None
    role_id: Annotated[BareText | None, Doc("The role id; a random one is made for a new role.")] = None
    secret_id_bound_cidrs: Annotated[
        BareCommas | None, Doc("Blocks of addresses that may log in.", clear=True)
    ] = None
    secret_id_num_uses: Annotated[
        BareInt | None, Doc("Uses of a secret id; 0 for unlimited.", clear=True)
    ] = None
    secret_id_ttl: Annotated[
        BareSpan | None, Doc("Lifetime of a secret id; 0 for unlimited.", clear=True)
    ] = None


class AccessorList(RoleName, frozen=True):
    """Which part of the list of a role's accessors."""

    after: Annotated[str, Doc("Begin after this accessor.")] = ""
    limit: Annotated[int, Doc("How many accessors to show at most; 0 or less for all.", clear=True)] = 0


class NewSecretId(RoleName, frozen=True):
    """A secret id to be made."""

    metadata: Annotated[str, Doc("JSON object of strings, as text; it is the metadata of the tokens.")] = ""
    cidr_list: Annotated[
        CommaList | None, Doc("Blocks of addresses that may log in with it.", clear=True)
    ] = None
    token_bound_cidrs: Annotated[CommaList | None, Doc("Addresses that may use the tokens.", clear=True)] = (
        None
    )
    num_uses: Annotated[int | None, Doc("Uses, at most the role's; 0 for unlimited.", clear=True)] = None
    ttl: Annotated[Span | None, Doc("Lifetime, at most the role's; 0 for unlimited.", clear=True)] = None


class CustomSecretId(NewSecretId, frozen=True):
    """A secret id that the caller brings."""

    secret_id: Annotated[str, Doc("The secret id.")] = ""


class SecretIdParams(RoleName, frozen=True):
    """A secret id of a role."""

    secret_id: Annotated[str, Doc("The secret id.")] = ""


class SecretIdQuery(SecretIdParams, frozen=True):
    """A secret id of a role, and whether how it was used is shown too."""

    usage: Annotated[bool, Doc(_SHOWN, clear=True)] = False


class AccessorParams(RoleName, frozen=True):
    """A secret id of a role, by its accessor."""

    secret_id_accessor: Annotated[str, Doc("Accessor of the secret id.")] = ""


class AccessorQuery(AccessorParams, frozen=True):
    """A secret id of a role by its accessor, and whether how it was used is shown too."""

    usage: Annotated[bool, Doc(_SHOWN, clear=True)] = False


class LoginParams(Params, frozen=True):
    """Who logs in."""

    role_id: Annotated[str, Doc("The role id.")] = ""
    secret_id: Annotated[str, Doc("The secret id, where the role needs one.")] = ""


class CreatedSecretId(msgspec.Struct, frozen=True):
    """A new secret id: the only time that it is shown."""

    secret_id: str
    secret_id_accessor: SecretIdAccessor
    secret_id_num_uses: int
    secret_id_ttl: Seconds


class SecretIdInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a secret id. `last_used_time` and `use_count` are ours, and shown where they are asked for."""

    cidr_list: Sequence[str]
    creation_time: str
    expiration_time: str
    last_updated_time: str
    last_used_time: str | msgspec.UnsetType = msgspec.UNSET
    metadata: Mapping[str, str]
    secret_id_accessor: SecretIdAccessor
    secret_id_num_uses: int
    secret_id_ttl: Seconds
    token_bound_cidrs: Sequence[str]
    use_count: int | msgspec.UnsetType = msgspec.UNSET


class NotFoundNotice(msgspec.Struct, frozen=True):
    """Says that nothing was found. OpenBao says so in the data, with status 200."""

    error: str
