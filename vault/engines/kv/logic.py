# SPDX-License-Identifier: EUPL-1.2
"""The rules of version 2, as pure functions. Times are nanoseconds since the epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from vault.engines.kv.model import Config, MetadataResult, Row, Version, VersionResult, VersionState
from vault.framework.clock import remembered_rfc3339, rfc3339
from vault.framework.concurrency.time_slice import TimeSlice
from vault.framework.errors import Malformed
from vault.framework.fields import Json, Mismatch, to_int
from vault.values.times import Nanos, Seconds, nanos_after

DEFAULT_VERSIONS: Final = 10
"""How many versions are kept where neither mount nor secret says."""
MOST_VERSIONS: Final = 10_000
"""How many versions are kept, whatever mount and secret say: each write of a secret writes the times of all of them again."""


def expected_version(options: Mapping[str, Json] | None) -> int | None:
    """Return the version that `options.cas` names, None without one. Raises `Malformed`."""
    if not options or "cas" not in options:
        return None
    value = options["cas"]
    try:
        return 0 if value is None else to_int(value)
    except Mismatch:
        raise Malformed("error parsing check-and-set parameter") from None


def check_cas(options: Mapping[str, Json] | None, current: int, *, required: bool) -> None:
    """Refuse a write whose `options.cas` is not the current version. Raises `Malformed`."""
    expected = expected_version(options)
    if expected is None:
        if required:
            raise Malformed("check-and-set parameter required for this call")
    elif expected != current:
        raise Malformed("check-and-set parameter did not match the current version")


def check_metadata_cas(given: int | None, row: Row | None, config: Config) -> None:
    """Refuse a metadata write whose `metadata_cas` is not the current one. Raises `Malformed`."""
    required = config.metadata_cas_required or (row is not None and row.metadata_cas_required)
    if given is None:
        if required:
            raise Malformed("metadata check-and-set parameter required for this call")
    elif row is None:
        if given:
            raise Malformed("metadata_cas must be 0 when creating new metadata")
    elif given != row.metadata_version:
        raise Malformed("metadata check-and-set parameter does not match the current version")


def deletion_time(row: Row, config: Config, now: Nanos) -> Nanos:
    """Return when a version written or restored at `now` deletes itself, 0 for never.

    The shorter of mount's and secret's setting holds; a negative one of the mount switches both off.
    """
    own, mounts = row.delete_after, config.delete_after
    if mounts < 0 or not (own or mounts):
        return Nanos(0)
    return nanos_after(now, min(own or mounts, mounts or own))


def oldest_after(row: Row, config: Config) -> int:
    """Return the oldest version to keep once one more is written; the larger setting holds, up to `MOST_VERSIONS`."""
    current = row.current + 1
    kept = min(max(row.max_versions, config.max_versions) or DEFAULT_VERSIONS, MOST_VERSIONS)
    return current - kept + 1 if current - row.oldest >= kept else row.oldest


def deleted(version: Version, now: Nanos) -> Version:
    """Return `version` as deleted at `now`, unless it is gone already."""
    return version if version.gone(now) else replace(version, deleted=now)


def destroyed(version: Version) -> Version:
    """Return `version` as destroyed; when it was deleted stays known."""
    return replace(version, destroyed=True)


def undeleted(version: Version, until: Nanos) -> Version:
    """Return `version` as readable again until `until`; what is destroyed stays so."""
    return version if version.destroyed else replace(version, deleted=until)


def merge(target: Json, patch: Json) -> Json:
    """Return `target` with a JSON merge patch (RFC 7396) applied; neither is changed."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def subkeys(value: Json, depth: int) -> Json:
    """Return the keys of an object, `depth` levels of them (0 for all), with null for each value."""
    if not isinstance(value, dict):
        return None
    return {
        key: subkeys(item, depth - 1) if depth != 1 and isinstance(item, dict) and item else None
        for key, item in value.items()
    }


def go_duration(seconds: Seconds) -> str:
    """Spell whole seconds as OpenBao does: `1h30m0s`."""
    sign, length = ("-", -seconds) if seconds < 0 else ("", seconds)
    hours, minutes, rest = length // 3600, length // 60 % 60, length % 60
    if hours:
        return f"{sign}{hours}h{minutes}m{rest}s"
    return f"{sign}{minutes}m{rest}s" if minutes else f"{sign}{rest}s"


def version_result(version: Version, row: Row) -> VersionResult:
    """Return one version as the wire has it."""
    return VersionResult(
        created_time=remembered_rfc3339(version.created),
        custom_metadata=row.custom,
        deletion_time=_time(version.deleted),
        destroyed=version.destroyed,
        version=version.number,
    )


async def metadata_result(row: Row, versions: Sequence[Version], turn: TimeSlice) -> MetadataResult:
    """Return a secret's metadata as the wire has it; others have their turns meanwhile."""
    states: dict[str, VersionState] = {}
    for version in versions:
        states[str(version.number)] = VersionState(
            rfc3339(version.created), _time(version.deleted), version.destroyed
        )
        if turn.over:
            await turn.step()
    return MetadataResult(
        cas_required=row.cas_required,
        created_time=rfc3339(row.created),
        current_metadata_version=row.metadata_version,
        current_version=row.current,
        custom_metadata=row.custom,
        delete_version_after=go_duration(row.delete_after),
        max_versions=row.max_versions,
        metadata_cas_required=row.metadata_cas_required,
        oldest_version=row.oldest,
        updated_time=rfc3339(row.updated),
        versions=states,
    )


def _time(nanos: Nanos) -> str:
    return rfc3339(nanos) if nanos else ""
