# SPDX-License-Identifier: EUPL-1.2
"""What the operations of version 2 take."""

from __future__ import annotations

from typing import Annotated, Final

from vault.framework.fields import BareMap, Doc, Duration, FieldKind, IntList, Map
from vault.framework.route import Params
from vault.values.times import Seconds

_PATH: Final = Doc("Where the secret is, below the mount.")
_MAX: Final = Doc(
    "How many versions to keep, at most 10,000; 0 leaves it to the mount, and there to 10.", clear=True
)
_CAS: Final = Doc("Whether every write must say which version it replaces.", clear=True)
_METADATA_CAS_REQUIRED: Final = Doc(
    "Whether every write of metadata must say which version it replaces.", clear=True
)
_METADATA_CAS: Final = Doc("Write only if this is the current version of the metadata.", clear=True)
_AFTER: Final = Doc("After how long a new version deletes itself; 0 for never.", clear=True)
_CUSTOM: Final = Doc("Up to 64 keys with text of up to 512 bytes, not secret.")
_DATA: Final = Doc("The secret: a JSON object.")
_OPTIONS: Final = Doc("`cas`: write only if this is the current version; 0 for a secret that has none.")
_VERSION: Final = Doc("Which version; 0 or less, as when left out, is the newest.", clear=True)
DEPTH: Final = Doc(
    "How many levels of folders to open; 0 or less for all. Names are then in order, a folder that stays closed "
    "ends in `/`, and `after` and `limit` count.",
    clear=True,
)
_VERSIONS: Final = Doc("The numbers of the versions.", clear=True)


class SecretPath(Params, frozen=True):
    """Which secret."""

    path: Annotated[str, _PATH]

    def __repr__(self) -> str:
        """Name the parameters without what is in them."""
        return f"<{type(self).__name__}>"


class ReadSecret(SecretPath, frozen=True):
    """Which secret, and which version of it."""

    version: Annotated[int, _VERSION] = 0


class ReadSubkeys(ReadSecret, frozen=True):
    """Which secret, and how deep to look."""

    depth: Annotated[int, Doc("How many levels of keys to show; 0 for all.", clear=True)] = 0


class WriteSecret(SecretPath, frozen=True):
    """What to write where."""

    data: Annotated[BareMap | None, _DATA] = None
    options: Annotated[BareMap | None, _OPTIONS] = None
    version: Annotated[int, Doc("Without effect; accepted as OpenBao does.", clear=True)] = 0


class PatchSecret(SecretPath, frozen=True):
    """What to change where."""

    data: Annotated[Map | None, Doc("A merge patch (RFC 7396) for the newest version.")] = None
    options: Annotated[Map | None, _OPTIONS] = None
    version: Annotated[int, Doc("Without effect; accepted as OpenBao does.", clear=True)] = 0


class Versions(SecretPath, frozen=True):
    """Which versions of which secret."""

    versions: Annotated[IntList, _VERSIONS] = ()


class WriteConfig(Params, frozen=True):
    """The settings to change."""

    max_versions: Annotated[int, _MAX] = 0
    cas_required: Annotated[bool, _CAS] = False
    metadata_cas_required: Annotated[bool, _METADATA_CAS_REQUIRED] = False
    delete_version_after: Annotated[Duration | None, _AFTER] = None


class WriteMetadata(SecretPath, frozen=True):
    """The settings of one secret to replace."""

    max_versions: Annotated[int, FieldKind("int", bare=True), _MAX] = 0
    cas_required: Annotated[bool, FieldKind("bool", bare=True), _CAS] = False
    metadata_cas_required: Annotated[bool, FieldKind("bool", bare=True), _METADATA_CAS_REQUIRED] = False
    metadata_cas: Annotated[int, FieldKind("int", bare=True), _METADATA_CAS] = 0
    delete_version_after: Annotated[Seconds | None, FieldKind("duration", bare=True), _AFTER] = None
    custom_metadata: Annotated[BareMap | None, _CUSTOM] = None


class PatchMetadata(SecretPath, frozen=True):
    """The settings of one secret to change."""

    max_versions: Annotated[int, _MAX] = 0
    cas_required: Annotated[bool, _CAS] = False
    metadata_cas_required: Annotated[bool, _METADATA_CAS_REQUIRED] = False
    metadata_cas: Annotated[int, _METADATA_CAS] = 0
    delete_version_after: Annotated[Duration | None, _AFTER] = None
    custom_metadata: Annotated[Map | None, _CUSTOM] = None


class Listing(Params, frozen=True):
    """Which folder, and which part of it."""

    path: Annotated[str, Doc("The folder, below the mount.")]
    after: Annotated[str, Doc("Show only names after this one.")] = ""
    cursor: Annotated[str, Doc("Which page: what the `Link` to the next one has, beside `limit`.")] = ""
    limit: Annotated[int, Doc("How many names to show at most; 0 or less for all.", clear=True)] = 0


class ScanParams(Listing, frozen=True):
    """Which folder, how deep to look, and which part of what is found; all is shown unless `depth` is given."""

    depth: Annotated[int | None, DEPTH] = None
