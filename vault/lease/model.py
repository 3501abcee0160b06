# SPDX-License-Identifier: EUPL-1.2
"""What is stored of a lease, how far it can be prolonged, and what an engine does to keep its side."""

from __future__ import annotations

from typing import Final, Protocol

import msgspec

from vault.barrier.view import ReadView, View
from vault.values.ids import NO_TOKEN_KEY, LeaseId, MountAccessor, MountId, TokenKey
from vault.values.times import (
    Nanos,
    Seconds,
    nanos_after,
    nanos_to_seconds,
    nanos_to_seconds_cut,
    time_between,
)

LEASE_KIND: Final = "lease"
"""Kind of the timer of one lease; the key is the lease's identifier."""


class Lease(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that was made in another system. Times are nanoseconds since the epoch, durations seconds.

    `kind`, `mount` and `accessor` name the mount that made it, `token` the key of the token that it was made for.
    `detail` is what the engine needs to take it back; only the barrier protects it.
    """

    id: LeaseId
    kind: str
    mount: MountId
    accessor: MountAccessor
    issued: Nanos
    expires: Nanos
    ttl: Seconds
    longest: Seconds
    renewable: bool = True
    token: TokenKey = NO_TOKEN_KEY
    chain: tuple[str, ...] = ()
    """Of a credential that is a chain, all that it was made from, and itself."""
    detail: bytes = b""
    renewed: Nanos = Nanos(0)
    attempts: int = 0
    """How often taking it back has failed by itself."""
    reason: str = ""
    """Why the last attempt failed, in the engine's words."""
    parked: bool = False
    """Whether nothing more is tried until an operator asks."""

    @property
    def path(self) -> str:
        """The path of the request that made it."""
        return self.id.rpartition("/")[0]

    def remaining(self, now: Nanos) -> Seconds:
        """Seconds left at `now` (nanoseconds); below 0 once it is over, as OpenBao shows it."""
        return nanos_to_seconds_cut(time_between(now, self.expires))

    def __repr__(self) -> str:
        """Name the lease without its detail."""
        return f"<Lease {self.id}>"


class LeaseFailure(Exception):
    """An engine could not do its part; the message is a fixed text of the engine's, without secrets."""


class Revoker(Protocol):
    """An engine's part, one for each kind of mount. `data` is the mount's own data.

    What it does may be asked for again once it is done, and then succeeds.
    """

    async def revoke(self, data: ReadView, lease: Lease) -> None:
        """Take back what the lease is for, where that is in another system. Raises `LeaseFailure`.

        No transaction waits for it.
        """
        ...

    async def removed(self, data: View, lease: Lease) -> None:
        """Remove what the mount keeps for the lease, in the transaction that removes the lease.

        That follows `revoke`, also one that failed where an operator uses force. The mount may be gone by then.
        """
        ...

    async def renew(self, data: ReadView, lease: Lease) -> None:
        """Make it last until the lease's new end, which is stored already. Raises `LeaseFailure`.

        No transaction waits for it.
        """
        ...


def prolonged(lease: Lease, increment: Seconds, now: Nanos) -> tuple[Lease, list[str]]:
    """Return the lease with its end `increment` seconds from `now` (nanoseconds), and what to warn of.

    0 asks for what it had at first. It never ends later than its issue plus its longest time (SL-33).
    """
    wanted = increment or lease.ttl
    left = max(Seconds(0), time_between(nanos_to_seconds(time_between(lease.issued, now)), lease.longest))
    warnings = []
    if wanted > left:
        warnings.append(
            f'TTL of "{_spelt(wanted)}" exceeded the effective max_ttl of "{_spelt(left)}"; '
            "TTL value is capped accordingly"
        )
    granted = min(wanted, left)
    return msgspec.structs.replace(lease, expires=nanos_after(now, granted), renewed=now), warnings


def _spelt(seconds: Seconds) -> str:
    """Write a duration as OpenBao does: `768h`, `1h30m`, `0s`."""
    minutes, left = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "m"), (left, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0s"
