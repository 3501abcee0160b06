# SPDX-License-Identifier: EUPL-1.2
"""What AppRole brings to a server."""

from __future__ import annotations

from nhi.auth.approle.inventory import keys_of
from nhi.auth.approle.login import LoginEngine, renewal
from nhi.auth.approle.roles import RoleEngine
from nhi.auth.approle.secret_ids import SecretIdEngine
from nhi.auth.approle.store import SECRET_IDS, expire
from nhi.auth.approle.subpaths import RolePathEngine, TermPathEngine
from vault.barrier.view import View
from vault.install import Installation, Kind, Services


def install(services: Services) -> Installation:
    """Return the auth method, and the timer that ends secret ids."""
    clock, entropy, longest = services.clock, services.entropy, services.limits.longest

    async def expire_secret_id(data: View, name: str) -> None:
        await expire(data, name, clock.nanos())

    engines = (
        RoleEngine(clock, entropy, longest),
        TermPathEngine(longest),
        RolePathEngine(),
        SecretIdEngine(clock, entropy, longest),
        LoginEngine(services.issuer, services.lockout, clock),
    )
    return Installation(
        kinds=(Kind(("approle",), engines, auth=True, renewal=renewal, keys=keys_of),),
        timers={SECRET_IDS.kind: SECRET_IDS.handler(expire_secret_id)},
    )
