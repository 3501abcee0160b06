# SPDX-License-Identifier: EUPL-1.2
"""The keys of the log: one that hashes values, one that signs checkpoints. They are the log's own, stored behind the barrier.

Keys of hashes are numbered; old ones stay, so that what was hashed with them can still be found.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec.structs import replace

from vault.barrier.stored import RecordKind
from vault.barrier.view import ReadView, View
from vault.framework.clock import Entropy
from vault.framework.keys.made import note_made, when_made
from vault.values.times import Millis

_PATH: Final = "log/keys"
FIRST: Final = "h1"
"""The id of the first key, which stays."""
_KEY_BYTES: Final = 32
MOST_HASHING: Final = 1000
"""Keys of hashes, at most: what stands for a value is looked for under each."""


class LogKeys(msgspec.Struct, frozen=True, kw_only=True):
    """`hashing` by the id of the key, of which `current` is in use; `signing` is the seed of an Ed25519 key."""

    hashing: Mapping[str, bytes]
    current: str
    signing: bytes

    def __repr__(self) -> str:
        """Show no key."""
        return f"<LogKeys {self.current}>"


_KEYS: Final = RecordKind("keys of the log", LogKeys)


async def read_keys(core: ReadView) -> LogKeys | None:
    """Return the keys, or None before there are any; `core` is the root namespace's own data."""
    stored = await core.get(_PATH)
    return None if stored is None else _KEYS.decode(stored)


async def make_keys(core: View, entropy: Entropy, now: Millis) -> None:
    """Make the keys at `now` (ms), unless another node did meanwhile."""
    if await core.get(_PATH) is None:
        made = LogKeys(
            hashing={FIRST: entropy.bytes(_KEY_BYTES)}, current=FIRST, signing=entropy.bytes(_KEY_BYTES)
        )
        await core.put(_PATH, _KEYS.encode(made))
        await note_made(core, _PATH, now)


class NoMoreKeys(Exception):
    """There are as many keys of hashes as there may be."""


async def add_hashing_key(core: View, known: LogKeys, entropy: Entropy, now: Millis) -> str:
    """Have values hashed with a new key from `now` (ms) on, beside those that are `known`; return its id. Raises `NoMoreKeys`."""
    if len(known.hashing) >= MOST_HASHING:
        raise NoMoreKeys
    name = f"h{len(known.hashing) + 1}"
    hashing = {**known.hashing, name: entropy.bytes(_KEY_BYTES)}
    await core.put(_PATH, _KEYS.encode(replace(known, hashing=hashing, current=name)))
    await note_made(core, _place(name), now)
    return name


async def keys_made(core: ReadView, name: str = FIRST) -> Millis:
    """Return when a key of hashes was made (ms), the first one with that of checkpoints; 0 where nobody noted it."""
    return await when_made(core, _place(name))


def _place(name: str) -> str:
    return _PATH if name == FIRST else f"{_PATH}/{name}"
