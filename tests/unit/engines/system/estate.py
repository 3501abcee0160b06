# SPDX-License-Identifier: EUPL-1.2
"""A vault whose mounts can be changed: every kind that the tests mount, and the engines that change them."""

from tests.unit.engines.system.house import House
from vault.background.nodes import Nodes
from vault.barrier.barrier import KEYRING_KIND
from vault.engines.kv.engine import VersionedKV
from vault.engines.kv.plain import PlainKV
from vault.engines.kv.upgrade import upgrade
from vault.engines.system.mounts.internal import InternalEngine, SpecsEngine
from vault.engines.system.mounts.mounts import MountsEngine
from vault.engines.system.mounts.plugins import PluginEngine
from vault.engines.system.mounts.remount import RemountEngine
from vault.engines.system.mounts.tune import TuningEngine
from vault.engines.system.operations.host import machine
from vault.engines.system.operations.nodes import NodesEngine
from vault.engines.system.operations.status import ServerFacts, StatusEngine
from vault.engines.system.seal.rotate_keyring import KeyringRotationEngine
from vault.framework.clock import Entropy
from vault.framework.concurrency.offload import Pool
from vault.framework.engine import Engine
from vault.framework.route_table import RouteTable
from vault.framework.telemetry.metrics import Metrics
from vault.mount.table import Backend, Catalog
from vault.storage.protocol import Node

OWN = Node(
    hostname="one",
    api_addr="https://vault.example:8200",
    cluster_addr="",
    version="0.1",
    api="2.7.2",
    serves=True,
)


class Nothing(Engine):
    """An engine without routes."""


def backend(*engines: Engine) -> Backend:
    """Return a backend of these engines."""
    return Backend(engines, RouteTable(engines))


async def estate(*, prometheus: bool = True) -> House:
    """Return an open vault with KV, an auth method `userpass`, and all of sys/ that is tested here."""
    house = House()
    metrics = Metrics(house.clock)
    metrics.counter("core.handled").count = 3
    server = ServerFacts(
        machine,
        lambda: {"log_level": "info"},
        lambda: (),
        prometheus=prometheus,
    )
    engines = (
        MountsEngine(house.router, house.entropy, house.tokens),
        TuningEngine(house.router, house.clock, upgrade),
        RemountEngine(house.router, house.namespaces, house.barrier, house.entropy, house.tokens),
        InternalEngine(house.router, house.namespaces, house.gate),
        SpecsEngine(house.router, house.gate),
        PluginEngine(house.router),
        KeyringRotationEngine(house.barrier),
        StatusEngine(server, house.barrier, metrics.whole, Pool()),
        NodesEngine(Nodes(house.storage, house.clock, OWN, shared=False, defect=list[Exception]().append)),
    )
    await house.open(*engines)
    house.router.catalog = kinds(house, *engines)
    house.follower.own(KEYRING_KIND, lambda _: house.barrier.refresh())
    await house.router.drop(None)
    return house


def kinds(house: House, *engines: Engine) -> Catalog:
    """Return every kind of mount that the tests know."""
    plain = backend(PlainKV(Entropy()))
    nothing = backend(Nothing())
    return Catalog(
        {
            ("system", ""): backend(*engines),
            ("cubbyhole", ""): nothing,
            ("identity", ""): nothing,
            ("kv", ""): plain,
            ("kv", "1"): plain,
            ("kv", "2"): backend(VersionedKV(house.clock)),
            ("other", ""): nothing,
        },
        {"token": nothing, "userpass": nothing},
    )
