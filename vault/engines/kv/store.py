# SPDX-License-Identifier: EUPL-1.2
"""Where version 2 keeps what: paths and encoding.

`config` holds the settings, `metadata/<path>` the row with the newest version's data unless that is long, and with those of
older versions that are short. `versions/<path>/<number>` holds the data of any other version.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from vault.barrier.stored import RecordKind, raw
from vault.barrier.view import ReadView, View
from vault.engines.kv.model import Config, Row, Version
from vault.framework.concurrency.time_slice import TimeSlice

_CONFIG: Final = "config"
ROWS: Final = "metadata/"
"""Prefix of the rows; below it are the paths as the client named them."""
_VERSIONS: Final = "versions/"

_ROW: Final = RecordKind("KV row", Row, version=3, older={1: None, 2: None}, parts=(Version,))
_SETTINGS: Final = RecordKind("KV settings", Config)
_pack: Final = msgspec.msgpack.Encoder().encode
_unpack: Final = msgspec.msgpack.Decoder(tuple[Version, ...]).decode
_unpack_data: Final = msgspec.msgpack.Decoder(dict[int, bytes]).decode

_DEFAULTS: Final = Config()


async def load_config(view: ReadView) -> Config:
    """Return the mount's settings."""
    stored = await view.get(_CONFIG)
    return _DEFAULTS if stored is None else _SETTINGS.decode(stored)


async def save_config(view: View, config: Config) -> None:
    """Store the mount's settings."""
    await view.put(_CONFIG, _SETTINGS.encode(config))


async def load(view: ReadView, path: str) -> Row | None:
    """Return the row at `path`, or None."""
    stored = await view.get(ROWS + path)
    return None if stored is None else _ROW.decode(stored)


async def exists(view: ReadView, path: str) -> bool:
    """Whether there is a row at `path`."""
    return await view.has(ROWS + path)


async def save(view: View, path: str, row: Row) -> None:
    """Store the row at `path`."""
    await view.put(ROWS + path, _ROW.encode(row))


async def load_data(view: ReadView, path: str, number: int) -> bytes | None:
    """Return the JSON of a version that lies by itself, or None when it is destroyed."""
    return await view.get(f"{_VERSIONS}{path}/{number}")


async def save_data(view: View, path: str, number: int, data: bytes) -> None:
    """Store the JSON of a version by itself."""
    await view.put(f"{_VERSIONS}{path}/{number}", raw(data))


async def drop_data(view: View, path: str, numbers: Sequence[int]) -> None:
    """Remove the data of versions that lie by themselves for good."""
    turn = TimeSlice()
    for number in numbers:
        await view.delete(f"{_VERSIONS}{path}/{number}")
        if turn.over:
            await turn.step()


async def drop(view: View, path: str, row: Row) -> None:
    """Remove everything about `path`."""
    apart = [row.current] if row.apart else []
    beside = earlier(row)
    others = [version.number for version in older(row) if version.number not in beside]
    await drop_data(view, path, [*others, *apart])
    await view.delete(ROWS + path)


def older(row: Row) -> tuple[Version, ...]:
    """Return the versions before the newest, oldest first."""
    return _unpack(row.older)


def versions(row: Row) -> tuple[Version, ...]:
    """Return every version, oldest first."""
    return older(row) if row.newest is None else (*older(row), row.newest)


def packed(kept: Sequence[Version]) -> msgspec.Raw:
    """Encode versions for `Row.older`."""
    return msgspec.Raw(_pack(kept))


def earlier(row: Row) -> dict[int, bytes]:
    """Return the JSON of the older versions whose data lie in the row, by number."""
    return _unpack_data(row.earlier)


def packed_earlier(data: dict[int, bytes]) -> msgspec.Raw:
    """Encode data of versions for `Row.earlier`."""
    return msgspec.Raw(_pack(data))
