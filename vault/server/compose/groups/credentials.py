# SPDX-License-Identifier: EUPL-1.2
"""Who may call: the kinds of token, and the entities behind them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import msgspec

from nhi.biscuit.credential.authenticator import BiscuitAuthenticator
from nhi.biscuit.credential.children import BiscuitAncestors
from nhi.biscuit.credential.possession import Possession
from nhi.biscuit.login.failures import Failures
from nhi.biscuit.offline.verify import TokenLimits as BiscuitLimits
from nhi.identity.entities.identities import Identities
from nhi.identity.mfa.passcodes import Passcodes
from nhi.identity.mfa.second_factors import SecondFactors
from nhi.identity.oidc.pairs import KeyPairs
from vault.framework.call import Namespace
from vault.framework.errors import NotFound, Unavailable
from vault.mount.router import Router
from vault.server.compose.groups.capacities import Capacities
from vault.server.compose.groups.ground import Ground
from vault.server.compose.groups.key_slots import KeySlots
from vault.server.compose.groups.mounts import Mounts
from vault.server.compose.groups.token_metrics import CountedTokens, Creations
from vault.token.batch import BatchTokens
from vault.token.store import TokenStore
from vault.values.ids import MountId
from vault.wire.v1 import escape_html, unescaped_body
from vault.wrap.signed import SignedTokens
from vault.wrap.wrapper import Wrapper


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """What knows who calls: tokens in the store and beside it, what is proved at a login, and entities."""

    tokens: TokenStore
    batch: BatchTokens
    biscuits: BiscuitAuthenticator
    wrapper: Wrapper
    identities: Identities
    pairs: KeyPairs
    factors: SecondFactors
    failures: Failures


def make_credentials(
    ground: Ground, mounts: Mounts, key_slots: KeySlots, capacities: Capacities
) -> Credentials:
    """Make it; nobody is known yet."""
    clock, entropy, namespaces = ground.clock, ground.entropy, mounts.namespaces
    identities, biscuits = Identities(clock, entropy, ground.follower), _biscuits(ground, mounts, capacities)
    tokens = CountedTokens(
        entropy,
        namespaces.live,
        ground.metrics,
        identities,
        mounts.router.has_login,
        BiscuitAncestors(biscuits, partial(_issuing, mounts.router)),
        Creations(
            ground.metrics,
            mounts.router,
            namespaces,
            ground.config.cluster_name,
            ground.config.telemetry.maximum_gauge_cardinality,
        ).created,
    )
    signed = SignedTokens(key_slots.signing, ground.address)
    return Credentials(
        tokens=tokens,
        batch=BatchTokens(tokens, ground.barrier, entropy),
        biscuits=biscuits,
        wrapper=Wrapper(tokens, clock, unescaped_body, escape_html, signed),
        identities=identities,
        pairs=KeyPairs(clock, entropy, key_slots.safe),
        factors=SecondFactors(Passcodes(clock), namespaces.chain, clock, entropy),
        failures=Failures(ground.log, clock, each=capacities.failed_logins),
    )


def _issuing(router: Router, namespace: Namespace) -> Sequence[MountId]:
    """Return the mounts of a namespace that issue Biscuits; none of one that is gone. Raises `Unavailable` where nobody can tell."""
    try:
        table = router.of(namespace)
    except NotFound:
        return ()
    if not table.known:
        raise Unavailable("the mounts of this namespace are not known yet: it was opened just now")
    return [mount.entry.uuid for mount in table if mount.mounted.kind == "nhi"]


def _biscuits(ground: Ground, mounts: Mounts, capacities: Capacities) -> BiscuitAuthenticator:
    return BiscuitAuthenticator(
        ground.barrier,
        ground.follower,
        mounts.namespaces.live,
        mounts.router.has,
        mounts.router.has_login,
        ground.log,
        BiscuitLimits(),
        Possession(ground.clock, ground.address, most=capacities.proofs),
    )
