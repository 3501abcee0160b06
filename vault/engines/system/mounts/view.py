# SPDX-License-Identifier: EUPL-1.2
"""How a mount looks on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from vault.engines.system.release import VERSION
from vault.mount.entry import MountConfig, MountEntry
from vault.values.ids import MountAccessor
from vault.values.times import Seconds

Optional = tuple[str, ...] | msgspec.UnsetType
_BARE: Final = frozenset(
    f"{prefix}{kind}" for prefix in ("", "ns_") for kind in ("system", "cubbyhole", "identity", "token")
)
"""Kinds that are part of the server, not plugins: they have no deprecation status."""
RUNNING: Final = f"v{VERSION}+builtin.bao"
"""The version that built-in plugins of OpenBao state."""


class LockoutRow(msgspec.Struct, frozen=True, kw_only=True):
    """When failed logins lock a name. Durations in seconds; 0 for the server's."""

    user_lockout_counter_reset_duration: Seconds
    user_lockout_disable: bool
    user_lockout_duration: Seconds
    user_lockout_threshold: int


class ConfigRow(msgspec.Struct, frozen=True, kw_only=True):
    """The tunable part. TTLs in seconds, 0 for the server's."""

    allowed_response_headers: Optional = msgspec.UNSET
    audit_non_hmac_request_keys: Optional = msgspec.UNSET
    audit_non_hmac_response_keys: Optional = msgspec.UNSET
    default_lease_ttl: Seconds
    force_no_cache: bool
    listing_visibility: str | msgspec.UnsetType = msgspec.UNSET
    max_lease_ttl: Seconds
    passthrough_request_headers: Optional = msgspec.UNSET
    token_type: str | msgspec.UnsetType = msgspec.UNSET
    user_lockout_config: LockoutRow | msgspec.UnsetType = msgspec.UNSET


class MountRow(msgspec.Struct, frozen=True, kw_only=True):
    """One mount."""

    accessor: MountAccessor
    config: ConfigRow
    deprecation_status: str | msgspec.UnsetType = msgspec.UNSET
    description: str
    external_entropy_access: bool
    local: bool
    options: Mapping[str, str] | None
    path: str | msgspec.UnsetType = msgspec.UNSET
    plugin_version: str = ""
    running_plugin_version: str = RUNNING
    running_sha256: str = ""
    seal_wrap: bool
    type: str
    uuid: str


class TuneRow(msgspec.Struct, frozen=True, kw_only=True):
    """What tuning shows: the TTLs that apply, in seconds."""

    allowed_response_headers: Optional = msgspec.UNSET
    audit_non_hmac_request_keys: Optional = msgspec.UNSET
    audit_non_hmac_response_keys: Optional = msgspec.UNSET
    default_lease_ttl: Seconds
    description: str
    force_no_cache: bool
    listing_visibility: str | msgspec.UnsetType = msgspec.UNSET
    max_lease_ttl: Seconds
    options: Mapping[str, str] | msgspec.UnsetType = msgspec.UNSET
    passthrough_request_headers: Optional = msgspec.UNSET
    token_type: str | msgspec.UnsetType = msgspec.UNSET
    user_lockout_counter_reset_duration: Seconds | msgspec.UnsetType = msgspec.UNSET
    user_lockout_disable: bool | msgspec.UnsetType = msgspec.UNSET
    user_lockout_duration: Seconds | msgspec.UnsetType = msgspec.UNSET
    user_lockout_threshold: int | msgspec.UnsetType = msgspec.UNSET


class BriefRow(msgspec.Struct, frozen=True):
    """What is shown without a token of a mount that is listed for everybody."""

    description: str
    options: Mapping[str, str] | None
    type: str


def show(entry: MountEntry, *, path: str | msgspec.UnsetType = msgspec.UNSET) -> MountRow:
    """Return the whole row of a mount; `path` is part of it where it is given."""
    config = entry.config
    lockout = _lockout(config)
    return MountRow(
        accessor=entry.accessor,
        config=ConfigRow(
            default_lease_ttl=config.default_lease_ttl,
            force_no_cache=config.force_no_cache,
            max_lease_ttl=config.max_lease_ttl,
            token_type=_token_type(entry),
            user_lockout_config=LockoutRow(**lockout) if lockout else msgspec.UNSET,
            **_lists(config),
        ),
        deprecation_status=msgspec.UNSET if entry.kind in _BARE else "supported",
        description=entry.description,
        external_entropy_access=entry.external_entropy_access,
        local=entry.local,
        options=entry.options,
        path=path,
        seal_wrap=entry.seal_wrap,
        type=entry.kind,
        uuid=entry.uuid,
    )


def show_tuned(entry: MountEntry, *, default_ttl: Seconds, max_ttl: Seconds) -> TuneRow:
    """Return what can be tuned; the arguments are the server's TTLs in seconds."""
    config = entry.config
    return TuneRow(
        default_lease_ttl=config.default_lease_ttl or default_ttl,
        description=entry.description,
        force_no_cache=config.force_no_cache,
        max_lease_ttl=config.max_lease_ttl or max_ttl,
        options=entry.options or msgspec.UNSET,
        token_type=_token_type(entry),
        **_lockout(config),
        **_lists(config),
    )


def show_briefly(entry: MountEntry) -> BriefRow:
    """Return the part of a mount that is public."""
    return BriefRow(entry.description, entry.options, entry.kind)


def _token_type(entry: MountEntry) -> str | msgspec.UnsetType:
    return (entry.config.token_type or "default-service") if entry.is_auth else msgspec.UNSET


def _lockout(config: MountConfig) -> dict[str, Any]:
    """Return what a mount says about lockout, nothing where it says nothing."""
    lockout = config.user_lockout
    if lockout is None:
        return {}
    return {
        "user_lockout_counter_reset_duration": lockout.counter_reset,
        "user_lockout_disable": lockout.disable,
        "user_lockout_duration": lockout.duration,
        "user_lockout_threshold": lockout.threshold,
    }


def _lists(config: MountConfig) -> dict[str, Any]:
    """Return the settings that are shown only where they are set."""
    names = (
        "allowed_response_headers",
        "audit_non_hmac_request_keys",
        "audit_non_hmac_response_keys",
        "listing_visibility",
        "passthrough_request_headers",
    )
    return {name: getattr(config, name) or msgspec.UNSET for name in names}
