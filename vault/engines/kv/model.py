# SPDX-License-Identifier: EUPL-1.2
"""What version 2 stores and what it answers. Stored times are nanoseconds since the epoch, 0 for none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from vault.framework.fields import Json
from vault.values.times import Nanos, Seconds


class Config(msgspec.Struct, array_like=True, frozen=True):
    """A mount's settings. `max_versions` 0 is the default; `delete_after` is in seconds, negative for never."""

    max_versions: int = 0
    cas_required: bool = False
    metadata_cas_required: bool = False
    delete_after: Seconds = Seconds(0)


class Version(msgspec.Struct, array_like=True, frozen=True):
    """One version's history. `deleted` may lie in the future: the version is readable until then."""

    number: int
    created: Nanos
    deleted: Nanos = Nanos(0)
    destroyed: bool = False

    def gone(self, now: Nanos) -> bool:
        """Whether its data must not be shown at `now` (nanoseconds)."""
        return self.destroyed or 0 < self.deleted <= now


NO_VERSIONS = msgspec.Raw(b"\x90")
"""An empty list of versions, encoded."""
NO_DATA = msgspec.Raw(b"\x80")
"""The data of no version, encoded."""


class Row(msgspec.Struct, array_like=True, frozen=True):
    """Everything about one path but the data of older versions, so that the newest is one read.

    `data` is the newest version's JSON, empty when destroyed; `apart` says that it is long and lies where the data of older
    versions do, so that whoever needs the row alone does not read it. `older` holds the other versions, and `earlier` the data
    of those of them that are short, by number; both are encoded: reading the newest never decodes them. `oldest` is 0 until a version has been trimmed or could have been.
    """

    created: Nanos
    updated: Nanos
    current: int = 0
    newest: Version | None = None
    data: bytes = b""
    custom: dict[str, str] | None = None
    oldest: int = 0
    metadata_version: int = 0
    max_versions: int = 0
    cas_required: bool = False
    metadata_cas_required: bool = False
    delete_after: Seconds = Seconds(0)
    older: msgspec.Raw = NO_VERSIONS
    apart: bool = False
    earlier: msgspec.Raw = NO_DATA

    def __repr__(self) -> str:
        """Name the row without the secret in it."""
        return f"<Row version {self.current}>"


class ConfigResult(msgspec.Struct, frozen=True):
    """A mount's settings, on the wire."""

    cas_required: bool
    delete_version_after: str
    max_versions: int
    metadata_cas_required: bool


class VersionResult(msgspec.Struct, frozen=True):
    """One version of a secret, on the wire. Times are RFC 3339, empty for none."""

    created_time: str
    custom_metadata: Mapping[str, str] | None
    deletion_time: str
    destroyed: bool
    version: int


class SecretResult(msgspec.Struct, frozen=True):
    """A secret with the version that it is."""

    data: Json
    metadata: VersionResult

    def __repr__(self) -> str:
        """Name the result without the secret in it."""
        return f"<SecretResult version {self.metadata.version}>"


class SubkeysResult(msgspec.Struct, frozen=True):
    """A secret's keys, its values replaced by null."""

    metadata: VersionResult
    subkeys: Json


class VersionState(msgspec.Struct, frozen=True):
    """One version in a secret's metadata."""

    created_time: str
    deletion_time: str
    destroyed: bool


class MetadataResult(msgspec.Struct, frozen=True):
    """A secret's settings and versions, on the wire."""

    cas_required: bool
    created_time: str
    current_metadata_version: int
    current_version: int
    custom_metadata: Mapping[str, str] | None
    delete_version_after: str
    max_versions: int
    metadata_cas_required: bool
    oldest_version: int
    updated_time: str
    versions: Mapping[str, VersionState]


class Keys(msgspec.Struct, frozen=True, omit_defaults=True):
    """Names below a path; a folder ends in `/`. A scan that finds nothing answers an empty object."""

    keys: Sequence[str] = []


class DetailedKeys(msgspec.Struct, frozen=True, omit_defaults=True):
    """Names below a path with the metadata of each; a folder's is empty."""

    key_info: Mapping[str, MetadataResult | Mapping[str, str]] = {}
    keys: Sequence[str] = []
