# SPDX-License-Identifier: EUPL-1.2
"""From version 1 to version 2, in place: every secret becomes the first version of itself."""

from __future__ import annotations

from msgspec.structs import replace

from vault.barrier.view import View
from vault.engines.kv import store
from vault.engines.kv.model import Row, Version
from vault.engines.kv.plain import ENTRIES
from vault.framework.concurrency.time_slice import TimeSlice
from vault.framework.limits import AT_ONCE
from vault.values.times import Nanos


async def upgrade(view: View, now: Nanos) -> int:
    """Rewrite a mount's secrets within the caller's transaction, so that all of them move or none.

    Each secret is given a time of its own, the first one `now`. Returns
    how many secrets there were; none when run again.
    """
    paths, turn = await view.scan(ENTRIES), TimeSlice()
    for when, path in enumerate(paths, now):
        text = await view.get(ENTRIES + path)
        assert text is not None, "no other writer runs in this transaction"
        moment = Nanos(when)
        row = Row(moment, moment, current=1, newest=Version(1, moment), oldest=1)
        if len(text) > AT_ONCE:
            await store.save_data(view, path, 1, text)
            row = replace(row, apart=True)
        else:
            row = replace(row, data=text)
        await store.save(view, path, row)
        await view.delete(ENTRIES + path)
        await turn.step()
    return len(paths)
