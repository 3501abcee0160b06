# SPDX-License-Identifier: EUPL-1.2
"""What key-value secrets bring to a server."""

from __future__ import annotations

from vault.engines.kv.engine import VersionedKV
from vault.engines.kv.plain import PlainKV
from vault.install import Installation, Kind, Services


def install(services: Services) -> Installation:
    """Return both versions; a mount without the option `version` is of the first."""
    plain = PlainKV(services.entropy, services.limits.default)
    return Installation(
        kinds=(
            Kind(("kv",), (plain,), versions=("", "1")),
            Kind(("kv",), (VersionedKV(services.clock),), versions=("2",)),
        )
    )
