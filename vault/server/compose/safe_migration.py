# SPDX-License-Identifier: EUPL-1.2
"""Signing keys that were made before there was a safe are put into it, namespace by namespace, each once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

from nhi.biscuit.issue import key_store
from nhi.identity.oidc.pairs import KeyPairs
from vault.barrier.failure import NamespaceSealed
from vault.barrier.view import View, core_prefix
from vault.framework.call import ROOT, Namespace
from vault.framework.errors import NotFound
from vault.server.compose.groups.ground import Ground
from vault.server.compose.groups.key_slots import KeySlots, open_numbered
from vault.server.compose.groups.mounts import Mounts
from vault.values.ids import MountId


class SafeMigration:
    """A job for the background, and for whoever has just given a slot everything else."""

    def __init__(
        self,
        ground: Ground,
        mounts: Mounts,
        key_slots: KeySlots,
        pairs: KeyPairs,
    ) -> None:
        self._barrier = ground.barrier
        self._log = ground.log
        self._router = mounts.router
        self._namespaces = mounts.namespaces
        self._key_slots = key_slots
        self._safe = key_slots.safe
        self._pairs = pairs
        self._done: set[str] = set()

    async def __call__(self) -> None:
        """Put what lies outside the safe into it, of namespaces that were not looked at yet. Raises `Unavailable`."""
        await open_numbered(self._key_slots.signing, self._safe, self._log)
        for namespace in (ROOT, *(entry.as_namespace() for entry in list(self._namespaces))):
            closed = self._namespaces.shut(namespace) or not self._router.known(namespace)
            if namespace.id in self._done or closed:
                continue  # sealed, or its mount table is damaged: it is looked at once that can be read
            try:
                count = await self._gather(namespace)
            except NamespaceSealed:
                continue  # sealed just now
            self._done.add(namespace.id)
            if count:
                self._log.note("seal", "signing keys were put into the safe", count=count)

    async def _gather(self, namespace: Namespace) -> int:
        home = core_prefix(ROOT.id)
        core = self._barrier.reader(ROOT.id, home)

        def write() -> AbstractAsyncContextManager[View]:
            return self._barrier.write(ROOT.id, home)

        done = await self._pairs.bare(namespace.id).gather(core, write)
        for uuid in self._mounts(namespace):
            for bare in key_store.bare_keys(namespace.id, uuid, self._safe):
                done += await bare.gather(core, write)
        return done

    def _mounts(self, namespace: Namespace) -> Sequence[MountId]:
        try:
            table = self._router.of(namespace)
        except NotFound:
            return ()
        return [mount.entry.uuid for mount in table if mount.entry.kind == "nhi"]
