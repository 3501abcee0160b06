# SPDX-License-Identifier: EUPL-1.2
"""What one-time passwords bring to a server."""

from __future__ import annotations

from vault.engines.totp.engine import Totp
from vault.engines.totp.inventory import keys_of
from vault.install import Installation, Kind, Services


def install(services: Services) -> Installation:
    """Return the TOTP engine."""
    engine = Totp(services.clock, services.entropy, services.pool)
    return Installation(kinds=(Kind(("totp",), (engine,), keys=keys_of),))
