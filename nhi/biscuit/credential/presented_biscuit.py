# SPDX-License-Identifier: EUPL-1.2
"""A Biscuit that is good now, and what it is to the rest of the server: an identity, policies, what it ends with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, cast

import msgspec

from nhi.biscuit.credential.checks import BiscuitChecks
from nhi.biscuit.format.datalog import Block, TermKind
from nhi.biscuit.offline.verify import (
    VerifiedToken,
)
from nhi.biscuit.records import store
from nhi.biscuit.records.model import IssuedToken, MountRef
from vault.framework.call import Identity, Namespace
from vault.framework.identity import IdentityFacts
from vault.framework.secret import Secret
from vault.values.ids import NO_TOKEN_KEY, EntityId, TokenAccessor
from vault.values.times import Millis, Seconds, millis_to_nanos, millis_to_seconds_up, time_between


class PresentedBiscuit(msgspec.Struct, frozen=True):
    """A token that is good now, but for its checks."""

    verified: VerifiedToken
    issued: IssuedToken
    owner: MountRef
    namespace: Namespace
    checks: BiscuitChecks
    common: dict[object, object]
    """See `Identity.common`."""
    until: Millis
    """When its authority or its workload ends (ms)."""

    @property
    def expires(self) -> Millis:
        """When it ends (ms): with its authority or its workload, or at an earlier end of a block."""
        return min(self.until, self.checks.expires or self.until)


def fact_bytes(authority: Block, name: str) -> bytes:
    """Return the one term of a fact of the authority, as bytes; empty where there is none."""
    for fact in authority.facts:
        if fact.name == name and len(fact.terms) == 1 and fact.terms[0].kind is TermKind.BYTES:
            return cast("bytes", fact.terms[0].value)
    return b""


def policies_of(authority: Block) -> tuple[str, ...]:
    """Return the policies that an authority block names; no other block can name one."""
    return tuple(
        sorted(
            str(fact.terms[0].value)
            for fact in authority.facts
            if fact.name == "policy" and len(fact.terms) == 1 and fact.terms[0].kind is TermKind.STRING
        )
    )


def to_identity(token: Secret, presented: PresentedBiscuit) -> Identity:
    """Return the identity that a token stands for."""
    issued, alike = presented.issued, _common_identity(presented)
    names = tuple([one.hex() for one in presented.verified.ids])
    return Identity(
        token=token,
        key=NO_TOKEN_KEY,
        accessor=TokenAccessor(names[-1]),
        policies=alike.policies,
        display_name=alike.display_name,
        metadata=alike.metadata,
        kind="biscuit",
        created=millis_to_nanos(issued.created),
        expires=presented.expires,
        ttl=alike.ttl,
        common=presented.common,
        namespace=presented.namespace,
        narrowing=presented.checks,
        template_facts=alike.facts,
        revocation_ids=names,
    )


class _CommonIdentity(NamedTuple):
    """What chains that begin with one block stand for alike."""

    policies: tuple[str, ...]
    display_name: str
    metadata: Mapping[str, str]
    ttl: Seconds
    facts: IdentityFacts


def _common_identity(presented: PresentedBiscuit) -> _CommonIdentity:
    known = presented.common.get(_CommonIdentity)
    if not isinstance(known, _CommonIdentity):
        issued = presented.issued
        presented.common[_CommonIdentity] = known = _CommonIdentity(
            policies_of(presented.verified.blocks[0]),
            f"nhi-{issued.workload}",
            {"workload": issued.workload, "token_id": issued.token_id},
            millis_to_seconds_up(time_between(issued.created, issued.expires)),
            identity_facts(issued),
        )
    return known


def identity_facts(issued: IssuedToken) -> IdentityFacts:
    """Return what templates of policies see of a token."""
    return IdentityFacts(
        entity_id=EntityId(issued.uid),
        entity_name=issued.workload,
        metadata={"workload": issued.workload, "registration": issued.registration},
    )


def tags_of(presented: PresentedBiscuit) -> tuple[str, ...]:
    """Return what a token ends with; its own last block comes last."""
    issued = presented.issued
    mounts = (store.mount_tag(one) for one in issued.hangs_on(presented.owner))
    blocks = (store.block_tag(block_id.hex()) for block_id in presented.verified.ids)
    return (store.key_tag(issued.kid), store.workload_tag(issued.uid), *mounts, *blocks)
