# SPDX-License-Identifier: EUPL-1.2
"""Parameters and answers of auth/token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec

from vault.framework.fields import Doc, Pairs, Span, StringList
from vault.framework.route import Params
from vault.values.deprecation import OLD
from vault.values.ids import NOBODY, EntityId, TokenAccessor
from vault.values.times import Seconds


class CreateToken(Params, frozen=True):
    """Parameters of a new token. The TTLs are text here because their refusal has its own words."""

    id: Annotated[str, Doc("Value for the token. Needs sudo; a random one is made otherwise.")] = ""
    display_name: Annotated[str, Doc("Name for the token in the audit log.")] = ""
    explicit_max_ttl: Annotated[
        str, Doc("Longest lifetime, counted from creation; renewals cannot exceed it.", clear=True)
    ] = ""
    entity_alias: Annotated[str, Doc("Entity alias to associate with; only with a token role.")] = ""
    num_uses: Annotated[int, Doc("Number of uses; 0 for unlimited.", clear=True)] = 0
    period: Annotated[str, Doc("Lifetime that every renewal gives, without a longest one.", clear=True)] = ""
    renewable: Annotated[bool, Doc("Whether the token can be renewed past its first TTL.", clear=True)] = True
    ttl: Annotated[str, Doc("First lifetime.", clear=True)] = ""
    lease: Annotated[str, Doc("Old name of ttl.", clear=True, deprecation=OLD)] = ""
    type: Annotated[str, Doc("Kind of token: service.", clear=True)] = ""
    no_default_policy: Annotated[bool, Doc("Leave the default policy out.", clear=True)] = False
    no_parent: Annotated[bool, Doc("Make an orphan. Needs sudo.", clear=True)] = False
    policies: Annotated[
        StringList | None, Doc("Policies of the token; the caller's own if none are given.", clear=True)
    ] = None
    meta: Annotated[Pairs | None, Doc("Metadata for the audit log.")] = None


class CreateWithRole(CreateToken, frozen=True):
    """Parameters of a new token from a role."""

    role_name: Annotated[str, Doc("Name of the role.")] = ""


class TokenParams(Params, frozen=True):
    """A token, in the body."""

    token: Annotated[str, Doc("The token; the caller's own where it may be left out.")] = ""


class RenewParams(TokenParams, frozen=True):
    """A token to renew."""

    increment: Annotated[Span, Doc("Wished lifetime from now; 0 for the one it had.", clear=True)] = Seconds(
        0
    )


class AccessorParams(Params, frozen=True):
    """An accessor, in the body."""

    accessor: Annotated[str, Doc("Accessor of the token.")] = ""


class RenewAccessorParams(AccessorParams, frozen=True):
    """A token to renew by its accessor."""

    increment: Annotated[Span, Doc("Wished lifetime from now; 0 for the one it had.", clear=True)] = Seconds(
        0
    )


class TokenInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a lookup shows, on the wire's names. `chain` is the last block of the Biscuit that it was made with."""

    accessor: TokenAccessor
    bound_cidrs: Sequence[str] | msgspec.UnsetType = msgspec.UNSET
    chain: str | msgspec.UnsetType = msgspec.UNSET
    creation_time: Seconds
    creation_ttl: Seconds
    display_name: str
    entity_id: EntityId = NOBODY
    expire_time: str | None
    explicit_max_ttl: Seconds
    external_namespace_policies: Mapping[str, Sequence[str]] | msgspec.UnsetType = msgspec.UNSET
    id: str
    identity_policies: Sequence[str] | msgspec.UnsetType = msgspec.UNSET
    issue_time: str | msgspec.UnsetType = msgspec.UNSET
    last_renewal: str | msgspec.UnsetType = msgspec.UNSET
    last_renewal_time: Seconds | msgspec.UnsetType = msgspec.UNSET
    meta: Mapping[str, str] | None
    namespace_path: str | msgspec.UnsetType = msgspec.UNSET
    num_uses: int
    orphan: bool
    path: str
    period: Seconds | msgspec.UnsetType = msgspec.UNSET
    policies: Sequence[str]
    renewable: bool | msgspec.UnsetType = msgspec.UNSET
    role: str | msgspec.UnsetType = msgspec.UNSET
    ttl: Seconds
    type: str = "service"


class Keys(msgspec.Struct, frozen=True):
    """The answer of a list: accessors or names, in order."""

    keys: Sequence[str]
