# SPDX-License-Identifier: EUPL-1.2
"""How a workload proves that it is the one of a registration: who vouches for it, and what exactly the proof must say.

Every value is compared as a whole. There are no patterns: a `*` in a subject would let other workloads in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from nhi.auth.cert import chain
from nhi.auth.cert.model import Role as CertRole
from nhi.auth.jwt.model import Config as JwtConfig
from nhi.jose import signature
from vault.framework.errors import Malformed
from vault.values.times import Seconds

SECRET: Final = "client_secret"  # noqa: S105 -- the name of a method
PRIVATE_KEY: Final = "private_key_jwt"
JWT: Final = "jwt"
KUBERNETES: Final = "kubernetes"
CERT: Final = "cert"
APPROLE: Final = "approle"
METHODS: Final = (SECRET, PRIVATE_KEY, JWT, KUBERNETES, CERT, APPROLE)
SIGNERS: Final = ("jwks_url", "oidc_discovery_url", "pubkeys")
"""Where the keys are that sign JWTs: at one of these."""
CLUSTER: Final = ("kubernetes_host", "kubernetes_ca_cert")
"""Where the reviewer's token is sent; it must not go anywhere else."""
EXCHANGED: Final = frozenset({JWT, KUBERNETES})
"""Methods whose proof is a token of another issuer, so that it can be exchanged (RFC 8693)."""


class Attestation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is demanded of a proof; of what is empty nothing is demanded. `max_age` in seconds."""

    jwks_url: str = ""
    jwks_ca_pem: str = ""
    oidc_discovery_url: str = ""
    oidc_discovery_ca_pem: str = ""
    pubkeys: tuple[str, ...] = ()
    bound_issuer: str = ""
    bound_subject: str = ""
    bound_audiences: tuple[str, ...] = ()
    bound_claims: Mapping[str, tuple[str, ...]] = {}
    max_age: Seconds = Seconds(3600)
    one_time: bool = False
    kubernetes_host: str = ""
    kubernetes_ca_cert: str = ""
    token_reviewer_jwt: str = ""
    service_accounts: tuple[str, ...] = ()
    certificate: str = ""
    bound_common_names: tuple[str, ...] = ()
    bound_dns_sans: tuple[str, ...] = ()
    bound_uri_sans: tuple[str, ...] = ()
    approle_mount: str = ""
    approle_role: str = ""

    def __repr__(self) -> str:
        """Show nothing: a reviewer's token may be in it."""
        return "Attestation(…)"

    def jwt_config(self) -> JwtConfig:
        """Return where the keys are that sign tokens."""
        return JwtConfig(
            jwt_validation_pubkeys=self.pubkeys,
            jwks_url=self.jwks_url,
            jwks_ca_pem=self.jwks_ca_pem,
            oidc_discovery_url=self.oidc_discovery_url,
            oidc_discovery_ca_pem=self.oidc_discovery_ca_pem,
        )

    def cert_role(self) -> CertRole:
        """Return which certificates are trusted."""
        return CertRole(name="nhi", certificate=self.certificate)


def check(method: str, wanted: Attestation) -> None:
    """Refuse what would let in several workloads, or none. Raises `Malformed`."""
    if method not in METHODS:
        raise Malformed(f"method: must be one of {', '.join(METHODS)}")
    exact = {
        "bound_issuer": (wanted.bound_issuer,),
        "bound_subject": (wanted.bound_subject,),
        "bound_audiences": wanted.bound_audiences,
        "service_accounts": wanted.service_accounts,
        "bound_common_names": wanted.bound_common_names,
        "bound_dns_sans": wanted.bound_dns_sans,
        "bound_uri_sans": wanted.bound_uri_sans,
        **{f"bound_claims: {name}": values for name, values in wanted.bound_claims.items()},
    }
    for field, values in exact.items():
        if any("*" in value for value in values):
            raise Malformed(f"{field}: is compared as a whole, so give all of it, without *")
    _CHECKS[method](wanted)


def _check_keys(wanted: Attestation) -> None:
    if sum(bool(getattr(wanted, name)) for name in SIGNERS) != 1:
        raise Malformed("give one of jwks_url, oidc_discovery_url and pubkeys: whose signature is taken")
    signature.from_pem(wanted.pubkeys)


def _check_jwt(wanted: Attestation) -> None:
    _check_keys(wanted)
    for field in ("bound_issuer", "bound_subject", "bound_audiences"):
        if not getattr(wanted, field):
            raise Malformed(f"{field}: must be given: many can have a token of the same issuer")
    if wanted.max_age <= 0:
        raise Malformed("max_age: must be more than 0")


def _check_kubernetes(wanted: Attestation) -> None:
    if not wanted.kubernetes_host:
        raise Malformed("kubernetes_host: must be given: it is asked about each token")
    if not wanted.bound_audiences:
        raise Malformed("bound_audiences: must be given, or a token that was meant for others is taken")
    named = wanted.service_accounts
    if not named or any(one.count("/") != 1 or not all(one.split("/")) for one in named):
        raise Malformed("service_accounts: must be given, each as NAMESPACE/NAME")


def _check_cert(wanted: Attestation) -> None:
    trusted = chain.authorities(wanted.cert_role())
    if not trusted.roots and not trusted.pinned:
        raise Malformed("certificate: must be given (PEM): the client's own, or its authority's")
    if trusted.roots and not (wanted.bound_common_names or wanted.bound_dns_sans or wanted.bound_uri_sans):
        raise Malformed(
            "bound_uri_sans: this or bound_dns_sans or bound_common_names must be given with an authority"
        )


def _check_approle(wanted: Attestation) -> None:
    if not wanted.approle_mount or not wanted.approle_role:
        raise Malformed("approle_mount and approle_role: must be given")


def _check_nothing(wanted: Attestation) -> None:
    del wanted


_CHECKS: Final = {
    SECRET: _check_nothing,
    PRIVATE_KEY: _check_keys,
    JWT: _check_jwt,
    KUBERNETES: _check_kubernetes,
    CERT: _check_cert,
    APPROLE: _check_approle,
}
