# SPDX-License-Identifier: EUPL-1.2
"""What one-time passwords bring to a server."""

from __future__ import annotations

from vault.engines.totp.engine import Totp
from vault.install import Installation, Kind, Services


def install(services: Services) -> Installation:
    """Return the TOTP engine."""
    return Installation(kinds=(Kind(("totp",), (Totp(services.clock, services.entropy, services.pool),)),))
