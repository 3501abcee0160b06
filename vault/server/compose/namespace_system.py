# SPDX-License-Identifier: EUPL-1.2
"""Which part of the root namespace's `sys/` every other namespace has too.

What is not named here is the root namespace's alone, new engines and routes included (SL-10).
"""

from __future__ import annotations

from typing import Final

from nhi.identity.mfa.validate_routes import ValidateEngine
from vault.engines.system.clients.leases import LeaseEngine
from vault.engines.system.clients.tools import ToolEngine
from vault.engines.system.clients.wrapping import WrappingEngine
from vault.engines.system.crypto.engine import CryptoEngine
from vault.engines.system.external_keys.engine import ExternalKeyEngine
from vault.engines.system.log.hashing import HashEngine
from vault.engines.system.log.proofs import ProofEngine
from vault.engines.system.log.records import RecordEngine
from vault.engines.system.log.status import LogStatusEngine
from vault.engines.system.mounts.internal import InternalEngine, SpecsEngine
from vault.engines.system.mounts.mounts import MountsEngine
from vault.engines.system.mounts.plugins import PluginEngine
from vault.engines.system.mounts.remount import RemountEngine
from vault.engines.system.mounts.tune import TuningEngine
from vault.engines.system.namespaces.locked_users import LockedUsersEngine
from vault.engines.system.namespaces.namespaces import NamespaceEngine
from vault.engines.system.operations.counters import CounterEngine
from vault.engines.system.operations.nodes import NodesEngine
from vault.engines.system.operations.status import StatusEngine
from vault.engines.system.policies.acl import PolicyEngine
from vault.engines.system.policies.capabilities import CapabilityEngine
from vault.engines.system.policies.password import PasswordPolicyEngine
from vault.engines.system.seal.generate_root import RootTokenEngine
from vault.engines.system.seal.rotate_keyring import KeyringRotationEngine
from vault.engines.system.seal.rotate_root import RootRotationEngine
from vault.engines.system.seal.seal import SealEngine
from vault.framework.engine import Engine
from vault.framework.route_table import RouteTable
from vault.mount.table import Backend, InnerBackend

EVERYWHERE: Final[tuple[type[Engine], ...]] = (
    CapabilityEngine,
    CryptoEngine,
    ExternalKeyEngine,
    InternalEngine,
    LeaseEngine,
    LockedUsersEngine,
    MountsEngine,
    NamespaceEngine,
    PasswordPolicyEngine,
    PluginEngine,
    PolicyEngine,
    RemountEngine,
    RootTokenEngine,
    KeyringRotationEngine,
    SpecsEngine,
    ToolEngine,
    TuningEngine,
    ValidateEngine,
    WrappingEngine,
)
"""Engines whose every route works on the namespace of the call alone."""
PARTLY: Final[dict[type[Engine], frozenset[str]]] = {
    RootRotationEngine: frozenset(
        {"rotate/root"}
        | {
            f"rotate/{kind}/{what}"
            for kind in ("root", "recovery")
            for what in ("init", "update", "verify", "backup")
        }
    ),
    RecordEngine: frozenset({"log/records", "log/records/search", "log/counts", "log/records/{log}/{seq}"}),
    ProofEngine: frozenset(
        {"log/records/{log}/{seq}/proof", "log/checkpoints/{log}", "log/consistency/{log}"}
    ),
    LogStatusEngine: frozenset({"log/schema"}),
    HashEngine: frozenset({"log/hash"}),
    CounterEngine: frozenset({"internal/counters/entities"}),
    NodesEngine: frozenset({"leader", "ha-status"}),
    SealEngine: frozenset({"seal-status"}),
    StatusEngine: frozenset({"version-history"}),
}
"""Routes that work on the namespace of the call, or tell what every client asks of a server."""


class _Part(Engine):
    """Some routes of an engine."""

    def __init__(self, engine: Engine, templates: frozenset[str]) -> None:
        self._engine = engine
        self.routes = tuple(  # type: ignore[misc]  # narrowed for this object: an engine's routes are its class's
            route for route in engine.routes if route.template in templates
        )

    def __getattr__(self, name: str) -> object:
        return getattr(self._engine, name)


def inner_system(system: Backend) -> Backend:
    """Return `sys/` of every namespace but the root one, made of what the root's is made of."""
    served: list[Engine] = []
    for engine in system.engines:
        if isinstance(engine, EVERYWHERE):
            served.append(engine)
        elif type(engine) in PARTLY:
            served.append(_Part(engine, PARTLY[type(engine)]))
    return InnerBackend(served, RouteTable(served), whole=system.routes)
