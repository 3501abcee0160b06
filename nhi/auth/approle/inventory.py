# SPDX-License-Identifier: EUPL-1.2
"""The key of an AppRole mount, as the crypto inventory has it."""

from __future__ import annotations

from collections.abc import Sequence

from nhi.auth.approle import store
from vault.barrier.view import ReadView
from vault.framework.keys.inventory import KeyUse, Purpose


async def keys_of(core: ReadView, mount: ReadView) -> Sequence[KeyUse]:
    """Describe the key by which secret ids are found; each mount has one from its beginning."""
    del core
    use = KeyUse(
        name="secret-ids",
        purpose=Purpose.SECRET_ID_HASH,
        protects="secret ids: storage has their hashes alone",
        algorithm="hmac-sha-256",
        bits=256,
        location="storage, under the barrier",
        created=await store.key_made(mount),
    )
    return [use]
