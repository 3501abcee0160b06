# SPDX-License-Identifier: EUPL-1.2
"""A rotation that several workers find due happens once."""

import asyncio
import os

from tests.unit.barrier.open import NOW, ROOT, open_barrier
from vault.barrier.barrier import Barrier
from vault.barrier.keyring import MIN_INTERVAL, RotationConfig
from vault.values.ids import ROOT_ID
from vault.values.times import Millis, Seconds


def test_only_the_first_of_two_workers_rotates_when_it_is_time() -> None:
    async def scenario() -> None:
        storage, first = await open_barrier()
        async with first.write(ROOT_ID, "") as view:
            assert not await first.rotate_due_in(view.transaction)
            await first.configure_in(view.transaction, RotationConfig(interval=Seconds(MIN_INTERVAL)))
        later = Barrier(storage, now=lambda: Millis(NOW + MIN_INTERVAL * 1000), random=os.urandom)
        await later.load(ROOT)
        for expected in (True, False):
            assert later.due()
            async with later.write(ROOT_ID, "") as view:
                assert await later.rotate_due_in(view.transaction) is expected
        await later.refresh()
        assert later.keyring.active.number == 2 and not later.due()

    asyncio.run(scenario())
