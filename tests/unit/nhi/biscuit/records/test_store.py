# SPDX-License-Identifier: EUPL-1.2
"""Whether any block of a chain was revoked, however many others were."""

from __future__ import annotations

import asyncio

import pytest

from nhi.biscuit.records import store
from nhi.biscuit.records.model import MountRef, Revocation
from tests.unit.barrier.open import open_barrier
from vault.values.ids import ROOT_ID, MountId
from vault.values.times import Millis

OWNER = MountRef(ROOT_ID, MountId("m"))
GONE = Revocation(at=Millis(1), until=Millis(2), reason="")


@pytest.mark.parametrize("others", [0, 1, 30, 31, 32, 33])
def test_a_chain_is_revoked_with_any_block_however_many_others_are(others: int) -> None:
    async def play() -> None:
        _, barrier = await open_barrier()
        async with barrier.write(ROOT_ID, "ns/root/") as core:
            view = core.mount(OWNER.mount)
            for number in range(others):
                await store.revoke(view, OWNER, f"{number:032x}", GONE)
            assert not await store.any_revoked(view, ["e" * 32, "f" * 32])
            await store.revoke(view, OWNER, "f" * 32, GONE)
            for chain in (["f" * 32], ["f" * 32, "e" * 32], ["e" * 32, "f" * 32]):
                assert await store.any_revoked(view, chain)
            assert not await store.any_revoked(view, ["e" * 32])
            assert not await store.any_revoked(view, ["f" * 31])

    asyncio.run(play())
