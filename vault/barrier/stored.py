# SPDX-License-Identifier: EUPL-1.2
"""How a record becomes the bytes that are stored, and back: every kind of record has a name and a version.

Version 1 is the encoded record alone. A later one begins with a byte that neither msgpack nor UTF-8 ever begins with,
then the version's number, then the record. So a program reads what any older one wrote, and refuses what only a newer
one knows instead of reading it as something else.

What storage takes is `Stored`, and only this module makes it: a record goes through its `RecordKind`. Text and bytes that are
no record have no version: another form of them lies at another place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, NewType, TypeVar, cast

import msgspec

from vault.barrier.failure import BarrierFailure

T = TypeVar("T")
Stored = NewType("Stored", bytes)
"""A value that may be stored. Made by `RecordKind.encode`, `text`, `raw` and `MARK` alone."""

MARK: Final = Stored(b"")
"""What is stored where it counts only that something is there."""
_LATER: Final = 0xC1
"""Begins every record of a version after the first: reserved in msgpack, and no byte of UTF-8."""
_NEWEST_POSSIBLE: Final = 255
_HEAD: Final = 2

KINDS: Final[dict[str, RecordKind[Any]]] = {}
"""Every kind of record there is, by its name."""


class UnknownFormat(BarrierFailure):
    """A stored record is not what its kind and version say."""


class NewerFormat(UnknownFormat):
    """A stored record is of a version that this release does not know."""


def text(value: str) -> Stored:
    """Return a text as it is stored: the name of another record, or what a user wrote."""
    return Stored(value.encode())


def raw(value: bytes) -> Stored:
    """Return bytes that are stored as they are: random ones, what is encrypted by itself, and a user's own JSON."""
    return Stored(value)


class UpgradeUnderWay(BarrierFailure):
    """A record may not be stored yet: an older release serves on the same database, and does not know it."""


class RecordKind(Generic[T]):
    """A kind of record. `encode` and `decode` are as fast as msgspec's own while there is one version."""

    __slots__ = (
        "_former",
        "_head",
        "_newest",
        "_older",
        "_write",
        "encode",
        "form",
        "held",
        "name",
        "parts",
        "version",
    )

    encode: Callable[[T], Stored]
    held: bool
    """Whether an older release beside this one keeps it from writing the newest version."""

    def __init__(
        self,
        name: str,
        form: type[T],
        *,
        version: int = 1,
        older: Mapping[int, Callable[[bytes], T] | None] | None = None,
        former: Callable[[T], bytes] | None = None,
        json: bool = False,
        parts: tuple[type[msgspec.Struct], ...] = (),
    ) -> None:
        """`older` says of every earlier version how it is read: None where the newest form reads it rightly.

        That is so where each field that came since has a default that means what was before. `former` encodes a record as the
        version before the newest, for as long as the release before serves on the same database. `json`: stored as JSON,
        else as msgpack. `parts`: what is encoded within the record by itself; it has the record's version.
        """
        older = older or {}
        if not 1 <= version <= _NEWEST_POSSIBLE or sorted(older) != list(range(1, version)):
            raise ValueError(f"{name}: each version before {version} needs a reader, and there are none else")
        if KINDS.setdefault(name, self) is not self:
            raise ValueError(f"{name}: two kinds of records with one name")
        self.name: Final = name
        self.form: Final = form
        self.parts: Final = parts
        self.version: Final = version
        self._older = older
        self._head = bytes((_LATER, version))
        self._newest: Callable[[bytes], T] = (
            msgspec.json.Decoder(form).decode if json else msgspec.msgpack.Decoder(form).decode
        )
        write = msgspec.json.Encoder().encode if json else msgspec.msgpack.Encoder().encode
        self._write: Callable[[T], bytes] = write
        self._former = former
        self.write_up_to(version)

    def __repr__(self) -> str:
        return f"<RecordKind {self.name} {self.version}>"

    def writes(self, version: int) -> bool:
        """Whether it can do without writing anything later than `version`; 0 stands for no record at all."""
        return version in {0, self.version} or (version == self.version - 1 and self._former is not None)

    def write_up_to(self, version: int) -> None:
        """Write nothing later than `version` from now on, which `writes` allows; of 0 each record is refused with `UpgradeUnderWay`."""
        self.held = version < self.version
        encode: Callable[[T], bytes] = self._write if self.version == 1 else self._later
        if self.held:
            encode = (
                self._withhold if self._former is None or version == 0 else self._former_encode(self._former)
            )
        self.encode = cast("Callable[[T], Stored]", encode)

    def decode(self, data: bytes) -> T:
        """Return the record. Raises `UnknownFormat`."""
        try:
            if self.version == 1:
                return self._newest(data)
            return self._newest(data[_HEAD:]) if data[:_HEAD] == self._head else self._of(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise self.unknown(version_of(data)) from None

    def unknown(self, version: int) -> UnknownFormat:
        """Return what to raise of a record that says it has this version."""
        if version > self.version:
            return NewerFormat(
                f"stored record '{self.name}' has version {version}, and this release knows none after {self.version}: "
                "start the release that wrote it, or a newer one"
            )
        return UnknownFormat(
            f"stored record '{self.name}' has an unknown format: it is not as its version {version} is; start the "
            "release that wrote it, or restore a backup"
        )

    def _later(self, record: T) -> bytes:
        return self._head + self._write(record)

    def _former_encode(self, former: Callable[[T], bytes]) -> Callable[[T], bytes]:
        head = b"" if self.version - 1 == 1 else bytes((_LATER, self.version - 1))
        return lambda record: head + former(record)

    def _withhold(self, record: T) -> bytes:
        del record
        raise UpgradeUnderWay(
            f"an older release serves on this database, and knows no stored record '{self.name}': "
            "bring every server to this release first"
        )

    def _of(self, data: bytes) -> T:
        """Return what an older release stored."""
        version = version_of(data)
        if not 1 <= version <= self.version:
            raise self.unknown(version)
        body = data if version == 1 else data[_HEAD:]
        return (self._older.get(version) or self._newest)(body)


def version_of(data: bytes) -> int:
    """Return the version that a stored record says it has."""
    return data[1] if len(data) >= _HEAD and data[0] == _LATER else 1
