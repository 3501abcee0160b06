# SPDX-License-Identifier: EUPL-1.2
"""Parameters and answers of `sys/leases`, and the checks that need no storage."""

from __future__ import annotations

import re
from typing import Annotated

import msgspec

from vault.framework.clock import rfc3339
from vault.framework.errors import Malformed
from vault.framework.fields import Anything, Doc, Span
from vault.framework.route import Params
from vault.lease.model import Lease
from vault.token.model import TokenEntry
from vault.values.ids import LeaseId, MountAccessor
from vault.values.times import Nanos, Seconds

_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")


class LeaseParams(Params, frozen=True):
    """Names a lease."""

    lease_id: Annotated[Anything, Doc("Identifier of the lease.")] = ""


class LeaseRenewParams(LeaseParams, frozen=True):
    """Names a lease and the TTL that it is to have."""

    increment: Annotated[Span, Doc("TTL from now on; 0 for the TTL that it had at first.", clear=True)] = (
        Seconds(0)
    )


class RenewNamedParams(LeaseRenewParams, frozen=True, kw_only=True):
    """As `LeaseRenewParams`, with the lease in the path."""

    url_lease_id: Annotated[str, Doc("Identifier of the lease.")]


class LeaseRevokeParams(LeaseParams, frozen=True):
    """Names a lease."""

    sync: Annotated[
        bool, Doc("False answers 202 instead of 204; the revocation is complete in both cases.", clear=True)
    ] = True


class RevokeNamedParams(LeaseRevokeParams, frozen=True, kw_only=True):
    """As `LeaseRevokeParams`, with the lease in the path."""

    url_lease_id: Annotated[str, Doc("Identifier of the lease.")]


class PrefixParams(Params, frozen=True):
    """Names a part of the leases."""

    prefix: Annotated[str, Doc("First part of the identifiers.")]


class RevokePrefixParams(PrefixParams, frozen=True):
    """Names a part of the leases."""

    sync: Annotated[
        bool, Doc("False answers 202 instead of 204; the revocation is complete in both cases.", clear=True)
    ] = True


class CountParams(Params, frozen=True):
    """Which leases."""

    type: Annotated[str, Doc("irrevocable: those that could not be revoked.", clear=True)] = ""
    include_child_namespaces: Annotated[
        bool, Doc("Whether leases of namespaces below count too.", clear=True)
    ] = False


class LeaseListParams(CountParams, frozen=True):
    """Which leases, and how many."""

    limit: Annotated[str, Doc("How many to show at most: a number, or none.", clear=True)] = ""


class LeaseNames(msgspec.Struct, frozen=True):
    """Identifiers directly below a prefix."""

    keys: list[str]


class LeaseView(msgspec.Struct, frozen=True, kw_only=True):
    """A lease. TTL in seconds."""

    expire_time: str | None
    id: str
    issue_time: str
    last_renewal: str | None
    path: str
    renewable: bool
    revoke_error: str | msgspec.UnsetType = msgspec.UNSET
    ttl: Seconds


class IrrevocableLease(msgspec.Struct, frozen=True):
    """A lease that could not be revoked, and why."""

    lease_id: LeaseId
    mount_id: MountAccessor  # OpenBao's name for it
    error: str


class Irrevocable(msgspec.Struct, frozen=True):
    """The leases that could not be revoked."""

    lease_count: int
    leases: list[IrrevocableLease]


class Counts(msgspec.Struct, frozen=True):
    """How many leases could not be revoked, by the mount's accessor."""

    counts: dict[str, int]
    lease_count: int


def require_lease_id(params: LeaseParams, in_path: str = "") -> LeaseId:
    """Return the lease id, from the body or the path. Raises `Malformed`."""
    given = params.lease_id or in_path
    if not isinstance(given, str):
        raise Malformed("invalid lease ID")
    if not given:
        raise Malformed("lease_id must be specified")
    return LeaseId(given)


def limit_of(params: LeaseListParams) -> int:
    """Return the number of leases to show; 0 for all. Raises `Malformed`."""
    if params.limit in {"", "none"}:
        return 0
    if not _NUMBER.fullmatch(params.limit):
        raise Malformed("invalid 'limit' provided: strconv.Atoi: invalid syntax", chained=True)
    if int(params.limit) < 1:
        raise Malformed("limit must be 'none' or a positive integer", chained=True)
    return int(params.limit)


def show(lease: Lease, now: Nanos) -> LeaseView:
    """Return a lease as it is shown at `now` (nanoseconds)."""
    return LeaseView(
        expire_time=rfc3339(lease.expires),
        id=lease.id,
        issue_time=rfc3339(lease.issued),
        last_renewal=rfc3339(lease.renewed) if lease.renewed else None,
        path=lease.path,
        renewable=lease.renewable and lease.expires > now,
        revoke_error=_given_up(lease) if lease.parked else msgspec.UNSET,
        ttl=lease.remaining(now),
    )


def show_irrevocable(lease: Lease) -> IrrevocableLease:
    """Return a lease that could not be revoked as it is listed."""
    return IrrevocableLease(lease.id, lease.accessor, _given_up(lease))


def _given_up(lease: Lease) -> str:
    return f"out of retries: failed to revoke entry: {lease.reason}"


def show_token(lease_id: LeaseId, entry: TokenEntry, now: Nanos) -> LeaseView:
    """Return a token as it is shown at `now` (nanoseconds)."""
    return LeaseView(
        expire_time=rfc3339(entry.expires) if entry.expires else None,
        id=lease_id,
        issue_time=rfc3339(entry.created),
        last_renewal=rfc3339(entry.renewed) if entry.renewed else None,
        path=entry.path,
        renewable=entry.renewable,
        ttl=entry.remaining(now),
    )
