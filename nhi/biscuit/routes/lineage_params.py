# SPDX-License-Identifier: EUPL-1.2
"""Parameters and answers of `lineage_routes`: credentials, trees, orphans, reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec

from vault.framework.fields import Doc, Span
from vault.framework.route import Params
from vault.values.ids import TokenAccessor, TokenId
from vault.values.times import Seconds


class SettingsParams(Params, frozen=True):
    """Settings of the mount; what is not given stays."""

    lineage_ttl: Annotated[
        Span | None,
        Doc("How long what was seen of a token is kept after its end; 30 days if never set.", clear=True),
    ] = None


class SettingsInfo(msgspec.Struct, frozen=True):
    """Settings of the mount, in seconds."""

    lineage_ttl: Seconds


class CredentialsParams(Params, frozen=True):
    """Which credentials; all that is given must fit."""

    workload: Annotated[str, Doc("Of this workload.", clear=True)] = ""
    source: Annotated[str, Doc("Presented from this address.")] = ""
    since: Annotated[
        str, Doc("First seen, or else issued, at or after this time (RFC 3339).", clear=True)
    ] = ""
    until: Annotated[str, Doc("First seen, or else issued, before this time (RFC 3339).", clear=True)] = ""
    anomaly: Annotated[str, Doc("With this anomaly; `any` for any at all.", clear=True)] = ""
    presented: Annotated[
        str,
        Doc(
            "yes, or no for those that live and were never presented, or any for these and those.", clear=True
        ),
    ] = "yes"
    after: Annotated[str, Doc("What `next` of the page before said.")] = ""
    limit: Annotated[int, Doc("At most so many, up to 1000.", clear=True)] = 100


class CredentialPath(Params, frozen=True):
    """Which credential."""

    token_id: Annotated[
        str, Doc("Its id, which is in its first block, or the revocation id of any of its blocks.")
    ]


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """An issued token with everything that was made from it, as far as it was presented.

    `tokens` counts the service tokens that were made with any of it and live, as far as a tree names them. Of one that was
    never `presented` there is neither `first_seen` nor `last_seen`, which is true to the hour.
    """

    token_id: TokenId
    workload: str
    registration: str
    method: str
    kid: int
    policies: Sequence[str]
    renewed_from: str
    issue_time: str
    expire_time: str
    presented: bool
    first_seen: str
    last_seen: str
    sources: Sequence[str]
    blocks: int
    depth: int
    state: str
    tokens: int
    anomalies: Sequence[str]


class Credentials(msgspec.Struct, frozen=True):
    """A page of them, the one first seen, or issued, last first; `next` is empty on the last page."""

    credentials: Sequence[Credential]
    next: str


class NodeInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One block of a tree."""

    id: str
    parent: str
    index: int
    narrowing: Sequence[str]
    approver: str
    first_seen: str
    source: str
    sources: Sequence[str]
    revoked: bool
    revoke_time: str
    reason: str
    refused: str
    anomalies: Sequence[str]


class RenewalInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A token that was made in place of this one, or of one that was. `id` and `parent` are first blocks."""

    token_id: TokenId
    id: str
    parent: str
    expire_time: str
    state: str


class ChildInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A service token that was made with a chain and lives. `parent` is the chain's last block, or another's accessor."""

    accessor: TokenAccessor
    parent: str
    display_name: str
    policies: Sequence[str]
    issue_time: str
    expire_time: str


class TreeInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A credential and its tree: a node comes after its parent; and what was renewed from it, in the same order.

    `tokens` are the service tokens that were made with it, each after what it was made with.
    """

    credential: Credential
    more: bool
    nodes: Sequence[NodeInfo]
    renewals: Sequence[RenewalInfo]
    tokens: Sequence[ChildInfo]


class OrphanInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A token with a good signature that was not issued here."""

    id: str
    kid: int
    token_id: TokenId
    workload: str
    first_seen: str
    source: str


class OrphansInfo(msgspec.Struct, frozen=True):
    """The first of them, and whether there were more."""

    orphans: Sequence[OrphanInfo]
    more: bool


class EndedBlock(msgspec.Struct, frozen=True, kw_only=True):
    """One block that a revocation ends."""

    id: str
    token_id: TokenId
    workload: str
    index: int
    narrowing: Sequence[str]
    sources: Sequence[str]


class RevokePreview(msgspec.Struct, frozen=True, kw_only=True):
    """What a revocation would end: what was seen of it, and always all that was not.

    `tokens` counts the service tokens that were made with it.
    """

    what: str
    name: str
    credentials: int
    blocks: int
    tokens: int
    dying: Sequence[EndedBlock]
    more: bool


class MethodInfo(msgspec.Struct, frozen=True):
    """How often a method gave a token, and when last."""

    count: int
    last: str


class RegistrationReport(msgspec.Struct, frozen=True, kw_only=True):
    """How the tokens of a registration come about: how many were issued and presented, and when the last came, to the hour."""

    registration: str
    workload: str
    owner: str
    has_secret: bool
    uses_secret: bool
    workload_disabled: bool
    workload_expire_time: str
    methods: Mapping[str, MethodInfo]
    issued: int
    presented: int
    last_used: str


class ReportParams(Params, frozen=True):
    """How much of the report."""

    after: Annotated[str, Doc("What `next` of the page before said.")] = ""
    limit: Annotated[int, Doc("At most so many registrations, up to 1000; 0 for all.", clear=True)] = 0


class Report(msgspec.Struct, frozen=True):
    """Who still logs in by secret, first, and everybody else; `next` is empty on the last page."""

    registrations: Sequence[RegistrationReport]
    next: str
