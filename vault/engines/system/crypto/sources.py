# SPDX-License-Identifier: EUPL-1.2
"""What the inventory of each namespace consists of: the server's own keys, those of its mounts, those in devices."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import msgspec

from vault.audit.broker import Broker
from vault.barrier.barrier import Barrier
from vault.engines.system.crypto.barrier_keys import (
    barrier_keys,
    namespace_barrier_keys,
    namespace_seal_keys,
)
from vault.engines.system.crypto.seal_keys import seal_keys
from vault.engines.system.crypto.sections import Section
from vault.engines.system.crypto.server_keys import audit_keys, log_keys, safe_keys, token_keys, wrapping_keys
from vault.engines.system.external_keys.inventory import ExternalKeyInventory
from vault.framework.call import ROOT, Call
from vault.framework.concurrency.offload import Pool
from vault.framework.keys.inventory import KeysOf, KeyUse
from vault.framework.keys.safe import Safe
from vault.mount.router import Router
from vault.namespace.book import Namespaces
from vault.seal.health import SlotHealth
from vault.seal.lifecycle import Lifecycle
from vault.storage.protocol import Storage
from vault.token.authenticator import core_reader
from vault.wrap.signing_key import SigningKeys


class KeySources(msgspec.Struct, frozen=True, kw_only=True):
    """Who knows of keys."""

    barrier: Barrier
    storage: Storage
    lifecycle: Lifecycle
    health: SlotHealth
    safe: Safe
    signing: SigningKeys
    audit: Broker
    external: ExternalKeyInventory
    hsm_key: str
    """Reference of the external key that signs the log; empty where none does."""
    listeners: Callable[[], Sequence[KeyUse]]
    """Describes the keys of listeners; it reads files."""
    pool: Pool
    router: Router
    namespaces: Namespaces
    owners: Mapping[tuple[str, bool], KeysOf]
    """What describes the keys of a mount, by its kind and whether it is an auth method."""

    def sections(self, call: Call) -> Sequence[Section]:
        """Return what the inventory of the namespace of `call` consists of: what is its own, and nothing else."""
        core = core_reader(self.barrier, call.namespace)
        own = self._of_vault(call) if call.namespace == ROOT else self._of_namespace(call)
        return (*self._mounts(call), Section("external/", partial(self.external.keys_of, core)), *own)

    def _mounts(self, call: Call) -> Iterable[Section]:
        core = core_reader(self.barrier, call.namespace)
        for mount in self.router.of(call.namespace):
            entry = mount.entry
            describe = self.owners.get((entry.kind, entry.is_auth))
            if describe is not None:
                keys = partial(describe, core, core.mount(entry.uuid))
                yield Section(f"mounts/{entry.path}", keys, entry.path)

    def _of_vault(self, call: Call) -> Iterable[Section]:
        barrier, core = self.barrier, core_reader(self.barrier, ROOT)
        reader = self.storage.reader()
        return (
            Section("audit/", partial(audit_keys, core, self.audit)),
            Section("barrier/", partial(barrier_keys, barrier)),
            Section("log/", partial(log_keys, core, self.audit.common, self.hsm_key)),
            Section("safe/", partial(safe_keys, self.safe)),
            Section("seal/", partial(seal_keys, self.lifecycle, self.health, barrier, reader)),
            Section("tls/", partial(self.pool.of, call, self.listeners)),
            Section("tokens/", partial(token_keys, barrier)),
            Section("wrapping/", partial(wrapping_keys, self.signing)),
        )

    def _of_namespace(self, call: Call) -> Iterable[Section]:
        """Return the keys of a namespace that is sealed by itself; nothing where those above it serve it."""
        entry = self.namespaces.by_id(call.namespace.id)
        if entry is None or entry.seal is None:
            return ()
        return (
            Section("barrier/", partial(namespace_barrier_keys, self.barrier, entry)),
            Section("seal/", partial(namespace_seal_keys, entry)),
        )
