# SPDX-License-Identifier: EUPL-1.2
"""What devices there are: the server writes it to a file of the log folder at its start, and who forwards reads it there.

It holds names of files with secrets, and no secret. A device that is no longer in it keeps its cursor.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec

from vault.log.format.files import of_process, replace_durably

FILE: Final = "devices.json"
_LARGEST: Final = 1 << 20

Kind = Literal["syslog", "socket", "http", "otlp"]
Policy = Literal["required", "best_effort"]


class DeviceSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One device."""

    kind: Kind
    name: str
    """Its file is called after it: letters, digits, `-` and `_`."""
    address: str
    policy: Policy = "best_effort"
    deadline: float = 5.0
    """Seconds in which the newest record is to be taken."""
    tls_ca_file: str = ""
    tls_cert_file: str = ""
    tls_key_file: str = ""
    token_file: str = ""


class BadSettings(Exception):
    """The file with the devices cannot be read."""


class _DeviceList(msgspec.Struct, frozen=True):
    devices: tuple[DeviceSettings, ...]


def write_settings(folder: Path, devices: Sequence[DeviceSettings]) -> None:
    """Store the devices of a log folder, mode 0600; each worker process does, at once. Raises `OSError`."""
    replace_durably(folder / FILE, msgspec.json.encode(_DeviceList(tuple(devices))), beside=of_process())


def read_settings(folder: Path) -> tuple[DeviceSettings, ...]:
    """Return the devices of a log folder; none where no file is. Raises `BadSettings`."""
    try:
        with (folder / FILE).open("rb") as file:
            return msgspec.json.decode(file.read(_LARGEST), type=_DeviceList).devices
    except FileNotFoundError:
        return ()
    except (OSError, msgspec.MsgspecError, ValueError):
        raise BadSettings from None
