# SPDX-License-Identifier: EUPL-1.2
"""What is stored of a rate limit, and of what holds for all of them."""

from __future__ import annotations

import math
from typing import Final

import msgspec

from vault.barrier.stored import RecordKind
from vault.values.ids import NamespaceId
from vault.values.times import Seconds

QUOTA_KIND: Final = "quota"
"""Kind of the cached fact that all quotas together are."""
EXEMPT: Final = (
    "sys/generate-recovery-token/attempt",
    "sys/generate-recovery-token/update",
    "sys/generate-root/attempt",
    "sys/generate-root/update",
    "sys/health",
    "sys/seal-status",
    "sys/unseal",
)
"""Beginnings of paths that are not counted until the configuration says otherwise."""


class Quota(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A rate limit: each client may make `rate` requests in `interval` seconds, rounded up to a whole number.

    It is about a namespace or, with `mount` (a UUID), about one of its mounts; `suffix` narrows that to one path
    below the mount, or with a final `*` to those that begin so. Who makes more is refused for `block` seconds.
    """

    name: str
    rate: float
    interval: Seconds = Seconds(1)
    block: Seconds = Seconds(0)
    namespace: NamespaceId
    mount: str = ""
    suffix: str = ""
    inheritable: bool = False
    """Whether a limit of a namespace holds in those below it too."""

    @property
    def most(self) -> int:
        """Requests in one interval."""
        return math.ceil(self.rate)

    @property
    def subject(self) -> tuple[str, str, str]:
        """What it is about: there is one quota for each."""
        return self.namespace, self.mount, self.suffix


class QuotaSettings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What holds for all quotas."""

    exempt: tuple[str, ...] = EXEMPT
    headers: bool = False
    """Whether answers say how much is left."""
    audited: bool = False
    """Whether refusals are recorded: off, so that a flood of requests is no flood of records."""


QUOTA: Final = RecordKind("rate limit quota", Quota)
SETTINGS: Final = RecordKind("quota settings", QuotaSettings)
