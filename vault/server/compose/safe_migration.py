# SPDX-License-Identifier: EUPL-1.2
"""Signing keys that were made before there was a safe are put into it, namespace by namespace, each once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

from nhi.biscuit.issue import key_store
from vault.barrier.failure import NamespaceSealed
from vault.barrier.view import View, core_prefix
from vault.framework.call import ROOT, Namespace
from vault.framework.errors import NotFound
from vault.server.compose.parts import Parts
from vault.server.compose.unsealing import open_numbered


class SafeMigration:
    """A job for the background, and for whoever has just given a slot everything else."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._done: set[str] = set()

    async def __call__(self) -> None:
        """Put what lies outside the safe into it, of namespaces that were not looked at yet. Raises `Unavailable`."""
        parts = self._parts
        await open_numbered(parts)
        for namespace in (ROOT, *(entry.as_namespace() for entry in list(parts.namespaces))):
            if namespace.id in self._done or parts.namespaces.shut(namespace):
                continue
            try:
                count = await self._gather(namespace)
            except NamespaceSealed:
                continue  # sealed just now
            self._done.add(namespace.id)
            if count:
                parts.log.note("seal", "signing keys were put into the safe", count=count)

    async def _gather(self, namespace: Namespace) -> int:
        parts, home = self._parts, core_prefix(ROOT.id)
        core = parts.barrier.reader(ROOT.id, home)

        def write() -> AbstractAsyncContextManager[View]:
            return parts.barrier.write(ROOT.id, home)

        done = await parts.pairs.bare(namespace.id).gather(core, write)
        for uuid in self._mounts(namespace):
            for bare in key_store.bare_keys(namespace.id, uuid, parts.safe):
                done += await bare.gather(core, write)
        return done

    def _mounts(self, namespace: Namespace) -> Sequence[str]:
        try:
            table = self._parts.router.of(namespace)
        except NotFound:
            return ()
        return [mount.entry.uuid for mount in table if mount.entry.kind == "nhi"]
