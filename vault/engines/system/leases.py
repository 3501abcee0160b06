# SPDX-License-Identifier: EUPL-1.2
"""`sys/leases`: leases of secrets. No engine here makes any yet, so none is ever found."""

from __future__ import annotations

from typing import Annotated

import msgspec

from vault.framework.call import Call
from vault.framework.engine import Engine
from vault.framework.errors import Malformed, NotFound
from vault.framework.fields import Doc, Duration
from vault.framework.route import Params, list_, write


class LeaseParams(Params, frozen=True):
    """Names a lease."""

    lease_id: Annotated[str, Doc("Identifier of the lease.")] = ""


class RenewParams(LeaseParams, frozen=True):
    """Names a lease and how long it is to go on."""

    increment: Annotated[Duration, Doc("How much longer the lease is wanted.")] = 0


class PrefixParams(Params, frozen=True):
    """Names a part of the leases."""

    prefix: Annotated[str, Doc("First part of the identifiers.")]


class LeaseNames(msgspec.Struct, frozen=True):
    """Identifiers directly below a prefix."""

    keys: list[str]


class LeaseEngine(Engine):
    """Looking up, renewing and revoking leases."""

    @write("leases/lookup", writes=False)
    async def look_up(self, call: Call, params: LeaseParams) -> None:
        """Show a lease."""
        del call
        _named(params)
        raise Malformed("invalid lease")

    @write("leases/renew", writes=False)
    async def renew(self, call: Call, params: RenewParams) -> None:
        """Prolong a lease."""
        del call
        _named(params)
        raise Malformed("lease not found")

    @write("leases/revoke", writes=False)
    async def revoke(self, call: Call, params: LeaseParams) -> None:
        """End a lease; nothing happens where there is none."""
        del call
        _named(params)

    @list_("leases/lookup/{prefix:any}", sudo=True)
    async def list_leases(self, call: Call, params: PrefixParams) -> LeaseNames:
        """List identifiers of leases below a prefix. Needs sudo."""
        del call, params
        raise NotFound


def _named(params: LeaseParams) -> None:
    if not params.lease_id:
        raise Malformed("lease_id must be specified")
