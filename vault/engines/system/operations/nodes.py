# SPDX-License-Identifier: EUPL-1.2
"""`sys/ha-status`, `sys/leader` and `sys/step-down`: the servers of a cluster, of which each serves as a leader does."""

from __future__ import annotations

import msgspec

from vault.background.nodes import Nodes, active, release
from vault.framework.call import Call
from vault.framework.clock import rfc3339
from vault.framework.engine import Engine
from vault.framework.errors import Forbidden, Reason, Sealed
from vault.framework.reply import Reply
from vault.framework.route import read, write
from vault.storage.protocol import Node
from vault.values.times import millis_to_nanos


class ClusterNode(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One server of the cluster."""

    hostname: str
    api_address: str
    cluster_address: str
    active_node: bool
    """Whether it is unsealed, and asks for requests."""
    last_echo: str | None
    """When it was heard of last; none for the server that answers."""
    version: str
    coffre_version: str
    storage_read_only: bool = False
    """Whether storage takes nothing that the server writes, and the rest is as of when it last did."""


class ClusterNodes(msgspec.Struct, frozen=True):
    """The servers of the cluster."""

    nodes: list[ClusterNode]


class Leader(msgspec.Struct, frozen=True, omit_defaults=True):
    """The leader, for OpenBao's clients: each server that serves is one."""

    ha_enabled: bool
    is_self: bool | msgspec.UnsetType = msgspec.UNSET
    active_time: str = ""
    leader_address: str = ""
    leader_cluster_address: str = ""


class NodesEngine(Engine):
    """The servers of a cluster."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes

    @read("ha-status")
    async def read_nodes(self, call: Call) -> Reply[ClusterNodes]:
        """Show the servers of the cluster that live."""
        del call
        shown = [self._shown(node) for node in await self._nodes.seen()]
        return Reply(data=ClusterNodes(shown), embed=True)

    def _shown(self, node: Node) -> ClusterNode:
        return ClusterNode(
            hostname=node.hostname,
            api_address=node.api_addr,
            cluster_address=node.cluster_addr,
            active_node=active(node),
            last_echo=None if self._nodes.is_own(node) else rfc3339(millis_to_nanos(node.seen)),
            version=node.api,
            coffre_version=release(node),
            storage_read_only=self._nodes.is_own(node) and not self._nodes.writable,
        )

    @read("leader", public=True, when_sealed=True, unaudited=True)
    async def read_leader(self, call: Call) -> Reply[Leader]:
        """Show the leader: this server, unless it stands aside."""
        del call
        nodes = self._nodes
        if not nodes.shared:
            return Reply(data=Leader(ha_enabled=False), plain=True)
        if not nodes.since:
            raise Sealed
        if not nodes.aside:
            own = nodes.own
            leader = Leader(True, True, rfc3339(nodes.since), own.api_addr, own.cluster_addr)
            return Reply(data=leader, plain=True)
        other = nodes.other
        where = (other.api_addr, other.cluster_addr) if other is not None else ("", "")
        return Reply(data=Leader(True, False, "", *where), plain=True)

    @write("step-down", writes=False, event="sys.step_down")
    async def step_down(self, call: Call) -> None:
        """Have the load balancer send requests to the other servers of the cluster for ten seconds. Needs sudo.

        What comes all the same is served. Without another server that serves, nothing happens.
        """
        if not self._nodes.shared:
            return
        if call.decision is None or not (call.decision.sudo or call.decision.root):
            raise Forbidden(path=call.path, capability="sudo", reason=Reason.SUDO)
        await self._nodes.step_down()
