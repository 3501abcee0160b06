# SPDX-License-Identifier: EUPL-1.2
"""What logins with a password bring to a server."""

from __future__ import annotations

from argon2 import PasswordHasher

from nhi.auth.userpass.login import LoginEngine, renewal
from nhi.auth.userpass.passwords import Passwords, argon2id
from nhi.auth.userpass.users import UserEngine
from vault.install import Installation, Kind, Services


def install(services: Services, hasher: PasswordHasher | None = None) -> Installation:
    """Return the auth method; `hasher` makes the hashes of new passwords, those of `argon2id` unless given."""
    passwords = Passwords(hasher or argon2id())
    engines = (
        UserEngine(passwords, services.entropy),
        LoginEngine(services.issuer, services.lockout, passwords, services.entropy),
    )
    return Installation(kinds=(Kind(("userpass",), engines, auth=True, renewal=renewal),))
