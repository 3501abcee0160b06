# SPDX-License-Identifier: EUPL-1.2
"""The servers that work on one storage, of which this is one."""

from __future__ import annotations

import socket
from functools import partial

from vault import __version__
from vault.background.nodes import Nodes, registered
from vault.engines.system.release import VERSION
from vault.server.compose.groups.ground import Ground
from vault.storage.protocol import Node


def make_nodes(ground: Ground) -> Nodes:
    """Make what tells the others of this one, and it of them."""
    config = ground.config
    own = Node(
        hostname=socket.gethostname(),
        api_addr=ground.address,
        cluster_addr=config.cluster_addr,
        version=registered(__version__),
        api=VERSION,
        serves=False,
    )
    defect = partial(ground.log.crash, "core", "saying that this server lives met a defect; it is begun anew")
    nodes = Nodes(ground.storage, ground.clock, own, shared=config.storage.is_shared, defect=defect)

    def tell() -> None:
        if nodes.writable:
            ground.log.note("storage", "the storage takes writes again")
        else:
            ground.log.failure("storage", "the storage answers reads and takes no writes")

    nodes.on_writable = tell
    if nodes.shared:
        ground.metrics.gauge("coffre.storage.writable", lambda: float(nodes.writable))
        ground.metrics.gauge("coffre.storage.nodes", lambda: float(nodes.count))
    return nodes
