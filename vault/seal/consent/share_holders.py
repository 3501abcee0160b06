# SPDX-License-Identifier: EUPL-1.2
"""Those who hold shares of what is sealed, the vault or a namespace, and what is done with their consent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from vault.barrier.key import Key, Random
from vault.seal.changes import root_rotation
from vault.seal.lifecycle import Lifecycle


class ShareHolders(Protocol):
    """What people hold shares of."""

    def on_seal(self, forget: Callable[[], None]) -> None:
        """Have `forget` called when it is sealed."""

    async def opens_itself(self) -> bool:
        """Whether key slots open it, so that the shares are for recovery."""

    async def required(self) -> int:
        """Return how many shares it takes; 0 where nobody holds any."""

    async def accepts_key(self, key: bytes) -> bool:
        """Whether shares that combine to `key` are the ones in people's hands."""

    async def source(self) -> Random:
        """Return where new keys come from."""

    async def renew_root(self) -> None:
        """Replace the root key; people's shares stay."""

    async def replace(self, key: Key, shares: int, threshold: int, *, root: bool) -> None:
        """Make `key`, split into `shares`, the one that people hold; with `root` replace the root key as well."""


class VaultHolders:
    """Those who hold shares of the vault."""

    def __init__(self, lifecycle: Lifecycle, random: Random) -> None:
        """`random` gives entropy."""
        self._lifecycle = lifecycle
        self._random = random

    def on_seal(self, forget: Callable[[], None]) -> None:
        """As `ShareHolders`."""
        self._lifecycle.on_seal(forget)

    async def opens_itself(self) -> bool:
        """As `ShareHolders`."""
        return await self._lifecycle.opens_itself()

    async def required(self) -> int:
        """As `ShareHolders`."""
        return (await self._lifecycle.share_scheme()).threshold

    async def accepts_key(self, key: bytes) -> bool:
        """As `ShareHolders`; raises `NoSlotAnswers`."""
        return await self._lifecycle.accepts_key(key)

    async def source(self) -> Random:
        """As `ShareHolders`: a device's where there is one."""
        return await self._lifecycle.slots.source(self._random)

    async def renew_root(self) -> None:
        """As `ShareHolders`."""
        await root_rotation.rotate_root(self._lifecycle.slot_changes)

    async def replace(self, key: Key, shares: int, threshold: int, *, root: bool) -> None:
        """As `ShareHolders`."""
        await self._lifecycle.slot_changes.shield(self._replace(key, shares, threshold, root=root))

    async def _replace(self, key: Key, shares: int, threshold: int, *, root: bool) -> None:
        changes = self._lifecycle.slot_changes
        if root:
            await root_rotation.rotate_root(changes)
        await root_rotation.replace_shares(changes, key, shares, threshold)
