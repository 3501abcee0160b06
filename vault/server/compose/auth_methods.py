# SPDX-License-Identifier: EUPL-1.2
"""Auth methods, put together from the server's parts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from nhi.auth.approle.login import LoginEngine as AppRoleLogin
from nhi.auth.approle.login import renewal as renew_approle
from nhi.auth.approle.roles import RoleEngine
from nhi.auth.approle.secret_ids import SecretIdEngine
from nhi.auth.approle.subpaths import RolePathEngine, TermPathEngine
from nhi.auth.cert.config import ConfigEngine as CertConfigEngine
from nhi.auth.cert.crl_routes import CrlEngine, RevocationLists
from nhi.auth.cert.login import LoginEngine as CertLogin
from nhi.auth.cert.login import renewal as renew_cert
from nhi.auth.cert.ocsp import Ocsp
from nhi.auth.jwt.cel.login import CelLoginEngine
from nhi.auth.jwt.cel.programs import Programs
from nhi.auth.jwt.cel.roles import CelRoleEngine
from nhi.auth.jwt.config import ConfigEngine as JwtConfigEngine
from nhi.auth.jwt.exchange import Exchange
from nhi.auth.jwt.keysets import KeySets
from nhi.auth.jwt.login import LoginEngine as JwtLogin
from nhi.auth.jwt.login import renewal as renew_jwt
from nhi.auth.jwt.oidc import OidcEngine
from nhi.auth.jwt.provider import Providers
from nhi.auth.jwt.roles import RoleEngine as JwtRoleEngine
from nhi.auth.jwt.states import States
from nhi.auth.jwt.verifier import Verifier
from nhi.auth.kubernetes.config import ConfigEngine as KubernetesConfigEngine
from nhi.auth.kubernetes.login import LoginEngine as KubernetesLogin
from nhi.auth.kubernetes.login import renewal as renew_kubernetes
from nhi.auth.kubernetes.pod import Pod
from nhi.auth.kubernetes.review import ApiServer
from nhi.auth.userpass.login import LoginEngine as UserpassLogin
from nhi.auth.userpass.login import renewal as renew_userpass
from nhi.auth.userpass.passwords import Passwords, argon2id
from nhi.auth.userpass.users import UserEngine
from vault.framework.call import Call, Namespace
from vault.framework.engine import Engine
from vault.framework.errors import NotFound
from vault.mount.entry import LockoutConfig, MountConfig, MountEntry
from vault.mount.router import Router
from vault.server.compose.parts import Parts
from vault.server.config.settings import UserLockout
from vault.token.issue import Issuer, Renewals
from vault.token.lockout import Lockout

_RENEWALS: Final = {
    "approle": renew_approle,
    "cert": renew_cert,
    "jwt": renew_jwt,
    "kubernetes": renew_kubernetes,
    "oidc": renew_jwt,
    "userpass": renew_userpass,
}


def auth_methods(parts: Parts, lock: Lockout) -> Mapping[str, Sequence[Engine]]:
    """Return the engines of every auth method that has logins, by kind."""
    issuer = make_issuer(parts)
    passwords = Passwords(argon2id())
    longest = parts.limits.longest
    providers = Providers(parts.fetcher, parts.clock)
    sets = KeySets(parts.fetcher, parts.clock, providers)
    exchange = Exchange(parts.fetcher, providers, sets, parts.clock)
    states = States(parts.clock, parts.entropy)
    parts.lifecycle.on_seal(states.forget)
    verifier, programs = Verifier(sets, parts.clock), Programs()
    jwt = (
        JwtConfigEngine(sets),
        JwtRoleEngine(longest),
        JwtLogin(issuer, verifier),
        CelRoleEngine(programs),
        CelLoginEngine(issuer, verifier, programs, parts.clock),
        OidcEngine(issuer, exchange, providers, states, parts.entropy),
    )
    return {
        "approle": (
            RoleEngine(parts.entropy, longest),
            TermPathEngine(longest),
            RolePathEngine(),
            SecretIdEngine(parts.clock, parts.entropy, longest),
            AppRoleLogin(issuer, lock, parts.clock),
        ),
        "cert": _cert(parts, issuer),
        "jwt": jwt,
        "kubernetes": _kubernetes(parts, issuer),
        "oidc": jwt,
        "userpass": (
            UserEngine(passwords, parts.entropy),
            UserpassLogin(issuer, lock, passwords, parts.entropy),
        ),
    }


def make_issuer(parts: Parts) -> Issuer:
    """Return what makes the tokens of logins."""

    def config(call: Call) -> MountConfig:
        return _entry(parts.router, call).config

    return Issuer(parts.tokens, parts.batch, parts.clock, parts.limits, config, parts.factors)


def _cert(parts: Parts, issuer: Issuer) -> Sequence[Engine]:
    ocsp = Ocsp(parts.fetcher, parts.clock, parts.log)
    lists = RevocationLists(parts.fetcher, parts.barrier, parts.clock, parts.entropy)
    return (
        CertConfigEngine(parts.limits.longest),
        CrlEngine(lists),
        CertLogin(issuer, lists, ocsp, parts.clock),
    )


def _kubernetes(parts: Parts, issuer: Issuer) -> Sequence[Engine]:
    pod = Pod()
    server = ApiServer(parts.fetcher, pod, parts.log)
    return (
        KubernetesConfigEngine(pod, parts.limits.longest),
        KubernetesLogin(issuer, server, parts.clock),
    )


def lockout(parts: Parts) -> Lockout:
    """Return what counts failed logins."""
    stanzas = {stanza.kind: configured(stanza) for stanza in parts.config.user_lockout}
    others = stanzas.get("all", LockoutConfig())
    return Lockout(
        parts.barrier,
        parts.clock,
        lambda call: _entry(parts.router, call),
        lambda kind: stanzas.get(kind, others),
    )


def configured(stanza: UserLockout) -> LockoutConfig:
    """Return what a stanza means for a mount, in whole seconds, of which 0 would be the default."""
    return LockoutConfig(
        threshold=stanza.lockout_threshold,
        duration=max(1, math.ceil(stanza.lockout_duration)),
        counter_reset=max(1, math.ceil(stanza.lockout_counter_reset)),
        disable=stanza.disable_lockout,
    )


def renewals(router: Router) -> Renewals:
    """Return what renews the tokens of logins."""

    def find(namespace: Namespace, logins: str) -> MountEntry | None:
        return next((mount.entry for mount in router.of(namespace) if mount.entry.logins == logins), None)

    return Renewals(find, _RENEWALS)


def _entry(router: Router, call: Call) -> MountEntry:
    """Return the mount of a call. Raises `NotFound` where it has just gone."""
    mount = router.of(call.namespace).get(call.mount.path)
    if mount is None:
        raise NotFound
    return mount.entry
