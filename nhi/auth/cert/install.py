# SPDX-License-Identifier: EUPL-1.2
"""What logins with a TLS client certificate bring to a server."""

from __future__ import annotations

from nhi.auth.cert.config import ConfigEngine
from nhi.auth.cert.crl_routes import CrlEngine, RevocationLists
from nhi.auth.cert.login import LoginEngine, renewal
from nhi.auth.cert.ocsp import Ocsp
from vault.install import Installation, Kind, Services


def install(services: Services) -> Installation:
    """Return the auth method."""
    fetcher, clock = services.fetcher, services.clock
    lists = RevocationLists(fetcher, services.barrier, clock, services.entropy)
    engines = (
        ConfigEngine(services.limits.longest),
        CrlEngine(lists),
        LoginEngine(services.issuer, lists, Ocsp(fetcher, clock, services.log), clock),
    )
    return Installation(kinds=(Kind(("cert",), engines, auth=True, renewal=renewal),))
