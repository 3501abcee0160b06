# SPDX-License-Identifier: EUPL-1.2
"""The keys of a TOTP mount, as the crypto inventory has them: how many there are. Their owners chose their sizes."""

from __future__ import annotations

from collections.abc import Sequence

from vault.barrier.view import ReadView
from vault.engines.totp.model import KEYS
from vault.framework.keys.inventory import KeyUse, Purpose, counted


async def keys_of(core: ReadView, mount: ReadView) -> Sequence[KeyUse]:
    """Describe the keys of a mount; see `vault.framework.keys.inventory.KeysOf`."""
    del core
    count = await counted(mount.list, KEYS)
    if not count:
        return []
    use = KeyUse(
        name="keys",
        purpose=Purpose.TOTP,
        protects="accounts elsewhere, or log-ins that check a code",
        algorithm="totp",
        location="storage, under the barrier",
        count=count,
    )
    return [use]
