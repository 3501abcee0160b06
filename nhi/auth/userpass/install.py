# SPDX-License-Identifier: EUPL-1.2
"""What logins with a password bring to a server."""

from __future__ import annotations

from nhi.auth.userpass.login import LoginEngine, renewal
from nhi.auth.userpass.passwords import Passwords, argon2id
from nhi.auth.userpass.users import UserEngine
from vault.install import Installation, Kind, Services


def install(services: Services) -> Installation:
    """Return the auth method."""
    passwords = Passwords(argon2id())
    engines = (
        UserEngine(passwords, services.entropy),
        LoginEngine(services.issuer, services.lockout, passwords, services.entropy),
    )
    return Installation(kinds=(Kind(("userpass",), engines, auth=True, renewal=renewal),))
