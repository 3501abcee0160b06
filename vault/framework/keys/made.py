# SPDX-License-Identifier: EUPL-1.2
"""When a long-lived key was made: noted where keys are random bytes that cannot tell it, in the transaction that stores one."""

from __future__ import annotations

from typing import Final

from vault.barrier.stored import text
from vault.barrier.view import ReadView, View
from vault.values.times import Millis

_FOLDER: Final = "key-made/"
"""Below this path in the data of whoever has the keys: for each the milliseconds since the Unix epoch."""


async def note_made(core: View, key: str, now: Millis) -> None:
    """Note that a key is made now; `core` is where it is kept, and `key` its path there."""
    await core.put(_FOLDER + key, text(str(now)))


async def when_made(core: ReadView, key: str) -> Millis:
    """Return when a key was made (ms), or 0 where nobody noted it: before there were such notes, keys had none."""
    return Millis(int(await core.get(_FOLDER + key) or b"0"))


async def forget_made(core: View, key: str) -> None:
    """Remove the note of a key that is removed."""
    await core.delete(_FOLDER + key)
