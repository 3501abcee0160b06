# SPDX-License-Identifier: EUPL-1.2
"""What SSH brings to a server."""

from __future__ import annotations

from vault.engines.ssh.ca_routes import AuthorityEngine
from vault.engines.ssh.certificate_routes import CertificateEngine
from vault.engines.ssh.inventory import keys_of
from vault.engines.ssh.keys.issuers import ISSUER_FACT, Issuers
from vault.engines.ssh.keys.pairs import MakesPairs, new_pair
from vault.engines.ssh.otp import OtpRevoker
from vault.engines.ssh.otp_routes import OtpEngine
from vault.engines.ssh.role_routes import RoleEngine
from vault.engines.ssh.roles.role import known_roles
from vault.install import Installation, Kind, Services


def install(services: Services, *, pairs: MakesPairs = new_pair) -> Installation:
    """Return the SSH engine. `pairs` says how pairs of keys are made."""
    issuers, roles = Issuers(services.safe), known_roles()
    authorities = AuthorityEngine(issuers, services.entropy, services.pool, pairs)
    certificates = CertificateEngine(issuers, roles, services.entropy, services.pool, services.limits, pairs)
    passwords = OtpEngine(services.leases, services.tokens, services.clock, services.entropy, services.limits)
    return Installation(
        kinds=(
            Kind(
                ("ssh",),
                (authorities, RoleEngine(), certificates, passwords),
                leases=OtpRevoker(),
                keys=keys_of,
            ),
        ),
        caches={ISSUER_FACT: issuers.drop},
        on_seal=(issuers.forget, roles.forget),
    )
