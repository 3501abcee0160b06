# SPDX-License-Identifier: EUPL-1.2
"""Identities of workloads, put together from the server's parts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from nhi.auth.jwt.keysets import KeySets
from nhi.auth.jwt.provider import Providers
from nhi.auth.kubernetes.pod import Pod
from nhi.auth.kubernetes.review import ApiServer
from nhi.auth.userpass.passwords import Passwords, argon2id
from nhi.biscuit.credential.children import Children
from nhi.biscuit.issue.issuer import Mint
from nhi.biscuit.issue.key_store import Signers
from nhi.biscuit.issue.service import BiscuitService
from nhi.biscuit.login.client_secrets import Secrets
from nhi.biscuit.login.proof import Prover
from nhi.biscuit.revocation.mount_removal import Leaving
from nhi.biscuit.routes.approval_routes import ApprovingEngine
from nhi.biscuit.routes.engine import IssuingEngine, KeyEngine, WorkloadEngine
from nhi.biscuit.routes.failure_routes import FailureEngine
from nhi.biscuit.routes.lineage_routes import LineageEngine
from nhi.biscuit.routes.login_mount import SigningInEngine
from nhi.biscuit.routes.oauth_client import Clients
from nhi.biscuit.routes.oauth_routes import OAuthEngine
from nhi.biscuit.routes.publication_routes import PublishingEngine
from nhi.biscuit.routes.registration_routes import RegistrationEngine
from nhi.biscuit.routes.revocation_routes import RevokingEngine
from nhi.biscuit.stored.model import Place
from vault.framework.call import MountFacts, Namespace
from vault.framework.engine import Engine
from vault.framework.keys.external import ExternalKeys
from vault.server.compose.parts import Parts, address
from vault.token.lockout import Lockout


def workloads(
    parts: Parts, external: ExternalKeys, lockout: Lockout
) -> tuple[Sequence[Engine], SigningInEngine, BiscuitService]:
    """Return the engines of an `nhi` mount, its logins below `auth/`, and what Biscuits are to the other engines."""
    signers = Signers(parts.follower, parts.safe)
    parts.lifecycle.on_seal(signers.forget)
    parts.lifecycle.on_seal(parts.failures.forget)
    mint = Mint(
        parts.clock,
        parts.entropy,
        external,
        parts.policies,
        parts.safe,
        signers,
        partial(_where, parts),
        partial(_longest, parts),
    )
    leaving = Leaving(parts.tokens, parts.leases)
    prover = Prover(
        parts.barrier,
        parts.tokens,
        KeySets(parts.fetcher, parts.clock, Providers(parts.fetcher, parts.clock)),
        ApiServer(parts.fetcher, Pod(), parts.log),
        Secrets(Passwords(argon2id())),
        lockout,
        parts.clock,
        parts.entropy,
        parts.failures,
    )
    clients = Clients(prover, address(parts.config))
    issuing = IssuingEngine(mint, parts.biscuits, parts.barrier, prover, clients.audiences)
    children = Children(parts.tokens, parts.barrier)
    engines = (
        KeyEngine(mint, leaving),
        PublishingEngine(mint, clients, parts.clock),
        WorkloadEngine(parts.clock, parts.entropy),
        RegistrationEngine(parts.entropy, parts.policies),
        issuing,
        ApprovingEngine(mint),
        RevokingEngine(parts.biscuits, parts.barrier, parts.entropy, children),
        LineageEngine(children, parts.router.takes),
        FailureEngine(parts.failures),
        OAuthEngine(mint, parts.biscuits, prover, clients),
    )
    find = partial(_issuing, parts)
    signing_in = SigningInEngine(issuing, parts.barrier, find, leaving, parts.factors)
    return engines, signing_in, BiscuitService(parts.biscuits, mint, parts.barrier)


def _issuing(parts: Parts, namespace: Namespace, path: str) -> MountFacts | None:
    """Return the `nhi` mount at a path in a namespace; None where there is none."""
    found = parts.router.of(namespace).get(path)
    return found.mounted if found is not None and found.mounted.kind == "nhi" else None


def _longest(parts: Parts, namespace_id: str, doors: Sequence[str]) -> int:
    """Return for how many seconds a token may last: as the mounts are tuned, or the server where none of them is."""
    home = parts.namespaces.live(namespace_id)
    table = parts.router.of(home) if home is not None else ()
    tuned = [mount.mounted.max_ttl for mount in table if mount.mounted.logins in doors]
    return min((one for one in tuned if one), default=parts.limits.longest)


def _where(parts: Parts, owner: Place) -> tuple[Namespace, MountFacts] | None:
    """Return the namespace and the mount that a place names; None where one is gone."""
    home = parts.namespaces.live(owner.namespace)
    table = parts.router.of(home) if home is not None and parts.router.has(home, owner.mount) else ()
    mounted = next((mount.mounted for mount in table if mount.entry.uuid == owner.mount), None)
    return None if home is None or mounted is None else (home, mounted)
