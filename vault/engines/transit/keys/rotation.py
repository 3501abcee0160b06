# SPDX-License-Identifier: EUPL-1.2
"""Which keys may be rotated, and when they are by themselves."""

from __future__ import annotations

from typing import Final

from vault.background.mount_timers import MountTimers
from vault.engines.transit.keys.model import TransitKey
from vault.framework.call import Call
from vault.framework.errors import Malformed
from vault.framework.quote import quote
from vault.values.times import Seconds, millis_after

TIMERS: Final = MountTimers("transit-rotation")
"""They rotate keys that are to be rotated by themselves."""
SHORTEST_PERIOD: Final = Seconds(3600)
PERIOD: Final = "auto rotate period must be 0 to disable or at least an hour"
NO_ROTATION: Final = "allow_rotation must be set to true if auto-rotation is enabled"


async def set_timer(call: Call, name: str, key: TransitKey) -> None:
    """Have a key rotated a period from now, or never, if the transaction of `call` commits."""
    if key.auto_rotate:
        await TIMERS.set(call, name, millis_after(call.now, key.auto_rotate))
    else:
        await TIMERS.cancel(call, name)


def require_rotation(name: str, key: TransitKey) -> None:
    """Refuse to make a version of an imported key that is to have none from here. Raises `Malformed`."""
    if not key.rotates:
        raise Malformed(f"imported key {quote(name)} does not allow rotation within Vault")
