# SPDX-License-Identifier: EUPL-1.2
"""`workloads`: who may have tokens of an `nhi` mount, until when, and who answers for it."""

from __future__ import annotations

from nhi.biscuit.records import store
from nhi.biscuit.records.model import Workload
from nhi.biscuit.routes.params import (
    Names,
    WorkloadInfo,
    WorkloadParams,
    WorkloadPath,
)
from nhi.biscuit.routes.registration_routes import names_in
from nhi.biscuit.routes.revocation_routes import end_workload, forget_workload
from vault.framework.call import Call
from vault.framework.clock import Clock, Entropy, rfc3339
from vault.framework.engine import Engine
from vault.framework.errors import Malformed, NotFound
from vault.framework.route import delete, list_, read, write
from vault.values.times import millis_after, millis_to_nanos


class WorkloadEngine(Engine):
    """The paths of workloads."""

    def __init__(self, clock: Clock, entropy: Entropy) -> None:
        self._clock = clock
        self._entropy = entropy

    @list_("workloads", event="nhi.workload.list")
    async def list_workloads(self, call: Call) -> Names:
        """List the names of all workloads."""
        return await names_in(call, store.WORKLOADS)

    @read("workloads/{name:name}", event="nhi.workload.read")
    async def read_workload(self, call: Call, params: WorkloadPath) -> WorkloadInfo:
        """Show a workload."""
        found = await _workload(call, params.name)
        return WorkloadInfo(
            name=found.name,
            owner=found.owner,
            description=found.description,
            disabled=found.disabled,
            reason=found.reason,
            expire_time=rfc3339(millis_to_nanos(found.expires)),
        )

    @write("workloads/{name:name}", exists="has_workload", event="nhi.workload.write")
    async def write_workload(self, call: Call, params: WorkloadParams) -> None:
        """Make a workload, or change and enable it. It needs an owner, and an end."""
        if not params.owner:
            raise Malformed("owner: a workload needs somebody who answers for it")
        if params.ttl <= 0:
            raise Malformed("ttl: a workload needs an end")
        old = await store.workload(call.tx, params.name)
        new = Workload(
            name=params.name,
            uid=old.uid if old is not None else self._entropy.uuid(),
            owner=params.owner,
            expires=millis_after(self._clock.millis(), params.ttl),
            description=params.description,
        )
        await store.put_workload(call.tx, new)

    @delete("workloads/{name:name}", event="nhi.workload.delete")
    async def delete_workload(self, call: Call, params: WorkloadPath) -> None:
        """Remove a workload. Its tokens end at once."""
        old = await store.workload(call.tx, params.name)
        if old is not None:
            await forget_workload(call, old)

    @write("workloads/{name:name}/revoke", event="nhi.revoke")
    async def revoke_workload(self, call: Call, params: WorkloadPath) -> None:
        """End all tokens of a workload at once, and give it no others until it is written again."""
        old = await _workload(call, params.name)
        await end_workload(call, old, self._entropy)

    async def has_workload(self, call: Call) -> bool:
        """Tell update from create."""
        return await store.workload(call.reader, call.captures["name"]) is not None


async def _workload(call: Call, name: str) -> Workload:
    found = await store.workload(call.reader, name)
    if found is None:
        raise NotFound
    return found
