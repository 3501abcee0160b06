# SPDX-License-Identifier: EUPL-1.2
"""A mount as it is stored, and as the pipeline sees it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from vault.barrier.stored import RecordKind
from vault.barrier.view import mount_prefix
from vault.framework.call import MountFacts
from vault.values.ids import MountAccessor, MountId
from vault.values.times import Seconds

SYSTEM_MAX_TTL: Final = Seconds(2_764_800)
"""The default lease and the longest one (768 h), unless a mount or the configuration says otherwise."""
MOUNTS: Final = "mount/"
"""Where a namespace keeps its mount table, each mount by its uuid."""
MOUNT_KIND: Final = "mount"
"""Kind of the cached fact 'the mount table'; the key is empty."""


class LockoutConfig(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """When failed logins lock a name. Durations in seconds, 0 for the server's; so is the threshold."""

    threshold: int = 0
    duration: Seconds = Seconds(0)
    counter_reset: Seconds = Seconds(0)
    disable: bool = False

    def over(self, server: LockoutConfig) -> LockoutConfig:
        """Return this with the server's settings where it has none; what the server does not lock, no mount does."""
        return LockoutConfig(
            threshold=self.threshold or server.threshold,
            duration=self.duration or server.duration,
            counter_reset=self.counter_reset or server.counter_reset,
            disable=self.disable or server.disable,
        )


class MountConfig(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What can be tuned. TTLs in seconds, 0 for the system's."""

    default_lease_ttl: Seconds = Seconds(0)
    max_lease_ttl: Seconds = Seconds(0)
    force_no_cache: bool = False
    token_type: str = ""
    listing_visibility: str = ""
    passthrough_request_headers: tuple[str, ...] = ()
    allowed_response_headers: tuple[str, ...] = ()
    audit_non_hmac_request_keys: tuple[str, ...] = ()
    audit_non_hmac_response_keys: tuple[str, ...] = ()
    user_lockout: LockoutConfig | None = None


class MountEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One row of the mount table. `path` ends in `/`; an auth mount's starts with `auth/`."""

    uuid: MountId
    path: str
    kind: str
    accessor: MountAccessor
    description: str = ""
    options: Mapping[str, str] | None = None
    local: bool = False
    seal_wrap: bool = False
    external_entropy_access: bool = False
    config: MountConfig = MountConfig()
    since: str = ""
    """Of a mount that was moved: another id for the logins since, as those before are worth nothing."""

    @property
    def logins(self) -> str:
        """What the tokens of logins on this mount hang on."""
        return self.since or self.uuid

    @property
    def is_auth(self) -> bool:
        """Whether this is an auth method."""
        return self.path.startswith("auth/")

    @property
    def prefix(self) -> str:
        """Where the mount's data lies below its namespace. The uuid is never used again (SL-07)."""
        return mount_prefix(self.uuid)

    def as_mounted(self) -> MountFacts:
        """Return what the pipeline needs."""
        config = self.config
        return MountFacts(
            logins=self.logins,
            uuid=self.uuid,
            path=self.path,
            kind=self.kind,
            accessor=self.accessor,
            category="auth" if self.is_auth else "secret",
            options=self.options or {},
            default_ttl=config.default_lease_ttl,
            max_ttl=config.max_lease_ttl,
            clear_request_keys=frozenset(config.audit_non_hmac_request_keys),
            clear_response_keys=frozenset(config.audit_non_hmac_response_keys),
            passthrough_headers=frozenset(name.lower() for name in config.passthrough_request_headers),
            response_headers=frozenset(name.lower() for name in config.allowed_response_headers),
        )


MOUNT: Final = RecordKind("mount", MountEntry)
