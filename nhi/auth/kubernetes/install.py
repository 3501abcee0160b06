# SPDX-License-Identifier: EUPL-1.2
"""What logins with a Kubernetes service account bring to a server."""

from __future__ import annotations

from nhi.auth.kubernetes.config import ConfigEngine
from nhi.auth.kubernetes.login import LoginEngine, renewal
from nhi.auth.kubernetes.pod import Pod
from nhi.auth.kubernetes.review import ApiServer
from vault.install import Installation, Kind, Services


def install(services: Services) -> Installation:
    """Return the auth method."""
    pod = Pod()
    server = ApiServer(services.fetcher, pod, services.log)
    engines = (
        ConfigEngine(pod, services.limits.longest),
        LoginEngine(services.issuer, server, services.clock),
    )
    return Installation(kinds=(Kind(("kubernetes",), engines, auth=True, renewal=renewal),))
