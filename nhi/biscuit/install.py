# SPDX-License-Identifier: EUPL-1.2
"""What identities of workloads bring to a server."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from nhi.auth.jwt.keysets import KeySets
from nhi.auth.jwt.provider import Providers
from nhi.auth.kubernetes.pod import Pod
from nhi.auth.kubernetes.review import ApiServer
from nhi.auth.userpass.passwords import Passwords, argon2id
from nhi.biscuit.credential.authenticator import BiscuitAuthenticator
from nhi.biscuit.credential.children import Children
from nhi.biscuit.inventory import keys_of
from nhi.biscuit.issue.issuer import BiscuitIssuer
from nhi.biscuit.issue.key_store import SigningKeys
from nhi.biscuit.issue.service import BiscuitService
from nhi.biscuit.login.client_secrets import ClientSecrets
from nhi.biscuit.login.failures import Failures
from nhi.biscuit.login.proof import ProofChecker
from nhi.biscuit.records.model import BISCUIT_KIND, MountRef
from nhi.biscuit.revocation.expiry import ExpiryTimers
from nhi.biscuit.revocation.mount_removal import MountRemoval
from nhi.biscuit.routes.approval_routes import ApprovalEngine
from nhi.biscuit.routes.failure_routes import FailureEngine
from nhi.biscuit.routes.key_routes import IssuerKeyEngine
from nhi.biscuit.routes.lineage_routes import LineageEngine
from nhi.biscuit.routes.login_mount import LoginMountEngine
from nhi.biscuit.routes.oauth_client import Clients
from nhi.biscuit.routes.oauth_routes import OAuthEngine
from nhi.biscuit.routes.publication_routes import PublicationEngine
from nhi.biscuit.routes.registration_routes import RegistrationEngine
from nhi.biscuit.routes.revocation_routes import RevocationEngine
from nhi.biscuit.routes.token_routes import IssueEngine
from nhi.biscuit.routes.workload_routes import WorkloadEngine
from vault.framework.call import MountFacts, Namespace
from vault.install import Installation, Kind, Services
from vault.token.factors import Factors
from vault.values.ids import NamespaceId
from vault.values.times import Seconds


def install(
    services: Services,
    *,
    biscuits: BiscuitAuthenticator,
    failures: Failures,
    factors: Factors,
    blocks: int,
    names: int,
) -> tuple[Installation, BiscuitService]:
    """Return `nhi` mounts, their logins below `auth/`, and what Biscuits are to the engines of tokens.

    A request looks at so many blocks of credentials, and reads so many names of some at once.
    """
    clock, entropy, barrier, tokens = services.clock, services.entropy, services.barrier, services.tokens
    signing_keys = SigningKeys(services.follower, services.safe)
    issuer = BiscuitIssuer(
        clock,
        entropy,
        services.external_keys,
        services.policies,
        services.safe,
        signing_keys,
        partial(_where, services),
        partial(_longest, services),
    )
    mount_removal = MountRemoval(tokens, services.leases)
    prover = _prover(services, failures)
    clients = Clients(prover, services.address)
    issue_engine = IssueEngine(issuer, biscuits, barrier, prover, clients.audiences)
    children = Children(tokens, barrier)
    engines = (
        IssuerKeyEngine(issuer, mount_removal),
        PublicationEngine(issuer, clients, clock),
        WorkloadEngine(clock, entropy),
        RegistrationEngine(entropy, services.policies),
        issue_engine,
        ApprovalEngine(issuer),
        RevocationEngine(biscuits, barrier, entropy, children, blocks=blocks),
        LineageEngine(children, services.router.has_login, blocks=blocks, names=names),
        FailureEngine(failures),
        OAuthEngine(issuer, biscuits, prover, clients),
    )
    login_mount = LoginMountEngine(
        issue_engine, barrier, partial(_nhi_mount, services), mount_removal, factors
    )
    installed = Installation(
        kinds=(Kind(("nhi",), engines, keys=keys_of), Kind(("nhi",), (login_mount,), auth=True)),
        timers={BISCUIT_KIND: ExpiryTimers(clock, services.leases, tokens, services.namespaces.live).due},
        on_seal=(signing_keys.forget, failures.forget),
    )
    return installed, BiscuitService(biscuits, issuer, barrier)


def _prover(services: Services, failures: Failures) -> ProofChecker:
    """Return what checks the proofs that workloads log in with."""
    return ProofChecker(
        services.barrier,
        services.tokens,
        KeySets(services.fetcher, services.clock, Providers(services.fetcher, services.clock)),
        ApiServer(services.fetcher, Pod(), services.log),
        ClientSecrets(Passwords(argon2id())),
        services.lockout,
        services.clock,
        services.entropy,
        failures,
    )


def _nhi_mount(services: Services, namespace: Namespace, path: str) -> MountFacts | None:
    """Return the `nhi` mount at a path in a namespace; None where there is none."""
    found = services.router.of(namespace).get(path)
    return found.mounted if found is not None and found.mounted.kind == "nhi" else None


def _longest(services: Services, namespace_id: NamespaceId, doors: Sequence[str]) -> Seconds:
    """Return for how long a token may last: as the mounts are tuned, or the server where none of them is."""
    home = services.namespaces.live(namespace_id)
    table = services.router.of(home) if home is not None else ()
    tuned = [mount.mounted.max_ttl for mount in table if mount.mounted.logins in doors]
    return min((one for one in tuned if one), default=services.limits.longest)


def _where(services: Services, owner: MountRef) -> tuple[Namespace, MountFacts] | None:
    """Return the namespace and the mount that a place names; None where one is gone."""
    home = services.namespaces.live(owner.namespace)
    table = services.router.of(home) if home is not None and services.router.has(home, owner.mount) else ()
    mounted = next((mount.mounted for mount in table if mount.entry.uuid == owner.mount), None)
    return None if home is None or mounted is None else (home, mounted)
