# SPDX-License-Identifier: EUPL-1.2
"""A device that records: its settings, what writes to it, and what makes its lines."""

from __future__ import annotations

from typing import Final

import msgspec

from vault.audit.device import DeviceConfig
from vault.audit.hasher import Hasher
from vault.audit.record import Renderer
from vault.audit.writer import Writer

ALL_HASHED: Final = "hmac_names_and_numbers"
"""Option of a device: whether numbers and names of members are hashed too, like strings."""


class OpenDevice(msgspec.Struct):
    """A device with the key of its hashes."""

    config: DeviceConfig
    device: Writer
    hasher: Hasher
    renderer: Renderer


def assemble(config: DeviceConfig, device: Writer, salt: bytes) -> OpenDevice:
    """Return a device that records as its settings say, and hashes with `salt`."""
    raw = config.flag("log_raw", default=False)
    hasher = Hasher(
        salt,
        raw=raw,
        hash_accessor=config.flag("hmac_accessor", default=True),
        strings_only=not config.flag(ALL_HASHED, default=True),
    )
    prefix = config.options.get("prefix", "").encode()
    elide = config.flag("elide_list_responses", default=False)
    return OpenDevice(config, device, hasher, Renderer(hasher, raw=raw, prefix=prefix, elide_lists=elide))
