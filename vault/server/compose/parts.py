# SPDX-License-Identifier: EUPL-1.2
"""The parts that a vault is put together from, each made once; nothing here serves or runs."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from functools import partial

import msgspec

from nhi.biscuit.credential.authenticator import BiscuitAuthenticator
from nhi.biscuit.credential.children import BiscuitAncestors
from nhi.biscuit.credential.possession import Possession
from nhi.biscuit.login.failures import Failures
from nhi.biscuit.offline.verify import TokenLimits as BiscuitLimits
from nhi.identity.entities.identities import Identities
from nhi.identity.mfa.passcodes import Passcodes
from nhi.identity.mfa.second_factors import SecondFactors
from nhi.identity.oidc.pairs import KeyPairs
from vault import __version__
from vault.audit.broker import Broker
from vault.audit.device import DeviceConfig, DeviceFailure
from vault.audit.salts import Salts
from vault.background.nodes import Nodes
from vault.background.skew import Skew
from vault.barrier.barrier import Barrier
from vault.cache.follow import Follower
from vault.engines.system.operations.cors import CrossOrigins
from vault.engines.system.release import VERSION
from vault.engines.system.seal.genesis import Genesis
from vault.framework.clock import Clock, Entropy
from vault.framework.concurrency.offload import Pool
from vault.framework.keys.external import ExternalKeys
from vault.framework.keys.safe import Safe
from vault.framework.telemetry.log import Log
from vault.framework.telemetry.metrics import Metrics
from vault.install import Services
from vault.lease.ending import Endings
from vault.lease.store import LeaseStore
from vault.mount.entry import SYSTEM_MAX_TTL
from vault.mount.router import Router
from vault.mount.table import Catalog
from vault.namespace.book import Namespaces
from vault.namespace.sealing import NamespaceSealing
from vault.outbound.fetch import Fetcher
from vault.outbound.places import Places
from vault.policy.gate import Gate
from vault.policy.store import PolicyStore
from vault.quota.book import Quotas
from vault.seal.health import SlotHealth
from vault.seal.lifecycle import Lifecycle
from vault.seal.records.sealwrap import SealWrap
from vault.server.compose.capacities import Capacities
from vault.server.compose.groups import Controls, Credentials, KeySlots
from vault.server.compose.safe_migration import SafeMigration
from vault.server.compose.services import login_issuer, login_lockout
from vault.server.compose.token_metrics import CountedTokens
from vault.server.compose.unsealing import OpenState, Presence, open_numbered
from vault.server.config.collisions import claims
from vault.server.config.settings import Config
from vault.server.failure import StartFailure
from vault.server.seals.slots import make_slots
from vault.storage.protocol import Node, Storage
from vault.token.batch import BatchTokens
from vault.token.lifetime import LifetimeLimits
from vault.token.store import TokenStore
from vault.values.times import Seconds
from vault.wire.v1 import escape_html, unescaped_body
from vault.wrap.signed import SignedTokens
from vault.wrap.signing_key import SigningKeys, signing_keys
from vault.wrap.wrapper import Wrapper


class Parts(msgspec.Struct, frozen=True):
    """Everything that exists before the first request. It is handed on in groups, to whom needs each."""

    config: Config
    storage: Storage
    clock: Clock
    entropy: Entropy
    metrics: Metrics
    log: Log
    barrier: Barrier
    lifecycle: Lifecycle
    health: SlotHealth
    wraps: SealWrap
    signing: SigningKeys
    safe: Safe
    follower: Follower
    tokens: TokenStore
    identities: Identities
    pairs: KeyPairs
    factors: SecondFactors
    batch: BatchTokens
    biscuits: BiscuitAuthenticator
    failures: Failures
    policies: PolicyStore
    gate: Gate
    wrapper: Wrapper
    namespaces: Namespaces
    sealing: NamespaceSealing
    router: Router
    audit: Broker
    genesis: Genesis
    limits: LifetimeLimits
    leases: LeaseStore
    endings: Endings
    quotas: Quotas
    origins: CrossOrigins
    fetcher: Fetcher
    pool: Pool
    skew: Skew
    nodes: Nodes
    presence: Presence = msgspec.field(default_factory=Presence)

    def services(self, external: ExternalKeys) -> Services:
        """Return what this server offers to its engines."""
        return Services(
            clock=self.clock,
            entropy=self.entropy,
            log=self.log,
            metrics=self.metrics,
            pool=self.pool,
            barrier=self.barrier,
            follower=self.follower,
            limits=self.limits,
            tokens=self.tokens,
            issuer=login_issuer(self.tokens, self.batch, self.clock, self.limits, self.router, self.factors),
            lockout=login_lockout(self.config.user_lockout, self.barrier, self.clock, self.router),
            leases=self.leases,
            wrapper=self.wrapper,
            router=self.router,
            namespaces=self.namespaces,
            policies=self.policies,
            safe=self.safe,
            external_keys=external,
            fetcher=self.fetcher,
            address=address(self.config),
        )

    def credentials(self) -> Credentials:
        """Return what knows who calls."""
        return Credentials(
            batch=self.batch,
            biscuits=self.biscuits,
            failures=self.failures,
            identities=self.identities,
            pairs=self.pairs,
            factors=self.factors,
        )

    def key_slots(self) -> KeySlots:
        """Return what opens and seals."""
        return KeySlots(
            storage=self.storage,
            lifecycle=self.lifecycle,
            health=self.health,
            wraps=self.wraps,
            sealing=self.sealing,
            genesis=self.genesis,
        )

    def controls(self) -> Controls:
        """Return what every request passes."""
        return Controls(
            gate=self.gate,
            audit=self.audit,
            quotas=self.quotas,
            origins=self.origins,
            endings=self.endings,
        )

    def open_state(self) -> OpenState:
        """Return what is loaded when the vault opens, and forgotten when it seals."""
        return OpenState(
            storage=self.storage,
            barrier=self.barrier,
            lifecycle=self.lifecycle,
            health=self.health,
            wraps=self.wraps,
            signing=self.signing,
            safe=self.safe,
            sealing=self.sealing,
            follower=self.follower,
            router=self.router,
            tokens=self.tokens,
            policies=self.policies,
            audit=self.audit,
            quotas=self.quotas,
            origins=self.origins,
            presence=self.presence,
            nodes=self.nodes,
            metrics=self.metrics,
            log=self.log,
        )

    def safe_migration(self) -> SafeMigration:
        """Return the job that puts signing keys into the safe."""
        prepare = partial(open_numbered, self.signing, self.safe, self.log)
        return SafeMigration(
            self.barrier, self.router, self.namespaces, self.pairs, self.safe, prepare, self.log
        )


def make(
    config: Config,
    storage: Storage,
    *,
    clock: Clock,
    entropy: Entropy,
    metrics: Metrics,
    log: Log,
    capacities: Capacities,
) -> Parts:
    """Make every part, sealed. Raises `StartFailure` for an audit device or a static key that cannot be opened."""
    barrier, slots = Barrier(storage, now=clock.millis, random=entropy.bytes), make_slots(config, entropy)
    lifecycle = Lifecycle(storage, barrier, slots, now=clock.millis, random=entropy.bytes)
    wraps = SealWrap(storage, barrier, slots, now=clock.monotonic, random=entropy.bytes)
    signing, safe = signing_keys(wraps, barrier, entropy), Safe(wraps, barrier, entropy.bytes)
    _follow_seals(lifecycle, wraps, signing, safe)
    follower, namespaces = Follower(storage), Namespaces(barrier)
    router, identities = Router(barrier, namespaces, Catalog({}, {})), Identities(clock, entropy, follower)
    biscuits = _biscuits(config, barrier, follower, namespaces, router, clock, log, capacities)
    tokens = _tokens(entropy, namespaces, metrics, identities, router, biscuits)
    policies, leases = PolicyStore(lambda: follower.epoch, Pool()), LeaseStore(clock, entropy)
    return Parts(
        config=config,
        storage=storage,
        clock=clock,
        entropy=entropy,
        metrics=metrics,
        log=log,
        barrier=barrier,
        lifecycle=lifecycle,
        health=SlotHealth(storage, slots, now=clock.millis),
        wraps=wraps,
        signing=signing,
        safe=safe,
        follower=follower,
        tokens=tokens,
        identities=identities,
        pairs=KeyPairs(clock, entropy, safe),
        factors=SecondFactors(Passcodes(clock), namespaces.chain, clock, entropy),
        batch=BatchTokens(tokens, barrier, entropy),
        biscuits=biscuits,
        failures=Failures(log, clock, each=capacities.failed_logins),
        policies=policies,
        gate=Gate(policies, barrier),
        wrapper=Wrapper(tokens, clock, unescaped_body, escape_html, SignedTokens(signing, address(config))),
        namespaces=namespaces,
        sealing=_sealing(namespaces, storage, barrier, follower, clock, entropy),
        router=router,
        audit=_audit(config, Salts(wraps), clock, entropy, log, metrics),
        genesis=Genesis(storage, lifecycle, policies, router.root, clock, entropy, config.cluster_name),
        limits=_limits(config),
        leases=leases,
        quotas=Quotas(barrier, namespaces, clock),
        origins=CrossOrigins(barrier),
        pool=policies.pool,
        skew=Skew(storage, clock, log),
        fetcher=Fetcher(Places(config.outbound_allow)),
        endings=_endings(barrier, leases, clock, entropy, log, metrics),
        nodes=_nodes(config, storage, clock, metrics),
    )


def _nodes(config: Config, storage: Storage, clock: Clock, metrics: Metrics) -> Nodes:
    own = Node(
        hostname=socket.gethostname(),
        api_addr=address(config),
        cluster_addr=config.cluster_addr,
        version=__version__,
        api=VERSION,
        serves=False,
    )
    nodes = Nodes(storage, clock, own, shared=config.storage.kind == "postgresql")
    if nodes.shared:
        metrics.gauge("storage.nodes", lambda: float(nodes.count))
    return nodes


def _tokens(
    entropy: Entropy,
    namespaces: Namespaces,
    metrics: Metrics,
    identities: Identities,
    router: Router,
    biscuits: BiscuitAuthenticator,
) -> CountedTokens:
    ancestors = BiscuitAncestors(biscuits)
    return CountedTokens(entropy, namespaces.live, metrics, identities, router.has_login, ancestors)


def _follow_seals(lifecycle: Lifecycle, wraps: SealWrap, signing: SigningKeys, safe: Safe) -> None:
    """Have keys that a slot wraps change with the slots, and be forgotten at a seal."""
    lifecycle.slot_changes.wraps = wraps
    for forget in (wraps.drop, signing.forget, safe.keys.forget):
        lifecycle.on_seal(forget)


def _endings(
    barrier: Barrier, leases: LeaseStore, clock: Clock, entropy: Entropy, log: Log, metrics: Metrics
) -> Endings:
    return Endings(
        barrier, leases, clock=clock, chance=lambda: entropy.bytes(1)[0] / 256, log=log, metrics=metrics
    )


def _biscuits(
    config: Config,
    barrier: Barrier,
    follower: Follower,
    namespaces: Namespaces,
    router: Router,
    clock: Clock,
    log: Log,
    capacities: Capacities,
) -> BiscuitAuthenticator:
    possession = Possession(clock, address(config), most=capacities.proofs)
    return BiscuitAuthenticator(
        barrier, follower, namespaces.live, router.has, router.has_login, log, BiscuitLimits(), possession
    )


def _sealing(
    namespaces: Namespaces,
    storage: Storage,
    barrier: Barrier,
    follower: Follower,
    clock: Clock,
    entropy: Entropy,
) -> NamespaceSealing:
    return NamespaceSealing(
        storage, barrier, namespaces, follower.follow, now=clock.millis, random=entropy.bytes
    )


def _limits(config: Config) -> LifetimeLimits:
    longest = Seconds(int(config.max_lease_ttl)) or SYSTEM_MAX_TTL
    return LifetimeLimits(
        default=min(Seconds(int(config.default_lease_ttl)) or SYSTEM_MAX_TTL, longest), longest=longest
    )


def address(config: Config) -> str:
    """Return the URL at which clients reach this server: `api_addr`, or one made of the first TCP listener."""
    if config.api_addr:
        return config.api_addr
    for listener in config.listeners:
        if listener.kind == "tcp":
            return f"{'http' if listener.tls_disable else 'https'}://{listener.address}"
    return ""


def _audit(
    config: Config, salts: Salts, clock: Clock, entropy: Entropy, log: Log, metrics: Metrics
) -> Broker:
    try:
        return Broker(_devices(config), salts, clock, entropy, log, metrics, claims(config))
    except DeviceFailure as failure:
        raise StartFailure(str(failure)) from failure


def _devices(config: Config) -> Sequence[DeviceConfig]:
    return [
        DeviceConfig(
            path=device.path,
            kind=device.kind,
            description=device.description,
            local=device.local,
            options=device.options,
        )
        for device in config.audit
    ]
