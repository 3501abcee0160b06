# SPDX-License-Identifier: EUPL-1.2
"""Biscuits as credentials: from the text on a request to the identity behind it.

What was verified is kept until a fact that it stands on changes: its key, its workload, a block of its chain that is
revoked. Storage is asked once for each; so revocations take no memory, and one that has committed is obeyed by the
next request. The token's checks are asked at every request, by the pipeline.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

from nhi.biscuit import store
from nhi.biscuit.datalog import Block, TermKind
from nhi.biscuit.failure import BiscuitError
from nhi.biscuit.model import BISCUIT_KIND, Issued, Place
from nhi.biscuit.narrowing import AMBIENT, Narrowing, ends
from nhi.biscuit.remembered import Remembered
from nhi.biscuit.verify import PREFIX, Limits, Verified, from_text, opened, verify
from vault.barrier.barrier import Barrier
from vault.barrier.view import ReadView
from vault.cache.follow import Bounded, Follower
from vault.framework.call import Call, Identity, Namespace
from vault.framework.errors import Unauthenticated
from vault.framework.log import Log
from vault.framework.secret import Secret
from vault.token.authenticator import core_reader

_SHORTEST: Final = 200
"""Characters of the shortest token that can be one of ours; a service token has 26."""
_FOURTH: Final = "ABCDEFGHIJKLMNOP"
_REFUSED: Final = 4096
"""Digests of tokens that were refused for what they are, which no fact can change."""

Live = Callable[[str], Namespace | None]
Mounted = Callable[[Namespace, str], bool]
AUDIENCE: Final = "vault"
"""Whom tokens that are meant for this server name, unless their registration says otherwise."""


@dataclass(frozen=True, slots=True)
class Presented:
    """A token that is good now, but for its checks."""

    verified: Verified
    issued: Issued
    owner: Place
    namespace: Namespace
    narrowing: Narrowing

    @property
    def expires(self) -> int:
        """When it ends (ms): its authority's expiry, or an earlier one of a block."""
        return min(self.issued.expires, self.narrowing.expires or self.issued.expires)


class Biscuits:
    """Verifies Biscuits that some mount of ours issued."""

    def __init__(
        self, barrier: Barrier, follower: Follower, live: Live, mounted: Mounted, log: Log, limits: Limits
    ) -> None:
        """`live` finds namespaces by id; `mounted` says whether a namespace still has a mount."""
        self._barrier = barrier
        self._follower = follower
        self._live = live
        self._mounted = mounted
        self._log = log
        self._limits = limits
        self._cache: Remembered[tuple[Presented, Identity]] = Remembered()
        self._refused: Bounded[bytes, bool] = Bounded(_REFUSED)
        follower.own(BISCUIT_KIND, self._drop)

    async def _drop(self, key: str | None) -> None:
        self._cache.drop(key)

    def recognises(self, token: str) -> bool:
        """See `Authenticator.recognises`: a key number comes first, so the beginning is always of one shape."""
        text = token.removeprefix(PREFIX)
        return len(text) >= _SHORTEST and text[0] == "C" and text[1] in _FOURTH and "." not in text

    def known(self, call: Call) -> Identity | None:
        """See `Authenticator.known`."""
        found = self._cache.get(_digest(call.token))
        if found is None:
            return None
        presented, identity = found
        home = presented.namespace
        if call.now >= identity.expires or self._live(home.id) is not home:
            return None
        return identity if self._mounted(home, presented.owner.mount) else None

    async def authenticate(self, call: Call) -> Identity:
        """See `Authenticator.authenticate`."""
        digest = _digest(call.token)
        if self._refused.get(digest):
            raise Unauthenticated
        core = core_reader(self._barrier, call.namespace)
        presented = await self.present(core, call.token.reveal(), call.now, digest)
        if presented is None or call.now >= presented.expires:
            raise Unauthenticated
        identity = to_identity(call.token, presented)
        if core.epoch == self._follower.epoch:
            self._cache.put(digest, (presented, identity), _tags(presented), presented.verified.size)
        return identity

    async def present(self, core: ReadView, token: str, now: int, digest: bytes = b"") -> Presented | None:
        """Return what a token is, if it is good at `now` (ms) but for its checks, which are not asked; else None.

        `digest` is remembered where it is refused for what it is. `core` is any view of a namespace's own data.
        """
        try:
            raw = from_text(token, self._limits.size)
            chain = opened(raw, self._limits)
        except BiscuitError:
            self._refused.put(digest, value=True)
            return None
        owner = await store.place(core, chain.root_key_id) if chain.root_key_id is not None else None
        home = self._live(owner.namespace) if owner is not None else None
        if owner is None or home is None or not self._mounted(home, owner.mount):
            return None
        view = core.space(owner.namespace).sub(f"mnt/{owner.mount}/")
        key = await store.key(view, chain.root_key_id or 0)
        if key is None or not key.verifies:
            return None
        try:
            verified = verify(raw, chain, key.key, AMBIENT, self._limits)
        except BiscuitError:
            self._refused.put(digest, value=True)
            return None
        issued = await self._issued(view, verified, now)
        if issued is None:
            return None
        return Presented(verified, issued, owner, home, Narrowing(verified, home, AUDIENCE))

    async def _issued(self, view: ReadView, verified: Verified, now: int) -> Issued | None:
        """Return the record of a token's issuance, unless it or its workload has ended, or a block was revoked."""
        token_id = fact_bytes(verified.blocks[0], "token_id")
        issued = await store.issued(view, token_id.hex())
        if issued is None or issued.ids != verified.ids[0].hex():
            if token_id and ends_later(verified, now):
                self._log.caution("nhi", "a valid signature has no record of its issuance: is the key safe?")
            return None
        if now >= issued.expires or len(verified.blocks) > issued.max_depth:
            return None
        workload = await store.workload(view, issued.workload)
        if workload is None or workload.uid != issued.uid or not workload.alive(now):
            return None
        for block_id in verified.ids:
            if await store.revoked(view, block_id.hex()) is not None:
                return None
        return issued


def ends_later(verified: Verified, now: int) -> bool:
    """Whether the token itself says that it is good at `now`: its record must be there then."""
    return now < ends(verified.blocks[:1])


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


def to_identity(token: Secret, presented: Presented) -> Identity:
    """Return the identity that a token stands for."""
    issued = presented.issued
    return Identity(
        token=token,
        key="",
        accessor=presented.verified.ids[-1].hex(),
        policies=policies_of(presented.verified.blocks[0]),
        display_name=f"nhi-{issued.workload}",
        metadata={"workload": issued.workload, "token_id": issued.token_id},
        kind="biscuit",
        created=issued.created * 1_000_000,
        expires=presented.expires,
        ttl=-((issued.created - issued.expires) // 1000),
        namespace=presented.namespace,
        narrowing=presented.narrowing,
    )


def _tags(presented: Presented) -> tuple[str, ...]:
    issued = presented.issued
    blocks = (store.block_tag(block_id.hex()) for block_id in presented.verified.ids)
    return (store.key_tag(issued.kid), store.workload_tag(issued.uid), *blocks)


def _digest(token: Secret) -> bytes:
    return hashlib.sha256(token.reveal().encode()).digest()
