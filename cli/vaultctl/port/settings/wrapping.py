# SPDX-License-Identifier: EUPL-1.2
"""Keys of transit as they travel from an export to an import: wrapped for the destination (RFC 5649, RSA-OAEP)."""

from __future__ import annotations

import base64
import sys

from vaultctl.errors import CommandError
from vaultctl.port.ground.extras import Errors


def wrapped(exported: str, *, public: str, kind: str) -> str:
    """An exported key, wrapped for a public key in PEM, in base64. CommandError for what is none."""
    with Errors():
        from vault.engines.transit.moving.envelope import wrap_for
        from vault.engines.transit.moving.exported import importable
        from vault.framework.clock import Entropy

        refusals = sys.modules["vault.framework.errors"]
        try:
            return base64.b64encode(
                wrap_for(public, "SHA256", importable(kind, exported), Entropy())
            ).decode()
        except refusals.Malformed as error:
            raise CommandError(str(error)) from None
    raise AssertionError
