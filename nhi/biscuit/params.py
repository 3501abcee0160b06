# SPDX-License-Identifier: EUPL-1.2
"""Parameters and answers of an `nhi` mount."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec

from vault.framework.fields import CommaList, Doc, Span
from vault.framework.route import Params


class Names(msgspec.Struct, frozen=True):
    """Names, in order."""

    keys: Sequence[str]


class KeyParams(Params, frozen=True):
    """A new issuer key."""

    algorithm: Annotated[str, Doc("ed25519 or p256; of a key in a device, whatever it is.")] = "ed25519"
    external: Annotated[str, Doc("`<config>:<key>` of an external key that this mount may use.")] = ""
    staged: Annotated[bool, Doc("Only publish it for now; activate it once verifiers know it.")] = False


class KeyPath(Params, frozen=True):
    """Which issuer key."""

    kid: Annotated[str, Doc("Number of the key.")]


class KeyChange(KeyPath, frozen=True):
    """What becomes of an issuer key."""

    state: Annotated[str, Doc("active, retired or destroyed.")] = ""


class KeyInfo(msgspec.Struct, frozen=True, kw_only=True):
    """An issuer key, without what it signs with."""

    kid: int
    algorithm: str
    state: str
    public_key: str
    held: str
    created_time: str


class WorkloadPath(Params, frozen=True):
    """Which workload."""

    name: Annotated[str, Doc("Name of the workload.")]


class WorkloadParams(WorkloadPath, frozen=True):
    """A workload. Owner and lifetime are mandatory: identities that nobody looks after must end."""

    owner: Annotated[str, Doc("Who answers for it: a team, or an address.")] = ""
    ttl: Annotated[Span, Doc("How long it may have tokens, from now.")] = 0
    description: Annotated[str, Doc("What it is.")] = ""


class WorkloadInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A workload."""

    name: str
    owner: str
    description: str
    disabled: bool
    expire_time: str


class RegistrationPath(Params, frozen=True):
    """Which registration."""

    name: Annotated[str, Doc("Name of the registration; also its OAuth client id.")]


class RegistrationParams(RegistrationPath, frozen=True):
    """What a workload gets."""

    workload: Annotated[str, Doc("Name of the workload.")] = ""
    policies: Annotated[CommaList, Doc("Policies that its tokens name.")] = ()
    audiences: Annotated[CommaList, Doc("Whom its tokens are for; `vault` for this server.")] = ("vault",)
    ttl: Annotated[Span, Doc("Lifetime of a token.")] = 3600
    max_ttl: Annotated[Span, Doc("Lifetime with all renewals.")] = 86_400
    max_depth: Annotated[int, Doc("Blocks that a token may have, the first one included.")] = 8


class RegistrationInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A registration."""

    name: str
    workload: str
    policies: Sequence[str]
    audiences: Sequence[str]
    ttl: int
    max_ttl: int
    max_depth: int
    has_secret: bool


class SecretInfo(msgspec.Struct, frozen=True):
    """A new client secret, shown once."""

    client_id: str
    client_secret: str


class IssueParams(RegistrationPath, frozen=True):
    """A token of a registration."""

    ttl: Annotated[Span, Doc("Wished lifetime; the registration's if not given.")] = 0


class LoginParams(Params, frozen=True):
    """A client id with its secret."""

    client_id: Annotated[str, Doc("Name of the registration.")] = ""
    client_secret: Annotated[str, Doc("Its secret.")] = ""
    ttl: Annotated[Span, Doc("Wished lifetime; the registration's if not given.")] = 0


class TokenParams(Params, frozen=True):
    """A token in the body."""

    token: Annotated[str, Doc("The Biscuit.")] = ""


class BlockInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One block of a token."""

    id: str
    parent: str
    index: int
    narrowing: Sequence[str]
    anomalies: Sequence[str]
    datalog: str
    external_key: str | None


class TokenInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a token is; of one that was not issued by this mount, nothing else. `refusal` says why it is not good."""

    active: bool
    refusal: str = ""
    problem: str = ""
    token_id: str = ""
    kid: int = 0
    workload: str = ""
    registration: str = ""
    method: str = ""
    policies: Sequence[str] = ()
    namespace: str = ""
    issue_time: str = ""
    expire_time: str = ""
    sealed: bool = False
    cost: int = 0
    blocks: Sequence[BlockInfo] = ()
