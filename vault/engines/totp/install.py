# SPDX-License-Identifier: EUPL-1.2
"""What one-time passwords bring to a server."""

from __future__ import annotations

from vault.engines.totp.engine import Totp
from vault.install import Installed, Kind, Services


def install(services: Services) -> Installed:
    """Return the TOTP engine."""
    return Installed(kinds=(Kind(("totp",), (Totp(services.clock, services.entropy, services.pool),)),))
