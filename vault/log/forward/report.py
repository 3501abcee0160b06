# SPDX-License-Identifier: EUPL-1.2
"""What the server reads of its devices: a file of the log folder that who forwards writes anew twice a second."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from vault.log.format.files import replace_unsynced
from vault.log.forward.status import DeviceStatus

FILE: Final = "devices.state"
_LARGEST: Final = 1 << 20


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All devices of a log folder at one moment."""

    at: float
    """When it was made, by the machine's monotonic clock."""
    devices: tuple[DeviceStatus, ...]
    problem: str = ""
    """What keeps devices from being forwarded to at all, in fixed words."""


_decode: Final = msgspec.json.Decoder(Report).decode


def write_report(folder: Path, report: Report) -> None:
    """Replace the file. It needs not outlive the machine, and is not synced. Raises `OSError`."""
    replace_unsynced(folder / FILE, msgspec.json.encode(report))


def read_report(folder: Path) -> Report | None:
    """Return what was written last; None where there is nothing that can be read."""
    try:
        with (folder / FILE).open("rb") as file:
            return _decode(file.read(_LARGEST))
    except (OSError, msgspec.MsgspecError, ValueError):
        return None
