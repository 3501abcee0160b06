# SPDX-License-Identifier: EUPL-1.2
"""What the identity store brings to a server."""

from __future__ import annotations

from collections.abc import Sequence

from nhi.identity.entities.alias_routes import AliasEngine
from nhi.identity.entities.answers import Answers
from nhi.identity.entities.entity_routes import EntityEngine
from nhi.identity.entities.group_alias_routes import GroupAliasEngine
from nhi.identity.entities.group_routes import GroupEngine
from nhi.identity.entities.identities import Identities
from nhi.identity.entities.lookup_routes import LookupEngine
from nhi.identity.entities.merge_routes import MergeEngine
from nhi.identity.inventory import keys_of
from nhi.identity.mfa.enforcement_routes import EnforcementEngine
from nhi.identity.mfa.method_routes import MethodEngine
from nhi.identity.mfa.reach import Chain
from nhi.identity.mfa.second_factors import forget
from nhi.identity.oidc.key_routes import SigningKeyEngine
from nhi.identity.oidc.pairs import KeyPairs
from nhi.identity.oidc.token_routes import IdentityTokenEngine
from nhi.identity.provider.client_routes import ClientEngine
from nhi.identity.provider.provider_routes import ProviderEngine
from nhi.identity.provider.token_routes import TokenEndpointEngine
from nhi.identity.records.mfa import MFA_KIND
from nhi.identity.records.oidc import KEY_KIND
from nhi.identity.records.provider import CODE_KIND, forget_code
from vault.framework.clock import Clock, Entropy
from vault.framework.concurrency.offload import Pool
from vault.framework.engine import Engine
from vault.install import Installation, Kind, Services
from vault.mount.router import Router
from vault.token.batch import BatchTokens


def install(
    services: Services, *, identities: Identities, pairs: KeyPairs, batch: BatchTokens
) -> Installation:
    """Return the mount `identity/`, of which each namespace has one, and the timers of its keys, codes and factors."""
    engines = identity_store(
        identities,
        services.router,
        services.namespaces.chain,
        pairs,
        batch,
        services.address,
        services.clock,
        services.entropy,
        services.pool,
    )
    return Installation(
        kinds=(Kind(("identity",), engines, keys=keys_of),),
        timers={KEY_KIND: pairs.rotate, MFA_KIND: forget, CODE_KIND: forget_code},
    )


def identity_store(
    identities: Identities,
    router: Router,
    chain: Chain,
    pairs: KeyPairs,
    batch: BatchTokens,
    address: str,
    clock: Clock,
    entropy: Entropy,
    pool: Pool,
) -> Sequence[Engine]:
    """Return the engines of `identity/`.

    `chain` returns a namespace and all above it, `address` is the URL at which clients reach this server; `pool` does what takes long.
    """
    shapes = Answers(router)
    entities = EntityEngine(identities, shapes, clock)
    groups = GroupEngine(identities, shapes, clock)
    tokens = IdentityTokenEngine(address, pairs, clock)
    providers = ProviderEngine(tokens, address, clock, entropy)
    return (
        entities,
        MergeEngine(),
        AliasEngine(identities, shapes, clock),
        groups,
        GroupAliasEngine(identities, shapes, groups, clock),
        LookupEngine(entities, groups),
        MethodEngine(router, chain, entropy, pool),
        EnforcementEngine(router, chain, entropy),
        SigningKeyEngine(pairs, clock, entropy),
        tokens,
        ClientEngine(pairs, entropy),
        providers,
        TokenEndpointEngine(providers, identities, batch, pairs, clock, entropy),
    )
