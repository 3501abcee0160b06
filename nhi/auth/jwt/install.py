# SPDX-License-Identifier: EUPL-1.2
"""What logins with a JWT and through OpenID Connect bring to a server."""

from __future__ import annotations

from nhi.auth.jwt.cel.programs import Programs
from nhi.auth.jwt.cel.roles import CelRoleEngine
from nhi.auth.jwt.cel_login import CelLoginEngine
from nhi.auth.jwt.config import ConfigEngine
from nhi.auth.jwt.exchange import Exchange
from nhi.auth.jwt.keysets import KeySets
from nhi.auth.jwt.login import LoginEngine, renewal
from nhi.auth.jwt.oidc import OidcEngine
from nhi.auth.jwt.provider import Providers
from nhi.auth.jwt.roles import RoleEngine
from nhi.auth.jwt.states import STATES, States, expire
from nhi.auth.jwt.verifier import Verifier
from vault.install import Installation, Kind, Services


def install(services: Services) -> Installation:
    """Return one auth method under its two names, and what sign-ins leave that were begun and not ended."""
    clock, issuer = services.clock, services.issuer
    providers = Providers(services.fetcher, clock)
    sets = KeySets(services.fetcher, clock, providers)
    states = States(clock, services.entropy)
    verifier, programs = Verifier(sets, clock), Programs()
    exchange = Exchange(services.fetcher, providers, sets, clock)
    engines = (
        ConfigEngine(sets),
        RoleEngine(services.limits.longest),
        LoginEngine(issuer, verifier),
        CelRoleEngine(programs),
        CelLoginEngine(issuer, verifier, programs, clock),
        OidcEngine(issuer, exchange, providers, states, services.entropy),
    )
    return Installation(
        kinds=(Kind(("jwt", "oidc"), engines, auth=True, renewal=renewal),),
        timers={STATES.kind: STATES.handler(expire)},
        on_seal=(states.forget,),
    )
