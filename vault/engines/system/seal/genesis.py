# SPDX-License-Identifier: EUPL-1.2
"""The first entries of a new vault, written in the transaction that creates it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from vault.barrier import formats
from vault.barrier.stored import MARK, RecordKind
from vault.barrier.view import View
from vault.framework.clock import Clock, Entropy
from vault.mount.entry import MountEntry
from vault.mount.table import MountTable, built_in
from vault.policy.store import PolicyStore
from vault.seal.failure import SealRefusal
from vault.seal.init import InitPlan, InitRequest
from vault.seal.lifecycle import Lifecycle
from vault.seal.records.record import CONFIG_PATH
from vault.storage.protocol import Storage
from vault.token.model import TokenEntry
from vault.token.store import TokenStore
from vault.values.ids import ROOT_ID

CLUSTER_PATH = "cluster"


class ClusterEntry(msgspec.Struct, frozen=True):
    """The stored name and id of the cluster."""

    name: str
    id: str


CLUSTER: Final = RecordKind("cluster", ClusterEntry)


class Genesis:
    """Creates vaults."""

    def __init__(
        self,
        storage: Storage,
        lifecycle: Lifecycle,
        policies: PolicyStore,
        mounts: MountTable,
        clock: Clock,
        entropy: Entropy,
        cluster_name: str,
    ) -> None:
        self._storage = storage
        self._lifecycle = lifecycle
        self._policies = policies
        self._mounts = mounts
        self._clock = clock
        self._entropy = entropy
        self._cluster_name = cluster_name

    async def create(
        self,
        request: InitRequest,
        *,
        replace: bool = False,
        root_token: str = "",
        extra: Sequence[MountEntry] = (),
        pending: str = "",
    ) -> tuple[InitPlan, str]:
        """Create a vault in one transaction, and return its keys and its root token for the answer.

        `replace` allows to replace a vault that was never unsealed; `pending` is stored as a mark that more will
        follow. Raises `SealRefusal`.
        """
        if not replace and await self._lifecycle.is_initialized():
            raise SealRefusal("Vault is already initialized")
        plan = await self._lifecycle.prepare_init(request)
        async with self._storage.write() as tx:
            if not replace and await tx.get(CONFIG_PATH) is not None:
                raise SealRefusal(
                    "Vault is already initialized"
                )  # meanwhile, by another operator, who has its keys now
            await self._lifecycle.commit_init(tx, plan)
            await formats.note_in(tx)
            core = plan.view(tx, ROOT_ID, "ns/root/")
            tokens = TokenStore(self._entropy)
            await tokens.prepare(core)
            await tokens.load(core)
            token = root_token or tokens.new_token()
            await self._fill(
                core, tokens, token, [*built_in(self._entropy), *extra], from_init=not root_token
            )
            if pending:
                await core.put(pending, MARK)
            shown = plan.present_token(token)
        return plan, shown

    async def _fill(
        self, core: View, tokens: TokenStore, token: str, mounts: Sequence[MountEntry], *, from_init: bool
    ) -> None:
        now = self._clock.nanos()
        entry = TokenEntry(
            accessor=tokens.new_accessor(),
            policies=("root",),
            path="auth/token/root" if from_init else "auth/token/create",
            display_name="root" if from_init else "token",
            created=now,
            orphan=True,
            leased=not from_init,
        )
        await tokens.create(core, token, entry)
        await self._policies.prepare(core, now)
        for mount in mounts:
            await self._mounts.put(core, mount)
        name = self._cluster_name or f"vault-cluster-{self._entropy.bytes(4).hex()}"
        await core.put(CLUSTER_PATH, CLUSTER.encode(ClusterEntry(name, self._entropy.uuid())))
