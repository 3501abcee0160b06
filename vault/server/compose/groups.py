# SPDX-License-Identifier: EUPL-1.2
"""Parts of a server that belong together: what composes engines takes these, beside `Services`."""

from __future__ import annotations

import msgspec

from nhi.biscuit.credential.authenticator import BiscuitAuthenticator
from nhi.biscuit.login.failures import Failures
from nhi.identity.entities.identities import Identities
from nhi.identity.mfa.second_factors import SecondFactors
from nhi.identity.oidc.pairs import KeyPairs
from vault.audit.broker import Broker
from vault.engines.system.operations.cors import CrossOrigins
from vault.engines.system.seal.genesis import Genesis
from vault.lease.ending import Endings
from vault.namespace.sealing import NamespaceSealing
from vault.policy.gate import Gate
from vault.quota.book import Quotas
from vault.seal.health import SlotHealth
from vault.seal.lifecycle import Lifecycle
from vault.seal.records.sealwrap import SealWrap
from vault.storage.protocol import Storage
from vault.token.batch import BatchTokens


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """Who may call: tokens that are not in the token store, and the entities behind all."""

    batch: BatchTokens
    biscuits: BiscuitAuthenticator
    failures: Failures
    identities: Identities
    pairs: KeyPairs
    factors: SecondFactors


class KeySlots(msgspec.Struct, frozen=True, kw_only=True):
    """What opens and seals the vault, and its namespaces."""

    storage: Storage
    lifecycle: Lifecycle
    health: SlotHealth
    wraps: SealWrap
    sealing: NamespaceSealing
    genesis: Genesis


class Controls(msgspec.Struct, frozen=True, kw_only=True):
    """What every request passes, and operators set: policies as compiled, audit devices, limits, origins, ends of leases."""

    gate: Gate
    audit: Broker
    quotas: Quotas
    origins: CrossOrigins
    endings: Endings
