# SPDX-License-Identifier: EUPL-1.2
"""The keys of a transit mount, as the crypto inventory has them: one by one, as far as a mount has few of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from vault.barrier.view import ReadView
from vault.engines.transit.keys.key_ring import find_key, stored_version
from vault.engines.transit.keys.key_types import EXTERNAL, HMAC, KEY_TYPES, load_verifier
from vault.engines.transit.keys.model import KEYS, KeyVersion
from vault.engines.transit.moving.wrapping_key import KIND, wrapping_key
from vault.framework.concurrency.time_slice import TimeSlice
from vault.framework.keys.inventory import KeyState, KeyUse, Purpose, counted, kind_of, kind_of_aes
from vault.values.times import Millis, nanos_to_millis

_SHOWN: Final = 1000
"""Keys of one mount that are described one by one; the others are counted."""
_PROTECTS: Final = "what callers encrypt, sign or authenticate with it"
_LOCATION: Final = "storage, in the safe"
_DEVICE: Final = "its device, by `sys/external-keys`"


def _kind_in_device(version: KeyVersion) -> tuple[str, int]:
    if not version.public:
        return kind_of_aes(version.device.bits)
    return kind_of(load_verifier(version.public))


async def keys_of(core: ReadView, mount: ReadView) -> Sequence[KeyUse]:
    """Describe the keys of a mount; see `vault.framework.keys.inventory.KeysOf`."""
    del core
    found = []
    turn = TimeSlice()
    names = await mount.list(KEYS, limit=_SHOWN + 1)
    for name in names[:_SHOWN]:
        await turn.step()
        key = await find_key(mount, name)
        newest = await stored_version(mount, key, key.latest) if key is not None else None
        if key is None or newest is None:
            continue
        kind = KEY_TYPES[key.type]
        external = key.type == EXTERNAL
        suite, bits = _kind_in_device(newest) if external else (kind.suite, kind.bits)
        made = nanos_to_millis(newest.created)
        found.append(
            KeyUse(
                name=name,
                purpose=Purpose.TRANSIT,
                protects=_PROTECTS,
                algorithm=suite,
                bits=8 * key.key_size if kind.name == HMAC else bits,
                location=_DEVICE if external else _LOCATION,
                in_hsm=external,
                version=str(key.latest),
                state=KeyState.RETIRED if key.soft_deleted else KeyState.ACTIVE,
                created=made,
                rotated=made if key.latest > 1 else Millis(0),
                period=key.auto_rotate,
            )
        )
    wrapping = await wrapping_key(mount)
    if wrapping is not None:
        found.append(
            KeyUse(
                name="(wrapping key)",
                purpose=Purpose.TRANSIT,
                protects="keys on their way into this mount",
                algorithm=KIND.suite,
                bits=KIND.bits,
                location=_LOCATION,
                created=nanos_to_millis(wrapping.created),
            )
        )
    if len(names) > _SHOWN:
        others = await counted(mount.list, KEYS) - _SHOWN
        found.append(
            KeyUse(
                name="(others)",
                purpose=Purpose.TRANSIT,
                protects=_PROTECTS,
                algorithm="",
                location=_LOCATION,
                count=others,
            )
        )
    return found
