# SPDX-License-Identifier: EUPL-1.2
"""How far a device has the logs, as stored: written anew beside itself, synced and renamed, after the receiver had it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

import msgspec

from vault.log.format.files import replace_durably
from vault.log.forward.batch import Place

FOLDER: Final = "devices"
_LARGEST: Final = 1 << 20


class _StoredPlace(msgspec.Struct, frozen=True):
    seq: Annotated[int, msgspec.Meta(ge=0)]
    last: str


class _StoredCursor(msgspec.Struct, frozen=True):
    logs: dict[str, _StoredPlace]
    caught_up: bool = False


class Cursor:
    """Of one device, by log the next record that it has not got."""

    def __init__(self, folder: Path, name: str) -> None:
        """`folder` is the log folder. Nothing is read before `load`."""
        self._path = folder / FOLDER / f"{name}.json"
        self.places: dict[str, Place] = {}
        """By log the next record, and the hash of the one before."""
        self.caught_up = False
        """Whether the device has had all there was, once."""
        self._stored: object = None

    def load(self) -> bool:
        """Read what is stored; return whether it could be read. What cannot is as nothing: all records come again."""
        self.places, self.caught_up = {}, False
        try:
            with self._path.open("rb") as file:
                found = msgspec.json.decode(file.read(_LARGEST), type=_StoredCursor)
        except FileNotFoundError:
            return True
        except (OSError, msgspec.MsgspecError, ValueError):
            return False
        self.places = {log: Place(0, 0, each.seq, each.last) for log, each in found.logs.items()}
        self.caught_up = found.caught_up
        return True

    def store(self) -> None:
        """Have it on the disk, if it changed. Raises `OSError`."""
        state = self._state(self.places), self.caught_up
        if state == self._stored:
            return
        logs = {log: _StoredPlace(seq, last) for log, (seq, last) in state[0].items()}
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        replace_durably(self._path, msgspec.json.encode(_StoredCursor(logs, self.caught_up)))
        self._stored = state

    @staticmethod
    def _state(places: Mapping[str, Place]) -> dict[str, tuple[int, str]]:
        return {log: (place.seq, place.last) for log, place in places.items()}
