# SPDX-License-Identifier: EUPL-1.2
"""The plan of a read: what the pipeline found out about a call, for the next one like it; see `vault.repeated.plans`."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from vault.framework.call import BoundRoute, Call, Decision, Destination, Identity
from vault.framework.fields import Json
from vault.framework.request.operation import Operation
from vault.framework.route import Params
from vault.values.times import Millis


class Plan(msgspec.Struct, frozen=True):
    """The plan of one read. It is true `until` then (ms since the epoch), 0 for as long as what it `stands` on."""

    stands: object
    """The follower's era for an identity that is held, its state for any other."""
    until: Millis
    destination: Destination
    bound: BoundRoute
    identity: Identity
    decision: Decision | None
    params: Params
    operation: Operation
    data: Mapping[str, Json]

    def __repr__(self) -> str:
        """Show nothing of what is asked: tokens are asked about too."""
        return f"<Plan {self.operation}>"

    def fill(self, call: Call) -> None:
        """Fill a call from this plan."""
        call.operation, call.data = self.operation, self.data
        call.destination, call.bound, call.params = self.destination, self.bound, self.params
        call.identity, call.decision = self.identity, self.decision
