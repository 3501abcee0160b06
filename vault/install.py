# SPDX-License-Identifier: EUPL-1.2
"""How an engine becomes part of a server: `install(services)` beside it returns one value that says all it brings.

The composition knows a list of such functions and nothing of what is behind them. `docs/engines.md` teaches it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from vault.background.loop import Handler, Job
from vault.barrier.barrier import Barrier
from vault.cache.follow import Drop, Follower
from vault.framework.clock import Clock, Entropy
from vault.framework.concurrency.offload import Pool
from vault.framework.engine import Engine
from vault.framework.keys.external import ExternalKeys
from vault.framework.keys.inventory import KeysOf
from vault.framework.keys.safe import Safe
from vault.framework.telemetry.log import Log
from vault.framework.telemetry.metrics import Metrics
from vault.lease.model import Revoker
from vault.lease.store import LeaseStore
from vault.mount.router import Router
from vault.namespace.book import Namespaces
from vault.outbound.fetch import Fetcher
from vault.policy.store import PolicyStore
from vault.token.issue import LoginIssuer, Rule
from vault.token.lifetime import LifetimeLimits
from vault.token.lockout import Lockout
from vault.token.store import Purge, TokenStore
from vault.wrap.wrapper import Wrapper


class Services(msgspec.Struct, frozen=True, kw_only=True):
    """What a server has to offer to its engines. Each is made once and shared by all; an engine takes what it needs."""

    clock: Clock
    entropy: Entropy
    log: Log
    metrics: Metrics
    pool: Pool
    """Threads for what may take longer than a few milliseconds."""
    barrier: Barrier
    """Storage outside the request's own mount: for timers and hooks, which have no request."""
    follower: Follower
    """Says at which epoch what is kept in memory is true."""
    limits: LifetimeLimits
    """How long tokens and leases may last where no mount says otherwise."""
    tokens: TokenStore
    issuer: LoginIssuer
    """Issues the tokens of logins."""
    lockout: Lockout
    """Counts failed logins, and refuses names that fail too often."""
    leases: LeaseStore
    wrapper: Wrapper
    """Keeps answers that wait behind a wrapping token."""
    router: Router
    namespaces: Namespaces
    policies: PolicyStore
    safe: Safe
    """Keeps private keys, sealed once more beside the barrier."""
    external_keys: ExternalKeys
    """Keys that stay in an HSM."""
    fetcher: Fetcher
    """Asks other systems over HTTPS, where the operator allows it."""
    address: str
    """The URL at which clients reach this server; empty where it is unknown."""


class Kind(msgspec.Struct, frozen=True):
    """One kind of mount, under all names that it has."""

    names: tuple[str, ...]
    engines: Sequence[Engine]
    """They answer together; of two routes for one path, the first counts."""
    versions: tuple[str, ...] = ("",)
    """Values of the option `version` that mount it; of an auth method there is none."""
    auth: bool = False
    """Whether it is an auth method."""
    renewal: Rule | None = None
    """Of an auth method: says whether a token that it gave may still be renewed."""
    leases: Revoker | None = None
    """Takes back what the leases of its mounts are for."""
    keys: KeysOf | None = None
    """Describes the keys that a mount has; None where it has none."""


class Installation(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that an engine brings."""

    kinds: Sequence[Kind]
    timers: Mapping[str, Handler] = {}
    """What happens when a timer is due, by the timer's kind."""
    jobs: Mapping[str, Job] = {}
    """What each process does now and then (every five minutes), by its name."""
    before_seal: Sequence[Job] = ()
    """What each process does before it forgets its keys; it keeps nobody from sealing."""
    caches: Mapping[str, Drop] = {}
    """What drops a fact that is kept in memory and became untrue, by the kind that `Tx.invalidate` names."""
    on_seal: Sequence[Callable[[], None]] = ()
    """Each forgets what must not be in memory while the vault is sealed."""
    on_revoke: Sequence[Purge] = ()
    """Each removes what must go with a token, in the transaction that revokes it."""


Install = Callable[[Services], Installation]
